package release

import (
	"fmt"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// abort rejects the target because somebody says so. What is verified or rejected already cannot be aborted.
func (p *pass) abort() *Plan {
	if !p.Abort || p.Rejection != nil || p.Record.VerifiedAt != nil {
		return nil
	}
	return p.fail(v1alpha1.FailureAborted, "somebody aborted the rollout")
}

// fail rejects the target. Nothing else is done: a failure that is not recorded could be forgotten.
func (p *pass) fail(reason v1alpha1.FailureReason, message string) *Plan {
	p.Rejection = &v1alpha1.Rejection{
		Environment: p.Environment, Step: p.Record.Step, Reason: reason, Message: message, Time: *p.now(),
	}
	p.suspend()
	p.enter(v1alpha1.StepRollBack)
	p.actions = nil
	plan := p.wait(p.rejectedBecause(), p.Now)
	plan.Rejection = p.Rejection
	return plan
}

// rejected takes back what the target has changed here, and keeps it out. One that is verified here stays.
func (p *pass) rejected() *Plan {
	if p.Rejection == nil || p.Record.VerifiedAt != nil {
		return nil
	}
	p.suspend()
	started := p.Record.AdmittedAt != nil
	p.stopCanary()
	p.keepOld()
	if started && p.canGoBack() && p.Record.RolledBackAt == nil {
		stable := p.Facts.Stable
		if !stable.isOf(*p.Fallback) || !stable.Complete || p.Facts.Canary.Exists || p.Facts.Weight != 0 {
			return p.rollBack()
		}
		p.Record.RolledBackAt = p.now()
	}
	p.enter(v1alpha1.StepRejected)
	plan := p.wait(p.rejectedBecause())
	plan.Stalled = true
	return plan
}

func (p *pass) rollBack() *Plan {
	p.enter(v1alpha1.StepRollBack)
	stable := p.Facts.Stable
	waiting := v1alpha1.WaitingFor{Type: v1alpha1.WaitPods, Message: fmt.Sprintf("the environment goes back to release %s", p.Fallback.Release)}
	ours := stable.isOf(*p.Fallback)
	if ours && stable.Waiting != nil {
		waiting = *stable.Waiting
	}
	plan := p.wait(waiting)
	plan.Stalled = ours && stable.Failed
	return plan
}

// rejectedBecause says why, and names the way out.
func (p *pass) rejectedBecause() v1alpha1.WaitingFor {
	return v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitRejected,
		Message: fmt.Sprintf("release %s was rejected in environment %s: %s", p.Target.Release, p.Rejection.Environment, p.Rejection.Message),
		Unblock: "correct the Microservice, such as spec.image, or try the release again: " + p.verb(v1alpha1.VerbRetry, ""),
	}
}

// verb is the command by which a person says one; the time makes its token a new one.
func (p *pass) verb(annotation, value string) string {
	return fmt.Sprintf("kubectl annotate microservice %s --namespace %s --overwrite %s=%s$(date +%%s)",
		p.Microservice.Name, p.Microservice.Namespace, annotation, value)
}
