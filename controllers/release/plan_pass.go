package release

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// pass is a plan in the making. Record, within Input, is what will be recorded; what its pointers lead to is replaced, never
// changed.
type pass struct {
	Input
	actions []Action
}

// order of the steps that a release goes through while nothing fails.
var order = map[v1alpha1.Step]int{
	v1alpha1.StepAdmit: 1, v1alpha1.StepCheck: 2, v1alpha1.StepBackUp: 3, v1alpha1.StepRehearse: 4, v1alpha1.StepExpand: 5,
	v1alpha1.StepCanary: 6, v1alpha1.StepPromote: 7, v1alpha1.StepSoak: 8, v1alpha1.StepVerified: 9,
}

// reached reports whether the release has come to a step, or further.
func (p *pass) reached(step v1alpha1.Step) bool { return order[p.Record.Step] >= order[step] }

// enter begins a step, unless it is the present one.
func (p *pass) enter(step v1alpha1.Step) {
	if p.Record.Step == step {
		return
	}
	p.Record.Step, p.Record.Since = step, p.now()
	p.Record.PendingSince, p.Record.ResumedAt = nil, nil
	p.note(step)
}

// maxSteps is how many steps a record keeps: more than there are, for one may be come to twice.
const maxSteps = 20

// note adds a step to those that the release has come to.
func (p *pass) note(step v1alpha1.Step) {
	steps := append(slices.Clone(p.Record.Steps), v1alpha1.StepTime{Step: step, Time: *p.now()})
	p.Record.Steps = steps[max(0, len(steps)-maxSteps):]
}

func (p *pass) do(actions ...Action) { p.actions = append(p.actions, actions...) }

// now is the time as it is recorded: in whole seconds, as the API keeps it, and not before the present, so that what shall
// last a while never lasts less.
func (p *pass) now() *metav1.Time {
	whole := p.Now.Truncate(time.Second)
	if whole.Before(p.Now) {
		whole = whole.Add(time.Second)
	}
	return &metav1.Time{Time: whole}
}

// second is the time rounded down, as the API server rounds the time at which a Job fails: a failure in the second of an
// admission comes after it.
func (p *pass) second() *metav1.Time {
	return &metav1.Time{Time: p.Now.Truncate(time.Second)}
}

// since returns how long ago a recorded time was; 0 if there is none.
func (p *pass) since(t *metav1.Time) time.Duration {
	if t == nil {
		return 0
	}
	return max(0, p.Now.Sub(t.Time))
}

// remember makes the record one of the present attempt. Times that lie ahead, because the clock was set back, are now.
func (p *pass) remember() {
	r := &p.Record
	if p.startsAnew() {
		*r, p.Facts.Smoke, p.Facts.Analysis = v1alpha1.ReleaseEnvironmentStatus{}, nil, Analysis{}
	}
	r.Name = p.Environment
	if r.Step == "" {
		r.Step, r.Since = v1alpha1.StepAdmit, p.now()
		p.note(r.Step)
	}
	for _, t := range []**metav1.Time{&r.Since, &r.AdmittedAt, &r.PendingSince, &r.ResumedAt, &r.SoakingSince} {
		if *t != nil && (*t).After(p.now().Time) {
			*t = p.now()
		}
	}
}

// startsAnew reports whether the record is one of an earlier attempt: the release comes back after another one, or after its
// rejection was lifted.
func (p *pass) startsAnew() bool {
	switch p.Record.Step {
	case v1alpha1.StepSuperseded:
		return true
	case v1alpha1.StepRollBack, v1alpha1.StepRejected:
		return p.Rejection == nil
	}
	known := p.Facts.Away == nil // what runs there
	return known && p.Record.VerifiedAt != nil && p.Fallback != nil && !p.returns() && !p.runs(p.Target)
}

// returns reports whether the target is what the environment verified last: going back to it is no rollout.
func (p *pass) returns() bool { return p.Fallback != nil && p.Fallback.Release == p.Target.Release }

// canGoBack reports whether there is a verified release to go back to.
func (p *pass) canGoBack() bool { return p.Fallback != nil && !p.returns() }

// runs reports whether the stable Deployment is written as the release wants it.
func (p *pass) runs(c Candidate) bool {
	stable := p.Facts.Stable
	return stable.isOf(c) && (c.Migration == "" || stable.Migration == c.Migration)
}

// isOf reports whether a Deployment is written for what a release runs with, its live settings included.
func (f Fleet) isOf(c Candidate) bool {
	return f.Exists && f.Content == c.Content && f.Settings == c.Settings
}

// complete reports whether all pods of the environment are of the target and ready.
func (p *pass) complete() bool { return p.runs(p.Target) && p.Facts.Stable.Complete }

// hasCanary reports whether the Deployment beside the stable one is of the target.
func (p *pass) hasCanary() bool {
	return p.Facts.Canary.isOf(p.Target)
}

// keepOld undoes drift of what the environment runs until the target is promoted.
func (p *pass) keepOld() {
	switch stable := p.Facts.Stable; {
	case p.Fallback != nil:
		p.do(Action{Type: Keep, Release: p.Fallback.Release})
	case stable.Exists && stable.Release != "":
		p.do(Action{Type: Keep, Release: stable.Release})
	}
}

func (p *pass) keepTarget() { p.do(Action{Type: Keep, Release: p.Target.Release}) }

// stopCanary takes the requests from the canary first. A weight without a canary is taken back as well.
func (p *pass) stopCanary() {
	if p.Facts.Canary.Exists || p.Facts.Weight != 0 {
		p.do(Action{Type: Shift, Weight: 0})
	}
	if p.Facts.Canary.Exists && !p.drains() {
		p.do(Action{Type: StopCanary})
	}
	p.Record.Weight, p.Record.StepIndex = 0, 0
}

// drains reports whether a Gateway may still send requests to the canary, whose pods then stay.
func (p *pass) drains() bool {
	return p.Rollout.Gateway && p.Facts.Canary.Exists && (p.Facts.Weight != 0 || p.Facts.GatewayBehind)
}

// gatewayPause is how long a Gateway is given before it is looked at again: no watch tells what it has taken.
const gatewayPause = time.Second

// lookAgain sees to it that a canary is stopped that stays for a Gateway only.
func (p *pass) lookAgain(plan Plan) Plan {
	again := p.Now.Add(gatewayPause)
	stays := slices.Contains(plan.Actions, Action{Type: Shift}) && !slices.Contains(plan.Actions, Action{Type: StopCanary})
	if stays && p.drains() && (plan.WakeUp.IsZero() || again.Before(plan.WakeUp)) {
		plan.WakeUp = again
	}
	return plan
}

// stopOther stops the canary of a release that the target has superseded.
func (p *pass) stopOther() {
	if !p.hasCanary() {
		p.stopCanary()
	}
}

// suspend stops the clocks: what nobody works on does not count.
func (p *pass) suspend() {
	p.Record.PendingSince = nil
	p.interruptSoak()
}

// wait is a plan that does what was collected and waits. It looks again at the earliest of the given times and the deadline.
func (p *pass) wait(waiting v1alpha1.WaitingFor, again ...time.Time) *Plan {
	plan := &Plan{Step: p.Record.Step, Actions: p.actions, Waiting: &waiting, Record: p.Record}
	if waiting.Deadline != nil {
		again = append(again, waiting.Deadline.Time)
	}
	for _, t := range again {
		if !t.IsZero() && (plan.WakeUp.IsZero() || t.Before(plan.WakeUp)) {
			plan.WakeUp = t
		}
	}
	return plan
}

// pending is a wait that stepTimeout limits. It is nil once that is over.
func (p *pass) pending(waiting v1alpha1.WaitingFor, again ...time.Time) *Plan {
	if p.Record.PendingSince == nil {
		p.Record.PendingSince = p.now()
	}
	deadline := p.Record.PendingSince.Add(p.Rollout.StepTimeout)
	if !p.Now.Before(deadline) {
		return nil
	}
	waiting.Deadline = &metav1.Time{Time: deadline}
	return p.wait(waiting, again...)
}

// pods waits for those of a fleet. giveUp says whether the release has failed without them; if not, it is waited for ever.
func (p *pass) pods(fleet Fleet, gaveUp, giveUp bool, message string) *Plan {
	waiting := v1alpha1.WaitingFor{Type: v1alpha1.WaitPods, Message: message}
	if fleet.Waiting != nil {
		waiting = *fleet.Waiting
	}
	if !gaveUp {
		if plan := p.pending(waiting); plan != nil {
			return plan
		}
	}
	if giveUp {
		return p.fail(v1alpha1.FailurePodsNotReady, waiting.Message)
	}
	waiting.Deadline = nil
	plan := p.wait(waiting)
	plan.Stalled = true
	return plan
}

// smoke asks a target by its smoke tests; nil once they have passed.
func (p *pass) smoke(target v1alpha1.SmokeTarget) *Plan {
	if !p.Rollout.SmokeTests {
		return nil
	}
	seen := p.Facts.Smoke[target]
	waiting := v1alpha1.WaitingFor{Type: v1alpha1.WaitSmokeTest, Message: seen.Message}
	if waiting.Message == "" {
		waiting.Message = "smoke tests of release " + p.Target.Release + " are made"
	}
	switch due := !seen.Next.IsZero() && !seen.Next.After(p.Now); {
	case seen.State == SmokePassed:
		return nil
	case seen.State == SmokeFailed:
		return p.fail(v1alpha1.FailureSmokeTest, waiting.Message)
	case seen.Waiting != nil:
		p.Record.PendingSince = nil
		return p.wait(*seen.Waiting)
	case seen.State == SmokePending || due:
		p.Record.PendingSince = nil
		p.do(Action{Type: RunSmoke, Smoke: target})
		return p.wait(waiting, p.Now)
	}
	p.Record.PendingSince = nil
	if !seen.Next.IsZero() {
		waiting.Deadline = &metav1.Time{Time: seen.Next}
	}
	return p.wait(waiting)
}
