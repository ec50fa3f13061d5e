package microservice

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/telemetry"
	"github.com/mirubato/mirubato/controllers/verb"
)

// record writes down, in each release that has changed, what the plans say of it. It comes before the Microservice's status:
// what was done must be known before it is told.
func (r *Reconciler) record(ctx context.Context, seen *observed) error {
	last, previous := seen.last()
	for i := range seen.releases {
		rel := &seen.releases[i]
		after := statusOf(rel, *seen)
		if equal(rel.Status, after) {
			continue
		}
		before := rel.DeepCopy()
		rel.Status = after
		seen.moved = true
		// Against the version that was read: a plan made from an older record must not be written down.
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		err := r.Client.Status().Patch(ctx, rel, patch)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("writing the status of release %s: %w", rel.Name, err)
		}
		if err == nil {
			if seen.target != nil && rel.Name == seen.target.Name {
				r.records.remember(client.ObjectKey{Namespace: rel.Namespace, Name: rel.Spec.Microservice}, rel)
			}
			r.Telemetry.ReleaseWritten(telemetry.Written{Release: rel, Before: before.Status, Last: last, Previous: previous})
		}
	}
	return nil
}

// last names the last environment and the number of the release that it has verified last, 0 if there is none.
func (o *observed) last() (environment string, number int64) {
	if len(o.stations) == 0 {
		return "", 0
	}
	environment = o.stations[len(o.stations)-1].name()
	if verified := verifiedLast(o.releases, environment); verified != nil {
		number = verified.Spec.Number
	}
	return environment, number
}

// statusOf is the status of a release after a pass.
func statusOf(rel *v1alpha1.Release, seen observed) v1alpha1.ReleaseStatus {
	out := *rel.Status.DeepCopy()
	if seen.target != nil && rel.Name == seen.target.Name && seen.orders.has(verb.Retry, "") {
		out.Rejection = nil
	}
	out.Active = seen.target != nil && rel.Name == seen.target.Name
	planned := map[string]bool{}
	for _, s := range seen.stations {
		if s.target.Name != rel.Name {
			continue
		}
		planned[s.name()] = true
		set(&out, s.plan.Record)
		if s.plan.Rejection != nil {
			out.Rejection = s.plan.Rejection
		}
	}
	for i := range out.Environments {
		if e := &out.Environments[i]; !planned[e.Name] && !isEnd(e.Step) {
			e.Step = v1alpha1.StepSuperseded
		}
	}
	out.Summary = releaseSummary(&out)
	return out
}

func set(status *v1alpha1.ReleaseStatus, record v1alpha1.ReleaseEnvironmentStatus) {
	i := slices.IndexFunc(status.Environments, func(e v1alpha1.ReleaseEnvironmentStatus) bool { return e.Name == record.Name })
	if i < 0 {
		status.Environments = append(status.Environments, record)
		return
	}
	status.Environments[i] = record
}

// isEnd reports whether nothing more comes after a step.
func isEnd(step v1alpha1.Step) bool {
	return step == v1alpha1.StepVerified || step == v1alpha1.StepRejected || step == v1alpha1.StepSuperseded
}

func releaseSummary(status *v1alpha1.ReleaseStatus) string {
	var parts []string
	for _, e := range status.Environments {
		part := e.Name + " " + words[e.Step]
		if weight := weightOf(e.Step, e.Weight); weight > 0 {
			part += fmt.Sprintf(" %d%%", weight)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
