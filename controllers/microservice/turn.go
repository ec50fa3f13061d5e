package microservice

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
)

// rolloutEnded lets those Microservices through that have given a place of the budget free.
func rolloutEnded() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
		DeleteFunc:  func(e event.DeleteEvent) bool { return len(begun(e.Object)) > 0 },
		UpdateFunc: func(e event.UpdateEvent) bool {
			left := begun(e.ObjectNew)
			for place := range begun(e.ObjectOld) {
				if !left[place] {
					return true
				}
			}
			return false
		},
	}
}

// begun are the places that a Microservice has taken.
func begun(object client.Object) map[gate.Place]bool {
	out := map[gate.Place]bool{}
	if ms, ok := object.(*v1alpha1.Microservice); ok {
		for _, claim := range gate.Claims(ms) {
			if claim.Begun {
				out[claim.Place] = true
			}
		}
	}
	return out
}

// nextRequests wakes those whose turn it is. They need not be told twice, and ask again by themselves if they were not.
func (r *Reconciler) nextRequests(ctx context.Context, _ client.Object) []reconcile.Request {
	claimants, err := r.listClaimants(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the rollouts that wait")
		return nil
	}
	var claims []gate.Claim
	for i := range claimants {
		claims = append(claims, gate.Claims(&claimants[i])...)
	}
	var out []reconcile.Request
	for _, place := range r.Budget.Next(r.Now(), claims) {
		out = append(out, reconcile.Request{NamespacedName: place.Microservice})
	}
	return out
}
