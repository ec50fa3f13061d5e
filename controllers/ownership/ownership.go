// Package ownership says which objects belong to which Microservice, and which namespaces agreed to hold them.
//
// Children live in other namespaces than their Microservice, where owner references do not reach, so labels name the
// owner. The package owns those labels and the label of consent; it reads and writes nothing.
package ownership

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Labels that Kubernetes recommends and other tools understand.
const (
	labelName      = "app.kubernetes.io/name"
	labelComponent = "app.kubernetes.io/component"
	// LabelManagedBy marks every object that the operator makes; its caches hold only those.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy.
	ManagedBy = "mirubato"
	// Serving is the value of v1alpha1.LabelServing.
	Serving = "true"
)

// Component is the part that an object plays within an environment.
type Component string

// The components of an environment.
const (
	ComponentAPI       Component = "api"
	ComponentCanary    Component = "canary"
	ComponentMigration Component = "migration"
	ComponentSmokeTest Component = "smoke-test"
)

// Owner is the environment of a Microservice that an object belongs to.
type Owner struct {
	Microservice types.NamespacedName
	Environment  string
}

// Selector returns the labels that only objects of one component of this environment carry. They never change, as the
// selector of a Deployment must not.
func (o Owner) Selector(component Component) map[string]string {
	labels := o.All()
	labels[labelComponent] = string(component)
	return labels
}

// All returns the labels that only objects of this environment carry, whatever their component, also those that people have made.
func (o Owner) All() map[string]string {
	return map[string]string{
		v1alpha1.LabelMicroservice:          o.Microservice.Name,
		v1alpha1.LabelMicroserviceNamespace: o.Microservice.Namespace,
		v1alpha1.LabelEnvironment:           o.Environment,
	}
}

// Labels returns all labels of an object of this environment.
func (o Owner) Labels(component Component) map[string]string {
	labels := o.Selector(component)
	labels[labelName] = o.Microservice.Name
	labels[LabelManagedBy] = ManagedBy
	return labels
}

// Of returns the owner that an object's labels name. It is false for objects that the operator did not make.
func Of(object client.Object) (Owner, bool) {
	labels := object.GetLabels()
	owner := Owner{
		Microservice: types.NamespacedName{
			Namespace: labels[v1alpha1.LabelMicroserviceNamespace],
			Name:      labels[v1alpha1.LabelMicroservice],
		},
		Environment: labels[v1alpha1.LabelEnvironment],
	}
	managed := labels[LabelManagedBy] == ManagedBy
	return owner, managed && owner.Microservice.Name != "" && owner.Microservice.Namespace != "" && owner.Environment != ""
}

// ComponentOf returns the part that an object's labels name, or that a selector is for; empty if they name none.
func ComponentOf(labels map[string]string) Component { return Component(labels[labelComponent]) }

// ServingSelector returns the labels of pods that v1alpha1.LabelServing has put in service, whatever their component.
func (o Owner) ServingSelector() map[string]string {
	selector := o.All()
	selector[v1alpha1.LabelServing] = Serving
	return selector
}

// IsManaged reports whether the operator made an object.
func IsManaged(object client.Object) bool { return object.GetLabels()[LabelManagedBy] == ManagedBy }

// ByMicroservice selects every object of a Microservice, whatever its namespace.
func ByMicroservice(key types.NamespacedName) client.MatchingLabels {
	return client.MatchingLabels{
		LabelManagedBy:                      ManagedBy,
		v1alpha1.LabelMicroservice:          key.Name,
		v1alpha1.LabelMicroserviceNamespace: key.Namespace,
	}
}

// ConsentLabel returns the key of the label by which a namespace consents to hold an environment of the Microservice.
// If namespace and name together do not fit into a label's key, problem says so and what to do.
func ConsentLabel(key types.NamespacedName) (label, problem string) {
	label = v1alpha1.ConsentPrefix + key.Namespace + "." + key.Name
	if problems := validation.IsQualifiedName(label); len(problems) > 0 {
		return "", fmt.Sprintf("the label %s is not possible: %s; choose a shorter name or namespace", label, strings.Join(problems, "; "))
	}
	return label, ""
}
