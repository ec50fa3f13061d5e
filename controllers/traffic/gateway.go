package traffic

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// verdicts are the conditions in which the controller of a Gateway says that requests follow the route: that it takes it,
// and that it has found the Services.
var verdicts = []string{"Accepted", "ResolvedRefs"}

// parentStatus is what the controller of one Gateway says about a route.
type parentStatus struct {
	ParentRef  parentReference    `json:"parentRef"`
	Conditions []metav1.Condition `json:"conditions"`
}

type parentReference struct {
	Kind        string `json:"kind"`
	Name        string `json:"name"`
	Namespace   string `json:"namespace"`
	SectionName string `json:"sectionName"`
}

// Waiting says why requests do not follow the live route yet; nil once every Gateway has taken it as it is now. live is nil
// if there is none.
func (r Route) Waiting(live *unstructured.Unstructured) *v1alpha1.WaitingFor {
	if live == nil {
		return waiting(fmt.Sprintf("HTTPRoute %s is not there yet", r.Owner.Microservice.Name), "")
	}
	parents := parentsOf(live)
	for _, reference := range r.Gateway.ParentRefs {
		namespace := cmp.Or(reference.Namespace, r.Namespace)
		gateway := fmt.Sprintf("Gateway %s/%s", namespace, reference.Name)
		if reference.SectionName != "" {
			gateway += ", listener " + reference.SectionName + ","
		}
		answered := false
		for _, parent := range parents {
			ref := parent.ParentRef
			if cmp.Or(ref.Kind, "Gateway") != "Gateway" || ref.Name != reference.Name ||
				cmp.Or(ref.Namespace, r.Namespace) != namespace || ref.SectionName != reference.SectionName {
				continue
			}
			answered = true
			if waiting := judge(parent.Conditions, live.GetGeneration(), gateway, namespace, reference.Name); waiting != nil {
				return waiting
			}
		}
		if !answered {
			return waiting(gateway+" has not answered to the HTTPRoute", see(namespace, reference.Name))
		}
	}
	return nil
}

// Behind reports whether a controller has taken an earlier form of the route and not read the present one: its requests still
// go as they went. One that has never taken it sends none.
func Behind(live *unstructured.Unstructured) bool {
	if live == nil {
		return false
	}
	for _, parent := range parentsOf(live) {
		for _, condition := range parent.Conditions {
			if condition.Type == verdicts[0] && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration < live.GetGeneration() {
				return true
			}
		}
	}
	return false
}

func parentsOf(live *unstructured.Unstructured) []parentStatus {
	var route struct {
		Status struct {
			Parents []parentStatus `json:"parents"`
		} `json:"status"`
	}
	decode(live, &route)
	return route.Status.Parents
}

// judge looks at what one controller says.
func judge(conditions []metav1.Condition, generation int64, gateway, namespace, name string) *v1alpha1.WaitingFor {
	for _, verdict := range verdicts {
		condition := meta.FindStatusCondition(conditions, verdict)
		switch {
		case condition == nil, condition.ObservedGeneration < generation:
			return waiting(gateway+" has not read the present HTTPRoute", "")
		case condition.Status != metav1.ConditionTrue:
			message := fmt.Sprintf("%s does not send requests here (%s): %s", gateway, condition.Reason, condition.Message)
			return waiting(message, see(namespace, name))
		}
	}
	return nil
}

func see(namespace, name string) string {
	return fmt.Sprintf("correct spec.traffic.gateway, or the Gateway: kubectl describe gateway --namespace %s %s", namespace, name)
}

// Refusal returns what a person has to mend if reading or writing an HTTPRoute has led to an error; nil for errors that time
// may mend.
func Refusal(err error) *v1alpha1.WaitingFor {
	switch {
	case meta.IsNoMatchError(err), isUnknown(err):
		return waiting(
			fmt.Sprintf("the cluster does not know %s of %s", HTTPRoute.Kind, HTTPRoute.GroupVersion()),
			"install the CRDs of the Gateway API and a gateway that implements it, or remove spec.traffic.gateway")
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err):
		var status apierrors.APIStatus
		if errors.As(err, &status) {
			return waiting("the API server refuses the HTTPRoute: "+status.Status().Message, "correct spec.traffic.gateway, or the rights of the operator")
		}
	}
	return nil
}

// isUnknown reports an answer of the API server that it does not serve the resource: one without a body of its own, unlike
// that about a missing object or namespace.
func isUnknown(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// maxMessage bounds what is quoted of others, in bytes.
const maxMessage = 400

func waiting(message, unblock string) *v1alpha1.WaitingFor {
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return &v1alpha1.WaitingFor{Type: v1alpha1.WaitGateway, Message: message, Unblock: unblock}
}

// decode reads fields of an object that others may have written in any form; false if they are not of the kind expected.
func decode(live *unstructured.Unstructured, into any) bool {
	encoded, err := json.Marshal(live.Object)
	return err == nil && json.Unmarshal(encoded, into) == nil
}
