package release

import (
	"testing"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestReject(t *testing.T) {
	t.Parallel()
	rolling := func(in *Input) { step(v1alpha1.StepRollBack)(in); rejection("staging")(in) }
	serving := func(in *Input) { in.Facts.Canary, in.Facts.Weight = canary(20), 20 }
	alone := func(in *Input) { in.Fallback = nil }
	abort := func(in *Input) { in.Abort = true }
	lost := func(in *Input) { in.Facts.Stable.Complete = false }
	cases{
		"requests go back first":                        {input(rolling, serving), "RollBack: shift(0) stop keep(scores-1) wait Pods"},
		"the canary's end is waited for":                {input(rolling, func(in *Input) { in.Facts.Canary = canary(20) }), "RollBack: shift(0) stop keep(scores-1) wait Pods"},
		"then the pods go back":                         {input(rolling, replaced(true)), "RollBack: keep(scores-1) wait Pods"},
		"and are waited for":                            {input(rolling, lost), "RollBack: keep(scores-1) wait Pods"},
		"as long as it takes":                           {input(rolling, lost, func(in *Input) { in.Facts.Stable.Failed = true }), "RollBack: keep(scores-1) wait Pods stalled"},
		"once all is back it takes a person":            {input(rolling), "Rejected: keep(scores-1) wait Rejected stalled"},
		"pods lost later change nothing":                {input(step(v1alpha1.StepRejected), rejection("staging"), lost, func(in *Input) { in.Record.RolledBackAt = ago(0) }), "Rejected: keep(scores-1) wait Rejected stalled"},
		"a failure elsewhere takes back what had begun": {input(weight(20), rejection("production")), "RollBack: shift(0) stop keep(scores-1) wait Pods"},
		"and keeps out what had not":                    {input(rejection("development")), "Rejected: keep(scores-1) wait Rejected stalled"},
		"of a first release the pods stay":              {input(rolling, alone, replaced(true)), "Rejected: keep(scores-2) wait Rejected stalled"},
		"so they do if it is the one verified last":     {input(rolling, replaced(true), func(in *Input) { in.Fallback.Release = "scores-2" }), "Rejected: keep(scores-2) wait Rejected stalled"},
		"a canary beside pods never verified stops":     {input(rolling, alone, serving), "Rejected: shift(0) stop keep(scores-1) wait Rejected stalled"},
		"a person can end it at any step":               {input(weight(20), abort), "RollBack: wait Rejected look 0s rejects Aborted at Canary"},
		"also before it began":                          {input(abort), "RollBack: wait Rejected look 0s rejects Aborted at Admit"},
		"what is rejected cannot be aborted":            {input(rolling, abort), "Rejected: keep(scores-1) wait Rejected stalled"},
	}.run(t)
}

func TestRejectionNamesTheWayOut(t *testing.T) {
	t.Parallel()
	plan := New(input(step(v1alpha1.StepRejected), rejection("development")))
	want := v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitRejected,
		Message: "release scores-2 was rejected in environment development: errors",
		Unblock: "correct the Microservice, such as spec.image, or try the release again: " +
			"kubectl annotate microservice scores --namespace home --overwrite platform.mirubato.com/retry=$(date +%s)",
	}
	if *plan.Waiting != want {
		t.Errorf("waiting for %+v\nwant %+v", *plan.Waiting, want)
	}
	if plan.Record.RolledBackAt == nil {
		t.Error("what had been admitted was rolled back, and that is recorded")
	}
	if New(input(rejection("development"))).Record.RolledBackAt != nil {
		t.Error("what never was admitted was not rolled back")
	}
}

func TestFailureIsRecorded(t *testing.T) {
	t.Parallel()
	plan := New(input(weight(20), verdict(v1alpha1.VerdictFail), func(in *Input) { in.Facts.Analysis.Message = "5 % of the answers are errors" }))
	want := v1alpha1.Rejection{
		Environment: "staging", Step: v1alpha1.StepCanary, Reason: v1alpha1.FailureAnalysis,
		Message: "5 % of the answers are errors", Time: *ago(0),
	}
	if *plan.Rejection != want {
		t.Errorf("rejection %+v\nwant %+v", *plan.Rejection, want)
	}
}
