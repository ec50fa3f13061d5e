package release

import (
	"fmt"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// promote replaces the pods of the environment. The canary goes on serving until all are there.
func (p *pass) promote() *Plan {
	if p.reached(v1alpha1.StepSoak) {
		return nil
	}
	p.enter(v1alpha1.StepPromote)
	p.actions = nil // those of the step before, which ended in this pass
	p.keepTarget()
	if p.complete() {
		p.Record.PromotedAt = p.now()
		return nil
	}
	if p.hasCanary() && p.Record.Weight > 0 {
		p.serve()
	} else {
		p.stopCanary()
	}
	return p.stable()
}

// stable waits for the pods of the environment. Those of a first release are waited for as long as it takes: there is nothing
// to go back to.
func (p *pass) stable() *Plan {
	message := fmt.Sprintf("the pods of release %s are not all ready", p.Target.Release)
	return p.pods(p.Facts.Stable, p.runs(p.Target) && p.Facts.Stable.Failed, p.canGoBack(), message)
}
