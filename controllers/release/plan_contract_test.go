package release

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	rehearsal := func(in *Input) { in.Rollout.Rehearsal = true }
	backedUp := func(in *Input) {
		began(in)
		in.Rollout.Backup, in.Rollout.Rehearsal = true, true
		in.Record.Database.Contract.Backup = &v1alpha1.BackupEvidence{Name: "b2", Fingerprint: "aaaa"}
	}
	rehearsed := func(in *Input) {
		backedUp(in)
		in.Record.Database.Contract.Rehearsal = &v1alpha1.RehearsalEvidence{Fingerprint: "of another server", DatabaseFingerprint: "aaaa"}
	}
	drifted := func(in *Input) {
		rehearsed(in)
		in.Record.Database.Contract.Rehearsal.DatabaseFingerprint = "bbbb"
	}
	fails := func(in *Input) {
		backedUp(in)
		in.Facts.ContractRehearsal = Work{Failed: true, Waiting: &v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: "migration 8_drop.sql: line 3: refused"}}
	}
	full := func(in *Input) {
		backedUp(in)
		in.Facts.ContractRehearsal = Work{Stuck: true, Waiting: &v1alpha1.WaitingFor{Type: v1alpha1.WaitBackup, Message: "the volume is full"}}
	}
	retry := func(in *Input) { in.Retry = true }
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
		"a rehearsal follows the backup":          {input(backedUp), "Verified: keep(scores-2) cleanup rehearsecontract wait Contract"},
		"and comes alone where no backup does":    {input(began, rehearsal), "Verified: keep(scores-2) cleanup rehearsecontract wait Contract"},
		"but not before the backup":               {input(began, backup, rehearsal), "Verified: keep(scores-2) cleanup backup wait Contract"},
		"that it has passed is recorded":          {input(backedUp, func(in *Input) { in.Facts.ContractRehearsal.Done = true }), "Verified: keep(scores-2) cleanup wait Step look 0s"},
		"then what was rehearsed is done":         {input(rehearsed), "Verified: keep(scores-2) cleanup contract wait Contract"},
		"a pod that comes back stops a rehearsal": {input(backedUp, older), "Verified: keep(scores-2) cleanup wait Contract"},
		"one that fails takes a person":           {input(fails), "Verified: keep(scores-2) cleanup wait Database stalled"},
		"who says that it is tried again":         {input(fails, retry), "Verified: keep(scores-2) cleanup wait Step look 0s"},
		"what it lacks takes a person":            {input(full), "Verified: keep(scores-2) cleanup rehearsecontract wait Backup stalled"},
		"and can be tried with another backup":    {input(full, retry), "Verified: keep(scores-2) cleanup wait Step look 0s"},
		"one at work is not disturbed by a retry": {input(backedUp, retry), "Verified: keep(scores-2) cleanup rehearsecontract wait Contract"},
		"nor is what was rehearsed":               {input(rehearsed, retry), "Verified: keep(scores-2) cleanup contract wait Contract"},
		"a schema changed by hand takes a person": {input(drifted), "Verified: keep(scores-2) cleanup wait Schema stalled"},
		"who says that all is well":               {input(drifted, retry), "Verified: keep(scores-2) cleanup wait Step look 0s"},
		"of other backups no schema is known":     {input(drifted, func(in *Input) { in.Record.Database.Contract.Backup.Fingerprint = "" }), "Verified: keep(scores-2) cleanup contract wait Contract"},
		"what was done without it needs none":     {input(backedUp, done), "Verified: keep(scores-2) cleanup wait Step look 0s"},
		"a pod that comes back stops it":          {input(began, older), "Verified: keep(scores-2) cleanup wait Contract"},
		"a refusal takes a person":                {input(began, refused), "Verified: keep(scores-2) cleanup contract wait Database stalled"},
		"it is recorded that it is done":          {input(began, done), "Verified: keep(scores-2) cleanup wait Step look 0s"},
		"and not done again":                      {input(finished), "Verified: keep(scores-2) cleanup"},
		"a retry is heard while it is held":       {input(fails, retry, func(in *Input) { in.Held = true }), "Verified: keep(scores-2) cleanup wait Hold"},
		"nothing is removed while it is held":     {input(began, func(in *Input) { in.Held = true }), "Verified: keep(scores-2) cleanup wait Hold"},
		"nor for a release that failed elsewhere": {input(began, rejection("production")), "Verified: keep(scores-2) cleanup"},
		"nor while pods are lost":                 {input(began, func(in *Input) { in.Facts.Stable.Complete = false }), "Verified: keep(scores-2) wait Pods"},
	}.run(t)
}

func TestWhatWasRemovedIsTheWholeOfIt(t *testing.T) {
	t.Parallel()
	in := input(step(v1alpha1.StepVerified), replaced(true), verified, func(in *Input) {
		in.Fallback.Release = "scores-2"
		in.Record.Database = &v1alpha1.DatabaseEvidence{
			Check:    &v1alpha1.CheckEvidence{Held: []v1alpha1.MigrationFile{{Version: 8, Name: "8_drop.sql"}}},
			Contract: &v1alpha1.ContractEvidence{BeganAt: *ago(time.Minute)},
		}
		in.Facts.Contract.Done = true // by an attempt that found nothing left to do
	})
	found := New(in).Record.Database.Contract
	if found == nil || found.FinishedAt == nil {
		t.Fatalf("it is not done: %+v", found)
	}
	if diff := cmp.Diff([]v1alpha1.AppliedMigration{{Version: 8, Name: "8_drop.sql"}}, found.Applied); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
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

// A person is told what has failed and what to do; then all of it is made anew, because the backup holds the data as they were.
func TestARehearsalOfARemovalThatFails(t *testing.T) {
	t.Parallel()
	contracting := &v1alpha1.ContractEvidence{BeganAt: *ago(time.Minute), Backup: &v1alpha1.BackupEvidence{Name: "b2"}}
	in := input(replaced(true), verified, func(in *Input) {
		in.Fallback.Release = "scores-2"
		in.Rollout.Backup, in.Rollout.Rehearsal = true, true
		check := pending()
		check.Held = []v1alpha1.MigrationFile{{Name: "8_drop.sql"}}
		in.Record.Database = &v1alpha1.DatabaseEvidence{Check: check, Contract: contracting}
		in.Facts.ContractRehearsal = Work{Failed: true, Waiting: &v1alpha1.WaitingFor{
			Type: v1alpha1.WaitMigration, Message: "migration 8_drop.sql: line 3: it is refused",
		}}
	})
	waiting := New(in).Waiting
	if want := "what only earlier releases needed stays, because its rehearsal has failed: migration 8_drop.sql: line 3: it is refused"; waiting.Message != want {
		t.Errorf("message %q, want %q", waiting.Message, want)
	}
	if want := "correct the migration and release a new image, or mend the data, and try it again: " +
		"kubectl annotate microservice scores --namespace home --overwrite platform.mirubato.com/retry=$(date +%s)"; waiting.Unblock != want {
		t.Errorf("unblock %q, want %q", waiting.Unblock, want)
	}
	in.Retry = true
	plan := New(in)
	if began := plan.Record.Database.Contract; began == nil || !began.BeganAt.After(contracting.BeganAt.Time) || began.Backup != nil {
		t.Errorf("begun anew: %+v", began)
	}
	if plan.Record.Database.Check == nil || in.Record.Database.Contract != contracting {
		t.Errorf("recorded: %+v", plan.Record.Database)
	}
	// Where nothing is done the verb is heard all the same: it counts once.
	for name, still := range map[string]func(*Input){
		"paused": func(in *Input) { in.Paused = true },
		"held":   func(in *Input) { in.Held = true },
		"blocked": func(in *Input) {
			in.Facts.Blocked = &v1alpha1.WaitingFor{Type: v1alpha1.WaitNamespace}
		},
	} {
		in := in
		still(&in)
		if plan := New(in); plan.Record.Database.Contract != nil || plan.Record.Database.Check == nil {
			t.Errorf("%s: recorded: %+v", name, plan.Record.Database)
		}
		in.Retry = false
		if plan := New(in); plan.Record.Database.Contract != contracting {
			t.Errorf("%s, without the verb: recorded: %+v", name, plan.Record.Database)
		}
	}
}
