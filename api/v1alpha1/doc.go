// Package v1alpha1 is the API that users write: Microservice, one object that carries a REST microservice through its
// ordered environments. It owns the types, their validation (CEL, checked by the API server) and the names of
// conditions, reasons and labels; it holds no behaviour and talks to nothing.
//
// The group a field is in says what changing it costs: workload and auth replace pods, database runs migrations first.
//
// +kubebuilder:object:generate=true
// +groupName=platform.mirubato.com
package v1alpha1
