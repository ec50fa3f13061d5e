package release

import (
	"testing"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Settings reach pods that run. They pass the same gates and steps as an image, but no pod is replaced.
func TestSettings(t *testing.T) {
	t.Parallel()
	// only makes the target the same as what runs, but for its settings.
	only := func(in *Input) {
		in.Target.Content, in.Target.Migration, in.Target.Settings = "old", "m1", "s2"
		in.Fallback.Settings, in.Facts.Stable.Settings = "s1", "s1"
	}
	canaryOf := func(settings string) change {
		return func(in *Input) {
			in.Facts.Canary = canary(20)
			in.Facts.Canary.Content, in.Facts.Canary.Migration, in.Facts.Canary.Settings = "old", "m1", settings
		}
	}
	pushed := func(complete bool) change {
		return func(in *Input) {
			in.Facts.Stable.Release, in.Facts.Stable.Settings, in.Facts.Stable.Complete = "scores-2", "s2", complete
		}
	}
	rolling := func(in *Input) { in.Rollout.Strategy, in.Rollout.Steps = v1alpha1.StrategyRolling, nil }
	refused := func(in *Input) { in.Facts.Stable.Failed = true }
	gate := func(in *Input) {
		in.Facts.Gates = []v1alpha1.WaitingFor{{Type: v1alpha1.WaitApproval, Message: "somebody must approve"}}
	}
	back := func(in *Input) { step(v1alpha1.StepRollBack)(in); rejection("staging")(in) }
	cases{
		"they are held up by gates":                   {input(only, gate), "Admit: keep(scores-1) wait Approval"},
		"and admitted like an image":                  {input(only), "Admit: keep(scores-1) wait Step look 0s"},
		"pods of a canary have them first":            {input(only, step(v1alpha1.StepExpand), migrated), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"a canary with others is not theirs":          {input(only, step(v1alpha1.StepCanary), migrated, canaryOf("s0")), "Canary: shift(0) stop keep(scores-1) wait Pods"},
		"one with them gets requests":                 {input(only, step(v1alpha1.StepCanary), migrated, canaryOf("s2")), "Canary: keep(scores-1) start(20) shift(20) wait Step look 1m0s"},
		"without steps all pods get them at once":     {input(only, rolling, step(v1alpha1.StepExpand), migrated), "Promote: keep(scores-2) wait Pods look 10m0s"},
		"until all have acknowledged it is waited":    {input(only, rolling, step(v1alpha1.StepPromote), migrated, pushed(false)), "Promote: keep(scores-2) wait Pods look 10m0s"},
		"then they are verified":                      {input(only, rolling, step(v1alpha1.StepPromote), migrated, pushed(true)), "Verified: keep(scores-2) cleanup"},
		"a pod that refuses them rejects the release": {input(only, rolling, step(v1alpha1.StepPromote), migrated, pushed(false), refused), "RollBack: wait Rejected look 0s rejects PodsNotReady at Promote"},
		"which is pushed back":                        {input(only, back, pushed(true)), "RollBack: keep(scores-1) wait Pods"},
		"until all have acknowledged that":            {input(only, back, func(in *Input) { in.Facts.Stable.Complete = false }), "RollBack: keep(scores-1) wait Pods"},
		"and then it takes a person":                  {input(only, back), "Rejected: keep(scores-1) wait Rejected stalled"},
	}.run(t)
}
