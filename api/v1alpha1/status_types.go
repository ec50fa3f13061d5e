package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MicroserviceStatus is what the operator observed and what it waits for.
type MicroserviceStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of; -1 until the operator has seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// summary says in one line where the release is in each environment.
	// +optional
	Summary string `json:"summary,omitempty"`
	// release that the spec asks for, also sent by the pods in the header X-Release.
	// +optional
	Release string `json:"release,omitempty"`
	// conditions: Ready, and the pair Reconciling and Stalled that kstatus defines.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// environments, in the order of spec.
	// +optional
	// +listType=map
	// +listMapKey=name
	Environments []EnvironmentStatus `json:"environments,omitempty"`
}

// Step is how far an environment has come with the release.
// +kubebuilder:validation:Enum=Admit;Expand;Promote;Verified
type Step string

// The steps of a release in one environment, in order.
const (
	// StepAdmit: nothing has been changed yet; something must be true before it may be.
	StepAdmit Step = "Admit"
	// StepExpand: migrations run; the pods are still those of the release before.
	StepExpand Step = "Expand"
	// StepPromote: pods of the release replace those before it.
	StepPromote Step = "Promote"
	// StepVerified: all pods are of the release and ready; the next environment may start.
	StepVerified Step = "Verified"
)

// EnvironmentStatus is how far one environment has come.
type EnvironmentStatus struct {
	// name of the environment.
	// +required
	Name string `json:"name"`
	// namespace of the environment.
	// +required
	Namespace string `json:"namespace"`
	// step of the release that the spec asks for.
	// +required
	Step Step `json:"step"`
	// release that all pods of the environment run; empty until the first one is complete.
	// +optional
	Release string `json:"release,omitempty"`
	// image of that release.
	// +optional
	Image string `json:"image,omitempty"`
	// schemaVersion of the database after the last migration run.
	// +optional
	SchemaVersion *int64 `json:"schemaVersion,omitempty"`
	// replicas wanted.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
	// readyReplicas are ready, of any release.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas,omitempty"`
	// waitingFor says why the environment does not move; absent when it is verified.
	// +optional
	WaitingFor *WaitingFor `json:"waitingFor,omitempty"`
}

// WaitType says what kind of thing is waited for.
// +kubebuilder:validation:Enum=PreviousEnvironment;Namespace;Consent;NameConflict;Secret;Database;Migration;Image;Pods
type WaitType string

// What an environment can wait for.
const (
	// WaitPreviousEnvironment: the environment before has not verified this release.
	WaitPreviousEnvironment WaitType = "PreviousEnvironment"
	// WaitNamespace: the namespace does not exist or is being deleted.
	WaitNamespace WaitType = "Namespace"
	// WaitConsent: the namespace does not carry the label by which it consents.
	WaitConsent WaitType = "Consent"
	// WaitNameConflict: an object that the operator would make exists and belongs to somebody else.
	WaitNameConflict WaitType = "NameConflict"
	// WaitSecret: a Secret, or a key of it, is missing.
	WaitSecret WaitType = "Secret"
	// WaitDatabase: the database cannot be reached, refuses the credentials, or is locked by others.
	WaitDatabase WaitType = "Database"
	// WaitMigration: migrations run, or have failed.
	WaitMigration WaitType = "Migration"
	// WaitImage: an image cannot be pulled, or does not start.
	WaitImage WaitType = "Image"
	// WaitPods: pods are starting.
	WaitPods WaitType = "Pods"
)

// WaitingFor says what has to happen next, since when, until when, and who can make it happen.
type WaitingFor struct {
	// type of what is waited for.
	// +required
	Type WaitType `json:"type"`
	// message names the thing.
	// +required
	Message string `json:"message"`
	// since when it has been waited for.
	// +required
	Since metav1.Time `json:"since"`
	// deadline is when the operator acts again by itself, if time is what it waits for.
	// +optional
	Deadline *metav1.Time `json:"deadline,omitempty"`
	// unblock says what a person can do; empty when nothing is needed.
	// +optional
	Unblock string `json:"unblock,omitempty"`
}
