package v1alpha1

// TrafficSpec is how requests reach the pods.
//
// +kubebuilder:validation:XValidation:rule="!has(self.gateway) || !has(self.ingress)",message="set either gateway or ingress"
type TrafficSpec struct {
	// gateway sends requests through an HTTPRoute of the Gateway API, which also splits them exactly by weight.
	// +optional
	Gateway *GatewaySpec `json:"gateway,omitempty"`
	// ingress sends requests through an Ingress in each environment that has hosts. Weights come from the number of pods.
	// +optional
	Ingress *IngressSpec `json:"ingress,omitempty"`
}

// IngressSpec is an Ingress.
type IngressSpec struct {
	// className of the Ingress. Default: that of the cluster.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ClassName *string `json:"className,omitempty"`
	// tlsSecretName names the Secret, in each environment's namespace, with the certificate. Default: no TLS.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	TLSSecretName *string `json:"tlsSecretName,omitempty"`
	// annotations for its controller.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('platform.mirubato.com/') && !format.qualifiedName().validate(k).hasValue())",message="must be annotations, and not the operator's"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// GatewaySpec is an HTTPRoute.
type GatewaySpec struct {
	// parentRefs are the Gateways that take the route.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	ParentRefs []GatewayReference `json:"parentRefs"`
	// hostnames of the requests. Default: those of the Gateway.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(h, h.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",message="hostnames must be names such as scores.example.com or *.example.com, in lower case and without a port"
	Hostnames []string `json:"hostnames,omitempty"`
	// previewHeader names a header that leads to the new pods, whatever the weight, if its value is "canary". Default: none.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9-]+$')",message="previewHeader must be the name of a header"
	PreviewHeader string `json:"previewHeader,omitempty"`
}

// GatewayReference names a Gateway, or one listener of it.
type GatewayReference struct {
	// name of the Gateway.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// namespace of the Gateway. Default: the environment's.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// sectionName of the listener. Default: all.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SectionName string `json:"sectionName,omitempty"`
}
