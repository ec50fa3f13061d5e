package microservice

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/environment"
)

// setStatus says what was observed. An observation that failed leaves the environments as they were last seen.
func setStatus(ms *v1alpha1.Microservice, seen observed, now time.Time) {
	status := &ms.Status
	status.ObservedGeneration = ms.Generation
	status.Release = environment.ReleaseName(ms.Spec.Image)
	if len(seen.environments) > 0 {
		status.Environments = environmentStatuses(status.Environments, seen.environments, now)
	}
	status.Summary = summary(ms, seen)
	setConditions(ms, seen)
}

func statusEqual(a, b *v1alpha1.MicroserviceStatus) bool {
	return equality.Semantic.DeepEqual(a, b)
}

func environmentStatuses(before []v1alpha1.EnvironmentStatus, seen []observedEnvironment, now time.Time) []v1alpha1.EnvironmentStatus {
	out := make([]v1alpha1.EnvironmentStatus, 0, len(seen))
	for _, e := range seen {
		var last v1alpha1.EnvironmentStatus
		if i := slices.IndexFunc(before, func(s v1alpha1.EnvironmentStatus) bool {
			return s.Name == e.name && s.Namespace == e.input.Place.Namespace
		}); i >= 0 {
			last = before[i]
		}
		out = append(out, environmentStatus(last, e, now))
	}
	return out
}

func environmentStatus(last v1alpha1.EnvironmentStatus, e observedEnvironment, now time.Time) v1alpha1.EnvironmentStatus {
	out := v1alpha1.EnvironmentStatus{
		Name:      e.name,
		Namespace: e.input.Place.Namespace,
		Step:      e.decision.Step,
		Release:   last.Release,
		Image:     last.Image,
		// The pod that told the version may be gone since.
		SchemaVersion: cmp.Or(e.decision.SchemaVersion, last.SchemaVersion),
		Replicas:      e.input.Content.Replicas,
		WaitingFor:    waitingFor(last.WaitingFor, e.decision.Waiting, now),
	}
	key := environment.ObjectKey{Kind: "Deployment", Name: e.input.Place.Owner.Microservice.Name}
	if live, ok := e.input.Facts.Live[key].(*appsv1.Deployment); ok {
		out.ReadyReplicas = live.Status.ReadyReplicas
		if environment.Complete(live) {
			out.Release = live.Annotations[v1alpha1.AnnotationRelease]
			out.Image = live.Spec.Template.Spec.Containers[0].Image
		}
	}
	return out
}

// waitingFor keeps the time since when the same thing has been waited for.
func waitingFor(last, waiting *v1alpha1.WaitingFor, now time.Time) *v1alpha1.WaitingFor {
	if waiting == nil {
		return nil
	}
	out := waiting.DeepCopy()
	// Statuses keep whole seconds; anything finer would look like a change after each reading.
	out.Since = metav1.NewTime(now.Truncate(time.Second))
	if last != nil && last.Type == waiting.Type && last.Message == waiting.Message {
		out.Since = last.Since
	}
	return out
}

// words tell a step in the summary.
var words = map[v1alpha1.Step]string{
	v1alpha1.StepAdmit:    "waiting",
	v1alpha1.StepExpand:   "migrating",
	v1alpha1.StepPromote:  "rolling out",
	v1alpha1.StepVerified: "verified",
}

func summary(ms *v1alpha1.Microservice, seen observed) string {
	switch {
	case !ms.DeletionTimestamp.IsZero():
		return "being removed"
	case seen.nameTooLong != "":
		return seen.nameTooLong
	}
	var parts []string
	for _, e := range ms.Status.Environments {
		word := words[e.Step]
		if e.WaitingFor != nil && !isOrdinary(e.WaitingFor.Type) {
			word = fmt.Sprintf("%s for %s", words[v1alpha1.StepAdmit], e.WaitingFor.Type)
		}
		parts = append(parts, e.Name+" "+word)
	}
	version := ms.Status.Release
	if i := strings.LastIndexByte(version, '-'); i > 0 && !strings.HasPrefix(version, "sha256-") {
		version = version[:i]
	}
	return version + ": " + strings.Join(parts, ", ")
}

// isOrdinary tells what passes by itself from what somebody has to mend.
func isOrdinary(waiting v1alpha1.WaitType) bool {
	return waiting == v1alpha1.WaitPreviousEnvironment || waiting == v1alpha1.WaitMigration || waiting == v1alpha1.WaitPods
}

func setConditions(ms *v1alpha1.Microservice, seen observed) {
	ready, reconciling, stalled := conditions(ms, seen)
	for _, condition := range []metav1.Condition{ready, reconciling, stalled} {
		condition.ObservedGeneration = ms.Generation
		meta.SetStatusCondition(&ms.Status.Conditions, condition)
	}
}

// conditions derives the three from the environments: Ready last, from what the other two say.
func conditions(ms *v1alpha1.Microservice, seen observed) (ready, reconciling, stalled metav1.Condition) {
	ready = metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonVerified, Message: "every environment has verified the release"}
	reconciling = metav1.Condition{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonVerified, Message: ready.Message}
	stalled = metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonProgressing, Message: "nothing is stuck"}
	reason, message := blocker(ms, seen)
	if reason == "" {
		stalled.Reason = v1alpha1.ReasonVerified
		return ready, reconciling, stalled
	}
	ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, reason, message
	if isStalled(seen) {
		stalled.Status, stalled.Reason, stalled.Message = metav1.ConditionTrue, reason, message
		reconciling.Reason, reconciling.Message = reason, message
		return ready, reconciling, stalled
	}
	reconciling.Status, reconciling.Reason, reconciling.Message = metav1.ConditionTrue, v1alpha1.ReasonProgressing, message
	return ready, reconciling, stalled
}

func isStalled(seen observed) bool {
	return seen.nameTooLong != "" || slices.ContainsFunc(seen.environments, func(e observedEnvironment) bool { return e.decision.Stalled })
}

// blocker names what keeps the Microservice from being ready: the first environment that needs somebody's help, else the
// first that is not verified.
func blocker(ms *v1alpha1.Microservice, seen observed) (reason, message string) {
	switch {
	case !ms.DeletionTimestamp.IsZero():
		return v1alpha1.ReasonDeleting, "the objects of its environments are being removed"
	case seen.nameTooLong != "":
		return v1alpha1.ReasonNameTooLong, seen.nameTooLong
	case len(ms.Status.Environments) == 0:
		return v1alpha1.ReasonProgressing, "the environments have not been observed yet"
	}
	for _, e := range ms.Status.Environments {
		waiting := e.WaitingFor
		if waiting == nil {
			continue
		}
		if reason == "" || !isOrdinary(waiting.Type) && isOrdinary(v1alpha1.WaitType(reason)) {
			reason, message = string(waiting.Type), e.Name+": "+waiting.Message
		}
	}
	return reason, message
}
