package traffic

import (
	networkingv1 "k8s.io/api/networking/v1"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// Ingress leads requests from outside to the Service in front of the pods. It knows no weights: the Service does.
type Ingress struct {
	Owner     ownership.Owner
	Namespace string
	Spec      v1alpha1.IngressSpec
	// Hosts are never empty: an Ingress without any would take the requests of others.
	Hosts []string
	// Port of the Service.
	Port int32
}

// Manifest is the Ingress, which bears the name of the Microservice.
func (i Ingress) Manifest() (manifest.Manifest, error) {
	name := i.Owner.Microservice.Name
	backend := networkingv1ac.IngressBackend().WithService(networkingv1ac.IngressServiceBackend().
		WithName(name).
		WithPort(networkingv1ac.ServiceBackendPort().WithNumber(i.Port)))
	spec := networkingv1ac.IngressSpec()
	if i.Spec.ClassName != nil {
		spec.WithIngressClassName(*i.Spec.ClassName)
	}
	if i.Spec.TLSSecretName != nil {
		spec.WithTLS(networkingv1ac.IngressTLS().WithHosts(i.Hosts...).WithSecretName(*i.Spec.TLSSecretName))
	}
	for _, host := range i.Hosts {
		spec.WithRules(networkingv1ac.IngressRule().WithHost(host).WithHTTP(networkingv1ac.HTTPIngressRuleValue().
			WithPaths(networkingv1ac.HTTPIngressPath().
				WithPath("/").
				WithPathType(networkingv1.PathTypePrefix).
				WithBackend(backend))))
	}
	return manifest.New(networkingv1ac.Ingress(name, i.Namespace).
		WithLabels(i.Owner.Labels(ownership.ComponentAPI)).
		WithAnnotations(i.Spec.Annotations).
		WithSpec(spec))
}
