package microservice

import (
	"context"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
)

// turns takes in what all Microservices claim of the budget, and wakes those whose turn it is when one has given a place free. A controller makes no
// pass before it has heard of all that there are.
func (r *Reconciler) turns() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { r.see(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { r.see(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			if r.Claims.Forget(client.ObjectKeyFromObject(e.Object)) {
				r.wake(q)
			}
		},
	}
}

func (r *Reconciler) see(object client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	if ms, ok := object.(*v1alpha1.Microservice); ok && r.Claims.See(ms) {
		r.wake(q)
	}
}

// callAgain wakes those whose turn it is every now and then as well: a place that was given and not taken comes back with time alone.
func (r *Reconciler) callAgain(ctx context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	go wait.UntilWithContext(ctx, func(context.Context) { r.wake(q) }, gate.CallAgain)
	return nil
}

// wake has those pass whose turn it is. They need not be told twice.
func (r *Reconciler) wake(q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	for _, place := range r.Budget.Next(r.Now(), r.Claims.All()) {
		q.Add(reconcile.Request{NamespacedName: place.Microservice})
	}
}
