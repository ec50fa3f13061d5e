package release

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// at is a recorded time, so long before noon.
func ago(d time.Duration) *metav1.Time { return &metav1.Time{Time: noon.Add(-d)} }

// change alters an input.
type change func(*Input)

// input is release scores-2 about to enter staging, where scores-1 runs and is verified.
func input(changes ...change) Input {
	old := Candidate{Release: "scores-1", Content: "old", Migration: "m1"}
	in := Input{
		Now:          noon,
		Microservice: v1alpha1.MicroserviceReference{Namespace: "home", Name: "scores"},
		Environment:  "staging", Previous: "development", PreviousVerified: true,
		Target:   Candidate{Release: "scores-2", Content: "new", Migration: "m2"},
		Fallback: &old,
		Rollout: Rollout{
			Strategy:      v1alpha1.StrategyCanary,
			Steps:         []Step{{Weight: 20, Hold: time.Minute}, {Weight: 50, Hold: time.Minute}},
			NotEnoughData: v1alpha1.AnalysisWait, SourceDown: v1alpha1.AnalysisWait,
			StepTimeout: 10 * time.Minute,
		},
		Record: v1alpha1.ReleaseEnvironmentStatus{Name: "staging"},
		Facts: Facts{
			Stable: Fleet{Exists: true, Release: "scores-1", Content: "old", Migration: "m1", Replicas: 4, Ready: 4, Complete: true},
			Smoke:  map[v1alpha1.SmokeTarget]Smoke{},
		},
	}
	for _, c := range changes {
		c(&in)
	}
	return in
}

// step is what is recorded of the target: at a step since two minutes, admitted five minutes ago.
func step(s v1alpha1.Step) change {
	return func(in *Input) {
		in.Record = v1alpha1.ReleaseEnvironmentStatus{Name: "staging", Step: s, Since: ago(2 * time.Minute), AdmittedAt: ago(5 * time.Minute)}
		if s != v1alpha1.StepAdmit && s != v1alpha1.StepCheck {
			in.Record.Database = &v1alpha1.DatabaseEvidence{Check: pending("add.sql")}
		}
	}
}

// pending is a check that has found migrations to apply, or none.
func pending(names ...string) *v1alpha1.CheckEvidence {
	out := &v1alpha1.CheckEvidence{From: 6}
	for _, name := range names {
		out.Pending = append(out.Pending, v1alpha1.MigrationFile{Name: name})
	}
	return out
}

// weight is a canary that serves a share since two minutes, all its pods ready.
func weight(w int32) change {
	return func(in *Input) {
		step(v1alpha1.StepCanary)(in)
		migrated(in)
		in.Record.Weight, in.Facts.Weight = w, w
		in.Facts.Canary = canary(w)
	}
}

func canary(w int32) Fleet {
	return Fleet{Exists: true, Release: "scores-2", Content: "new", Migration: "m2", Weight: w, Replicas: 1, Ready: 1, Complete: true}
}

func migrated(in *Input) { in.Facts.Migration.Done = true }

// replaced is the stable Deployment written for the target, with all pods or without.
func replaced(complete bool) change {
	return func(in *Input) {
		in.Facts.Stable = Fleet{Exists: true, Release: "scores-2", Content: "new", Migration: "m2", Replicas: 4, Complete: complete}
		if complete {
			in.Facts.Stable.Ready = 4
		}
	}
}

func first(in *Input) { in.Fallback, in.Facts.Stable = nil, Fleet{} }

func smoke(target v1alpha1.SmokeTarget, s Smoke) change {
	return func(in *Input) { in.Rollout.SmokeTests, in.Facts.Smoke[target] = true, s }
}

func verdict(v v1alpha1.Verdict) change {
	return func(in *Input) {
		in.Rollout.Analysis, in.Facts.Analysis = true, Analysis{Verdict: v, Next: noon.Add(10 * time.Second)}
	}
}

func rejection(where string) change {
	return func(in *Input) {
		in.Rejection = &v1alpha1.Rejection{Environment: where, Step: v1alpha1.StepCanary, Reason: v1alpha1.FailureAnalysis, Message: "errors", Time: *ago(time.Minute)}
	}
}

func verified(in *Input) {
	in.Record.Step, in.Record.VerifiedAt = v1alpha1.StepVerified, ago(time.Minute)
}

// line tells a plan in one line: its step, its actions, what it waits for and for how long, and what else there is.
func line(p Plan) string {
	words := []string{string(p.Step) + ":"}
	for _, a := range p.Actions {
		words = append(words, action(a))
	}
	if p.Waiting != nil {
		words = append(words, "wait "+string(p.Waiting.Type))
	}
	if !p.WakeUp.IsZero() {
		words = append(words, "look "+p.WakeUp.Sub(noon).String())
	}
	if p.Stalled {
		words = append(words, "stalled")
	}
	if p.Rejection != nil {
		words = append(words, "rejects "+string(p.Rejection.Reason)+" at "+string(p.Rejection.Step))
	}
	return strings.Join(words, " ")
}

func action(a Action) string {
	switch a.Type {
	case Keep:
		return "keep(" + a.Release + ")"
	case StartCanary:
		return "start(" + itoa(a.Weight) + ")"
	case Shift:
		return "shift(" + itoa(a.Weight) + ")"
	case RunSmoke:
		return "smoke(" + string(a.Smoke) + ")"
	case StopCanary:
		return "stop"
	}
	return strings.ToLower(string(a.Type))
}

// cases are inputs and the line of their plan, keyed by what they show.
type cases map[string]struct {
	in   Input
	want string
}

func (cs cases) run(t *testing.T) {
	t.Helper()
	for name, tc := range cs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := New(tc.in)
			if diff := cmp.Diff(tc.want, line(plan)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if plan.Waiting != nil && (plan.Waiting.Message == "" || plan.Waiting.Type == "") {
				t.Errorf("the plan does not say what it waits for: %+v", plan.Waiting)
			}
			if plan.Record.Step != plan.Step || plan.Record.Name != tc.in.Environment {
				t.Errorf("the plan is at %s, and %s at %s is recorded", plan.Step, plan.Record.Name, plan.Record.Step)
			}
		})
	}
}
