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
	"github.com/mirubato/mirubato/controllers/release"
)

// setStatus says what was observed. An observation that failed leaves the environments as they were last seen.
func setStatus(ms *v1alpha1.Microservice, seen observed, now time.Time) {
	status := &ms.Status
	status.ObservedGeneration = ms.Generation
	if seen.target != nil {
		status.Release = seen.target.Name
		status.Environments = environmentStatuses(status.Environments, seen, now)
	}
	if seen.sites.own != nil {
		seen.sites.setClusters(ms, seen.orders)
	}
	status.Summary = summary(ms, seen)
	setConditions(ms, seen)
}

func equal[T any](a, b T) bool { return equality.Semantic.DeepEqual(a, b) }

func environmentStatuses(before []v1alpha1.EnvironmentStatus, seen observed, now time.Time) []v1alpha1.EnvironmentStatus {
	out := make([]v1alpha1.EnvironmentStatus, 0, len(seen.stations))
	for _, s := range seen.stations {
		var last v1alpha1.EnvironmentStatus
		if i := slices.IndexFunc(before, func(e v1alpha1.EnvironmentStatus) bool {
			return e.Name == s.name() && e.Namespace == s.place.Namespace
		}); i >= 0 {
			last = before[i]
		}
		out = append(out, environmentStatus(last, s, seen, now))
	}
	return out
}

func environmentStatus(last v1alpha1.EnvironmentStatus, s *station, seen observed, now time.Time) v1alpha1.EnvironmentStatus {
	if s.away != nil {
		return awayStatus(last, s, now)
	}
	out := v1alpha1.EnvironmentStatus{
		Name:      s.name(),
		Namespace: s.place.Namespace,
		Target:    s.target.Name,
		Step:      s.plan.Step,
		Weight:    weightOf(s.plan.Step, s.plan.Record.Weight),
		Effect:    effectOf(s.plan.Step, s.input.Target, s.input.Facts),
		Release:   last.Release,
		Version:   last.Version,
		Image:     last.Image,
		Held:      s.held,
		PlanHash:  s.input.Facts.PlanHash,
		// The pod that told the version may be gone since.
		SchemaVersion: cmp.Or(s.plan.Record.SchemaVersion, last.SchemaVersion),
		SchemaFloor:   schemaFloor(s.plan.Record.Database, last.SchemaFloor),
		Settings:      s.delivery.status(),
		WaitingFor:    waitingFor(last.WaitingFor, s.plan.Waiting, now),
	}
	if verified := verifiedLast(seen.releases, s.name()); verified != nil {
		out.Verified = verified.Name
	}
	if live := s.facts.Deployment(s.place.Name()); live != nil {
		out.Replicas, out.ReadyReplicas = *cmp.Or(live.Spec.Replicas, new(int32(1))), live.Status.ReadyReplicas
		if environment.Complete(live) {
			setRunning(&out, s, live)
		}
	}
	return out
}

// effectOf is what has yet to happen to the stable pods for a target: the most that it takes.
func effectOf(step v1alpha1.Step, target release.Candidate, facts release.Facts) v1alpha1.Effect {
	switch {
	case step == v1alpha1.StepVerified || step == v1alpha1.StepRejected || step == v1alpha1.StepSuperseded:
		return ""
	case !facts.Migration.Done:
		return v1alpha1.EffectMigrate
	case facts.Stable.Content != target.Content:
		return v1alpha1.EffectRestart
	case facts.Stable.Settings != target.Settings:
		return v1alpha1.EffectLive
	}
	return ""
}

// awayStatus is what was last seen of an environment, and what was decided since.
func awayStatus(last v1alpha1.EnvironmentStatus, s *station, now time.Time) v1alpha1.EnvironmentStatus {
	out := last
	out.Name, out.Namespace, out.Target, out.Step, out.Held = s.name(), s.place.Namespace, s.target.Name, s.plan.Step, s.held
	out.Weight = weightOf(s.plan.Step, s.plan.Record.Weight)
	out.WaitingFor = waitingFor(last.WaitingFor, s.plan.Waiting, now)
	return out
}

func setRunning(out *v1alpha1.EnvironmentStatus, s *station, live *appsv1.Deployment) {
	out.Release = live.Annotations[v1alpha1.AnnotationRelease]
	out.Image = live.Spec.Template.Spec.Containers[0].Image
	if children, ok := s.children[out.Release]; ok {
		out.Version = children.Version
	}
}

// weightOf shows a weight only while there is something beside the stable pods.
func weightOf(step v1alpha1.Step, weight int32) int32 {
	if step == v1alpha1.StepCanary || step == v1alpha1.StepPromote {
		return weight
	}
	return 0
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
	v1alpha1.StepCheck:    "checking",
	v1alpha1.StepBackUp:   "backing up",
	v1alpha1.StepRehearse: "rehearsing",
	v1alpha1.StepExpand:   "migrating",
	v1alpha1.StepCanary:   "canary",
	v1alpha1.StepPromote:  "rolling out",
	v1alpha1.StepSoak:     "soaking",
	v1alpha1.StepVerified: "verified",
	v1alpha1.StepRollBack: "rolling back",
	v1alpha1.StepRejected: "rejected",
	// Of the environments of a release that is no longer asked for.
	v1alpha1.StepSuperseded: "superseded",
}

func summary(ms *v1alpha1.Microservice, seen observed) string {
	switch {
	case !ms.DeletionTimestamp.IsZero():
		return "being removed"
	case seen.nameTooLong != "":
		return seen.nameTooLong
	case len(ms.Status.Environments) == 0:
		return versionOf(ms.Spec.Image) + ": waiting"
	}
	var parts []string
	for _, e := range ms.Status.Environments {
		parts = append(parts, e.Name+" "+word(&e))
	}
	version := versionOf(ms.Spec.Image)
	if seen.registry != nil {
		version += " (waiting for " + string(seen.registry.Type) + ")"
	}
	if ms.Spec.Paused {
		version += " (paused)"
	}
	return version + ": " + strings.Join(parts, ", ")
}

func word(e *v1alpha1.EnvironmentStatus) string {
	out := words[e.Step]
	switch {
	case e.WaitingFor != nil && !isOrdinary(e.WaitingFor.Type) && e.WaitingFor.Type != v1alpha1.WaitRejected:
		out = fmt.Sprintf("%s for %s", words[v1alpha1.StepAdmit], e.WaitingFor.Type)
	case e.Weight > 0:
		out = fmt.Sprintf("%s %d%%", out, e.Weight)
	}
	if e.Held != nil {
		out += ", held at " + e.Held.Release
	}
	return out
}

// ordinary is what passes by itself; anything else somebody has to mend or to decide.
var ordinary = []v1alpha1.WaitType{
	v1alpha1.WaitPreviousEnvironment, v1alpha1.WaitBackup, v1alpha1.WaitContract, v1alpha1.WaitMigration, v1alpha1.WaitPods, v1alpha1.WaitBudget, v1alpha1.WaitWindow,
	v1alpha1.WaitStep, v1alpha1.WaitSmokeTest, v1alpha1.WaitAnalysis, v1alpha1.WaitSoak,
}

func isOrdinary(waiting v1alpha1.WaitType) bool { return slices.Contains(ordinary, waiting) }

func setConditions(ms *v1alpha1.Microservice, seen observed) {
	ready, reconciling, stalled := conditions(ms, seen)
	for _, condition := range []metav1.Condition{ready, reconciling, stalled} {
		condition.ObservedGeneration = ms.Generation
		meta.SetStatusCondition(&ms.Status.Conditions, condition)
	}
	if seen.sites.own == nil {
		return // nothing was found out about clusters
	}
	reachable := clustersCondition(ms, seen)
	if reachable == nil {
		meta.RemoveStatusCondition(&ms.Status.Conditions, v1alpha1.ConditionClusterReachable)
		return
	}
	reachable.ObservedGeneration = ms.Generation
	meta.SetStatusCondition(&ms.Status.Conditions, *reachable)
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
	return seen.nameTooLong != "" || slices.ContainsFunc(seen.stations, func(s *station) bool { return s.plan.Stalled })
}

// deleting says what is left, and how to give up what cannot be removed.
func deleting(ms *v1alpha1.Microservice, seen observed) string {
	if seen.sites.own != nil {
		for _, away := range seen.sites.missing(ms) {
			return fmt.Sprintf("what it has in another cluster cannot be removed: %s; if that does not come back: kubectl annotate microservice %s --namespace %s --overwrite %s=SECRET/$(date +%%s)",
				away.Message, ms.Name, ms.Namespace, v1alpha1.VerbForget)
		}
	}
	return "the objects of its environments are being removed"
}

// blocker names what keeps the Microservice from being ready: the first environment that needs somebody's help, else the
// first that is not verified.
func blocker(ms *v1alpha1.Microservice, seen observed) (reason, message string) {
	switch {
	case !ms.DeletionTimestamp.IsZero():
		return v1alpha1.ReasonDeleting, deleting(ms, seen)
	case seen.nameTooLong != "":
		return v1alpha1.ReasonNameTooLong, seen.nameTooLong
	case seen.registry != nil:
		return string(seen.registry.Type), strings.TrimSuffix(seen.registry.Message+"; "+seen.registry.Unblock, "; ")
	case len(ms.Status.Environments) == 0:
		return v1alpha1.ReasonProgressing, "the environments have not been observed yet"
	}
	for _, e := range ms.Status.Environments {
		waiting := e.WaitingFor
		if waiting == nil || waiting.Type == v1alpha1.WaitContract {
			continue // what is verified is ready, whatever is removed later
		}
		if reason == "" || !isOrdinary(waiting.Type) && isOrdinary(v1alpha1.WaitType(reason)) {
			reason, message = string(waiting.Type), e.Name+": "+waiting.Message
		}
	}
	return reason, message
}
