package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// ResourceAmounts are quantities of the two resources that a pod always has.
type ResourceAmounts struct {
	// cpu in cores, such as 500m.
	// +optional
	CPU *resource.Quantity `json:"cpu,omitempty"`
	// memory in bytes, such as 256Mi.
	// +optional
	Memory *resource.Quantity `json:"memory,omitempty"`
}
