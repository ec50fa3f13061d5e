package microservice_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// TestWaitingCostsNoReads has two environments wait for the one before: they add nothing to what a pass asks the API server.
func TestWaitingCostsNoReads(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.create(ctx)
	readings := func() int {
		w.reconcile(ctx)
		before := w.api.live
		w.reconcile(ctx)
		return w.api.live - before
	}
	three := readings()
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Environments = spec.Environments[:1] })
	if one := readings(); three != one {
		t.Errorf("%d readings with two environments that wait, %d without them", three, one)
	}
}

// TestWhatIsTakenWhileItWaits has somebody take a name in an environment whose turn has not come yet: it is not overwritten when it does.
func TestWhatIsTakenWhileItWaits(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "staging", "production")
	w.create(ctx)
	w.reconcile(ctx)
	if !w.waits(1, v1alpha1.WaitPreviousEnvironment) {
		t.Fatalf("production waits for %+v", w.ms.Status.Environments[1].WaitingFor)
	}
	theirs := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace(1), Name: "scores"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "theirs"}, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	w.must(direct.Create(ctx, theirs))
	for range 10 {
		w.reconcile(ctx)
		w.runJobs(ctx, succeeded)
		w.readyPods(ctx)
	}
	if !w.waits(1, v1alpha1.WaitNameConflict) {
		t.Errorf("production waits for %+v, want the name", w.ms.Status.Environments[1].WaitingFor)
	}
	found := &corev1.Service{}
	w.must(direct.Get(ctx, client.ObjectKeyFromObject(theirs), found))
	if found.ResourceVersion != theirs.ResourceVersion {
		t.Errorf("somebody's Service was written to: %v", found.ObjectMeta)
	}
}
