package release

import (
	"fmt"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// prepares reports whether migrations are still to come, so that what must come before them has its time. That they seemed to be
// done, by a reading that came too late, lets nothing be skipped: then the release comes back from the step Expand.
func (p *pass) prepares() bool {
	if p.reached(v1alpha1.StepCanary) || p.returns() || p.runs(p.Target) || p.Facts.Migration.Done {
		return false
	}
	return p.Target.Migration != "" && p.Facts.Stable.Migration != p.Target.Migration
}

// nothingPending reports whether the check has found that the schema has all that the target brings.
func (p *pass) nothingPending() bool {
	check := p.database().Check
	return check != nil && len(check.Pending) == 0
}

// check asks, before anything is done, whether the migrations may be applied here, and whether the target can run on the schema
// that is here: a release from before a contract migration cannot.
func (p *pass) check() *Plan {
	if !p.prepares() {
		return nil
	}
	if p.database().Check != nil {
		return p.untested()
	}
	seen := p.Facts.Check
	if plan := p.work(v1alpha1.StepCheck, Action{Type: Check}, seen); plan != nil {
		return plan
	}
	p.evidence().Check = seen.Found.Check
	return p.proceed("the migrations have passed their check")
}

// untested keeps out what the environment before has not passed with the very same content. A person who holds an environment at a
// release says that it does not matter.
func (p *pass) untested() *Plan {
	if p.Facts.Untested == "" || p.Held || p.reached(v1alpha1.StepExpand) {
		return nil
	}
	p.enter(v1alpha1.StepCheck)
	p.actions = nil // those of the step before, which ended in this pass
	p.stopCanary()
	p.keepOld()
	plan := p.wait(v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitSchema,
		Message: fmt.Sprintf("environment %s has not passed the migrations of release %s: %s", p.Previous, p.Target.Release, p.Facts.Untested),
		Unblock: "let both environments export the same files, and release them",
	})
	plan.Stalled = true
	return plan
}

// drifted rejects a release while whose migrations were prepared somebody has changed the schema by other means: what was proved is
// proved of another schema.
func (p *pass) drifted() *Plan {
	check, backup := p.database().Check, p.database().Backup
	if check == nil || backup == nil || check.Fingerprint == "" || backup.Fingerprint == "" || check.Fingerprint == backup.Fingerprint {
		return nil
	}
	return p.fail(v1alpha1.FailureDrift, "somebody has changed the schema by other means than migrations, between the check and the backup: "+
		"its fingerprint was "+short(check.Fingerprint)+" and is "+short(backup.Fingerprint))
}

// short is enough of a fingerprint to tell two apart.
func short(fingerprint string) string { return fingerprint[:min(len(fingerprint), 12)] }

// backUp proves, before anything changes the schema, that the data can be had back as they are. Of a backup that somebody else makes
// nothing is proved: people have chosen it, so the release goes on, and the evidence says what it is.
func (p *pass) backUp() *Plan {
	if !p.prepares() || p.nothingPending() || !p.Rollout.Backup || p.database().Backup != nil {
		return nil
	}
	seen := p.Facts.Backup
	if plan := p.work(v1alpha1.StepBackUp, Action{Type: BackUp}, seen); plan != nil {
		return plan
	}
	p.evidence().Backup = seen.Found.Backup
	return p.proceed(backedUp(seen.Found.Backup))
}

// backedUp tells what kind of backup there is.
func backedUp(made *v1alpha1.BackupEvidence) string {
	if made != nil && made.Method != "" {
		return "the backup is complete, and nobody has restored it"
	}
	return "the backup is verified"
}

// rehearse tries the migrations where nobody is hurt.
func (p *pass) rehearse() *Plan {
	if !p.prepares() || p.nothingPending() || !p.Rollout.Rehearsal || p.database().Rehearsal != nil {
		return nil
	}
	seen := p.Facts.Rehearsal
	if plan := p.work(v1alpha1.StepRehearse, Action{Type: Rehearse}, seen); plan != nil {
		return plan
	}
	p.evidence().Rehearsal = seen.Found.Rehearsal
	return p.proceed("the migrations have passed their rehearsal")
}

// work does what comes before the migrations while the old pods serve; nil once it is done.
func (p *pass) work(step v1alpha1.Step, action Action, seen Work) *Plan {
	p.enter(step)
	p.actions = nil // those of the step before, which ended in this pass
	p.stopCanary()
	p.keepOld()
	p.Record.PendingSince = nil
	if seen.Done {
		return nil
	}
	waiting := v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: "the migrations of release " + p.Target.Release + " are prepared"}
	if seen.Waiting != nil {
		waiting = *seen.Waiting
	}
	if seen.Failed {
		return p.fail(v1alpha1.FailureMigration, waiting.Message)
	}
	p.do(action)
	plan := p.wait(waiting, seen.Next)
	plan.Stalled = seen.Stuck
	return plan
}

// proceed lets what was found out be recorded before anything is done that rests on it: a Job may be gone before the next look.
func (p *pass) proceed(message string) *Plan {
	return p.wait(v1alpha1.WaitingFor{Type: v1alpha1.WaitStep, Message: message}, p.Now)
}

// database is what was recorded of it.
func (p *pass) database() v1alpha1.DatabaseEvidence {
	if p.Record.Database == nil {
		return v1alpha1.DatabaseEvidence{}
	}
	return *p.Record.Database
}

// evidence is a copy of what was recorded, in the record, to be added to.
func (p *pass) evidence() *v1alpha1.DatabaseEvidence {
	found := p.database()
	p.Record.Database = &found
	return &found
}
