package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/steering"
)

// List shows many Microservices, a line each. With namespaces it names those, with wide it tells more.
func List(list []v1alpha1.Microservice, namespaces, wide bool, now time.Time) string {
	header := []string{"NAME", "READY", "SUMMARY", "WAITING FOR", "AGE"}
	if namespaces {
		header = append([]string{"NAMESPACE"}, header...)
	}
	if wide {
		header = append(header, "RELEASE", "IMAGE")
	}
	t := newTable(header...)
	for i := range list {
		ms := &list[i]
		row := []string{ms.Name, ready(ms), ms.Status.Summary, waits(ms), age(ms.CreationTimestamp.Time, now)}
		if namespaces {
			row = append([]string{ms.Namespace}, row...)
		}
		if wide {
			row = append(row, ms.Status.Release, ms.Spec.Image)
		}
		t.row(row...)
	}
	return t.String()
}

func ready(ms *v1alpha1.Microservice) string {
	if condition := meta.FindStatusCondition(ms.Status.Conditions, v1alpha1.ConditionReady); condition != nil {
		return string(condition.Status)
	}
	return "Unknown"
}

// waits are the things that environments wait for, each once.
func waits(ms *v1alpha1.Microservice) string {
	var types []string
	for _, e := range ms.Status.Environments {
		if e.WaitingFor != nil && !slices.Contains(types, string(e.WaitingFor.Type)) {
			types = append(types, string(e.WaitingFor.Type))
		}
	}
	return strings.Join(types, ", ")
}

// Status shows one Microservice: its environments, how far each is, and what it waits for. releases may be any of its own; those
// that are missing are shown by their names alone.
func Status(ms *v1alpha1.Microservice, releases []v1alpha1.Release, wide bool, now time.Time) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s in %s, %s\n", ms.Name, ms.Namespace, Standing(ms))
	if target := steering.Find(releases, ms.Status.Release); target != nil {
		fmt.Fprintf(&out, "Release %s of %s, cut %s ago%s\n", target.Name, target.Spec.Version, age(target.CreationTimestamp.Time, now), by(target))
		if r := target.Status.Rejection; r != nil {
			fmt.Fprintf(&out, "REJECTED in %s at %s, %s ago: %s\n", r.Environment, r.Step, age(r.Time.Time, now), r.Message)
		}
	}
	out.WriteString("\n")
	out.WriteString(environments(ms, releases, wide))
	for _, e := range ms.Status.Environments {
		out.WriteString(reason(ms, e, now))
	}
	if len(ms.Status.Environments) == 0 {
		out.WriteString("\nThe operator has told nothing of the environments yet. If that lasts, look at its pods: kubectl get pods -n mirubato-system\n")
	}
	return out.String()
}

func by(release *v1alpha1.Release) string {
	if release.Spec.Author == "" {
		return ""
	}
	return " by " + release.Spec.Author
}

// Standing says in a few words how a Microservice stands.
func Standing(ms *v1alpha1.Microservice) string {
	is := func(name string) bool { return meta.IsStatusConditionTrue(ms.Status.Conditions, name) }
	switch {
	case !ms.DeletionTimestamp.IsZero():
		return "being removed"
	case ms.Status.ObservedGeneration != ms.Generation:
		return "not yet seen by the operator as it is now"
	case ms.Spec.Paused:
		return "paused"
	case is(v1alpha1.ConditionReady):
		return "ready"
	case is(v1alpha1.ConditionStalled):
		return "stalled: nothing moves until a person acts"
	case is(v1alpha1.ConditionReconciling):
		return "on its way"
	}
	return "unknown"
}

func environments(ms *v1alpha1.Microservice, releases []v1alpha1.Release, wide bool) string {
	header := []string{"ENVIRONMENT", "STEP", "RUNS", "TARGET", "PODS", "SETTINGS", "SCHEMA"}
	if wide {
		header = append(header, "NAMESPACE", "VERIFIED", "X-RELEASE", "IMAGE")
	}
	t := newTable(header...)
	for i := range ms.Status.Environments {
		e := &ms.Status.Environments[i]
		row := []string{e.Name, step(ms, e, releases), named(releases, e.Release), named(releases, e.Target), pods(e), acknowledged(e), schema(e)}
		if wide {
			row = append(row, e.Namespace, e.Verified, e.Version, e.Image)
		}
		t.row(row...)
	}
	return t.String()
}

// step tells the step, and of a canary how much of it is done.
func step(ms *v1alpha1.Microservice, e *v1alpha1.EnvironmentStatus, releases []v1alpha1.Release) string {
	out := string(e.Step)
	if e.Weight > 0 {
		out += fmt.Sprintf(" %d%%", e.Weight)
	}
	if steps := stepsOf(ms, e.Name); e.Step == v1alpha1.StepCanary && steps > 0 {
		if evidence := Evidence(steering.Find(releases, e.Target), e.Name); evidence != nil {
			out += fmt.Sprintf(" (%d of %d)", min(int(evidence.StepIndex)+1, steps), steps)
		}
	}
	if e.Held != nil {
		out += ", held at " + e.Held.Release
	}
	return out
}

func stepsOf(ms *v1alpha1.Microservice, environment string) int {
	for _, e := range ms.Spec.Environments {
		if e.Name == environment && e.Rollout != nil {
			return len(e.Rollout.Steps)
		}
	}
	return 0
}

// Evidence is what a release has kept of an environment, or nil.
func Evidence(release *v1alpha1.Release, environment string) *v1alpha1.ReleaseEnvironmentStatus {
	if release == nil {
		return nil
	}
	for i := range release.Status.Environments {
		if release.Status.Environments[i].Name == environment {
			return &release.Status.Environments[i]
		}
	}
	return nil
}

func named(releases []v1alpha1.Release, name string) string {
	if release := steering.Find(releases, name); release != nil {
		return fmt.Sprintf("%s (%s)", name, release.Spec.Version)
	}
	return name
}

func pods(e *v1alpha1.EnvironmentStatus) string {
	return fmt.Sprintf("%d/%d", e.ReadyReplicas, e.Replicas)
}

func acknowledged(e *v1alpha1.EnvironmentStatus) string {
	if e.Settings == nil {
		return ""
	}
	out := fmt.Sprintf("%d on %d/%d", e.Settings.Generation, e.Settings.Acknowledged, e.Settings.Pods)
	if refused := len(e.Settings.Rejected); refused > 0 {
		out += fmt.Sprintf(", refused by %d", refused)
	}
	return out
}

func schema(e *v1alpha1.EnvironmentStatus) string {
	if e.SchemaVersion == nil {
		return ""
	}
	return fmt.Sprint(*e.SchemaVersion)
}

// reason says what an environment waits for, since when, until when, and how a person ends it.
func reason(ms *v1alpha1.Microservice, e v1alpha1.EnvironmentStatus, now time.Time) string {
	if e.WaitingFor == nil {
		return ""
	}
	w := e.WaitingFor
	var out strings.Builder
	fmt.Fprintf(&out, "\n%s waits for %s, for %s: %s\n", e.Name, w.Type, age(w.Since.Time, now), w.Message)
	if w.Deadline != nil {
		fmt.Fprintf(&out, "  goes on by itself: %s\n", until(w.Deadline.Time, now))
	}
	if remedy := Remedy(ms, e); remedy != "" {
		fmt.Fprintf(&out, "  what you can do:   %s\n", remedy)
	}
	if e.Settings != nil {
		for _, rejection := range e.Settings.Rejected {
			fmt.Fprintf(&out, "  %s refuses its settings: %s\n", rejection.Pod, rejection.Reason)
		}
	}
	return out.String()
}

// Remedy is what a person can do about what an environment waits for; empty if nothing. An approval by hand is a manifest of many lines; here a command makes it.
func Remedy(ms *v1alpha1.Microservice, e v1alpha1.EnvironmentStatus) string {
	if e.WaitingFor.Type == v1alpha1.WaitApproval {
		return fmt.Sprintf("kubectl mirubato approve %s %s -n %s", ms.Name, e.Name, ms.Namespace)
	}
	return strings.ReplaceAll(e.WaitingFor.Unblock, "\n", "\n  ")
}

func until(deadline, now time.Time) string {
	stamp := deadline.UTC().Format(time.RFC3339)
	if left := deadline.Sub(now); left > 0 {
		return fmt.Sprintf("in %s, at %s", cmp.Or(age(now, deadline), "a moment"), stamp)
	}
	return "any moment, since " + stamp
}
