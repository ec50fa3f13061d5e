package release

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// soak asks the whole environment by its smoke tests and lets it run for a while. Only time in which all pods are ready counts.
func (p *pass) soak() *Plan {
	p.enter(v1alpha1.StepSoak)
	p.actions = nil // those of the step before, which ended in this pass
	p.stopCanary()
	p.keepTarget()
	if !p.complete() {
		p.interruptSoak()
		return p.stable()
	}
	p.Record.PendingSince = nil
	if p.Record.SoakingSince == nil {
		p.Record.SoakingSince = p.now()
	}
	if plan := p.smoke(v1alpha1.SmokeEnvironment); plan != nil {
		return plan
	}
	if end := p.Record.SoakingSince.Add(p.Rollout.Soak - p.soaked()); p.Now.Before(end) && p.Rollout.Soak > 0 {
		return p.wait(v1alpha1.WaitingFor{
			Type:     v1alpha1.WaitSoak,
			Message:  fmt.Sprintf("release %s must run for a while", p.Target.Release),
			Deadline: &metav1.Time{Time: end},
		})
	}
	p.interruptSoak()
	p.inherit()
	p.Record.VerifiedAt = p.now()
	// The order of these times tells what to go back to, and another operator's clock may have been ahead.
	if next := p.FallbackAt.Add(time.Second); p.Fallback != nil && p.Now.Before(next) {
		p.Record.VerifiedAt = &metav1.Time{Time: next}
	}
	return nil
}

func (p *pass) soaked() time.Duration {
	if p.Record.Soaked == nil {
		return 0
	}
	return p.Record.Soaked.Duration
}

// interruptSoak adds up the time until now.
func (p *pass) interruptSoak() {
	if p.Record.SoakingSince == nil {
		return
	}
	if sum := (p.soaked() + p.since(p.Record.SoakingSince)).Truncate(time.Second); sum > 0 {
		p.Record.Soaked = &metav1.Duration{Duration: sum}
	}
	p.Record.SoakingSince = nil
}

// verified keeps what has been verified here, whatever becomes of it elsewhere.
func (p *pass) verified() *Plan {
	if p.Record.VerifiedAt == nil {
		return nil
	}
	return p.keepVerified()
}

func (p *pass) keepVerified() *Plan {
	p.enter(v1alpha1.StepVerified)
	p.actions = nil // those of the step before, which ended in this pass
	p.Record.PendingSince, p.Record.SoakingSince = nil, nil
	p.stopCanary()
	p.keepTarget()
	if !p.complete() {
		waiting := v1alpha1.WaitingFor{Type: v1alpha1.WaitPods, Message: fmt.Sprintf("the pods of release %s are not all ready", p.Target.Release)}
		if p.Facts.Stable.Waiting != nil {
			waiting = *p.Facts.Stable.Waiting
		}
		plan := p.wait(waiting)
		plan.Stalled = p.runs(p.Target) && p.Facts.Stable.Failed
		return plan
	}
	p.do(Action{Type: CleanUp})
	if p.Held {
		return p.wait(v1alpha1.WaitingFor{
			Type:    v1alpha1.WaitHold,
			Message: fmt.Sprintf("the environment is held at release %s", p.Target.Release),
			Unblock: p.verb(v1alpha1.VerbResume, p.Environment+"/"),
		})
	}
	if plan := p.contract(); plan != nil {
		return plan
	}
	return &Plan{Step: v1alpha1.StepVerified, Actions: p.actions, Record: p.Record}
}
