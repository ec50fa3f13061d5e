package microservice_test

import (
	"context"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// policies are the contents whose pods are limited.
func (w *world) policies(ctx context.Context) map[string]networkingv1.NetworkPolicy {
	w.t.Helper()
	out := map[string]networkingv1.NetworkPolicy{}
	for _, policy := range list(ctx, w, &networkingv1.NetworkPolicyList{}).Items {
		if policy.DeletionTimestamp == nil {
			out[policy.Spec.PodSelector.MatchLabels[v1alpha1.LabelContent]] = policy
		}
	}
	return out
}

func TestNetworkPolicyComesAndGoesWithItsPods(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "production")
	w.ms.Spec.NetworkPolicy = &v1alpha1.NetworkPolicySpec{MetricsFrom: []v1alpha1.NetworkPeer{{Namespace: new("monitoring")}}}
	w.create(ctx)
	w.verify(ctx)
	content := func() string { return w.deployments(ctx)["production"].Spec.Template.Labels[v1alpha1.LabelContent] }
	first := content()
	policy, there := w.policies(ctx)[first]
	if !there || len(w.policies(ctx)) != 1 {
		t.Fatalf("policies for %v, want one for %s", w.policies(ctx), first)
	}
	w.expectRest(ctx)

	policy.Spec.Ingress = policy.Spec.Ingress[:1]
	w.must(direct.Update(ctx, &policy))
	w.verify(ctx)
	if got := len(w.policies(ctx)[first].Spec.Ingress); got != 2 {
		t.Errorf("edited by hand: %d rules, want 2", got)
	}
	policy = w.policies(ctx)[first]
	w.must(direct.Delete(ctx, &policy))
	w.verify(ctx)
	if _, there := w.policies(ctx)[first]; !there {
		t.Error("removed by hand, it stays away")
	}

	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) {
		spec.NetworkPolicy.To = []v1alpha1.NetworkDestination{{NetworkPeer: v1alpha1.NetworkPeer{CIDR: new("10.0.0.0/8")}, Ports: []int32{5432}}}
		spec.Environments[0].Rollout = &v1alpha1.RolloutSpec{Steps: []v1alpha1.RolloutStep{{Weight: 20, Pause: true}}}
	})
	w.reconcile(ctx)
	canary := w.canaryOf(ctx)
	if canary == nil {
		t.Fatal("another policy is tried in no canary")
	}
	both := w.policies(ctx)
	if _, old := both[first]; !old || len(both[first].Spec.Egress) != 0 {
		t.Error("the pods that serve got the new policy, or none")
	}
	if got := len(both[canary.Spec.Template.Labels[v1alpha1.LabelContent]].Spec.Egress); got != 2 {
		t.Errorf("the canary has %d rules for whom it calls, want 2", got)
	}

	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.NetworkPolicy, spec.Environments[0].Rollout = nil, nil })
	w.collectGarbage(ctx)
	w.verify(ctx)
	w.collectGarbage(ctx)
	w.verify(ctx)
	if left := w.policies(ctx); len(left) != 0 {
		t.Errorf("policies are left: %v", left)
	}
}
