package release

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestPromote(t *testing.T) {
	t.Parallel()
	promote := step(v1alpha1.StepPromote)
	serving := func(in *Input) { in.Facts.Canary, in.Facts.Weight, in.Record.Weight = canary(50), 50, 50 }
	failed := func(in *Input) { in.Facts.Stable.Failed = true }
	pending := func(in *Input) { in.Record.PendingSince = ago(10 * time.Minute) }
	cases{
		"the pods are replaced":                       {input(promote), "Promote: keep(scores-2) wait Pods look 10m0s"},
		"while the canary goes on serving":            {input(promote, serving, replaced(false)), "Promote: keep(scores-2) shift(50) wait Pods look 10m0s"},
		"if it is ready":                              {input(promote, serving, replaced(false), func(in *Input) { in.Facts.Canary.Ready = 0 }), "Promote: keep(scores-2) shift(0) wait Pods look 10m0s"},
		"it stops when all pods are there":            {input(promote, serving, replaced(true)), "Verified: shift(0) stop keep(scores-2) cleanup"},
		"another release's canary stops at once":      {input(promote, serving, func(in *Input) { in.Facts.Canary.Content = "other" }), "Promote: keep(scores-2) shift(0) stop wait Pods look 10m0s"},
		"pods of the right content need their schema": {input(promote, replaced(true), func(in *Input) { in.Facts.Stable.Migration = "m1" }), "Promote: keep(scores-2) wait Pods look 10m0s"},
		"pods that stay away reject":                  {input(promote, replaced(false), pending), "RollBack: wait Rejected look 0s rejects PodsNotReady at Promote"},
		"so does a Deployment that gave up":           {input(promote, replaced(false), failed), "RollBack: wait Rejected look 0s rejects PodsNotReady at Promote"},
		"unless that was on the release before":       {input(promote, failed), "Promote: keep(scores-2) wait Pods look 10m0s"},
		"a first release keeps trying":                {input(promote, first, replaced(false), func(in *Input) { in.Fallback = nil }, pending), "Promote: keep(scores-2) wait Pods stalled"},
		"also when its Deployment gave up":            {input(promote, replaced(false), failed, func(in *Input) { in.Fallback = nil }), "Promote: keep(scores-2) wait Pods stalled"},
		"and goes on once it is mended":               {input(promote, replaced(true), func(in *Input) { in.Fallback = nil }, pending), "Verified: keep(scores-2) cleanup"},
	}.run(t)
}

func TestSoak(t *testing.T) {
	t.Parallel()
	soak := func(in *Input) {
		step(v1alpha1.StepSoak)(in)
		replaced(true)(in)
		in.Rollout.Soak = 10 * time.Minute
		in.Record.SoakingSince = ago(2 * time.Minute)
	}
	lost := func(in *Input) { in.Facts.Stable.Complete = false }
	earlier := func(in *Input) { in.Record.Soaked = &metav1.Duration{Duration: 5 * time.Minute} }
	cases{
		"it begins with the promotion":         {input(step(v1alpha1.StepPromote), replaced(true), func(in *Input) { in.Rollout.Soak = time.Hour }), "Soak: keep(scores-2) wait Soak look 1h0m0s"},
		"it lasts":                             {input(soak), "Soak: keep(scores-2) wait Soak look 8m0s"},
		"earlier time counts":                  {input(soak, earlier), "Soak: keep(scores-2) wait Soak look 3m0s"},
		"it ends":                              {input(soak, func(in *Input) { in.Rollout.Soak = 2 * time.Minute }), "Verified: keep(scores-2) cleanup"},
		"pods that are lost interrupt it":      {input(soak, lost), "Soak: keep(scores-2) wait Pods look 10m0s"},
		"and reject if they stay away":         {input(soak, lost, func(in *Input) { in.Record.PendingSince = ago(10 * time.Minute) }), "RollBack: wait Rejected look 0s rejects PodsNotReady at Soak"},
		"the environment is asked first":       {input(soak, smoke(v1alpha1.SmokeEnvironment, Smoke{})), "Soak: keep(scores-2) smoke(Environment) wait SmokeTest look 0s"},
		"and must answer":                      {input(soak, smoke(v1alpha1.SmokeEnvironment, Smoke{State: SmokeFailed})), "RollBack: wait Rejected look 0s rejects SmokeTestFailed at Soak"},
		"time goes on meanwhile":               {input(soak, smoke(v1alpha1.SmokeEnvironment, Smoke{State: SmokePassed})), "Soak: keep(scores-2) wait Soak look 8m0s"},
		"a canary that is left is stopped":     {input(soak, func(in *Input) { in.Facts.Canary = canary(50) }), "Soak: shift(0) stop keep(scores-2) wait Soak look 8m0s"},
		"what runs already soaks and is asked": {input(replaced(true), smoke(v1alpha1.SmokeEnvironment, Smoke{})), "Soak: keep(scores-2) smoke(Environment) wait SmokeTest look 0s"},
	}.run(t)

	record := New(input(soak, lost, earlier)).Record
	if record.Soaked.Duration != 7*time.Minute || record.SoakingSince != nil {
		t.Errorf("5 and 2 minutes were soaked: %+v", record)
	}
	record = New(input(soak, earlier)).Record
	if record.Soaked.Duration != 5*time.Minute || !record.SoakingSince.Equal(ago(2*time.Minute)) {
		t.Errorf("nothing is written while it goes on: %+v", record)
	}
}

func TestVerified(t *testing.T) {
	t.Parallel()
	done := func(in *Input) {
		verified(in)
		replaced(true)(in)
		in.Fallback = &in.Target
	}
	lost := func(in *Input) { in.Facts.Stable.Complete = false }
	cases{
		"it is kept":                            {input(done), "Verified: keep(scores-2) cleanup"},
		"it is not asked again":                 {input(done, smoke(v1alpha1.SmokeEnvironment, Smoke{})), "Verified: keep(scores-2) cleanup"},
		"nor does it soak again":                {input(done, func(in *Input) { in.Rollout.Soak = time.Hour }), "Verified: keep(scores-2) cleanup"},
		"lost pods are waited for":              {input(done, lost), "Verified: keep(scores-2) wait Pods"},
		"a Deployment that gave up needs help":  {input(done, lost, func(in *Input) { in.Facts.Stable.Failed = true }), "Verified: keep(scores-2) wait Pods stalled"},
		"a rejection elsewhere changes nothing": {input(done, rejection("production")), "Verified: keep(scores-2) cleanup"},
		"nor does an abort":                     {input(done, func(in *Input) { in.Abort = true }), "Verified: keep(scores-2) cleanup"},
		"a Deployment that was removed is made": {input(done, func(in *Input) { in.Facts.Stable = Fleet{} }), "Verified: keep(scores-2) wait Pods"},
		"what another release had begun is undone": {
			input(done, func(in *Input) {
				in.Facts.Stable.Content, in.Facts.Canary, in.Facts.Weight = "newer", Fleet{Exists: true, Content: "newer"}, 50
			}),
			"Verified: shift(0) stop keep(scores-2) wait Pods",
		},
		"a hold is told": {input(done, func(in *Input) { in.Held = true }), "Verified: keep(scores-2) cleanup wait Hold"},
	}.run(t)
}

// The times at which releases were verified keep their order, whatever clocks say: the last one is what to go back to.
func TestVerifiedAfterTheOneBefore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ before, want time.Time }{
		"by a clock that went on":             {noon.Add(-time.Hour), noon},
		"in the same second":                  {noon, noon.Add(time.Second)},
		"by an operator whose clock is ahead": {noon.Add(10 * time.Minute), noon.Add(10*time.Minute + time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := New(input(step(v1alpha1.StepPromote), migrated, replaced(true), func(in *Input) { in.FallbackAt = tc.before }))
			if at := plan.Record.VerifiedAt; at == nil || !at.Time.Equal(tc.want) {
				t.Errorf("verified at %v, want %v", at, tc.want)
			}
		})
	}
}
