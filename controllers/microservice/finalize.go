package microservice

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/clusters"
)

// finalize removes every child and lets the Microservice go when none is left. The databases, and what is in them, stay. A cluster
// that is away is waited for, unless somebody gives it up.
func (r *Reconciler) finalize(ctx context.Context, ms *v1alpha1.Microservice, seen *observed) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(ms, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	key := client.ObjectKeyFromObject(ms)
	seen.orders = ordersOf(ms)
	var err error
	if seen.sites, err = r.observeSites(ctx, ms); err != nil {
		return ctrl.Result{}, err
	}
	left := 0
	for _, cluster := range seen.sites.there() {
		children := seen.sites.children[cluster.ID]
		left += len(children)
		err := r.empty(ctx, cluster, children)
		switch {
		case err != nil && !cluster.Key.Own() && clusters.Trouble(err) != nil:
			cluster.Doubt()
			seen.unfinished = true
		case err != nil:
			return ctrl.Result{}, err
		}
	}
	seen.orders.setHandled(ms)
	if left > 0 || seen.unfinished || r.awaits(ms, seen) {
		return ctrl.Result{RequeueAfter: seen.wakeUp(r.Now())}, nil // or what disappears brings us back
	}
	return ctrl.Result{}, r.letGoOf(ctx, ms, key)
}

// empty removes the children of a Microservice from a cluster.
func (r *Reconciler) empty(ctx context.Context, cluster *clusters.Cluster, children []client.Object) error {
	var remove []client.Object
	for _, object := range children {
		if isRemovable(object) {
			remove = append(remove, object)
		}
	}
	routes, err := r.routesOf(ctx, cluster, remove)
	if err != nil {
		return err
	}
	return r.remove(ctx, cluster, append(routes, remove...))
}

// awaits reports whether a cluster is away that nobody has given up.
func (r *Reconciler) awaits(ms *v1alpha1.Microservice, seen *observed) bool {
	for _, key := range noted(ms) {
		if _, away := seen.sites.of(key); away != nil && !seen.orders.forgets(key.Secret) {
			return true
		}
	}
	return false
}

// letGoOf forgets a Microservice that has nothing left.
func (r *Reconciler) letGoOf(ctx context.Context, ms *v1alpha1.Microservice, key types.NamespacedName) error {
	for _, e := range ms.Spec.Environments {
		r.Settings.Forget(settingsKey(ms, e.Name))
	}
	before := ms.DeepCopy()
	controllerutil.RemoveFinalizer(ms, v1alpha1.Finalizer)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, ms, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	r.Clusters.Use(key) // none any more
	return nil
}
