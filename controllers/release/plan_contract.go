package release

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// contract fills rows and then removes from the schema what only releases before the verified one needed, when nothing of them is left
// and nobody will want to go back. The release stays verified meanwhile; that it began is recorded first, so that it is done once.
func (p *pass) contract() *Plan {
	check := p.database().Check
	switch {
	case check == nil || p.Rejection != nil || !p.fills() && !p.removes():
		return nil
	case len(p.Facts.Older) > 0:
		return p.wait(v1alpha1.WaitingFor{
			Type: v1alpha1.WaitContract,
			Message: fmt.Sprintf("what comes last for release %s waits until no pod of another release is left on the database: environment %s",
				p.Target.Release, strings.Join(p.Facts.Older, ", ")),
		})
	case p.fills():
		return p.fill()
	}
	return p.remove(check.Held[0].Name)
}

// fills reports whether backfills are left, of a release that was checked.
func (p *pass) fills() bool {
	return p.database().Check.Backfills > 0 && p.database().BackfilledAt == nil
}

// removes reports whether contract migrations are left, of a release that was checked.
func (p *pass) removes() bool {
	began := p.database().Contract
	return len(p.database().Check.Held) > 0 && (began == nil || began.FinishedAt == nil)
}

func (p *pass) fill() *Plan {
	seen := p.Facts.Backfill
	if !seen.Done {
		return p.later(Action{Type: Backfill}, seen)
	}
	found := p.evidence()
	found.Backfills, found.BackfilledAt = seen.Found.Backfills, p.now()
	return p.proceed("rows have been filled")
}

// remove applies the contract migrations, of which file is the first, after another backup and a rehearsal where the environment asks for them.
func (p *pass) remove(file string) *Plan {
	began := p.database().Contract
	switch {
	case began == nil:
		return p.beginContract(file)
	case p.Rollout.Backup && began.Backup == nil:
		seen := p.Facts.Backup
		if !seen.Done {
			return p.later(Action{Type: BackUp}, seen)
		}
		p.contracting().Backup = seen.Found.Backup
		return p.proceed(backedUp(seen.Found.Backup))
	}
	if plan := p.rehearseContract(*began); plan != nil {
		return plan
	}
	seen := p.Facts.Contract
	if !seen.Done {
		return p.later(Action{Type: Contract}, seen)
	}
	done := p.contracting()
	done.Applied, done.FinishedAt = appliedOf(p.database().Check.Held, seen.Found.Applied), p.now()
	if seen.SchemaVersion != nil {
		p.Record.SchemaVersion = seen.SchemaVersion
	}
	return p.proceed("what only earlier releases needed is removed")
}

// rehearseContract tries the contract migrations where nobody is hurt. What fails there leaves the schema as it is, and the release verified: a
// person mends the files or the data. nil once they have passed.
func (p *pass) rehearseContract(began v1alpha1.ContractEvidence) *Plan {
	seen := p.Facts.ContractRehearsal
	switch {
	case !p.Rollout.Rehearsal || p.Facts.Contract.Done: // they may have been applied by an operator that knew no rehearsal of them
		return nil
	case began.Rehearsal != nil:
		return p.driftedSince(began)
	case seen.Failed:
		message := "the migrations have failed on the copy"
		if seen.Waiting != nil {
			message = seen.Waiting.Message
		}
		return p.stuck(v1alpha1.WaitDatabase, "what only earlier releases needed stays, because its rehearsal has failed: "+message,
			"correct the migration and release a new image, or mend the data")
	case !seen.Done:
		return p.later(Action{Type: RehearseContract}, seen)
	}
	p.contracting().Rehearsal = seen.Found.Rehearsal
	return p.proceed("the removal has passed its rehearsal")
}

// driftedSince stops before the schema is changed if somebody has changed it by other means between the backup and the rehearsal: what was
// proved is proved of another one.
func (p *pass) driftedSince(began v1alpha1.ContractEvidence) *Plan {
	if !isDrifted(began) {
		return nil
	}
	was, is := began.Backup.Fingerprint, began.Rehearsal.DatabaseFingerprint
	return p.stuck(v1alpha1.WaitSchema, "somebody has changed the schema by other means than migrations, between the backup and the rehearsal of what is "+
		"removed: its fingerprint was "+short(was)+" and is "+short(is), "put the schema back, or leave it as it is")
}

// stuck leaves everything as it is until somebody has mended something and says so.
func (p *pass) stuck(what v1alpha1.WaitType, message, mend string) *Plan {
	plan := p.wait(v1alpha1.WaitingFor{Type: what, Message: message, Unblock: mend + ", and try it again: " + p.verb(v1alpha1.VerbRetry, "")})
	plan.Stalled = true
	return plan
}

// isDrifted reports whether the schema at the rehearsal was another one than at the backup, as far as both are known.
func isDrifted(began v1alpha1.ContractEvidence) bool {
	if began.Backup == nil || began.Rehearsal == nil {
		return false
	}
	was, is := began.Backup.Fingerprint, began.Rehearsal.DatabaseFingerprint
	return was != "" && is != "" && was != is
}

// retried forgets what came before a removal that takes a person, who has said that it is tried again. The backup holds the data as they were, so a
// rehearsal on it would fail as before. It is forgotten at once, also where nothing is done at present, since a verb counts once.
func (p *pass) retried() *Plan {
	began, seen := p.database().Contract, p.Facts.ContractRehearsal
	if !p.Retry || began == nil || began.FinishedAt != nil || !p.Rollout.Rehearsal || p.Facts.Contract.Done {
		return nil
	}
	if began.Rehearsal == nil && (seen.Failed || seen.Stuck) || isDrifted(*began) {
		p.evidence().Contract = nil
	}
	return nil
}

// beginContract waits for the time in which one may go back, and for a window.
func (p *pass) beginContract(file string) *Plan {
	due := p.Record.VerifiedAt.Add(p.Rollout.ContractAfter)
	switch {
	case p.Now.Before(due):
		return p.wait(v1alpha1.WaitingFor{
			Type:     v1alpha1.WaitContract,
			Message:  file + " waits: until it is applied one can go back to the release before",
			Deadline: &metav1.Time{Time: due},
		})
	case p.Facts.Window != nil:
		waiting := *p.Facts.Window
		waiting.Type, waiting.Message = v1alpha1.WaitContract, file+" waits: "+waiting.Message
		return p.wait(waiting)
	}
	p.contracting().BeganAt = *p.now()
	return p.proceed("what only earlier releases needed is going to be removed")
}

// later does what comes after a release was verified.
func (p *pass) later(action Action, seen Work) *Plan {
	p.do(action)
	waiting := v1alpha1.WaitingFor{Type: v1alpha1.WaitContract, Message: "what comes last for release " + p.Target.Release + " is done"}
	if seen.Waiting != nil {
		waiting = *seen.Waiting
		if !seen.Stuck {
			waiting.Type = v1alpha1.WaitContract // the release is verified and stays so
		}
	}
	plan := p.wait(waiting, seen.Next)
	plan.Stalled = seen.Stuck
	return plan
}

// contracting is a copy of what was recorded of it, in the record, to be added to.
func (p *pass) contracting() *v1alpha1.ContractEvidence {
	var out v1alpha1.ContractEvidence
	if before := p.database().Contract; before != nil {
		out = *before
	}
	p.evidence().Contract = &out
	return &out
}

// inherit takes over what is still to be removed from a release with the same migrations, which this one replaces.
func (p *pass) inherit() {
	if p.Inherited == nil || p.database().Check != nil || p.Fallback == nil || p.Fallback.Migration != p.Target.Migration || p.Target.Migration == "" {
		return
	}
	found := p.evidence()
	found.Check, found.Contract = p.Inherited.Check, p.Inherited.Contract
	found.Backfills, found.BackfilledAt = p.Inherited.Backfills, p.Inherited.BackfilledAt
}
