package microservice

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/release"
	"github.com/mirubato/mirubato/controllers/traffic"
	"github.com/mirubato/mirubato/controllers/verb"
)

// defaultStepTimeout is that of v1alpha1.RolloutSpec.
const defaultStepTimeout = 10 * time.Minute

// rolloutOf fills in the defaults of an environment's rollout.
func rolloutOf(spec *v1alpha1.EnvironmentSpec) release.Rollout {
	given := cmp.Or(spec.Rollout, &v1alpha1.RolloutSpec{})
	out := release.Rollout{
		Strategy:    given.Strategy,
		SmokeTests:  len(given.SmokeTests) > 0,
		Analysis:    given.Analysis != nil,
		Soak:        durationOf(given.Soak, 0),
		StepTimeout: durationOf(given.StepTimeout, defaultStepTimeout),
	}
	for _, step := range given.Steps {
		out.Steps = append(out.Steps, release.Step{Weight: step.Weight, Hold: durationOf(step.Hold, 0), Pause: step.Pause})
	}
	switch {
	case out.Strategy == v1alpha1.StrategyBlueGreen:
		out.Steps = []release.Step{{Weight: 100}}
	case out.Strategy == "" && len(out.Steps) > 0:
		out.Strategy = v1alpha1.StrategyCanary
	case out.Strategy == "":
		out.Strategy = v1alpha1.StrategyRolling
	}
	if given.Analysis != nil {
		out.NotEnoughData = cmp.Or(given.Analysis.NotEnoughData, v1alpha1.AnalysisWait)
		out.SourceDown = v1alpha1.AnalysisPolicy(cmp.Or(given.Analysis.SourceDown, v1alpha1.SourceDownWait))
	}
	return out
}

func durationOf(given *metav1.Duration, fallback time.Duration) time.Duration {
	if given == nil {
		return fallback
	}
	return given.Duration
}

// begin fills in what does not depend on what is seen of the environment.
func (s *station) begin(ms *v1alpha1.Microservice, o *observed, now time.Time) {
	s.input = release.Input{
		Now:          now,
		Microservice: v1alpha1.MicroserviceReference{Namespace: ms.Namespace, Name: ms.Name},
		Environment:  s.name(),
		Target:       s.candidate(s.target.Name),
		Rollout:      rolloutOf(s.spec),
		Rejection:    s.target.Status.Rejection,
		Paused:       ms.Spec.Paused,
		Held:         s.held != nil,
		Abort:        o.orders.has(verb.Abort, s.name()),
		Resume:       o.orders.has(verb.Resume, s.name()),
	}
	if last := verifiedLast(o.releases, s.name()); last != nil {
		s.input.Fallback = new(s.candidate(last.Name))
		s.input.FallbackAt = recordOf(last, s.name()).VerifiedAt.Time
	}
	if o.retries(s) {
		s.input.Rejection, s.input.Retry = nil, true
	}
}

// observeRollout gathers what the plan of an environment depends on.
func (r *Reconciler) observeRollout(ctx context.Context, ms *v1alpha1.Microservice, o *observed, s *station) error {
	now := r.Now()
	stable, canary := s.facts.Deployment(s.place.Name()), s.facts.Deployment(s.place.CanaryName())
	s.begin(ms, o, now)
	facts := release.Facts{
		Blocked: environment.Blocked(s.place, s.facts),
		Stable:  environment.FleetOf(stable, s.facts.Pods),
		Canary:  environment.FleetOf(canary, s.facts.Pods),
	}
	record := s.record(o)
	s.input.Record = record
	if err := r.observeDatabase(ctx, s, &facts); err != nil {
		return err
	}
	s.pods = traffic.PodsOf(s.facts.Pods, facts.Canary.Content)
	facts.Weight = s.weight(ms, record.Weight)
	r.observeSettings(ctx, ms, s, &facts)
	s.input.Facts = facts
	s.observeGateway(ms)
	if s.refusal != nil && facts.Blocked == nil {
		s.input.Facts.Blocked = s.refusal
	}
	if err := r.observeGates(ctx, ms, o, s); err != nil {
		return err
	}
	return r.observeEvidence(ctx, ms, s)
}

// record is what was recorded of the target, emptied where what it once passed does not count any more.
func (s *station) record(o *observed) v1alpha1.ReleaseEnvironmentStatus {
	recorded := recordOf(s.target, s.name())
	// It is asked for again, after another one: what it once passed, it passes again.
	anew := s.target.Name == o.target.Name && !s.target.Status.Active && !s.isSettled()
	retried := o.retries(s) && (recorded.Step == v1alpha1.StepRejected || recorded.Step == v1alpha1.StepRollBack)
	if anew || retried {
		return v1alpha1.ReleaseEnvironmentStatus{Name: s.name()}
	}
	return recorded
}

func (s *station) candidate(name string) release.Candidate {
	children := s.children[name]
	return release.Candidate{Release: name, Content: children.Content, Migration: children.MigrationHash, Settings: children.Settings}
}

// weight is the share of the requests that the canary gets at present; asked is the one that was asked for last.
func (s *station) weight(ms *v1alpha1.Microservice, asked int32) int32 {
	if isRouted(ms) {
		return traffic.RouteWeight(s.route)
	}
	service, ok := s.facts.Live[environment.ObjectKey{Kind: "Service", Name: s.place.Name()}].(*corev1.Service)
	if !ok {
		return 0
	}
	return traffic.Weight(asked, service.Spec.Selector, s.pods)
}

// observeGateway tells whether requests follow the weight already.
func (s *station) observeGateway(ms *v1alpha1.Microservice) {
	if !isRouted(ms) {
		return
	}
	s.input.Rollout.Gateway = true
	s.input.Facts.Gateway = s.routeOf(ms, s.input.Facts.Weight).Waiting(s.route)
	s.input.Facts.GatewayBehind = traffic.Behind(s.route)
}

// canaryReplicas is how many pods beside the stable ones a weight takes.
func (s *station) canaryReplicas(ms *v1alpha1.Microservice, weight int32) int32 {
	stable := s.input.Facts.Stable.Replicas
	if isRouted(ms) {
		return traffic.RoutedReplicas(stable, weight)
	}
	return traffic.Replicas(stable, weight)
}

// retries reports whether a station's target is tried again: its rejection is taken back.
func (o *observed) retries(s *station) bool {
	return o.target != nil && s.target.Name == o.target.Name && o.orders.has(verb.Retry, "")
}

// decide plans each environment, in order: what one has verified opens the next, in the same pass.
func (r *Reconciler) decide(ctx context.Context, ms *v1alpha1.Microservice, o *observed) error {
	previous := ""
	for _, s := range o.stations {
		if err := r.decideFor(ctx, ms, o, s, previous); err != nil {
			return fmt.Errorf("environment %s: %w", s.name(), err)
		}
		previous = s.name()
	}
	o.goOn()
	return nil
}

// decideFor plans one environment. What lets the target in is asked for again where nobody has looked yet for what it needs, since that it
// comes in was not known before: then it may be made in the same pass.
func (r *Reconciler) decideFor(ctx context.Context, ms *v1alpha1.Microservice, o *observed, s *station, previous string) error {
	if !s.turn && s.away == nil && o.verified(previous, s.target.Name) {
		s.turn = true
		if err := r.lookAgain(ctx, ms, o, s); err != nil {
			return err
		}
	}
	r.plan(ms, o, s, previous)
	if s.away != nil || s.looked || !s.plan.Admits() {
		return nil
	}
	s.let = true
	if err := r.lookAgain(ctx, ms, o, s); err != nil {
		return err
	}
	r.plan(ms, o, s, previous)
	return nil
}

func (r *Reconciler) plan(ms *v1alpha1.Microservice, o *observed, s *station, previous string) {
	s.input.Previous = previous
	s.input.PreviousVerified = previous == "" || s.turn && o.verified(previous, s.target.Name)
	o.compareSchemas(s, previous)
	r.askBudget(ms, s)
	s.plan = release.New(s.input)
	s.keepReading()
	if s.plan.Rejection != nil {
		// The environments after this one must not start what has just failed.
		o.reject(s.target.Name, s.plan.Rejection)
	}
}

// lookAgain observes an environment once more, of which it has become known that its turn has come.
func (r *Reconciler) lookAgain(ctx context.Context, ms *v1alpha1.Microservice, o *observed, s *station) error {
	consent, _ := ownership.ConsentLabel(client.ObjectKeyFromObject(ms)) // the first look has found no problem with it
	*s = station{spec: s.spec, place: s.place, target: s.target, held: s.held, cluster: s.cluster, turn: s.turn, let: s.let}
	if err := r.observeStation(ctx, ms, o, s, consent); err != nil {
		if !s.leaves(err) {
			return err
		}
		s.freeze(ms, o, r.Now())
	}
	return nil
}

// goOn has those that were just let in begin at once, if all that the pass has to record may be written before anything is done.
func (o *observed) goOn() {
	begun := map[*station]release.Plan{}
	for _, s := range o.stations {
		next, ok := release.Onward(s.input, s.plan)
		switch isSame := equal(s.input.Record, s.plan.Record); {
		case ok && s.looked:
			begun[s] = next
		case !isSame && s.plan.Step != v1alpha1.StepAdmit && s.plan.Step != v1alpha1.StepVerified:
			return // its record says what its actions have yet to do
		}
	}
	for s, next := range begun {
		s.input.Record, s.plan, o.recordsFirst = s.plan.Record, next, true
	}
}

// verified reports whether an environment has verified a release, by the plan of this pass.
func (o *observed) verified(name, releaseName string) bool {
	i := slices.IndexFunc(o.stations, func(s *station) bool { return s.name() == name })
	if i < 0 || o.stations[i].target.Name != releaseName {
		rel := named(o.releases, releaseName)
		return rel != nil && recordOf(rel, name).VerifiedAt != nil
	}
	return o.stations[i].plan.Step == v1alpha1.StepVerified
}

// reject tells the environments that are not planned yet.
func (o *observed) reject(releaseName string, rejection *v1alpha1.Rejection) {
	for _, s := range o.stations {
		if s.target.Name == releaseName {
			s.input.Rejection = rejection
		}
	}
}

// wakeUp is when to look again without having been told of a change; 0 for never.
func (o *observed) wakeUp(now time.Time) time.Duration {
	var next time.Duration
	sooner := func(d time.Duration) {
		if d = max(d, time.Millisecond); next == 0 || d < next {
			next = d
		}
	}
	if o.moved {
		sooner(0) // what was recorded may open the next step, and nothing else tells
	}
	if o.registry != nil {
		sooner(registryPoll)
	}
	if o.unfinished {
		sooner(secretPoll)
	}
	for _, s := range o.stations {
		s.wakeUps(now, sooner)
	}
	return next
}

// wakeUps are the times after which a station has to be looked at.
func (s *station) wakeUps(now time.Time, sooner func(time.Duration)) {
	if s.troubled {
		sooner(secretPoll) // it is there, and nothing tells when it takes what it has refused
	}
	if s.route != nil {
		sooner(routePoll)
	}
	if s.relied {
		sooner(trust) // should the cache never hear of it, because somebody was quicker to remove it
	}
	for _, at := range []time.Time{s.delivery.result.Next, s.plan.WakeUp} {
		if !at.IsZero() {
			sooner(at.Sub(now))
		}
	}
	if s.plan.Waiting == nil {
		return
	}
	if slices.Contains(polled, s.plan.Waiting.Type) {
		sooner(secretPoll)
	}
	if s.plan.Waiting.Type == v1alpha1.WaitBudget {
		sooner(budgetPoll)
	}
}

// polled is what no watch tells of.
var polled = []v1alpha1.WaitType{v1alpha1.WaitSecret, v1alpha1.WaitNameConflict, v1alpha1.WaitGateway, v1alpha1.WaitConnections, v1alpha1.WaitVolume}

// budgetPoll is how often one that waits for the budget asks by itself. It is woken when its turn comes, so this is for what nobody has
// thought of; a thousand that wait must not keep the operator busy with asking.
const budgetPoll = 10 * time.Minute

// routePoll is how often an HTTPRoute is looked at for edits by hand.
const routePoll = time.Minute

// registryPoll is how often a registry is asked again that did not say what an image stands for.
const registryPoll = 15 * time.Second
