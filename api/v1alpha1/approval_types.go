package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Approval is a person's word that a release may enter an environment. It lies in the environment's namespace, so that
// whoever grants rights there decides who may approve.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Release",type=string,JSONPath=`.spec.release`
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.spec.environment`
// +kubebuilder:printcolumn:name="Approver",type=string,JSONPath=`.spec.approver`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Approval struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is approved. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an approval is never changed; delete it and make another"
	Spec ApprovalSpec `json:"spec"`
	// status is what has become of the approval.
	// +optional
	Status ApprovalStatus `json:"status,omitempty"`
}

// ApprovalList is a list of Approvals.
//
// +kubebuilder:object:root=true
type ApprovalList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Approval `json:"items"`
}

// ApprovalSpec is what is approved, and by whom.
type ApprovalSpec struct {
	// microservice that the release is of.
	// +required
	Microservice MicroserviceReference `json:"microservice"`
	// environment that the release may enter.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Environment string `json:"environment"`
	// release that may enter.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Release string `json:"release"`
	// planHash of what would be done, as the Microservice's status shows it. If the plan changes, the approval is void.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	PlanHash string `json:"planHash"`
	// approver must be the name under which you are known to the cluster: kubectl auth whoami.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Approver string `json:"approver"`
}

// MicroserviceReference names a Microservice.
type MicroserviceReference struct {
	// namespace of the Microservice.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`
	// name of the Microservice.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`
}

// ApprovalStatus is what has become of an approval.
type ApprovalStatus struct {
	// state is Used once the release has entered, Void if it no longer can be.
	// +optional
	State ApprovalState `json:"state,omitempty"`
	// message says why.
	// +optional
	Message string `json:"message,omitempty"`
}

// ApprovalState is what has become of an approval.
// +kubebuilder:validation:Enum=Used;Void
type ApprovalState string

// The states.
const (
	ApprovalUsed ApprovalState = "Used"
	ApprovalVoid ApprovalState = "Void"
)
