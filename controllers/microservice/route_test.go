package microservice_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/traffic"
)

// installRoutes teaches the API server the HTTPRoute that the Gateway API ships.
func installRoutes(ctx context.Context, t *testing.T) {
	t.Helper()
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatalf("looking for the CRDs of the Gateway API: %v", err)
	}
	path := filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", "standard", "gateway.networking.k8s.io_httproutes.yaml")
	if _, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: []string{path}, ErrorIfPathMissing: true}); err != nil {
		t.Fatal(err)
	}
}

// answerAsGateway says what the controller of a Gateway would once it has read the route.
func (w *world) answerAsGateway(ctx context.Context) {
	w.t.Helper()
	live := w.httpRoute(ctx)
	var conditions []any
	for _, verdict := range []string{"Accepted", "ResolvedRefs"} {
		conditions = append(conditions, map[string]any{
			"type": verdict, "status": "True", "reason": verdict, "message": "", "observedGeneration": live.GetGeneration(),
			"lastTransitionTime": metav1.Now().UTC().Format("2006-01-02T15:04:05Z"),
		})
	}
	w.must(unstructured.SetNestedSlice(live.Object, []any{map[string]any{
		"parentRef": map[string]any{"name": "public"}, "controllerName": "example.com/gateway", "conditions": conditions,
	}}, "status", "parents"))
	w.must(direct.Status().Update(ctx, live))
}

func (w *world) httpRoute(ctx context.Context) *unstructured.Unstructured {
	w.t.Helper()
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(traffic.HTTPRoute)
	w.must(direct.Get(ctx, client.ObjectKey{Namespace: w.namespace(0), Name: "scores"}, out))
	return out
}

// canaryOf returns the Deployment beside the stable one, nil if there is none that stays.
func (w *world) canaryOf(ctx context.Context) *appsv1.Deployment {
	w.t.Helper()
	out := &appsv1.Deployment{}
	err := direct.Get(ctx, client.ObjectKey{Namespace: w.namespace(0), Name: "scores-canary"}, out)
	w.must(client.IgnoreNotFound(err))
	if err != nil || out.DeletionTimestamp != nil {
		return nil
	}
	return out
}

// startCanaryPod makes a pod of the canary, which is ready.
func (w *world) startCanaryPod(ctx context.Context) {
	w.t.Helper()
	template := w.canaryOf(ctx).Spec.Template
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace(0), Name: "scores-canary-0", Labels: template.Labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "api", Image: template.Spec.Containers[0].Image}}},
	}
	w.must(direct.Create(ctx, pod))
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	w.must(direct.Status().Update(ctx, pod))
}

func TestAShareCountsOnceTheGatewayHasTakenIt(t *testing.T) {
	ctx := t.Context()
	installRoutes(ctx, t)
	w := newWorldOf(ctx, t, "production")
	w.ms.Spec.Traffic = &v1alpha1.TrafficSpec{Gateway: &v1alpha1.GatewaySpec{ParentRefs: []v1alpha1.GatewayReference{{Name: "public"}}}}
	w.ms.Spec.Environments[0].Rollout = &v1alpha1.RolloutSpec{Steps: []v1alpha1.RolloutStep{{Weight: 20}}}
	w.create(ctx)
	w.verify(ctx)
	w.answerAsGateway(ctx)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.1.0" })
	w.reconcile(ctx)
	w.migrate(ctx, succeeded)
	w.reconcile(ctx)
	w.startCanaryPod(ctx)
	w.readyPods(ctx)
	w.reconcile(ctx)

	if got := traffic.RouteWeight(w.httpRoute(ctx)); got != 20 {
		t.Fatalf("the route gives the canary %d %%", got)
	}
	waiting := w.ms.Status.Environments[0].WaitingFor
	if waiting == nil || waiting.Type != v1alpha1.WaitGateway || !strings.Contains(waiting.Message, "has not read the present HTTPRoute") {
		t.Fatalf("waits for %+v, want the Gateway", waiting)
	}
	w.expectRest(ctx)

	w.answerAsGateway(ctx)
	w.eventually(ctx, "the release to be promoted", func() bool { // once the second in which its time began is over
		w.reconcile(ctx)
		return w.ms.Status.Environments[0].Step == v1alpha1.StepPromote
	})
	w.readyPods(ctx)
	w.reconcile(ctx)
	if got := traffic.RouteWeight(w.httpRoute(ctx)); got != 0 || w.canaryOf(ctx) == nil {
		t.Fatalf("at weight %d the canary is gone, and the Gateway has not heard of it", got)
	}
	w.expectRest(ctx)
	w.answerAsGateway(ctx)
	w.reconcile(ctx)
	if w.canaryOf(ctx) != nil {
		t.Error("the canary stays, though the Gateway sends it nothing")
	}
}
