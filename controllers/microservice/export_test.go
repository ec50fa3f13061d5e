package microservice

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// RolloutEnded and NextRequests are what wakes those who wait for the budget.
var RolloutEnded = rolloutEnded

// SharesDatabase says which environments wait for each other.
var SharesDatabase = sharesDatabase

func (r *Reconciler) NextRequests(ctx context.Context) []reconcile.Request {
	return r.nextRequests(ctx, nil)
}
