package release

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// invariants are asked of every plan of every history. Each returns what is wrong, or nothing.
var invariants = []func(*history, int, Input, Plan) string{
	saysWhatItWaitsFor,
	endsEveryWait,
	writesOneThing,
	writesNothingWhilePaused,
	passesItsGates,
	preparesBeforeItMigrates,
	migratesOnce,
	contractsLast,
	rehearsesBeforeItContracts,
	staysAboveTheFloor,
	followsTheEnvironmentBefore,
	startsNothingRejected,
	recordsFailuresFirst,
	verifiesWhatHasSoaked,
	raisesOnlyWhatPassed,
	sendsRequestsToReadyPods,
	takesRequestsBeforeItStops,
}

func (h *history) checkPlan(i int, in Input, plan Plan) {
	h.lastLook[i] = plan
	for _, invariant := range invariants {
		if wrong := invariant(h, i, in, plan); wrong != "" {
			h.tell(i, plan, []string{"(planned) " + line(plan)})
			panic(broken(in.Environment + ": " + wrong))
		}
	}
}

// has returns the first action of a kind.
func has(plan Plan, kind ActionType) (Action, bool) {
	if i := slices.IndexFunc(plan.Actions, func(a Action) bool { return a.Type == kind }); i >= 0 {
		return plan.Actions[i], true
	}
	return Action{}, false
}

// promotes reports whether the plan brings pods of the target where others are.
func promotes(in Input, plan Plan) bool {
	keep, ok := has(plan, Keep)
	return ok && keep.Release == in.Target.Release && in.Facts.Stable.Content != in.Target.Content && plan.Rejection == nil
}

func saysWhatItWaitsFor(_ *history, _ int, _ Input, plan Plan) string {
	switch {
	case plan.Waiting == nil && plan.Step != v1alpha1.StepVerified:
		return fmt.Sprintf("it is at %s and does not say what it waits for", plan.Step)
	case plan.Waiting != nil && (plan.Waiting.Type == "" || plan.Waiting.Message == ""):
		return "it waits for nothing that has a name"
	case plan.Record.Step != plan.Step:
		return fmt.Sprintf("it is at %s and records %s", plan.Step, plan.Record.Step)
	}
	return ""
}

// endsEveryWait: what no event ends is ended by the time, and looking again at once is only for what has just changed.
func endsEveryWait(_ *history, _ int, in Input, plan Plan) string {
	if plan.Waiting == nil {
		return ""
	}
	ended := true // by a watch or a person
	switch plan.Waiting.Type {
	case v1alpha1.WaitStep, v1alpha1.WaitSoak, v1alpha1.WaitAnalysis, v1alpha1.WaitWindow, v1alpha1.WaitGateway:
		ended = false
	case v1alpha1.WaitPods:
		ended = plan.Stalled || in.Rejection != nil || plan.Step == v1alpha1.StepVerified || in.Facts.Canary.Exists && in.Facts.Canary.Content != in.Target.Content
	case v1alpha1.WaitSmokeTest:
		seen := in.Facts.Smoke[v1alpha1.SmokeStable]
		ended = seen.State == SmokeRunning && seen.Next.IsZero()
	}
	_, asks := has(plan, RunSmoke)
	switch {
	case !ended && plan.WakeUp.IsZero():
		return "nothing ends the wait for " + string(plan.Waiting.Type)
	case plan.Waiting.Deadline != nil && plan.WakeUp.IsZero():
		return "it does not look again at its deadline"
	case !plan.WakeUp.IsZero() && !plan.WakeUp.After(in.Now) && !asks && reflect.DeepEqual(in.Record, plan.Record):
		return "it looks again at once although nothing has changed"
	}
	return ""
}

func writesOneThing(_ *history, _ int, in Input, plan Plan) string {
	kept := map[string]bool{}
	for _, a := range plan.Actions {
		if a.Type == Keep {
			kept[a.Release] = true
		}
	}
	_, starts := has(plan, StartCanary)
	_, migrates := has(plan, Migrate)
	switch {
	case len(kept) > 1:
		return "it writes the pods of two releases"
	case starts && in.Facts.Canary.Exists && in.Facts.Canary.Content != in.Target.Content:
		return "it writes into the canary of another release"
	case starts && migrates:
		return "it starts pods and migrations at once"
	case (starts || migrates) && kept[in.Target.Release] && !(in.Fallback == nil && in.Facts.Stable.Release == in.Target.Release):
		return "it goes through two steps at once"
	}
	return ""
}

func writesNothingWhilePaused(_ *history, _ int, in Input, plan Plan) string {
	consent := in.Facts.Blocked != nil && in.Facts.Blocked.Type == v1alpha1.WaitConsent
	if (in.Paused || consent || in.Facts.Away != nil) && len(plan.Actions) > 0 {
		return "it writes what it must not"
	}
	return ""
}

// passesItsGates: nothing is begun before it was recorded that the gates were open, and that is recorded only when they are.
func passesItsGates(_ *history, _ int, in Input, plan Plan) string {
	_, starts := has(plan, StartCanary)
	_, migrates := has(plan, Migrate)
	returns := in.Fallback != nil && in.Fallback.Release == in.Target.Release
	runs := in.Facts.Stable.Complete && in.Facts.Stable.Content == in.Target.Content
	before := in.Record.AdmittedAt != nil && in.Record.Step != v1alpha1.StepSuperseded
	switch {
	case (starts || migrates || promotes(in, plan)) && !before && !returns:
		return "something is begun that was not admitted"
	case plan.Record.AdmittedAt != nil && !before && !returns && !runs && (len(in.Facts.Gates) > 0 || !in.PreviousVerified && !in.Held):
		return "it is admitted though a gate is closed"
	}
	return ""
}

func migratesOnce(_ *history, _ int, in Input, plan Plan) string {
	if _, migrates := has(plan, Migrate); !migrates {
		return ""
	}
	switch {
	case in.Facts.Migration.Done:
		return "migrations run that are done"
	case in.Facts.Migration.Failed:
		return "migrations run again that were refused, with nothing forgotten"
	case plan.Step != v1alpha1.StepExpand:
		return "migrations run after the schema was left"
	}
	return ""
}

// preparesBeforeItMigrates: no statement changes the schema before it is recorded that there is a way back to the data, and that the
// migrations have passed on a copy; and no copy is made of a schema that has been changed.
func preparesBeforeItMigrates(_ *history, _ int, in Input, plan Plan) string {
	var before v1alpha1.DatabaseEvidence
	if in.Record.Database != nil && in.Record.Step != v1alpha1.StepSuperseded {
		before = *in.Record.Database
	}
	_, migrates := has(plan, Migrate)
	_, backsUp := has(plan, BackUp)
	_, rehearses := has(plan, Rehearse)
	if plan.Step == v1alpha1.StepVerified {
		return "" // see contractsLast
	}
	switch {
	case migrates && before.Check == nil:
		return "migrations run before a check is recorded"
	case migrates && in.Rollout.Backup && before.Backup == nil:
		return "migrations run before a backup is recorded"
	case migrates && in.Rollout.Rehearsal && before.Rehearsal == nil:
		return "migrations run before their rehearsal is recorded"
	case rehearses && in.Rollout.Backup && before.Backup == nil:
		return "a rehearsal is held before there is a backup"
	case backsUp && before.Backup != nil || rehearses && before.Rehearsal != nil:
		return "it is prepared twice"
	case (backsUp || rehearses) && in.Facts.Migration.Done:
		return "it is prepared after it was done"
	case (backsUp || rehearses) && in.Record.AdmittedAt == nil:
		return "it is prepared before it was admitted"
	}
	return ""
}

// contractsLast: nothing is removed from a schema before the release was verified, before the time is over in which one may go back,
// before a backup, and while a pod is left that may need it.
func contractsLast(_ *history, _ int, in Input, plan Plan) string {
	if _, contracts := has(plan, Contract); !contracts {
		return ""
	}
	var before v1alpha1.ContractEvidence
	if in.Record.Database != nil && in.Record.Database.Contract != nil {
		before = *in.Record.Database.Contract
	}
	switch {
	case in.Record.VerifiedAt == nil || plan.Step != v1alpha1.StepVerified:
		return "something is removed before the release is verified"
	case before.BeganAt.IsZero():
		return "something is removed before that is recorded"
	case before.BeganAt.Before(&metav1.Time{Time: in.Record.VerifiedAt.Add(in.Rollout.ContractAfter)}):
		return "something is removed while one may still go back"
	case in.Record.Database.Check.Backfills > 0 && in.Record.Database.BackfilledAt == nil:
		return "something is removed before rows were filled"
	case in.Rollout.Backup && before.Backup == nil:
		return "something is removed without a backup"
	case len(in.Facts.Older) > 0:
		return "something is removed that a pod may need"
	case in.Rejection != nil || in.Held || in.Paused:
		return "something is removed against the will of people"
	}
	return ""
}

// rehearsesBeforeItContracts: nothing is removed before it is recorded that it was removed from a copy, and what has failed there is not
// tried again on the same backup.
func rehearsesBeforeItContracts(_ *history, _ int, in Input, plan Plan) string {
	var before v1alpha1.ContractEvidence
	if in.Record.Database != nil && in.Record.Database.Contract != nil {
		before = *in.Record.Database.Contract
	}
	if _, contracts := has(plan, Contract); contracts && in.Rollout.Rehearsal && before.Rehearsal == nil {
		return "something is removed before its rehearsal is recorded"
	}
	if _, rehearses := has(plan, RehearseContract); !rehearses {
		return ""
	}
	switch {
	case before.BeganAt.IsZero():
		return "a removal is rehearsed before it is recorded that it begins"
	case in.Rollout.Backup && before.Backup == nil:
		return "a removal is rehearsed before there is a backup"
	case before.Rehearsal != nil || in.Facts.Contract.Done:
		return "a removal is rehearsed that has passed"
	case in.Facts.ContractRehearsal.Failed:
		return "a removal is rehearsed again that has failed"
	case in.Rejection != nil || in.Held || in.Paused:
		return "a removal is rehearsed against the will of people"
	}
	return ""
}

// staysAboveTheFloor: no pod is brought to a schema that lacks what it needs, whatever anybody asks for.
func staysAboveTheFloor(h *history, i int, _ Input, plan Plan) string {
	p := h.places[i]
	for _, a := range plan.Actions {
		if (a.Type == Keep || a.Type == StartCanary) && h.build(a.Release).group() < p.floor && !p.tampered {
			return "pods of " + a.Release + " are brought to a schema on which they cannot run"
		}
	}
	return ""
}

// followsTheEnvironmentBefore: the pods of a release come only where the environment before has verified it, or where a person
// has put it: by a hold, or by hand.
func followsTheEnvironmentBefore(h *history, i int, in Input, plan Plan) string {
	byHand := in.Facts.Stable.Complete && in.Facts.Stable.Content == in.Target.Content
	back := in.Fallback != nil && in.Fallback.Release == in.Target.Release // to what was verified here last
	if in.Held || in.PreviousVerified || byHand || back {
		h.proved[station{i - 1, in.Target.Release}] = true
	}
	if i > 0 && promotes(in, plan) && !h.proved[station{i - 1, in.Target.Release}] {
		return "it is ahead of the environment before"
	}
	return ""
}

func startsNothingRejected(_ *history, _ int, in Input, plan Plan) string {
	if in.Rejection == nil || in.Record.VerifiedAt != nil {
		return ""
	}
	_, starts := has(plan, StartCanary)
	_, migrates := has(plan, Migrate)
	own := in.Fallback != nil && in.Fallback.Release == in.Target.Release
	if shift, ok := has(plan, Shift); starts || migrates || ok && shift.Weight > 0 || promotes(in, plan) && !own {
		return "a rejected release goes on"
	}
	return ""
}

func recordsFailuresFirst(_ *history, _ int, in Input, plan Plan) string {
	serving := in.Record.Step == v1alpha1.StepCanary && in.Record.Weight > 0 && in.Facts.Canary.Content == in.Target.Content &&
		in.Facts.Stable.Content != in.Target.Content && (in.Fallback == nil || in.Fallback.Release != in.Target.Release)
	at := in.Rejection == nil && !in.Paused && in.Facts.Away == nil && (in.Facts.Blocked == nil || in.Facts.Blocked.Type == v1alpha1.WaitSecret)
	switch {
	case plan.Rejection != nil && len(plan.Actions) > 0:
		return "something is done before a failure is recorded"
	case serving && at && in.Rollout.Analysis && in.Facts.Analysis.Verdict == v1alpha1.VerdictFail && plan.Rejection == nil:
		return "a bad verdict has no consequence"
	}
	return ""
}

// verifiesWhatHasSoaked: what is verified has run for as long as it must, and was asked.
func verifiesWhatHasSoaked(_ *history, _ int, in Input, plan Plan) string {
	if plan.Record.VerifiedAt == nil || in.Record.VerifiedAt != nil {
		return ""
	}
	var soaked time.Duration
	if in.Record.Soaked != nil {
		soaked = in.Record.Soaked.Duration
	}
	if in.Record.SoakingSince != nil {
		soaked += max(0, in.Now.Sub(in.Record.SoakingSince.Time))
	}
	switch {
	case !in.Facts.Stable.Complete || in.Facts.Stable.Content != in.Target.Content:
		return "it is verified and its pods are not ready"
	case soaked < in.Rollout.Soak:
		return fmt.Sprintf("it is verified after %s", soaked)
	case in.Rollout.SmokeTests && in.Facts.Smoke[v1alpha1.SmokeEnvironment].State != SmokePassed:
		return "it is verified and was not asked"
	}
	return ""
}

// raisesOnlyWhatPassed: a share above the one that was reached needs every check of that one.
func raisesOnlyWhatPassed(_ *history, _ int, in Input, plan Plan) string {
	for _, a := range plan.Actions {
		if a.Type != Shift || a.Weight == 0 || a.Weight <= in.Record.Weight {
			continue
		}
		canary := in.Facts.Canary
		switch {
		case canary.Content != in.Target.Content || !canary.Complete || canary.Weight < a.Weight:
			return "requests go to a canary that is not ready for them"
		case in.Rollout.SmokeTests && in.Facts.Smoke[v1alpha1.SmokeCanary].State != SmokePassed && in.Record.Weight == 0:
			return "requests go to a canary that was not asked"
		case in.Record.Weight > 0 && (in.Facts.Gateway != nil || in.Record.Since == nil):
			return "the share rises though the Gateways have not taken the one before"
		case in.Record.Weight == 0 || !in.Rollout.Analysis:
		case in.Facts.Analysis.Verdict == v1alpha1.VerdictNotEnoughData && in.Rollout.NotEnoughData == v1alpha1.AnalysisPass:
		case in.Facts.Analysis.Verdict != v1alpha1.VerdictPass:
			return "the share rises though its verdict is " + string(in.Facts.Analysis.Verdict)
		}
		for _, step := range in.Rollout.Steps {
			if step.Weight == in.Record.Weight && in.Record.Since != nil && in.Now.Before(in.Record.Since.Add(step.Hold)) && !in.Record.Since.After(in.Now) {
				return "the share rises before its hold is over"
			}
		}
	}
	return ""
}

func sendsRequestsToReadyPods(_ *history, _ int, in Input, plan Plan) string {
	for _, a := range plan.Actions {
		if a.Type == Shift && a.Weight > 0 && in.Facts.Canary.Ready == 0 {
			return "requests go to pods that are not ready"
		}
	}
	return ""
}

func takesRequestsBeforeItStops(_ *history, _ int, in Input, plan Plan) string {
	stop := slices.IndexFunc(plan.Actions, func(a Action) bool { return a.Type == StopCanary })
	shift := slices.IndexFunc(plan.Actions, func(a Action) bool { return a.Type == Shift })
	if stop >= 0 && in.Rollout.Gateway && (in.Facts.Weight != 0 || in.Facts.GatewayBehind) {
		return "the canary stops while a Gateway sends requests to it"
	}
	if stop >= 0 && (shift < 0 || shift > stop || plan.Actions[shift].Weight != 0) {
		return "the canary stops while requests go to it"
	}
	return ""
}

// refused reports whether the database refuses the migrations of a release: they may be those of another one.
func (h *history) refused(b *build, i int) bool {
	return slices.ContainsFunc(h.builds, func(o *build) bool { return o.Migration == b.Migration && o.bad(i, badMigration) })
}

// checkEnd compares the end with what the target is: whatever happened on the way, a good release is verified everywhere, and
// no environment is left with anything else than what it has verified last.
func (h *history) checkEnd() {
	b := h.target
	// By any environment: one that was held at the release, or given it by hand, may have refused it before the first one was asked.
	refused := slices.ContainsFunc(h.places, func(p *place) bool { return h.refused(b, slices.Index(h.places, p)) || b.group() < p.floor })
	for i, p := range h.places {
		plan := h.lastLook[i]
		switch {
		case p.weight != 0 || p.canary.Exists:
			panic(broken(p.name + ": a canary is left at rest"))
		case b.fault == good && !refused && i == 0 && plan.Step != v1alpha1.StepVerified:
			panic(broken(fmt.Sprintf("%s: a good release ends at %s", p.name, plan.Step)))
		case plan.Step == v1alpha1.StepVerified && plan.Waiting == nil && !(p.stable.Complete && p.stable.Content == b.Content && p.stable.Release == b.Release):
			panic(broken(p.name + ": it is verified and does not run the release"))
		case b.rejection == nil && plan.Step != v1alpha1.StepVerified && !h.waitsForBefore(i) && !plan.Stalled:
			panic(broken(fmt.Sprintf("%s: it rests at %s", p.name, plan.Step)))
		case b.rejection != nil && plan.Step == v1alpha1.StepRejected && p.verified != nil && !(p.stable.Content == p.verified.Content && (p.stable.Complete || p.stable.Failed)):
			panic(broken(p.name + ": it is not back at " + p.verified.Release))
		case b.rejection != nil && plan.Step != v1alpha1.StepRejected && plan.Step != v1alpha1.StepVerified && !plan.Stalled:
			panic(broken(fmt.Sprintf("%s: a rejected release rests at %s", p.name, plan.Step)))
		}
	}
	if b.fault == good && !refused && h.end() != "verified" {
		panic(broken("a good release ends " + h.end()))
	}
}

// waitsForBefore reports whether an environment waits for one that cannot go on.
func (h *history) waitsForBefore(i int) bool {
	waiting := h.lastLook[i].Waiting
	return waiting != nil && waiting.Type == v1alpha1.WaitPreviousEnvironment && h.lastLook[i-1].Step != v1alpha1.StepVerified
}
