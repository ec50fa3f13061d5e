package environment

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

func inNamespace(name string) v1alpha1.NetworkPeer { return v1alpha1.NetworkPeer{Namespace: &name} }

func inRange(cidr string) v1alpha1.NetworkPeer { return v1alpha1.NetworkPeer{CIDR: &cidr} }

func policyOf(t *testing.T, children Children) *networkingv1.NetworkPolicy {
	t.Helper()
	out := &networkingv1.NetworkPolicy{}
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(children.NetworkPolicy[0].Object().Object, out, true)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestNetworkPolicy(t *testing.T) {
	for name, tc := range map[string]struct {
		spec   v1alpha1.NetworkPolicySpec
		nobody bool     // the operator runs in no pod
		want   []string // who may talk to which port, and whom pods may talk to
	}{
		"nobody is named": {want: []string{"in 8080 anybody", "in 9090 anybody"}},
		"callers are named": {
			spec: v1alpha1.NetworkPolicySpec{From: []v1alpha1.NetworkPeer{inNamespace("ingress"), inRange("10.0.0.0/8")}},
			want: []string{"in 8080 namespace ingress, 10.0.0.0/8, namespace operators, pods smoke-test", "in 9090 anybody"},
		},
		"readers of metrics are named": {
			spec: v1alpha1.NetworkPolicySpec{MetricsFrom: []v1alpha1.NetworkPeer{inNamespace("monitoring")}},
			want: []string{"in 8080 anybody", "in 9090 namespace monitoring, namespace operators"},
		},
		"the operator is outside of the cluster": {
			spec:   v1alpha1.NetworkPolicySpec{From: []v1alpha1.NetworkPeer{inNamespace("a")}, MetricsFrom: []v1alpha1.NetworkPeer{inRange("fd00::/8")}},
			nobody: true,
			want:   []string{"in 8080 namespace a, pods smoke-test", "in 9090 fd00::/8"},
		},
		"destinations are named": {
			spec: v1alpha1.NetworkPolicySpec{To: []v1alpha1.NetworkDestination{
				{NetworkPeer: inNamespace("postgres"), Ports: []int32{5432, 6432}}, {NetworkPeer: inRange("192.0.2.7/32")},
			}},
			want: []string{
				"in 8080 anybody", "in 9090 anybody", "out UDP 53 TCP 53 anybody", "out TCP 5432 TCP 6432 namespace postgres", "out 192.0.2.7/32",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := place()
			if p.OperatorNamespace = "operators"; tc.nobody {
				p.OperatorNamespace = ""
			}
			children, err := ChildrenOf(p, full(func(c *Content) { c.NetworkPolicy = &tc.spec }))
			if err != nil {
				t.Fatal(err)
			}
			policy := policyOf(t, children).Spec
			var got []string
			for _, rule := range policy.Ingress {
				got = append(got, fmt.Sprintf("in %s %s", rule.Ports[0].Port, peers(rule.From)))
			}
			for _, rule := range policy.Egress {
				words := []string{"out"}
				for _, port := range rule.Ports {
					words = append(words, string(*port.Protocol), port.Port.String())
				}
				got = append(got, strings.Join(append(words, peers(rule.To)), " "))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
			if limited := slices.Contains(policy.PolicyTypes, networkingv1.PolicyTypeEgress); limited != (len(tc.spec.To) > 0) {
				t.Errorf("whom pods call is limited: %t", limited)
			}
		})
	}
}

func peers(list []networkingv1.NetworkPolicyPeer) string {
	if len(list) == 0 {
		return "anybody"
	}
	var out []string
	for _, peer := range list {
		switch {
		case peer.IPBlock != nil:
			out = append(out, peer.IPBlock.CIDR)
		case peer.NamespaceSelector != nil:
			out = append(out, "namespace "+peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
		default:
			out = append(out, "pods "+string(ownership.ComponentOf(peer.PodSelector.MatchLabels)))
		}
	}
	return strings.Join(out, ", ")
}

// A policy holds for the pods that it came with: those of a canary and the stable ones of the same content, and no others.
func TestNetworkPolicyGoesWithItsPods(t *testing.T) {
	limited := func(c *Content) { c.NetworkPolicy = &v1alpha1.NetworkPolicySpec{} }
	plain, children := childrenOf(t, full()), childrenOf(t, full(limited))
	if len(plain.NetworkPolicy) != 0 || plain.Content == children.Content {
		t.Errorf("without limits there are %d policies, and content %s as with them", len(plain.NetworkPolicy), plain.Content)
	}
	p := place()
	p.OperatorNamespace = "elsewhere"
	if moved, err := ChildrenOf(p, full(limited)); err != nil || moved.Content != children.Content {
		t.Errorf("an operator that moves replaces all pods, or %v", err)
	}
	policy := policyOf(t, children)
	if policy.Name != children.ConfigMap.Name() {
		t.Errorf("the policy is called %s: it is not collected with the content", policy.Name)
	}
	selector := labels.SelectorFromSet(policy.Spec.PodSelector.MatchLabels)
	canary, err := children.Canary(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	canaryDeployment := &appsv1.Deployment{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(canary[1].Object().Object, canaryDeployment); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		labels labels.Set
		want   bool
	}{
		"a stable pod":            {find[appsv1.Deployment](t, children, "Deployment").Spec.Template.Labels, true},
		"a pod of the canary":     {canaryDeployment.Spec.Template.Labels, true},
		"a pod of another":        {find[appsv1.Deployment](t, plain, "Deployment").Spec.Template.Labels, false},
		"the pod of a migration":  {place().Owner.Labels(ownership.ComponentMigration), false},
		"the pod of a smoke test": {place().Owner.Labels(ownership.ComponentSmokeTest), false},
	} {
		if got := selector.Matches(tc.labels); got != tc.want {
			t.Errorf("the policy holds for %s: %t, want %t", name, got, tc.want)
		}
	}
}
