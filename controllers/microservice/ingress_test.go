package microservice_test

import (
	"context"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func (w *world) ingressOf(ctx context.Context, environment int) *networkingv1.Ingress {
	w.t.Helper()
	out := &networkingv1.Ingress{}
	err := direct.Get(ctx, client.ObjectKey{Namespace: w.namespace(environment), Name: "scores"}, out)
	if apierrors.IsNotFound(err) || err == nil && out.DeletionTimestamp != nil {
		return nil
	}
	w.must(err)
	return out
}

func TestIngressLeadsToAnEnvironmentWithHosts(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "staging", "production")
	w.create(ctx)
	w.verify(ctx)
	foreign := &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace(1), Name: "scores", Annotations: map[string]string{"example.com/of": "others"}},
		Spec:       networkingv1.IngressSpec{DefaultBackend: &networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "x", Port: networkingv1.ServiceBackendPort{Number: 1}}}},
	}
	w.must(direct.Create(ctx, foreign))
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) {
		spec.Traffic = &v1alpha1.TrafficSpec{Ingress: &v1alpha1.IngressSpec{Annotations: map[string]string{"example.com/limit": "5"}}}
		spec.Environments[1].Hosts = []string{"scores.example.com"}
	})
	w.reconcile(ctx)
	if waiting := w.ms.Status.Environments[1].WaitingFor; waiting == nil || waiting.Type != v1alpha1.WaitNameConflict || !strings.Contains(waiting.Message, "Ingress scores exists") {
		t.Fatalf("waits for %+v, want the name", waiting)
	}
	if got := w.ingressOf(ctx, 1); got.Annotations["example.com/limit"] != "" || len(got.Spec.Rules) != 0 {
		t.Error("the Ingress of others was taken over")
	}

	w.must(direct.Delete(ctx, foreign))
	w.verify(ctx)
	made := w.ingressOf(ctx, 1)
	if made == nil || made.Spec.Rules[0].Host != "scores.example.com" || made.Annotations["example.com/limit"] != "5" {
		t.Fatalf("the Ingress is %+v", made)
	}
	if w.ingressOf(ctx, 0) != nil {
		t.Error("an environment without hosts has an Ingress")
	}
	if release := w.ms.Status.Release; release != "scores-1" {
		t.Errorf("it took release %s", release)
	}
	w.expectRest(ctx)

	made.Spec.Rules[0].Host = "other.example.com"
	w.must(direct.Update(ctx, made))
	w.verify(ctx)
	if got := w.ingressOf(ctx, 1).Spec.Rules[0].Host; got != "scores.example.com" {
		t.Errorf("edited by hand, it leads from %s", got)
	}
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Traffic.Ingress.Annotations = nil })
	w.verify(ctx)
	if got := w.ingressOf(ctx, 1).Annotations["example.com/limit"]; got != "" {
		t.Errorf("an annotation that is no longer asked for is still %q", got)
	}
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Traffic, spec.Environments[1].Hosts = nil, nil })
	w.verify(ctx)
	if w.ingressOf(ctx, 1) != nil {
		t.Error("the Ingress stays, though nobody asks for it")
	}
}

func TestHostsOfAnEnvironmentReplaceThoseOfTheGateway(t *testing.T) {
	ctx := t.Context()
	installRoutes(ctx, t)
	w := newWorldOf(ctx, t, "production")
	w.ms.Spec.Traffic = &v1alpha1.TrafficSpec{Gateway: &v1alpha1.GatewaySpec{
		ParentRefs: []v1alpha1.GatewayReference{{Name: "public"}}, Hostnames: []string{"all.example.com"},
	}}
	w.ms.Spec.Environments[0].Hosts = []string{"one.example.com"}
	w.create(ctx)
	w.verify(ctx)
	spec, _ := w.httpRoute(ctx).Object["spec"].(map[string]any)
	if got, _ := spec["hostnames"].([]any); len(got) != 1 || got[0] != "one.example.com" {
		t.Errorf("the route is for %v", got)
	}
}
