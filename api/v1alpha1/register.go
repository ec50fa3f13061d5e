package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of every type in this package.
var GroupVersion = schema.GroupVersion{Group: "platform.mirubato.com", Version: "v1alpha1"}

// AddToScheme teaches a scheme the types of this package. It fails only if they are registered under another version.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Microservice{}, &MicroserviceList{}, &Release{}, &ReleaseList{}, &Approval{}, &ApprovalList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
