// Package microservice reconciles Microservice objects: it cuts a release when their content changes, observes each
// environment, lets package release plan, carries the plans out, and reports the whole in one status.
//
// It owns all reads and writes of the API server, the releases, the status and the events. Plans are not made here.
package microservice

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/analysis"
	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/gate"
	"github.com/mirubato/mirubato/controllers/image"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/settings"
	"github.com/mirubato/mirubato/controllers/smoke"
	"github.com/mirubato/mirubato/controllers/telemetry"
)

// +kubebuilder:rbac:groups=platform.mirubato.com,resources=microservices,verbs=list;watch;patch
// +kubebuilder:rbac:groups=platform.mirubato.com,resources=microservices/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims;secrets,verbs=get
// +kubebuilder:rbac:groups=platform.mirubato.com,resources=releases,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=platform.mirubato.com,resources=releases/status,verbs=patch
// +kubebuilder:rbac:groups=platform.mirubato.com,resources=approvals,verbs=list;watch
// +kubebuilder:rbac:groups=platform.mirubato.com,resources=approvals/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch;patch
// +kubebuilder:rbac:groups="",resources=configmaps;services;serviceaccounts,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;create;patch;delete
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=postgresql.cnpg.io,resources=backups,verbs=get;list;create;delete
// +kubebuilder:rbac:groups=snapshot.storage.k8s.io,resources=volumesnapshots,verbs=get;list;create;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// secretPoll is how often a missing Secret is looked for. Secrets are not watched: a watch needs the right to list every
// Secret of the cluster.
const secretPoll = 5 * time.Second

// Reconciler moves Microservices through their environments. It is safe for concurrent use.
type Reconciler struct {
	// Client reads from caches that hold only what the operator made, and writes.
	Client client.Client
	// Live reads from the API server: Secrets, which are never cached, and names that others may have taken.
	Live client.Reader
	// OwnedBy selects the objects of a Microservice: by the index of RegisterIndexes in production.
	OwnedBy func(types.NamespacedName) client.ListOption
	Events  events.EventRecorder
	// Images says which digest a tag stands for.
	Images image.Resolver
	// Smoke makes smoke tests, Analysis compares releases, Budget bounds how many rollouts are under way.
	Smoke    *smoke.Executor
	Analysis *analysis.Recorder
	// Settings asks pods which settings they run with, and sends them.
	Settings *settings.Reader
	Budget   *gate.Budget
	// Claims are what all Microservices claim of the Budget. A manager keeps them up to date.
	Claims *gate.Claimants
	// Clusters are those that hold environments, other than that of Client.
	Clusters *clusters.Clusters
	// Telemetry measures what was stored; nil measures nothing.
	Telemetry *telemetry.Recorder
	// MigrateImage holds mirubato-migrate.
	MigrateImage string
	// OperatorNamespace is where the operator's pods are, which NetworkPolicies let in; empty if it runs in none.
	OperatorNamespace string
	// Namespaces are those that the operator may look into and write to; none means all. An environment elsewhere waits.
	Namespaces []string
	// Now tells the time.
	Now func() time.Time

	written versions
	records records
	proofs  proofs
	made    made
	rested  rests
}

// afterConflict is the time in which the cache most likely gets to know the newer version.
const afterConflict = 50 * time.Millisecond

// Reconcile brings one Microservice a step further.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (res ctrl.Result, err error) {
	ms := &v1alpha1.Microservice{}
	if err := r.Client.Get(ctx, req.NamespacedName, ms); err != nil {
		return ctrl.Result{}, r.forget(req.NamespacedName, err)
	}
	if r.written.isBehind(ms) {
		return ctrl.Result{RequeueAfter: catchUp}, nil
	}
	defer r.written.remember(ms, ms.ResourceVersion)
	before := ms.DeepCopy()
	var seen observed
	defer func() { res, err = r.conclude(ctx, before, ms, &seen, res, err) }()
	if !ms.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, ms, &seen)
	}
	if controllerutil.AddFinalizer(ms, v1alpha1.Finalizer) {
		// Before the first side effect in another namespace, which no owner reference reaches.
		if err := r.Client.Patch(ctx, ms, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			controllerutil.RemoveFinalizer(ms, v1alpha1.Finalizer) // not stored, so the status is not either
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
		before = ms.DeepCopy()
	}
	orders := ordersOf(ms)
	if err := r.note(ctx, ms, orders); err != nil {
		return ctrl.Result{}, err
	}
	before = ms.DeepCopy()
	if seen, err = r.observe(ctx, ms, orders); err != nil {
		return ctrl.Result{}, err
	}
	if seen.asBefore {
		return ctrl.Result{}, nil
	}
	if err := r.decide(ctx, ms, &seen); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.carryOut(ctx, ms, &seen); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: seen.wakeUp(r.Now())}, nil
}

// conclude says in the status what a pass has come to, and returns what follows from both.
func (r *Reconciler) conclude(ctx context.Context, before, ms *v1alpha1.Microservice, seen *observed, res ctrl.Result, err error) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(ms, v1alpha1.Finalizer) || seen.asBefore {
		return res, err // it is gone, or nothing was done
	}
	setStatus(ms, *seen, r.Now())
	switch perr := r.patchStatus(ctx, before, ms); {
	case apierrors.IsConflict(perr):
		// Somebody has changed the spec meanwhile. That is no failure.
		return ctrl.Result{RequeueAfter: afterConflict}, nil
	case perr != nil:
		return ctrl.Result{}, perr // joined to a TerminalError it would never be retried
	case err == nil:
		seen.orders.tell(r, ms)
		if res.RequeueAfter == 0 && seen.rests(ms) {
			r.rested.remember(client.ObjectKeyFromObject(ms), seen.fingerprint)
		}
	}
	return res, err
}

// forget lets the clusters go of a Microservice that does not exist any more. Other errors are for the next pass.
func (r *Reconciler) forget(key types.NamespacedName, err error) error {
	if apierrors.IsNotFound(err) {
		r.Clusters.Use(key) // none any more
		r.written.forget(key)
		r.records.forget(key)
		r.proofs.forget(key)
		r.made.forget(key)
		r.rested.forget(key)
	}
	return client.IgnoreNotFound(err)
}

// note writes down what must be known before anything is done.
func (r *Reconciler) note(ctx context.Context, ms *v1alpha1.Microservice, o orders) error {
	if err := r.noteClusters(ctx, ms); err != nil {
		return err
	}
	return r.markResume(ctx, ms, o)
}

// carryOut does what was planned, and writes down what has become of it.
func (r *Reconciler) carryOut(ctx context.Context, ms *v1alpha1.Microservice, seen *observed) error {
	if seen.recordsFirst {
		if err := r.record(ctx, seen); err != nil {
			return err
		}
	}
	if err := r.apply(ctx, ms, seen); err != nil {
		return err
	}
	if err := r.record(ctx, seen); err != nil {
		return err
	}
	if err := r.mark(ctx, seen); err != nil {
		return err
	}
	seen.orders.setHandled(ms)
	for _, s := range seen.stations {
		if s.late != nil {
			return fmt.Errorf("environment %s: %w", s.name(), s.late)
		}
	}
	return nil
}

// ControllerName names the controller in logs and metrics.
const ControllerName = "microservice"

// SetupWithManager registers the watches. reconciler is r itself, or what wraps it.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, reconciler reconcile.Reconciler, options controller.Options) error {
	children := forgetting{handler.EnqueueRequestsFromMapFunc(ownerRequest), func(object client.Object) { r.gone("", object) }}
	bldr := ctrl.NewControllerManagedBy(mgr).
		Named(ControllerName).
		WithOptions(options).
		For(&v1alpha1.Microservice{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.requestsForNamespace),
			builder.WithPredicates(predicate.Or(predicate.LabelChangedPredicate{}, appearance())))
	for _, child := range childTypes() {
		bldr = bldr.Watches(child, children)
	}
	bldr = bldr.Watches(&v1alpha1.Microservice{}, r.turns()).WatchesRawSource(source.Func(r.callAgain))
	bldr = bldr.Watches(&v1alpha1.Approval{}, handler.EnqueueRequestsFromMapFunc(approvedRequest),
		builder.WithPredicates(predicate.GenerationChangedPredicate{}))
	if r.Clusters != nil {
		bldr = bldr.WatchesRawSource(r.Clusters.Source())
	}
	// Its status is the operator's own.
	bldr = bldr.Owns(&v1alpha1.Release{}, builder.WithPredicates(predicate.GenerationChangedPredicate{}))
	return bldr.Complete(reconciler)
}

// appearance lets objects through that come or go: a namespace being deleted is an update that sets a timestamp.
func appearance() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(object client.Object) bool {
		return object.GetDeletionTimestamp() != nil
	})
}

// ClusterOptions are what other clusters are connected to with; home reads from the operator's own.
func ClusterOptions(home client.Reader, scheme *runtime.Scheme) clusters.Options {
	with := CacheOptions(nil) // --namespaces limits the operator at home
	with.Scheme = scheme
	return clusters.Options{
		Home: home, Cache: with, Index: indexChildren, OwnedBy: OwnedByIndex, Watched: childTypes(),
		Owners: func(object client.Object) []types.NamespacedName {
			var out []types.NamespacedName
			for _, request := range slices.Concat(ownerRequest(context.Background(), object), approvedRequest(context.Background(), object)) {
				out = append(out, request.NamespacedName)
			}
			return out
		},
	}
}

// childTypes are the types of objects that the operator makes, and their pods.
func childTypes() []client.Object {
	return []client.Object{
		&appsv1.Deployment{}, &batchv1.Job{}, &corev1.Pod{}, &corev1.ConfigMap{}, &corev1.Service{},
		&corev1.ServiceAccount{}, &policyv1.PodDisruptionBudget{}, &autoscalingv2.HorizontalPodAutoscaler{},
		&networkingv1.NetworkPolicy{}, &networkingv1.Ingress{},
	}
}

func ownerRequest(_ context.Context, object client.Object) []reconcile.Request {
	owner, ok := ownership.Of(object)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: owner.Microservice}}
}

func approvedRequest(_ context.Context, object client.Object) []reconcile.Request {
	approval, ok := object.(*v1alpha1.Approval)
	if !ok {
		return nil
	}
	of := approval.Spec.Microservice
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: of.Namespace, Name: of.Name}}}
}

func (r *Reconciler) requestsForNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	list := &v1alpha1.MicroserviceList{}
	if err := r.Client.List(ctx, list, client.MatchingFields{IndexNamespace: namespace.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the Microservices of a namespace", "namespace", namespace.GetName())
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}
