package microservice_test

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// pausedCanary is a world in which a second release waits at its first canary step for somebody to resume it.
func pausedCanary(ctx context.Context, t *testing.T) *world {
	t.Helper()
	w := newWorldOf(ctx, t, "production")
	w.ms.Spec.Environments[0].Rollout = &v1alpha1.RolloutSpec{Steps: []v1alpha1.RolloutStep{{Weight: 20, Pause: true}}}
	w.create(ctx)
	w.verify(ctx)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.1.0" })
	w.reconcile(ctx)
	w.migrate(ctx, succeeded)
	w.reconcile(ctx)
	w.readyPods(ctx)
	w.eventually(ctx, "the canary to pause", func() bool { // once the second in which it got its weight is over
		w.reconcile(ctx)
		return w.waits(0, v1alpha1.WaitPause)
	})
	return w
}

func TestResumeEndsThePauseOfACanary(t *testing.T) {
	ctx := t.Context()
	w := pausedCanary(ctx, t)
	w.annotate(ctx, v1alpha1.VerbResume, "production/1")
	w.verify(ctx)
	if got := w.ms.Status.Environments[0].Release; got != "scores-2" {
		t.Errorf("production runs %s, want scores-2", got)
	}
}

func TestAbortRejectsAndGoesBack(t *testing.T) {
	ctx := t.Context()
	w := pausedCanary(ctx, t)
	w.annotate(ctx, v1alpha1.VerbAbort, "production/1")
	w.reconcile(ctx)
	w.collectGarbage(ctx)
	w.reconcile(ctx)
	w.collectGarbage(ctx)
	w.reconcile(ctx)
	if rejection := w.release(ctx, "scores-2").Status.Rejection; rejection == nil || rejection.Reason != v1alpha1.FailureAborted {
		t.Errorf("the release is not rejected: %+v", rejection)
	}
	e := w.ms.Status.Environments[0]
	if e.Step != v1alpha1.StepRejected || e.Release != "scores-1" || !w.waits(0, v1alpha1.WaitRejected) {
		t.Errorf("the environment is not back at the release before: %+v", e)
	}
	if got := w.ms.Status.Handled["abort"]; got != "production/1" {
		t.Errorf("handled = %q", got)
	}
}

// The operator is killed after each write of the way back, so that between any two of them another one goes on.
func TestCanaryThatIsStoppedLeavesNothingWhenInterrupted(t *testing.T) {
	ctx := t.Context()
	w := pausedCanary(ctx, t)
	w.annotate(ctx, v1alpha1.VerbAbort, "production/1")
	killed := 0
	w.eventually(ctx, "the way back to end", func() bool {
		w.api.revive()
		w.api.last = w.api.writes + 1
		_, err := w.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: w.key()})
		w.collectGarbage(ctx) // what was deleted is gone before the next operator looks
		switch {
		case errors.Is(err, errKilled):
			killed++
			return false
		case err != nil:
			t.Fatal(err)
		}
		w.read(ctx)
		return w.waits(0, v1alpha1.WaitRejected)
	})
	w.api.revive()
	w.reconcile(ctx)
	if w.canaryOf(ctx) != nil {
		t.Error("the canary's Deployment stays")
	}
	err := direct.Get(ctx, client.ObjectKey{Namespace: w.namespace(0), Name: "scores-canary"}, &corev1.Service{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the canary's Service stays: %v", err)
	}
	if killed < 3 {
		t.Errorf("killed %d times, which is fewer than the way back has writes", killed)
	}
}
