package release

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestPrepare(t *testing.T) {
	t.Parallel()
	wanted := func(in *Input) { in.Rollout.Backup, in.Rollout.Rehearsal = true, true }
	admitted, checking, backingUp, rehearsing := step(v1alpha1.StepAdmit), step(v1alpha1.StepCheck), step(v1alpha1.StepBackUp), step(v1alpha1.StepRehearse)
	backedUp := func(in *Input) {
		in.Record.Database = &v1alpha1.DatabaseEvidence{Check: pending("add.sql"), Backup: &v1alpha1.BackupEvidence{Name: "b1"}}
	}
	rehearsed := func(in *Input) {
		backedUp(in)
		in.Record.Database.Rehearsal = &v1alpha1.RehearsalEvidence{}
	}
	checked := func(names ...string) change {
		return func(in *Input) { in.Record.Database = &v1alpha1.DatabaseEvidence{Check: pending(names...)} }
	}
	refused := func(in *Input) {
		in.Facts.Check.Stuck = true
		in.Facts.Check.Waiting = &v1alpha1.WaitingFor{Type: v1alpha1.WaitSchema, Message: "it cannot run on the schema"}
	}
	untested := func(in *Input) { in.Facts.Untested = "migration 7_add.sql is not the one that passed there" }
	drifted := func(in *Input) {
		rehearsed(in)
		in.Record.Database.Check.Fingerprint, in.Record.Database.Backup.Fingerprint = "aaaa", "bbbb"
	}
	full := func(in *Input) {
		in.Facts.Backup.Stuck = true
		in.Facts.Backup.Waiting = &v1alpha1.WaitingFor{Type: v1alpha1.WaitBackup, Message: "the volume is full", Deadline: &metav1.Time{Time: noon.Add(5 * time.Second)}}
	}
	asked := func(in *Input) {
		in.Facts.Backup = Work{Waiting: &v1alpha1.WaitingFor{Type: v1alpha1.WaitBackup, Message: "the Backup is at work"}, Next: noon.Add(3 * time.Second)}
	}
	unproved := func(in *Input) {
		in.Facts.Backup = Work{Done: true, Found: v1alpha1.DatabaseEvidence{Backup: &v1alpha1.BackupEvidence{Name: "b1", Method: v1alpha1.BackupCloudNativePG}}}
	}
	none := func(in *Input) { in.Target.Migration, in.Fallback.Migration, in.Facts.Stable.Migration = "", "", "" }
	cases{
		"a check comes first":                            {input(wanted, admitted), "Check: keep(scores-1) check wait Migration"},
		"it is recorded as well":                         {input(wanted, checking, func(in *Input) { in.Facts.Check.Done = true }), "Check: keep(scores-1) wait Step look 0s"},
		"what it finds in the files rejects":             {input(checking, func(in *Input) { in.Facts.Check.Failed = true }), "RollBack: wait Rejected look 0s rejects MigrationFailed at Check"},
		"a schema that does not fit takes a person":      {input(checking, refused), "Check: keep(scores-1) check wait Schema stalled"},
		"nothing pending needs nothing":                  {input(wanted, checking, checked()), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"what was not tested before stays out":           {input(wanted, checking, checked("add.sql"), untested), "Check: keep(scores-1) wait Schema stalled"},
		"unless a person holds it":                       {input(wanted, checking, checked("add.sql"), untested, func(in *Input) { in.Held = true }), "BackUp: keep(scores-1) backup wait Migration"},
		"a schema that was changed meanwhile rejects":    {input(wanted, rehearsing, drifted), "RollBack: wait Rejected look 0s rejects SchemaDrifted at Expand"},
		"a backup follows":                               {input(wanted, checking, checked("add.sql")), "BackUp: keep(scores-1) backup wait Migration"},
		"it is recorded before anything rests on it":     {input(wanted, backingUp, func(in *Input) { in.Facts.Backup.Done = true }), "BackUp: keep(scores-1) wait Step look 0s"},
		"what somebody else makes is looked at again":    {input(wanted, backingUp, asked), "BackUp: keep(scores-1) backup wait Backup look 3s"},
		"and is recorded though nobody has restored it":  {input(wanted, backingUp, unproved), "BackUp: keep(scores-1) wait Step look 0s"},
		"then comes the rehearsal":                       {input(wanted, backingUp, backedUp), "Rehearse: keep(scores-1) rehearse wait Migration"},
		"which is recorded as well":                      {input(wanted, rehearsing, backedUp, func(in *Input) { in.Facts.Rehearsal.Done = true }), "Rehearse: keep(scores-1) wait Step look 0s"},
		"then the schema is changed":                     {input(wanted, rehearsing, rehearsed), "Expand: keep(scores-1) migrate wait Migration"},
		"a rehearsal alone needs no backup":              {input(wanted, backingUp, func(in *Input) { in.Rollout.Backup = false }), "Rehearse: keep(scores-1) rehearse wait Migration"},
		"what fails in a rehearsal rejects":              {input(wanted, rehearsing, backedUp, func(in *Input) { in.Facts.Rehearsal.Failed = true }), "RollBack: wait Rejected look 0s rejects MigrationFailed at Rehearse"},
		"a full volume is no fault of the release":       {input(wanted, backingUp, full), "BackUp: keep(scores-1) backup wait Backup look 5s stalled"},
		"without a database there is nothing to back up": {input(wanted, admitted, none), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"nor without migrations":                         {input(wanted, admitted, func(in *Input) { in.Facts.Stable.Migration = "m2" }), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"nor once they are done":                         {input(wanted, admitted, migrated), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"what is expanding is not prepared anew":         {input(wanted, step(v1alpha1.StepExpand), rehearsed), "Expand: keep(scores-1) migrate wait Migration"},
		"unless it only seemed to be prepared":           {input(wanted, step(v1alpha1.StepExpand)), "BackUp: keep(scores-1) backup wait Migration"},
		"a canary of another release goes meanwhile":     {input(wanted, backingUp, func(in *Input) { in.Facts.Canary, in.Facts.Weight = canary(20), 20 }), "BackUp: shift(0) stop keep(scores-1) backup wait Migration"},
	}.run(t)
}

func TestEvidenceIsAddedUp(t *testing.T) {
	t.Parallel()
	backup := &v1alpha1.BackupEvidence{Name: "b1"}
	in := input(step(v1alpha1.StepRehearse), func(in *Input) {
		in.Rollout.Backup, in.Rollout.Rehearsal = true, true
		in.Record.Database = &v1alpha1.DatabaseEvidence{Check: pending("add.sql"), Backup: backup}
		in.Facts.Rehearsal = Work{Done: true, Found: v1alpha1.DatabaseEvidence{Rehearsal: &v1alpha1.RehearsalEvidence{To: 7}}}
	})
	found := New(in).Record.Database
	if found.Backup != backup || found.Rehearsal == nil || found.Rehearsal.To != 7 {
		t.Errorf("recorded: %+v", found)
	}
	if in.Record.Database.Rehearsal != nil {
		t.Error("the record that was given has been changed")
	}
}
