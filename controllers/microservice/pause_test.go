package microservice_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestAPauseStopsEverythingAndSaysSo(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "development", "production")
	w.ms.Spec.Settings = logging(settings.LogWarn)
	w.create(ctx)
	w.verify(ctx)
	gone := w.namespace(1)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Paused = true })
	w.reconcile(ctx)

	// Edits by hand, a new pod, other settings, another image, an environment less: each is something to do.
	edited := w.deployments(ctx)["development"]
	edited.Spec.Template.Spec.Containers[0].Image = "example.com/other:1"
	w.must(direct.Update(ctx, &edited))
	w.must(direct.Delete(ctx, w.settingsMap(ctx)))
	pod := w.born(ctx, "scores-a")
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) {
		spec.Settings, spec.Image = logging(settings.LogDebug), "localhost/scores:1.1.0"
		spec.Environments = spec.Environments[:1]
	})
	children := w.children(ctx)
	w.reconcile(ctx)
	w.reconcile(ctx)
	if got := w.deployments(ctx)["development"].Spec.Template.Spec.Containers[0].Image; got != "example.com/other:1" {
		t.Errorf("a Deployment was put back to %s", got)
	}
	if got := w.generationOf(ctx, pod); got != "" {
		t.Errorf("a pod was told generation %s", got)
	}
	if got := w.children(ctx); got != children {
		t.Errorf("there are %d objects, and %d before", got, children)
	}
	w.expectRest(ctx)
	e := w.ms.Status.Environments[0]
	if e.WaitingFor == nil || e.WaitingFor.Type != v1alpha1.WaitPause || e.WaitingFor.Unblock != "set spec.paused to false" {
		t.Errorf("waits for %+v", e.WaitingFor)
	}
	if ready := meta.FindStatusCondition(w.ms.Status.Conditions, v1alpha1.ConditionReady); ready.Reason != "Pause" || !strings.Contains(ready.Message, "is paused") {
		t.Errorf("Ready is %s: %s", ready.Reason, ready.Message)
	}
	if !strings.Contains(w.ms.Status.Summary, "(paused)") {
		t.Errorf("the summary is %q", w.ms.Status.Summary)
	}

	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Paused = false })
	w.must(direct.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}, client.GracePeriodSeconds(0)))
	w.verify(ctx)
	if got := w.deployments(ctx)["development"].Spec.Template.Spec.Containers[0].Image; got != "localhost/scores:1.1.0" {
		t.Errorf("after the pause the image is %s", got)
	}
	if got := w.settingsMap(ctx).Data["2.yaml"]; got != "logging:\n  level: debug\n" {
		t.Errorf("after the pause the settings are %q", got)
	}
	w.collectGarbage(ctx)
	left := &corev1.ServiceList{}
	w.must(direct.List(ctx, left, client.InNamespace(gone)))
	if len(left.Items) != 0 {
		t.Error("after the pause the environment that is gone keeps its Service")
	}
}

func TestAGenerationOfAPodThatWasEditedIsMended(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "development")
	w.create(ctx)
	w.verify(ctx)
	key := w.born(ctx, "scores-a")
	w.reconcile(ctx)
	pod := &corev1.Pod{}
	w.must(direct.Get(ctx, key, pod))
	pod.Annotations[contract.SettingsGenerationAnnotation] = "99"
	w.must(direct.Update(ctx, pod))
	w.reconcile(ctx)
	if got := w.generationOf(ctx, key); got != "1" {
		t.Errorf("the pod is told generation %q, want 1", got)
	}
}
