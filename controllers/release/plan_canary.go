package release

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// canary runs pods of the target beside the others and gives them more and more requests. The weight that is recorded is the
// one that has been reached; where it stands among the steps is looked up, so that steps may change meanwhile.
func (p *pass) canary() *Plan {
	if p.reached(v1alpha1.StepPromote) || !p.compares() {
		return nil
	}
	p.enter(v1alpha1.StepCanary)
	p.actions = nil // those of the step before, which ended in this pass
	p.stopOther()
	p.keepOld()
	if p.Facts.Canary.Exists && !p.hasCanary() {
		p.Record.PendingSince = nil
		return p.wait(v1alpha1.WaitingFor{Type: v1alpha1.WaitPods, Message: "the canary of another release is being removed"})
	}
	switch {
	case p.Record.Weight == 0 && len(p.Rollout.Steps) == 0:
		return nil // its pods were lost after the steps had been taken out of the rollout: there is no weight to begin with
	case p.Record.Weight == 0:
		return p.begin()
	}
	return p.judge()
}

// compares reports whether the target is to be tried beside something else. One that was begun is ended in order, whatever has
// become of the rollout and of the other pods since.
func (p *pass) compares() bool {
	switch {
	case p.returns(), p.runs(p.Target) && p.Facts.Stable.Complete:
		return false
	case p.Record.Step == v1alpha1.StepCanary && (p.Record.Weight > 0 || len(p.Rollout.Steps) > 0):
		return true
	case len(p.Rollout.Steps) == 0:
		return false
	case p.Fallback != nil:
		return p.Fallback.Content != p.Target.Content || p.Fallback.Settings != p.Target.Settings
	}
	return p.Facts.Stable.Complete && !p.Facts.Stable.isOf(p.Target)
}

// begin starts the canary, asks it, and gives it its first requests.
func (p *pass) begin() *Plan {
	first := p.Rollout.Steps[0]
	if plan := p.scale(first.Weight); plan != nil {
		return plan
	}
	if plan := p.smoke(v1alpha1.SmokeCanary); plan != nil {
		return plan
	}
	return p.raise(first)
}

// judge decides whether the present weight has passed, and then goes on to the next or lets the release be promoted.
func (p *pass) judge() *Plan {
	next := p.next()
	if plan := p.condemn(); plan != nil {
		return plan
	}
	waits := p.hold()
	size := p.Record.Weight
	if canary := p.Facts.Canary; next != nil && (waits == nil && canary.Complete || canary.Weight == next.Weight) {
		size = next.Weight
	}
	if plan := p.scale(size); plan != nil {
		return plan
	}
	switch {
	case waits != nil:
		return waits(p)
	case next != nil:
		return p.raise(*next)
	}
	return nil
}

// scale makes the canary large enough for a weight; nil once all its pods are ready. Until then it keeps the share that it has,
// unless none is ready.
func (p *pass) scale(weight int32) *Plan {
	canary := p.Facts.Canary
	p.do(Action{Type: StartCanary, Release: p.Target.Release, Weight: weight})
	if p.Record.Weight > 0 || p.Facts.Weight > 0 {
		p.serve()
	}
	switch {
	case !p.hasCanary() || canary.Weight != weight:
		p.Record.PendingSince = nil // what was waited for before is over: these pods have their own time
	case canary.Complete:
		return nil
	}
	return p.pods(canary, p.hasCanary() && canary.Failed, true, fmt.Sprintf("the pods of the canary of release %s are not all ready", p.Target.Release))
}

// serve gives the canary the recorded share, or nothing while no pod of it is ready.
func (p *pass) serve() {
	weight := p.Record.Weight
	if !p.hasCanary() || p.Facts.Canary.Ready == 0 {
		weight = 0
	}
	p.do(Action{Type: Shift, Weight: weight})
}

// raise gives the canary the share of a step.
func (p *pass) raise(step Step) *Plan {
	p.Record.Weight, p.Record.StepIndex = step.Weight, 0
	for i, s := range p.Rollout.Steps {
		if s.Weight == step.Weight {
			p.Record.StepIndex = int32(i)
		}
	}
	p.Record.Since, p.Record.PendingSince, p.Record.ResumedAt = p.now(), nil, nil
	p.do(Action{Type: Shift, Weight: step.Weight})
	if p.Rollout.Gateway {
		p.Record.Since = nil // its time begins when the Gateways have taken it
		return p.wait(v1alpha1.WaitingFor{
			Type: v1alpha1.WaitGateway, Message: fmt.Sprintf("the Gateways are told to send %d %% of the requests to release %s", step.Weight, p.Target.Release),
		}, p.Now)
	}
	var again time.Time
	if p.Rollout.Analysis {
		again = p.Now // the first reading is the one that later ones are compared with
	}
	return p.wait(p.holding(step.Hold), again)
}

// present is the step whose weight has been reached. One that was taken out of the rollout meanwhile asks for nothing more.
func (p *pass) present() Step {
	for _, step := range p.Rollout.Steps {
		if step.Weight == p.Record.Weight {
			return step
		}
	}
	return Step{Weight: p.Record.Weight}
}

// next is the first step with a higher weight, nil after the last.
func (p *pass) next() *Step {
	for i, step := range p.Rollout.Steps {
		if step.Weight > p.Record.Weight {
			return &p.Rollout.Steps[i]
		}
	}
	return nil
}

// condemn ends the rollout on a bad verdict, however long the step may still last.
func (p *pass) condemn() *Plan {
	if !p.Rollout.Analysis || p.Facts.Analysis.Verdict != v1alpha1.VerdictFail {
		return nil
	}
	return p.fail(v1alpha1.FailureAnalysis, p.verdictMessage())
}

// hold returns how to wait at the present weight, nil if it has passed: first for the Gateways, then for its time, then for a
// person, then for a verdict.
func (p *pass) hold() func(*pass) *Plan {
	step := p.present()
	switch {
	case p.Facts.Gateway != nil:
		return (*pass).awaitGateway
	case p.Record.Since == nil:
		return func(p *pass) *Plan {
			p.Record.Since, p.Record.PendingSince = p.now(), nil
			return p.wait(p.holding(step.Hold), p.Now)
		}
	case p.Now.Before(p.Record.Since.Add(step.Hold)):
		return func(p *pass) *Plan {
			p.Record.PendingSince = nil
			return p.wait(p.holding(step.Hold), p.reading())
		}
	case step.Pause && p.Record.ResumedAt == nil:
		return func(p *pass) *Plan {
			p.Record.PendingSince = nil
			return p.wait(v1alpha1.WaitingFor{
				Type:    v1alpha1.WaitPause,
				Message: fmt.Sprintf("the step of %d %% waits for somebody to resume it", step.Weight),
				Unblock: p.verb(v1alpha1.VerbResume, p.Environment+"/"),
			}, p.reading())
		}
	case !p.Rollout.Analysis || p.Facts.Analysis.Verdict == v1alpha1.VerdictPass || p.policy() == v1alpha1.AnalysisPass:
		return nil
	}
	return (*pass).awaitVerdict
}

// awaitGateway waits for ever: what a Gateway does is no fault of the release. Time in which it does something else is lost.
func (p *pass) awaitGateway() *Plan {
	p.Record.Since, p.Record.PendingSince = nil, nil
	return p.wait(*p.Facts.Gateway, p.Now.Add(gatewayPause))
}

func (p *pass) holding(hold time.Duration) v1alpha1.WaitingFor {
	return v1alpha1.WaitingFor{
		Type:     v1alpha1.WaitStep,
		Message:  fmt.Sprintf("release %s gets %d %% of the requests for a while", p.Target.Release, p.Record.Weight),
		Deadline: &metav1.Time{Time: p.Record.Since.Add(hold)},
	}
}

// reading is when the analysis has something new to say.
func (p *pass) reading() time.Time {
	if !p.Rollout.Analysis {
		return time.Time{}
	}
	return p.Facts.Analysis.Next
}

// policy is what follows from the present verdict, if it is none on the release.
func (p *pass) policy() v1alpha1.AnalysisPolicy {
	switch p.Facts.Analysis.Verdict {
	case v1alpha1.VerdictNotEnoughData:
		return p.Rollout.NotEnoughData
	case v1alpha1.VerdictSourceDown:
		if p.Rollout.SourceDown == v1alpha1.AnalysisFail {
			return v1alpha1.AnalysisFail
		}
	}
	return v1alpha1.AnalysisWait
}

func (p *pass) awaitVerdict() *Plan {
	if p.policy() == v1alpha1.AnalysisFail {
		return p.fail(v1alpha1.FailureAnalysis, p.verdictMessage())
	}
	waiting := v1alpha1.WaitingFor{Type: v1alpha1.WaitAnalysis, Message: p.verdictMessage()}
	if plan := p.pending(waiting, p.reading()); plan != nil {
		return plan
	}
	return p.fail(v1alpha1.FailureTimeout, waiting.Message)
}

func (p *pass) verdictMessage() string {
	switch p.Facts.Analysis.Verdict {
	case v1alpha1.VerdictFail:
		if p.Facts.Analysis.Message != "" {
			return p.Facts.Analysis.Message
		}
		return fmt.Sprintf("release %s does worse than the one before", p.Target.Release)
	case v1alpha1.VerdictNotEnoughData:
		return fmt.Sprintf("release %s has not answered enough requests to be judged", p.Target.Release)
	case v1alpha1.VerdictSourceDown:
		return "the figures that the releases are compared by cannot be read"
	}
	return fmt.Sprintf("release %s is compared with the one before", p.Target.Release)
}

// resume lets the present step go on once its hold is over.
func (p *pass) resume() *Plan {
	if p.Resume && p.Record.Step == v1alpha1.StepCanary && p.Record.Weight > 0 && p.present().Pause && p.Record.ResumedAt == nil {
		p.Record.ResumedAt = p.now()
	}
	return nil
}
