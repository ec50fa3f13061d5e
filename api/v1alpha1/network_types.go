package v1alpha1

// NetworkPolicySpec closes the ports of the pods but for the API's and the metrics', and says who may use those, and whom the
// pods may call. It takes a network that heeds NetworkPolicies.
type NetworkPolicySpec struct {
	// from may call the API, on port 8080, as may the operator and the smoke tests. Default: anybody.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	From []NetworkPeer `json:"from,omitempty"`
	// metricsFrom may read the metrics, on port 9090, as may the operator. Default: anybody.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	MetricsFrom []NetworkPeer `json:"metricsFrom,omitempty"`
	// to is what the pods may call: databases, buckets, other services. DNS always. Default: anything.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	To []NetworkDestination `json:"to,omitempty"`
}

// NetworkPeer is a namespace, or a range of addresses.
//
// +kubebuilder:validation:XValidation:rule="has(self.namespace) != has(self.cidr)",message="name either a namespace or a cidr"
type NetworkPeer struct {
	// namespace by its name.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace *string `json:"namespace,omitempty"`
	// cidr of addresses, such as 10.0.0.0/8.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Format=cidr
	CIDR *string `json:"cidr,omitempty"`
}

// NetworkDestination is a peer and its ports.
type NetworkDestination struct {
	NetworkPeer `json:",inline"`
	// ports by TCP. Default: all, by any protocol.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	Ports []int32 `json:"ports,omitempty"`
}
