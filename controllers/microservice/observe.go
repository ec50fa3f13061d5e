package microservice

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/release"
	"github.com/mirubato/mirubato/controllers/traffic"
)

// observed is what one pass has seen and decided.
type observed struct {
	// nameTooLong is set if no label of consent is possible; then nothing else is.
	nameTooLong string
	// registry says why the spec's image could not be made a release. The one before is then carried on with.
	registry *v1alpha1.WaitingFor
	// target is the release that the spec asks for, nil if there never was one. releases are all of the Microservice, target included.
	target   *v1alpha1.Release
	releases []v1alpha1.Release
	// stations are the environments, in the order of the spec.
	stations []*station
	// orders are the verbs that were not carried out yet.
	orders orders
	// unfinished: a cluster has refused to remove something.
	unfinished bool
	// fingerprint stands for what was seen. asBefore: it is that of a pass that had nothing to do, and nothing else was looked at.
	fingerprint fingerprint
	asBefore    bool
	// moved is set once a record was written: there may be more to do at once.
	moved bool
	// recordsFirst is set where the plans rest on what this pass has yet to record.
	recordsFirst bool
	sites        sites
	// remove are children of environments that the spec no longer has, or no longer there, and releases beyond those kept.
	remove []leftover
}

// station is one environment: what was seen, then what was planned.
type station struct {
	spec  *v1alpha1.EnvironmentSpec
	place environment.Place
	// cluster is nil if away says why it cannot be reached. troubled: it was there, and a call to it failed.
	cluster  *clusters.Cluster
	away     *v1alpha1.WaitingFor
	troubled bool
	// target is the release that the environment shall run: that of the spec, unless it is held at another.
	target *v1alpha1.Release
	// turn: nothing keeps the target out because of the environment before. looked: what the target needs, and the names that it takes, were
	// looked for in this pass, so that it may be made.
	turn   bool
	looked bool
	// let: this pass lets the target in.
	let bool
	// unheard is what was written a moment ago and the cache has not heard of; relied is set once something was left out because of it.
	unheard map[environment.ObjectKey]string
	relied  bool
	facts   environment.Facts
	// children are rendered for each release that the plan may name, by its name.
	children map[string]environment.Children
	// rendered are the results of stable, by what it was asked for, and proven the objects that hold them.
	rendered map[rendering][]manifest.Manifest
	proven   held
	// tasks are the Jobs on the database, by the action that makes them.
	tasks map[release.ActionType]task
	// asked is the backup that somebody else makes, nil if none is due.
	asked *askedBackup
	pods  traffic.Pods
	held  *v1alpha1.Hold
	input release.Input
	plan  release.Plan
	// reading is what the analysis has read in this pass, nil if none was due.
	reading  *v1alpha1.AnalysisSample
	delivery delivery
	// smokeJobs are the Jobs that are not migrations.
	smokeJobs []batchv1.Job
	// route is the live HTTPRoute, nil if there is none. refusal says why it could not be read.
	route   *unstructured.Unstructured
	refusal *v1alpha1.WaitingFor
	// late is an error that must not keep what was found out from being recorded.
	late error
	// marked are Approvals of which something has become.
	marked []markedApproval
}

func (s *station) name() string { return s.spec.Name }

func (s *station) targetChildren() environment.Children { return s.children[s.target.Name] }

// observe reads everything that plans are made from.
func (r *Reconciler) observe(ctx context.Context, ms *v1alpha1.Microservice, orders orders) (observed, error) {
	key := client.ObjectKeyFromObject(ms)
	consent, problem := ownership.ConsentLabel(key)
	if problem != "" {
		return observed{nameTooLong: problem}, nil
	}
	sites, err := r.observeSites(ctx, ms)
	if err != nil {
		return observed{}, err
	}
	releases, err := r.releases(ctx, ms)
	if err != nil {
		return observed{}, err
	}
	seen, err := r.fingerprintOf(ctx, ms, &sites, releases)
	if err != nil || r.rested.isKnown(key, seen) {
		return observed{sites: sites, fingerprint: seen, asBefore: err == nil}, err
	}
	out, err := r.observeReleases(ctx, ms, &sites, releases)
	if err != nil {
		return observed{}, err
	}
	out.orders, out.sites, out.fingerprint = orders, sites, seen
	hold(ms, &out.orders, out.releases, r.Now())
	if out.target != nil {
		for i := range ms.Spec.Environments {
			s, err := r.observeEnvironment(ctx, ms, &out, &ms.Spec.Environments[i], consent)
			if err != nil {
				return observed{}, fmt.Errorf("observing environment %s: %w", ms.Spec.Environments[i].Name, err)
			}
			out.stations = append(out.stations, s)
		}
	}
	out.remove, err = r.leftovers(ctx, ms, &out)
	return out, err
}

// leftovers are what nothing needs any more, in every cluster that is there.
func (r *Reconciler) leftovers(ctx context.Context, ms *v1alpha1.Microservice, o *observed) ([]leftover, error) {
	out := o.sites.strays(ms)
	for i := range out {
		routes, err := r.routesOf(ctx, out[i].cluster, out[i].objects)
		switch {
		case err != nil && !out[i].cluster.Key.Own() && clusters.Trouble(err) != nil:
			out[i].objects = nil // in another pass
		case err != nil:
			return nil, err
		}
		out[i].objects = append(routes, out[i].objects...)
	}
	if slices.ContainsFunc(o.stations, func(s *station) bool { return s.away != nil }) {
		return out, nil // nobody knows which releases run there
	}
	return append(out, leftover{o.sites.own, surplus(o.releases, o.inUse())}), nil
}

// releases lists those of a Microservice. One of a Microservice that had the same name is on its way out.
func (r *Reconciler) releases(ctx context.Context, ms *v1alpha1.Microservice) ([]v1alpha1.Release, error) {
	list := &v1alpha1.ReleaseList{}
	if err := r.Client.List(ctx, list, client.InNamespace(ms.Namespace), r.OwnedBy(client.ObjectKeyFromObject(ms))); err != nil {
		return nil, fmt.Errorf("listing releases: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(rel v1alpha1.Release) bool { return !metav1.IsControlledBy(&rel, ms) }), nil
}

// observeReleases finds, or cuts, the release that the spec asks for.
func (r *Reconciler) observeReleases(ctx context.Context, ms *v1alpha1.Microservice, sites *sites, releases []v1alpha1.Release) (observed, error) {
	target, waiting, err := r.cut(ctx, ms, sites, releases)
	if err != nil {
		return observed{}, err
	}
	out := observed{registry: waiting, releases: releases, target: target}
	if target == nil {
		return out, nil
	}
	if !isAtRest(ms, target) {
		if target, err = r.latest(ctx, ms, target); err != nil {
			return observed{}, err
		}
	}
	out.place(target)
	return out, nil
}

// latest returns a release as it was written last. What was recorded decides what comes next: an older record would repeat a step. Only
// the operator records, so its cache is believed once it holds what this process has read or written.
func (r *Reconciler) latest(ctx context.Context, ms *v1alpha1.Microservice, cached *v1alpha1.Release) (*v1alpha1.Release, error) {
	key := client.ObjectKeyFromObject(ms)
	if r.records.isKnown(key, cached) {
		return cached, nil
	}
	out := &v1alpha1.Release{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(cached), out); err != nil {
		return nil, fmt.Errorf("reading release %s: %w", cached.Name, err)
	}
	r.records.remember(key, out)
	return out, nil
}

// place puts the target among the releases, where it may not be yet or be older.
func (o *observed) place(target *v1alpha1.Release) {
	i := slices.IndexFunc(o.releases, func(rel v1alpha1.Release) bool { return rel.Name == target.Name })
	if i < 0 {
		i, o.releases = len(o.releases), append(o.releases, *target)
	}
	o.releases[i] = *target
	o.target = &o.releases[i]
}

// isAtRest reports whether every environment has verified the release.
func isAtRest(ms *v1alpha1.Microservice, target *v1alpha1.Release) bool {
	if !target.Status.Active || ms.Status.ObservedGeneration != ms.Generation {
		return false
	}
	for _, e := range ms.Spec.Environments {
		if record := recordOf(target, e.Name); record.Step != v1alpha1.StepVerified || isContracting(record) {
			return false
		}
	}
	return true
}

// isContracting reports whether something is being removed from the schema.
func isContracting(record v1alpha1.ReleaseEnvironmentStatus) bool {
	return record.Database != nil && record.Database.Contract != nil && record.Database.Contract.FinishedAt == nil
}

func (r *Reconciler) observeEnvironment(ctx context.Context, ms *v1alpha1.Microservice, o *observed, spec *v1alpha1.EnvironmentSpec, consent string) (*station, error) {
	s := &station{
		spec: spec,
		place: environment.Place{
			Owner:        ownership.Owner{Microservice: client.ObjectKeyFromObject(ms), Environment: spec.Name},
			Namespace:    spec.Namespace,
			MigrateImage: r.MigrateImage,
		},
		target: o.target,
		held:   heldOf(ms, spec.Name),
	}
	if s.held != nil {
		if chosen := named(o.releases, s.held.Release); chosen != nil {
			s.target = chosen
		}
	}
	s.turn = s.held != nil || o.opens(previousOf(ms, spec.Name), s.target.Name)
	if spec.Cluster == nil { // in another cluster pods are reached through its API server, which no policy keeps out
		s.place.OperatorNamespace = r.OperatorNamespace
	}
	s.cluster, s.away = o.sites.of(clusterOf(ms, spec))
	if s.away == nil {
		err := r.observeStation(ctx, ms, o, s, consent)
		if !s.leaves(err) {
			return s, err
		}
	}
	s.freeze(ms, o, r.Now())
	return s, nil
}

// previousOf names the environment before another, empty for the first.
func previousOf(ms *v1alpha1.Microservice, name string) string {
	i := slices.IndexFunc(ms.Spec.Environments, func(e v1alpha1.EnvironmentSpec) bool { return e.Name == name })
	if i <= 0 {
		return ""
	}
	return ms.Spec.Environments[i-1].Name
}

// opens reports whether it is recorded that the environment before, if there is one, has verified a release.
func (o *observed) opens(previous, releaseName string) bool {
	rel := named(o.releases, releaseName)
	return previous == "" || rel != nil && recordOf(rel, previous).VerifiedAt != nil
}

// observeStation looks at an environment whose cluster is there.
func (r *Reconciler) observeStation(ctx context.Context, ms *v1alpha1.Microservice, o *observed, s *station, consent string) error {
	r.sortChildren(s, o.sites.children[s.cluster.ID])
	s.unheard = r.made.unheard(s, r.Now())
	if err := s.render(ms, o); err != nil {
		return err
	}
	s.delivery.key = r.Settings.PublicKey()
	s.collectSettings(ms, o)
	var err error
	if s.facts.SettingsSize, err = s.generations(0).Size(); err != nil {
		return err
	}
	if s.facts.Namespace, err = r.namespaceFacts(ctx, s.cluster, s.place.Namespace, consent); err != nil {
		return err
	}
	if err := r.observeNeeds(ctx, ms, s); err != nil {
		return err
	}
	if err := r.observeRoute(ctx, ms, s); err != nil {
		return err
	}
	return r.observeRollout(ctx, ms, o, s)
}

// sortChildren gives the station its own objects.
func (r *Reconciler) sortChildren(s *station, all []client.Object) {
	s.facts.Live = map[environment.ObjectKey]client.Object{}
	for _, object := range all {
		owner, _ := ownership.Of(object)
		if owner != s.place.Owner || object.GetNamespace() != s.place.Namespace {
			continue
		}
		switch object := object.(type) {
		case *corev1.Pod:
			s.facts.Pods = append(s.facts.Pods, *object)
		case *batchv1.Job:
			if _, migrates := object.Labels[v1alpha1.LabelMigration]; migrates {
				s.facts.Jobs = append(s.facts.Jobs, *object)
			} else {
				s.smokeJobs = append(s.smokeJobs, *object)
			}
		default:
			s.facts.Live[environment.ObjectKey{Kind: r.kindOf(object), Name: object.GetName()}] = object
		}
	}
}

// inUse names the releases that an environment is to run, runs, or may go back to.
func (o *observed) inUse() map[string]bool {
	out := map[string]bool{}
	for _, s := range o.stations {
		out[s.target.Name] = true
		for _, name := range s.running() {
			out[name] = true
		}
		for _, name := range goesBackTo(o.releases, s.name()) {
			out[name] = true
		}
	}
	if o.target != nil {
		out[o.target.Name] = true
	}
	return out
}

func heldOf(ms *v1alpha1.Microservice, name string) *v1alpha1.Hold {
	for _, e := range ms.Status.Environments {
		if e.Name == name {
			return e.Held.DeepCopy()
		}
	}
	return nil
}
