package environment

import (
	"fmt"
	"strings"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// obstacles are what a person has to mend before anything can be written, in the order in which they are looked at.
var obstacles = []func(Place, Facts) *v1alpha1.WaitingFor{
	namespaceExists,
	namespaceIsInside,
	namespaceConsents,
	namesAreFree,
	secretsExist,
}

// Blocked returns the first thing that a person has to mend before anything can be written to the environment, or nil.
func Blocked(place Place, facts Facts) *v1alpha1.WaitingFor {
	for _, obstacle := range obstacles {
		if waiting := obstacle(place, facts); waiting != nil {
			return waiting
		}
	}
	return nil
}

func namespaceExists(place Place, facts Facts) *v1alpha1.WaitingFor {
	waiting := &v1alpha1.WaitingFor{Type: v1alpha1.WaitNamespace}
	switch {
	case !facts.Namespace.Exists:
		waiting.Message = fmt.Sprintf("namespace %s does not exist", place.Namespace)
		waiting.Unblock = "create it and label it: kubectl create namespace " + place.Namespace
	case facts.Namespace.Terminating:
		waiting.Message = fmt.Sprintf("namespace %s is being deleted", place.Namespace)
		waiting.Unblock = "wait until it is gone and create it again, or take the environment out of spec.environments"
	default:
		return nil
	}
	return waiting
}

func namespaceIsInside(place Place, facts Facts) *v1alpha1.WaitingFor {
	if !facts.Namespace.Outside {
		return nil
	}
	return Outside(place.Namespace)
}

// Outside is what everything in a namespace waits for that the operator is not there for.
func Outside(namespace string) *v1alpha1.WaitingFor {
	return &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitNamespace,
		Message: fmt.Sprintf("namespace %s is not one of those that this operator is limited to", namespace),
		Unblock: "add it to the operator's --namespaces, which its chart calls namespaces and gives the rights for",
	}
}

func namespaceConsents(place Place, facts Facts) *v1alpha1.WaitingFor {
	if facts.Namespace.Consents {
		return nil
	}
	label := facts.Namespace.ConsentLabel + "=" + v1alpha1.ConsentValue
	return &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitConsent,
		Message: fmt.Sprintf("namespace %s does not consent: it has no label %s", place.Namespace, label),
		Unblock: fmt.Sprintf("kubectl label namespace %s %s", place.Namespace, label),
	}
}

func namesAreFree(place Place, facts Facts) *v1alpha1.WaitingFor {
	if len(facts.Foreign) == 0 {
		return nil
	}
	key := facts.Foreign[0]
	return &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitNameConflict,
		Message: fmt.Sprintf("%s %s exists in namespace %s and was not made for this Microservice", key.Kind, key.Name, place.Namespace),
		Unblock: fmt.Sprintf("remove it (kubectl delete %s --namespace %s %s), or use another namespace", strings.ToLower(key.Kind), place.Namespace, key.Name),
	}
}

func secretsExist(place Place, facts Facts) *v1alpha1.WaitingFor {
	if len(facts.MissingSecrets) == 0 {
		return nil
	}
	missing := facts.MissingSecrets[0]
	waiting := &v1alpha1.WaitingFor{Type: v1alpha1.WaitSecret}
	if missing.Exists {
		waiting.Message = fmt.Sprintf("Secret %s in namespace %s has no value for key %s (%s)", missing.Name, place.Namespace, missing.Key, missing.Field)
		waiting.Unblock = fmt.Sprintf("add key %s to the Secret, or name another key in %s.key", missing.Key, missing.Field)
		return waiting
	}
	waiting.Message = fmt.Sprintf("Secret %s does not exist in namespace %s (%s)", missing.Name, place.Namespace, missing.Field)
	waiting.Unblock = fmt.Sprintf("create it with key %s", missing.Key)
	return waiting
}
