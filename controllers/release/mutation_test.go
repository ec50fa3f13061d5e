package release

import (
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// TestInvariantsCanFail plays histories with planners that each break one rule. The simulation must notice every one, by the
// invariant that the rule stands for.
func TestInvariantsCanFail(t *testing.T) {
	t.Parallel()
	const enough = 3000
	without := func(change func(*Input)) func(Input) Plan {
		return func(in Input) Plan { change(&in); return New(in) }
	}
	after := func(change func(Input, *Plan)) func(Input) Plan {
		return func(in Input) Plan { plan := New(in); change(in, &plan); return plan }
	}
	for name, tc := range map[string]struct {
		plan func(Input) Plan
		want string
	}{
		"gates are not asked":                       {without(func(in *Input) { in.Facts.Gates = nil }), "though a gate is closed"},
		"the environment before is not awaited":     {without(func(in *Input) { in.PreviousVerified = true }), "though a gate is closed"},
		"a pause is passed over":                    {without(func(in *Input) { in.Paused = false }), "it writes what it must not"},
		"a cluster that is away is taken for empty": {without(func(in *Input) { in.Facts.Away = nil }), "it writes what it must not"},
		"a rejection is forgotten":                  {without(func(in *Input) { in.Rejection = nil }), "a rejected release goes on"},
		"holds are cut short":                       {without(func(in *Input) { in.Now = in.Now.Add(time.Hour) }), "before its hold is over"},
		"smoke tests are skipped":                   {without(func(in *Input) { in.Rollout.SmokeTests = false }), "was not asked"},
		"verdicts are not awaited":                  {without(func(in *Input) { in.Rollout.Analysis = false }), "the share rises though its verdict is"},
		"a bad verdict is taken for none": {without(func(in *Input) {
			if in.Facts.Analysis.Verdict == v1alpha1.VerdictFail {
				in.Facts.Analysis.Verdict = v1alpha1.VerdictNotEnoughData
			}
		}), "a bad verdict has no consequence"},
		"nothing soaks": {without(func(in *Input) { in.Rollout.Soak = 0 }), "it is verified after"},
		"a canary is taken for ready": {without(func(in *Input) {
			if in.Facts.Canary.Exists {
				in.Facts.Canary.Complete, in.Facts.Canary.Ready = true, max(in.Facts.Canary.Ready, 1)
			}
		}), "requests go to"},
		"admission is not recorded": {after(func(_ Input, plan *Plan) { plan.Record.AdmittedAt = nil }), "it looks again at once"},
		"the wake-up is forgotten":  {after(func(_ Input, plan *Plan) { plan.WakeUp = time.Time{} }), "nothing ends the wait"},
		"it never sleeps": {after(func(in Input, plan *Plan) {
			plan.WakeUp = in.Now
		}), "it looks again at once"},
		"the wait has no name": {after(func(_ Input, plan *Plan) { plan.Waiting = nil }), "does not say what it waits for"},
		"migrations are run twice": {after(func(in Input, plan *Plan) {
			if in.Facts.Migration.Done && plan.Step == v1alpha1.StepExpand {
				plan.Actions = append(plan.Actions, Action{Type: Migrate})
			}
		}), "migrations run that are done"},
		"nothing is checked":       {after(skipsTo(Check, Migrate)), "before a check is recorded"},
		"old pods are not awaited": {without(func(in *Input) { in.Facts.Older = nil }), "that a pod may need"},
		"the way back is cut off":  {without(func(in *Input) { in.Rollout.ContractAfter = 0 }), "while one may still go back"},
		"no backup is made":        {without(func(in *Input) { in.Rollout.Backup = false }), "before a backup is recorded"},
		"nothing is rehearsed":     {without(func(in *Input) { in.Rollout.Rehearsal = false }), "before their rehearsal is recorded"},
		"removals are not rehearsed": {without(func(in *Input) {
			in.Rollout.Rehearsal = in.Rollout.Rehearsal && in.Record.VerifiedAt == nil
		}), "before its rehearsal is recorded"},
		"a rehearsal that failed is repeated": {after(func(in Input, plan *Plan) {
			if in.Facts.ContractRehearsal.Failed && plan.Step == v1alpha1.StepVerified {
				plan.Actions = append(plan.Actions, Action{Type: RehearseContract})
			}
		}), "is rehearsed again that has failed"},
		"backups are not recorded": {after(func(_ Input, plan *Plan) { plan.Record.Database = nil }), "it looks again at once"},
		"the canary stops under requests": {after(func(_ Input, plan *Plan) {
			var kept []Action
			for _, a := range plan.Actions {
				if a.Type != Shift || a.Weight > 0 {
					kept = append(kept, a)
				}
			}
			plan.Actions = kept
		}), "the canary stops while requests go to it"},
		"the way back is done before it is recorded": {after(func(_ Input, plan *Plan) {
			if plan.Rejection != nil {
				plan.Actions = append(plan.Actions, Action{Type: Shift})
			}
		}), "before a failure is recorded"},
		"both releases are written": {after(func(in Input, plan *Plan) {
			if keep, ok := has(*plan, Keep); ok && in.Fallback != nil && keep.Release != in.Target.Release {
				plan.Actions = append(plan.Actions, Action{Type: Keep, Release: in.Target.Release})
			}
		}), "it writes the pods of two releases"},
		"pods come before their turn": {after(func(in Input, plan *Plan) {
			if !in.PreviousVerified && plan.Rejection == nil && len(plan.Actions) == 0 && !in.Paused && in.Rejection == nil {
				plan.Actions = []Action{{Type: Keep, Release: in.Target.Release}}
			}
		}), "begun that was not admitted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := map[string]int{}
			for seed := range uint64(enough) {
				_, wrong := live(seed, false, tc.plan)
				if strings.Contains(string(wrong), tc.want) {
					return
				}
				found[string(wrong)]++
			}
			t.Errorf("%d histories show nothing like %q, but %v", enough, tc.want, found)
		})
	}
}

// skipsTo makes a planner do one thing where it should do another.
func skipsTo(from, to ActionType) func(Input, *Plan) {
	return func(_ Input, plan *Plan) {
		for i := range plan.Actions {
			if plan.Actions[i].Type == from {
				plan.Actions[i].Type = to
			}
		}
	}
}
