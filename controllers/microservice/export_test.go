package microservice

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// RolloutEnded and NextRequests are what wakes those who wait for the budget.
var RolloutEnded = rolloutEnded

// SharesDatabase says which environments wait for each other.
var SharesDatabase = sharesDatabase

func (r *Reconciler) NextRequests(ctx context.Context) []reconcile.Request {
	return r.nextRequests(ctx, nil)
}

// Cached are the objects of which there are caches.
func Cached() []client.Object {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return append(childTypes(), namespace, &v1alpha1.Microservice{}, &v1alpha1.Release{}, &v1alpha1.Approval{})
}
