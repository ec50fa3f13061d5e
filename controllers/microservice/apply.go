package microservice

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
)

// apply writes what was decided. Any prefix of it may have happened already: every write is idempotent.
func (r *Reconciler) apply(ctx context.Context, seen observed) error {
	for _, e := range seen.environments {
		for _, m := range e.decision.Apply {
			if err := manifest.Apply(ctx, r.Client, m); err != nil {
				return err
			}
		}
		if err := r.remove(ctx, e.decision.Delete); err != nil {
			return err
		}
	}
	return r.remove(ctx, seen.strays)
}

// remove deletes objects and, before they vanish, what they own, so that their disappearance means that no pod is left.
func (r *Reconciler) remove(ctx context.Context, objects []client.Object) error {
	for _, object := range objects {
		uid := object.GetUID()
		err := r.Client.Delete(ctx, object,
			client.PropagationPolicy(metav1.DeletePropagationForeground),
			client.Preconditions{UID: &uid}) // not one that somebody has made anew under the same name
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting %s %s/%s: %w", r.kindOf(object), object.GetNamespace(), object.GetName(), err)
		}
	}
	return nil
}

// patchStatus writes the status if it changed, and tells about the changes once they are written.
func (r *Reconciler) patchStatus(ctx context.Context, before, ms *v1alpha1.Microservice) error {
	if statusEqual(&before.Status, &ms.Status) {
		return nil
	}
	// A patch against the version that was read: a newer spec must not get the status of an older one.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, ms, patch); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("writing the status: %w", err))
	}
	r.report(before, ms)
	return nil
}
