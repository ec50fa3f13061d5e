package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// ResourceAmounts are quantities of the two resources that a pod always has.
type ResourceAmounts struct {
	// cpu in cores, such as 500m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('1m')) >= 0",message="must be an amount of CPU of at least 1m, such as 500m or 2"
	CPU *resource.Quantity `json:"cpu,omitempty"`
	// memory in bytes, such as 256Mi.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('4Mi')) >= 0",message="must be an amount of memory of at least 4Mi, such as 256Mi"
	Memory *resource.Quantity `json:"memory,omitempty"`
}
