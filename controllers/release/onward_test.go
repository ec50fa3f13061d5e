package release

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestOnward(t *testing.T) {
	stable := Fleet{Exists: true, Release: "scores-1", Content: "c1", Complete: true, Replicas: 2, Ready: 2}
	for name, tc := range map[string]struct {
		change func(*Input)
		want   v1alpha1.Step
		does   ActionType
		ok     bool
	}{
		"pods are replaced at once":              {func(*Input) {}, v1alpha1.StepPromote, Keep, true},
		"a canary is begun at once":              {func(in *Input) { in.Rollout = careful() }, v1alpha1.StepCanary, StartCanary, true},
		"a first release is made at once":        {func(in *Input) { in.Fallback, in.Facts.Stable = nil, Fleet{} }, v1alpha1.StepPromote, Keep, true},
		"migrations are looked at first":         {func(in *Input) { in.Target.Migration = "m2" }, "", "", false},
		"what runs beside the others is stopped": {func(in *Input) { in.Facts.Canary = Fleet{Exists: true, Content: "c9"} }, "", "", false},
		"a share without a canary is taken back": {func(in *Input) { in.Facts.Weight = 20 }, "", "", false},
		"a gate that is closed lets nothing on": {func(in *Input) {
			in.Facts.Gates = []v1alpha1.WaitingFor{{Type: v1alpha1.WaitWindow, Message: "closed"}}
		}, "", "", false},
		"the environment before has not verified it": {func(in *Input) { in.Previous, in.PreviousVerified = "staging", false }, "", "", false},
		"what was admitted before is no admission":   {func(in *Input) { in.Record.AdmittedAt, in.Record.Step = &metav1.Time{Time: noon}, v1alpha1.StepPromote }, "", "", false},
		"a failure is recorded by itself": {func(in *Input) {
			in.Facts.Stable.Content, in.Facts.Stable.Complete, in.Facts.Stable.Failed = "c2", false, true
		}, "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			in := Input{
				Now: noon, Environment: "production", PreviousVerified: true, Rollout: rolling(),
				Target: Candidate{Release: "scores-2", Content: "c2"}, Fallback: &Candidate{Release: "scores-1", Content: "c1"}, Facts: Facts{Stable: stable, PlanHash: "plan"},
			}
			tc.change(&in)
			next, ok := Onward(in, New(in))
			if ok != tc.ok {
				t.Fatalf("goes on: %t, want %t: %+v", ok, tc.ok, next)
			}
			if !ok {
				return
			}
			action, does := has(next, tc.does)
			if next.Step != tc.want || !does || action.Release != "scores-2" {
				t.Errorf("it is at %s and does %v, want %s and %s", next.Step, next.Actions, tc.want, tc.does)
			}
			if next.Record.AdmittedAt == nil || next.Record.PlanHash != "plan" || next.Record.Step != tc.want || next.Record.Weight != 0 {
				t.Errorf("what is recorded before anything is done is %+v", next.Record)
			}
		})
	}
}

// TestSmokeTestsOfBeforeDoNotCount has an earlier attempt fail its tests: the next one asks again.
func TestSmokeTestsOfBeforeDoNotCount(t *testing.T) {
	in := Input{
		Now: noon, Environment: "production", PreviousVerified: true, Rollout: careful(),
		Target: Candidate{Release: "scores-2", Content: "c2"}, Fallback: &Candidate{Release: "scores-1", Content: "c1"},
		Record: v1alpha1.ReleaseEnvironmentStatus{Name: "production", Step: v1alpha1.StepSuperseded},
		Facts: Facts{
			Stable: Fleet{Exists: true, Release: "scores-1", Content: "c1", Complete: true},
			Smoke:  map[v1alpha1.SmokeTarget]Smoke{v1alpha1.SmokeCanary: {State: SmokeFailed, Message: "of before"}},
		},
	}
	if next, ok := Onward(in, New(in)); !ok || next.Step != v1alpha1.StepCanary || next.Rejection != nil {
		t.Errorf("goes on: %t, %+v", ok, next)
	}
}
