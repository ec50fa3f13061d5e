package microservice

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// finalize removes every child and lets the Microservice go when none is left. The databases, and what is in them, stay.
func (r *Reconciler) finalize(ctx context.Context, ms *v1alpha1.Microservice) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(ms, v1alpha1.Finalizer) {
		return ctrl.Result{}, nil
	}
	children, err := r.children(ctx, client.ObjectKeyFromObject(ms))
	if err != nil {
		return ctrl.Result{}, err
	}
	var remove []client.Object
	for _, object := range children {
		if _, isPod := object.(*corev1.Pod); !isPod && object.GetDeletionTimestamp() == nil {
			remove = append(remove, object)
		}
	}
	routes, err := r.routesOf(ctx, remove)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.remove(ctx, append(routes, remove...)); err != nil {
		return ctrl.Result{}, err
	}
	if len(children) > 0 {
		return ctrl.Result{}, nil // their disappearance brings us back
	}
	for _, e := range ms.Spec.Environments {
		r.Settings.Forget(settingsKey(ms, e.Name))
	}
	before := ms.DeepCopy()
	controllerutil.RemoveFinalizer(ms, v1alpha1.Finalizer)
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Patch(ctx, ms, patch); client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("removing the finalizer: %w", err)
	}
	return ctrl.Result{}, nil
}
