package release

import (
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func itoa(n int32) string { return strconv.Itoa(int(n)) }

func TestAdmit(t *testing.T) {
	t.Parallel()
	blocked := func(kind v1alpha1.WaitType) change {
		return func(in *Input) { in.Facts.Blocked = &v1alpha1.WaitingFor{Type: kind, Message: "is missing"} }
	}
	unverified := func(in *Input) { in.PreviousVerified = false }
	gate := func(in *Input) {
		in.Facts.Gates = append(in.Facts.Gates,
			v1alpha1.WaitingFor{Type: v1alpha1.WaitWindow, Message: "no window is open", Deadline: &metav1.Time{Time: noon.Add(time.Hour)}},
			v1alpha1.WaitingFor{Type: v1alpha1.WaitApproval, Message: "somebody must approve"})
	}
	paused := func(in *Input) { in.Paused = true }
	held := func(in *Input) { in.Held = true }
	cases{
		"open gates are recorded before anything is done": {input(), "Admit: keep(scores-1) wait Step look 0s"},
		"what must be mended comes first":                 {input(blocked(v1alpha1.WaitConsent), rejection("development"), unverified, gate), "Admit: wait Consent"},
		"a missing Secret is told early":                  {input(blocked(v1alpha1.WaitSecret), unverified), "Admit: wait Secret"},
		"then a rejection":                                {input(rejection("development"), unverified, gate), "Rejected: keep(scores-1) wait Rejected stalled"},
		"then the environment before":                     {input(unverified, gate), "Admit: keep(scores-1) wait PreviousEnvironment"},
		"then the gates, in order":                        {input(gate), "Admit: keep(scores-1) wait Window look 1h0m0s"},
		"the first environment has none before it":        {input(unverified, func(in *Input) { in.Previous = "" }), "Admit: keep(scores-1) wait Step look 0s"},
		"what is held does not need the one before":       {input(unverified, held), "Admit: keep(scores-1) wait Step look 0s"},
		"but the gates":                                   {input(unverified, held, gate), "Admit: keep(scores-1) wait Window look 1h0m0s"},
		"a first release has nothing to keep":             {input(first), "Admit: wait Step look 0s"},
		"what has started goes on when a window closes":   {input(gate, step(v1alpha1.StepExpand)), "Expand: keep(scores-1) migrate wait Migration"},
		"what runs already is not gated":                  {input(unverified, gate, replaced(true)), "Verified: keep(scores-2) cleanup"},
		"what was verified last is not gated": {
			input(unverified, gate, func(in *Input) { in.Fallback.Release = "scores-2" }), "Promote: keep(scores-2) wait Pods look 10m0s",
		},
		"a canary left by another release is stopped while waiting": {
			input(gate, func(in *Input) { in.Facts.Canary, in.Facts.Weight = Fleet{Exists: true, Content: "other"}, 20 }),
			"Admit: shift(0) stop keep(scores-1) wait Window look 1h0m0s",
		},
		"so is one of the target from an earlier attempt": {
			input(gate, func(in *Input) { in.Facts.Canary, in.Facts.Weight = canary(20), 20 }),
			"Admit: shift(0) stop keep(scores-1) wait Window look 1h0m0s",
		},

		"a pause stops everything":                      {input(paused, weight(20)), "Canary: wait Pause"},
		"even what must be mended":                      {input(paused, blocked(v1alpha1.WaitConsent)), "Admit: wait Pause"},
		"even a rollback":                               {input(paused, weight(20), rejection("staging")), "Canary: wait Pause"},
		"but not the word of a person":                  {input(paused, weight(20), func(in *Input) { in.Abort = true }), "RollBack: wait Rejected look 0s rejects Aborted at Canary"},
		"missing consent stops a canary":                {input(blocked(v1alpha1.WaitConsent), weight(20)), "Canary: wait Consent"},
		"a missing Secret does not":                     {input(blocked(v1alpha1.WaitSecret), weight(20), verdict(v1alpha1.VerdictFail)), "RollBack: wait Rejected look 0s rejects AnalysisFailed at Canary"},
		"nor a rollback":                                {input(blocked(v1alpha1.WaitSecret), weight(20), rejection("staging")), "RollBack: shift(0) stop keep(scores-1) wait Pods"},
		"a verified environment tells what it misses":   {input(blocked(v1alpha1.WaitConsent), verified, replaced(true)), "Verified: wait Consent"},
		"a superseded release that returns starts anew": {input(step(v1alpha1.StepSuperseded), gate), "Admit: keep(scores-1) wait Window look 1h0m0s"},
		"so does one whose rejection was lifted":        {input(step(v1alpha1.StepRejected), gate), "Admit: keep(scores-1) wait Window look 1h0m0s"},
		"so does one that another has replaced since":   {input(verified, gate), "Admit: keep(scores-1) wait Window look 1h0m0s"},
	}.run(t)
}

func TestAdmissionIsRecorded(t *testing.T) {
	t.Parallel()
	in := input(func(in *Input) {
		in.Now = noon.Add(300 * time.Millisecond)
		in.Facts.PlanHash, in.Facts.ApprovedBy = "p", []string{"ada"}
	})
	record := New(in).Record
	if record.PlanHash != "p" || len(record.ApprovedBy) != 1 || !record.AdmittedAt.Time.Equal(noon) {
		t.Errorf("want plan, approver and the present whole second: %+v", record)
	}
	in.Facts.Gates = []v1alpha1.WaitingFor{{Type: v1alpha1.WaitApproval, Message: "somebody must approve"}}
	if record := New(in).Record; record.PlanHash != "p" || record.AdmittedAt != nil || record.ApprovedBy != nil {
		t.Errorf("nothing but the plan is recorded at a closed gate: %+v", record)
	}
}

func TestPauseStopsTheClocks(t *testing.T) {
	t.Parallel()
	in := input(step(v1alpha1.StepSoak), replaced(true), func(in *Input) {
		in.Paused, in.Rollout.Soak = true, time.Hour
		in.Record.SoakingSince, in.Record.PendingSince = ago(20*time.Minute), ago(9*time.Minute)
	})
	record := New(in).Record
	if record.SoakingSince != nil || record.PendingSince != nil || record.Soaked.Duration != 20*time.Minute {
		t.Errorf("20 minutes were soaked, and no clock runs: %+v", record)
	}
	in.Record, in.Now = record, noon.Add(5*time.Hour)
	if again := New(in).Record; again.Soaked.Duration != 20*time.Minute {
		t.Errorf("a pause counts as %s", again.Soaked.Duration-20*time.Minute)
	}
}

func TestTimesThatLieAheadAreNow(t *testing.T) {
	t.Parallel()
	in := input(weight(20), func(in *Input) { in.Record.Since = ago(-time.Hour) })
	if plan := New(in); !plan.WakeUp.Equal(noon.Add(time.Minute)) {
		t.Errorf("a clock that was set back must not prolong the hold of a minute: %s", plan.WakeUp.Sub(noon))
	}
}
