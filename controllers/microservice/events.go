package microservice

import (
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// transition is one change of an environment that is worth an event.
type transition struct {
	environment, kind, reason, message string
}

// action is what the operator does when it reports; events.k8s.io asks for one.
const action = "Reconcile"

// maxNote is how many bytes the API server takes for the text of an event. It refuses an event with more.
const maxNote = 1024

// report sends an event for each change between two statuses, after the newer one was written.
func (r *Reconciler) report(before, after *v1alpha1.Microservice) {
	for _, t := range transitions(&before.Status, &after.Status) {
		r.event(after, partOf(t.environment), t.kind, t.reason, t.message)
	}
}

// event tells of a part of a Microservice, named as a field. Two events of one reason about one version of an object count as
// one that has happened twice, and the text of the second is lost: the part keeps those of different environments apart.
func (r *Reconciler) event(ms *v1alpha1.Microservice, part, kind, reason, message string) {
	about := &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "Microservice",
		Namespace: ms.Namespace, Name: ms.Name, UID: ms.UID, ResourceVersion: ms.ResourceVersion, FieldPath: part,
	}
	r.Events.Eventf(about, nil, kind, reason, action, "%s", note(message))
}

// partOf is how an environment is named in an event, as the kubelet names containers.
func partOf(environment string) string { return "spec.environments{" + environment + "}" }

// note is a text cut to maxNote.
func note(message string) string {
	const more = "..."
	if len(message) <= maxNote {
		return message
	}
	cut := message[:maxNote-len(more)]
	for len(cut) > 0 && !utf8.RuneStart(message[len(cut)]) {
		cut = cut[:len(cut)-1]
	}
	return strings.TrimSpace(cut) + more
}

// transitions lists what changed: a new step of an environment, or a new thing that somebody has to mend.
func transitions(before, after *v1alpha1.MicroserviceStatus) []transition {
	var out []transition
	for _, e := range after.Environments {
		var last v1alpha1.EnvironmentStatus
		if i := slices.IndexFunc(before.Environments, func(s v1alpha1.EnvironmentStatus) bool { return s.Name == e.Name }); i >= 0 {
			last = before.Environments[i]
		}
		if (last.Step != e.Step || last.Target != e.Target) && e.Step != v1alpha1.StepAdmit {
			out = append(out, transition{e.Name, kindOf(e.Step), string(e.Step), e.Name + " is " + words[e.Step] + " (" + e.Target + ")"})
		}
		if blocked(e.WaitingFor) && !(blocked(last.WaitingFor) && last.WaitingFor.Message == e.WaitingFor.Message) {
			out = append(out, transition{e.Name, corev1.EventTypeWarning, "WaitingFor" + string(e.WaitingFor.Type), e.Name + ": " + e.WaitingFor.Message})
		}
	}
	return out
}

// kindOf tells steps on the way from those back.
func kindOf(step v1alpha1.Step) string {
	if step == v1alpha1.StepRollBack || step == v1alpha1.StepRejected {
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}

// blocked reports whether a wait will not pass by itself. A failed migration counts although a running one does not: it
// says what to do.
func blocked(waiting *v1alpha1.WaitingFor) bool {
	if waiting == nil {
		return false
	}
	// A Gateway that has yet to read a weight passes by itself.
	return waiting.Unblock != "" || !isOrdinary(waiting.Type) && waiting.Type != v1alpha1.WaitGateway
}
