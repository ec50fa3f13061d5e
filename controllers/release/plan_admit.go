package release

import (
	"fmt"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// paused leaves everything as it is.
func (p *pass) paused() *Plan {
	if !p.Paused {
		return nil
	}
	p.suspend()
	return p.wait(v1alpha1.WaitingFor{
		Type: v1alpha1.WaitPause, Message: "the Microservice is paused", Unblock: "set spec.paused to false",
	})
}

// away leaves an environment as it is whose cluster cannot be reached. What it has come to is looked up there afterwards.
func (p *pass) away() *Plan {
	if p.Facts.Away == nil {
		return nil
	}
	p.suspend()
	return p.wait(*p.Facts.Away)
}

// blocked waits for what must be mended before anything can be written. A Secret or a volume that is missing later shows in the
// pods, and must not keep requests with a canary that fails.
func (p *pass) blocked() *Plan {
	blocked := p.Facts.Blocked
	if blocked == nil {
		return nil
	}
	provided := blocked.Type == v1alpha1.WaitSecret || blocked.Type == v1alpha1.WaitVolume
	if provided && (p.admitted() || p.Rejection != nil) {
		return nil
	}
	p.suspend()
	return p.wait(*blocked)
}

// admitted reports whether the target has passed its gates here, or needs not: what the environment verified last, and what
// it runs already, is never held up again.
func (p *pass) admitted() bool {
	return p.Record.AdmittedAt != nil || p.returns() || p.complete()
}

// admit asks the gates, in order. That they were open is recorded before anything is done, so that nothing is done twice for
// one approval, and what has started goes on when its window closes.
func (p *pass) admit() *Plan {
	if p.admitted() {
		if p.Record.AdmittedAt == nil {
			p.Record.AdmittedAt = p.second()
		}
		return nil
	}
	p.enter(v1alpha1.StepAdmit)
	p.Record.PlanHash = p.Facts.PlanHash
	p.stopCanary()
	p.keepOld()
	if p.Previous != "" && !p.PreviousVerified && !p.Held {
		return p.wait(v1alpha1.WaitingFor{
			Type:    v1alpha1.WaitPreviousEnvironment,
			Message: fmt.Sprintf("environment %s has not verified release %s", p.Previous, p.Target.Release),
		})
	}
	if len(p.Facts.Gates) > 0 {
		return p.wait(p.Facts.Gates[0])
	}
	p.Record.AdmittedAt, p.Record.ApprovedBy = p.second(), p.Facts.ApprovedBy
	return p.wait(v1alpha1.WaitingFor{Type: v1alpha1.WaitStep, Message: "release " + p.Target.Release + " is admitted"}, p.Now)
}
