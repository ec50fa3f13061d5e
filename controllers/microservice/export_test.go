package microservice

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// SharesDatabase says which environments wait for each other.
var SharesDatabase = sharesDatabase

// Turns takes in what all claim of the budget, and wakes those whose turn it is.
func (r *Reconciler) Turns() handler.EventHandler { return r.turns() }

// Cached are the objects of which there are caches.
func Cached() []client.Object {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return append(childTypes(), namespace, &v1alpha1.Microservice{}, &v1alpha1.Release{}, &v1alpha1.Approval{})
}
