package release

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestContract(t *testing.T) {
	t.Parallel()
	// held is release scores-2, verified a minute ago, which has something to remove.
	held := func(in *Input) {
		replaced(true)(in)
		verified(in)
		check := pending()
		check.Held = []v1alpha1.MigrationFile{{Name: "8_drop.sql"}}
		in.Record.Database = &v1alpha1.DatabaseEvidence{Check: check}
		in.Fallback.Release = "scores-2"
	}
	began := func(in *Input) {
		held(in)
		in.Record.Database.Contract = &v1alpha1.ContractEvidence{BeganAt: metav1.Time{Time: noon}}
	}
	finished := func(in *Input) {
		began(in)
		in.Record.Database.Contract.FinishedAt = ago(0)
	}
	hour := func(in *Input) { in.Rollout.ContractAfter = time.Hour }
	backup := func(in *Input) { in.Rollout.Backup = true }
	older := func(in *Input) { in.Facts.Older = []string{"production"} }
	closed := func(in *Input) {
		in.Facts.Window = &v1alpha1.WaitingFor{Type: v1alpha1.WaitWindow, Message: "no window is open", Deadline: &metav1.Time{Time: noon.Add(time.Hour)}}
	}
	refused := func(in *Input) {
		in.Facts.Contract = Work{Stuck: true, Waiting: &v1alpha1.WaitingFor{Type: v1alpha1.WaitDatabase, Message: "refused"}}
	}
	fills := func(in *Input) { in.Record.Database.Check.Backfills = 2 }
	filled := func(in *Input) { fills(in); in.Facts.Backfill.Done = true }
	done := func(in *Input) { in.Facts.Contract.Done = true }
	cases{
		"one may go back for a while":              {input(held, hour), "Verified: keep(scores-2) cleanup wait Contract look 59m0s"},
		"no pod that needs it may be left":         {input(held, older), "Verified: keep(scores-2) cleanup wait Contract"},
		"a window must be open":                    {input(held, closed), "Verified: keep(scores-2) cleanup wait Contract look 1h0m0s"},
		"then it is recorded that it begins":       {input(held), "Verified: keep(scores-2) cleanup wait Step look 0s"},
		"rows are filled at once":                  {input(held, hour, fills), "Verified: keep(scores-2) cleanup backfill wait Contract"},
		"but not while old pods write":             {input(held, fills, older), "Verified: keep(scores-2) cleanup wait Contract"},
		"that they are is recorded":                {input(held, filled), "Verified: keep(scores-2) cleanup wait Step look 0s"},
		"then it is done":                          {input(began), "Verified: keep(scores-2) cleanup contract wait Contract"},
		"after another backup where one is wanted": {input(began, backup), "Verified: keep(scores-2) cleanup backup wait Contract"},
		"which somebody else may make": {input(began, backup, func(in *Input) {
			in.Facts.Backup = Work{Waiting: &v1alpha1.WaitingFor{Type: v1alpha1.WaitBackup, Message: "it is at work"}, Next: noon.Add(3 * time.Second)}
		}), "Verified: keep(scores-2) cleanup backup wait Contract look 3s"},
		"a pod that comes back stops it":          {input(began, older), "Verified: keep(scores-2) cleanup wait Contract"},
		"a refusal takes a person":                {input(began, refused), "Verified: keep(scores-2) cleanup contract wait Database stalled"},
		"it is recorded that it is done":          {input(began, done), "Verified: keep(scores-2) cleanup wait Step look 0s"},
		"and not done again":                      {input(finished), "Verified: keep(scores-2) cleanup"},
		"nothing is removed while it is held":     {input(began, func(in *Input) { in.Held = true }), "Verified: keep(scores-2) cleanup wait Hold"},
		"nor for a release that failed elsewhere": {input(began, rejection("production")), "Verified: keep(scores-2) cleanup"},
		"nor while pods are lost":                 {input(began, func(in *Input) { in.Facts.Stable.Complete = false }), "Verified: keep(scores-2) wait Pods"},
	}.run(t)
}

func TestContractIsInheritedWithTheMigrations(t *testing.T) {
	t.Parallel()
	before := &v1alpha1.DatabaseEvidence{Check: pending("add.sql"), Backup: &v1alpha1.BackupEvidence{Name: "b1"}}
	in := input(step(v1alpha1.StepSoak), replaced(true), func(in *Input) {
		in.Target.Migration, in.Facts.Stable.Migration, in.Inherited = "m1", "m1", before
		in.Record.Database = nil
	})
	found := New(in).Record.Database
	if found == nil || found.Check != before.Check || found.Backup != nil {
		t.Errorf("taken over: %+v", found)
	}
	in.Target.Migration, in.Facts.Stable.Migration = "m2", "m2"
	if found := New(in).Record.Database; found != nil {
		t.Errorf("taken over from other migrations: %+v", found)
	}
}
