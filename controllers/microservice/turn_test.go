package microservice_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
	"github.com/mirubato/mirubato/controllers/microservice"
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
	second.reconciler.Budget = first.reconciler.Budget
	first.create(ctx)
	first.reconcile(ctx)
	second.create(ctx)
	if again := second.reconcile(ctx).RequeueAfter; again <= 0 || again > gate.Recheck {
		t.Errorf("it asks again after %s, though nobody may tell it", again)
	}
	if !second.waits(0, v1alpha1.WaitBudget) {
		t.Fatalf("waits for %+v, want the budget", second.ms.Status.Environments[0].WaitingFor)
	}
	if next := second.reconciler.NextRequests(ctx); len(next) != 0 {
		t.Errorf("%v are woken, though no place is free", next)
	}

	before := first.ms.DeepCopy()
	ended := microservice.RolloutEnded()
	if ended.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: first.ms}) {
		t.Error("a status that did not change ends a rollout")
	}
	if !ended.Delete(event.DeleteEvent{Object: before}) {
		t.Error("a deleted Microservice keeps its place")
	}
	first.verify(ctx)
	if !ended.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: first.ms}) {
		t.Error("the end of a rollout is not noticed")
	}
	next := second.reconciler.NextRequests(ctx)
	if len(next) != 1 || next[0].NamespacedName != second.key() {
		t.Fatalf("%v are woken, want %v", next, second.key())
	}
	second.verify(ctx)
}
