package release

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// noted are the steps of a record, each with the seconds after noon at which it began.
func noted(record v1alpha1.ReleaseEnvironmentStatus) []string {
	var out []string
	for _, s := range record.Steps {
		out = append(out, fmt.Sprintf("%s %g", s.Step, s.Time.Sub(noon).Seconds()))
	}
	return out
}

func TestEachStepIsNotedWhenItBegins(t *testing.T) {
	in := input(func(in *Input) {
		in.PreviousVerified = false
		in.Target.Migration = "m1"
		in.Rollout.Steps = nil
		in.Rollout.Strategy = v1alpha1.StrategyRolling
	})
	pass := func(after time.Duration, changes ...change) {
		in.Now = noon.Add(after)
		for _, c := range changes {
			c(&in)
		}
		in.Record = New(in).Record
	}
	pass(0)
	pass(time.Second)
	if diff := cmp.Diff([]string{"Admit 0"}, noted(in.Record)); diff != "" {
		t.Errorf("while it waits (-want +got):\n%s", diff)
	}
	before := in.Record
	pass(10*time.Second, func(in *Input) { in.PreviousVerified = true })
	pass(11 * time.Second)
	if diff := cmp.Diff([]string{"Admit 0"}, noted(before)); diff != "" {
		t.Errorf("what was recorded was changed (-want +got):\n%s", diff)
	}
	pass(40*time.Second, func(in *Input) {
		in.Facts.Stable = Fleet{Exists: true, Release: "scores-2", Content: "new", Migration: "m1", Replicas: 4, Ready: 4, Complete: true}
	})
	got := noted(in.Record)
	if len(got) < 4 || got[0] != "Admit 0" || got[len(got)-2] != "Soak 40" || got[len(got)-1] != "Verified 40" {
		t.Errorf("verified: %q", got)
	}
	again := noted(in.Record)
	pass(time.Hour)
	if diff := cmp.Diff(again, noted(in.Record)); diff != "" {
		t.Errorf("a step was noted again (-want +got):\n%s", diff)
	}
	in.Record.Step = v1alpha1.StepSuperseded
	pass(2*time.Hour, func(in *Input) {
		in.Fallback = &Candidate{Release: "scores-3", Content: "newer", Migration: "m1"}
		in.Facts.Stable = Fleet{Exists: true, Release: "scores-3", Content: "newer", Migration: "m1", Replicas: 4, Ready: 4, Complete: true}
	})
	if got := noted(in.Record); len(got) == 0 || got[0] != "Admit 7200" {
		t.Errorf("when it comes back: %q", got)
	}
}

func TestRecordsKeepTheLastSteps(t *testing.T) {
	p := &pass{Input: input()}
	for i := range maxSteps + 5 {
		p.Now = noon.Add(time.Duration(i) * time.Second)
		p.note(v1alpha1.StepCanary)
	}
	if got := noted(p.Record); len(got) != maxSteps || got[0] != "Canary 5" {
		t.Errorf("%d are kept, from %s", len(got), got[0])
	}
}
