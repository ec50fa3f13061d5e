package environment

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// portDNS is where names are looked up.
const portDNS = 53

// networkPolicy is for the pods of one content and named after it, as their variables are: old and new pods each keep their own, so
// that a policy which cuts something off shows in a canary and nowhere else.
func networkPolicy(place Place, name, content string, spec *v1alpha1.NetworkPolicySpec) *networkingv1ac.NetworkPolicyApplyConfiguration {
	selector := place.Owner.ServingSelector()
	delete(selector, v1alpha1.LabelServing) // pods out of service as well
	selector[v1alpha1.LabelContent] = content
	policy := networkingv1ac.NetworkPolicySpec().
		WithPodSelector(metav1ac.LabelSelector().WithMatchLabels(selector)).
		WithPolicyTypes(networkingv1.PolicyTypeIngress).
		WithIngress(
			ingress(contract.APIPort, spec.From, operator(place), smokeTests(place)),
			ingress(contract.OperationsPort, spec.MetricsFrom, operator(place)))
	if len(spec.To) > 0 {
		policy.WithPolicyTypes(networkingv1.PolicyTypeEgress)
		policy.WithEgress(networkingv1ac.NetworkPolicyEgressRule().
			WithPorts(port(corev1.ProtocolUDP, portDNS), port(corev1.ProtocolTCP, portDNS)))
	}
	for _, destination := range spec.To {
		rule := networkingv1ac.NetworkPolicyEgressRule().WithTo(peer(destination.NetworkPeer))
		for _, number := range destination.Ports {
			rule.WithPorts(port(corev1.ProtocolTCP, number))
		}
		policy.WithEgress(rule)
	}
	return networkingv1ac.NetworkPolicy(name, place.Namespace).WithLabels(place.labels()).WithSpec(policy)
}

// ingress opens a port to peers and to those that always need it; without peers, to anybody.
func ingress(number int32, peers []v1alpha1.NetworkPeer, always ...*networkingv1ac.NetworkPolicyPeerApplyConfiguration) *networkingv1ac.NetworkPolicyIngressRuleApplyConfiguration {
	rule := networkingv1ac.NetworkPolicyIngressRule().WithPorts(port(corev1.ProtocolTCP, number))
	if len(peers) == 0 {
		return rule
	}
	for _, each := range peers {
		rule.WithFrom(peer(each))
	}
	for _, each := range always {
		if each != nil {
			rule.WithFrom(each)
		}
	}
	return rule
}

func port(protocol corev1.Protocol, number int32) *networkingv1ac.NetworkPolicyPortApplyConfiguration {
	return networkingv1ac.NetworkPolicyPort().WithProtocol(protocol).WithPort(intstr.FromInt32(number))
}

func peer(given v1alpha1.NetworkPeer) *networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	if given.CIDR != nil {
		return networkingv1ac.NetworkPolicyPeer().WithIPBlock(networkingv1ac.IPBlock().WithCIDR(*given.CIDR))
	}
	return namespacePeer(or(given.Namespace, ""))
}

func namespacePeer(name string) *networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	return networkingv1ac.NetworkPolicyPeer().WithNamespaceSelector(
		metav1ac.LabelSelector().WithMatchLabels(map[string]string{corev1.LabelMetadataName: name}))
}

// operator asks pods for their settings and metrics, and makes smoke tests. Nil where it runs in no pod.
func operator(place Place) *networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	if place.OperatorNamespace == "" {
		return nil
	}
	return namespacePeer(place.OperatorNamespace)
}

// smokeTests are Jobs in the environment's own namespace.
func smokeTests(place Place) *networkingv1ac.NetworkPolicyPeerApplyConfiguration {
	return networkingv1ac.NetworkPolicyPeer().WithPodSelector(
		metav1ac.LabelSelector().WithMatchLabels(place.Owner.Selector(ownership.ComponentSmokeTest)))
}
