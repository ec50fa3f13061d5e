package microservice_test

import (
	"testing"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
)

func TestTheEndOfARolloutWakesTheNext(t *testing.T) {
	ctx := t.Context()
	others := &v1alpha1.MicroserviceList{}
	if err := direct.List(ctx, others); err != nil {
		t.Fatal(err)
	}
	for i := range others.Items { // what other tests have left behind would take places
		others.Items[i].Finalizers = nil
		if err := direct.Update(ctx, &others.Items[i]); err != nil {
			t.Fatal(err)
		}
		if err := direct.Delete(ctx, &others.Items[i]); err != nil && others.Items[i].DeletionTimestamp == nil {
			t.Fatal(err)
		}
	}
	first, second := newWorldOf(ctx, t, "production"), newWorldOf(ctx, t, "production")
	first.reconciler.Budget = gate.NewBudget(1)
	second.reconciler.Budget, second.reconciler.Claims = first.reconciler.Budget, first.reconciler.Claims
	turns := second.reconciler.Turns()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(queue.ShutDown)
	first.create(ctx)
	first.reconcile(ctx)
	turns.Create(ctx, event.CreateEvent{Object: first.ms}, queue)
	second.create(ctx)
	if again := second.reconcile(ctx).RequeueAfter; again <= 0 {
		t.Error("it never asks again by itself")
	}
	if !second.waits(0, v1alpha1.WaitBudget) {
		t.Fatalf("waits for %+v, want the budget", second.ms.Status.Environments[0].WaitingFor)
	}
	turns.Create(ctx, event.CreateEvent{Object: second.ms}, queue)
	turns.Update(ctx, event.UpdateEvent{ObjectOld: first.ms, ObjectNew: first.ms}, queue)
	if queue.Len() != 0 {
		t.Error("somebody is woken, though no place is free")
	}

	before := first.ms.DeepCopy()
	turns.Delete(ctx, event.DeleteEvent{Object: before}, queue)
	if queue.Len() != 1 {
		t.Error("a deleted Microservice keeps its place")
	}
	woken, _ := queue.Get()
	queue.Done(woken)
	turns.Create(ctx, event.CreateEvent{Object: before}, queue)
	first.verify(ctx)
	turns.Update(ctx, event.UpdateEvent{ObjectOld: before, ObjectNew: first.ms}, queue)
	if queue.Len() != 1 {
		t.Fatalf("the end of a rollout wakes %d, want one", queue.Len())
	}
	if woken, _ = queue.Get(); woken.NamespacedName != second.key() {
		t.Fatalf("%v is woken, want %v", woken, second.key())
	}
	second.verify(ctx)
}
