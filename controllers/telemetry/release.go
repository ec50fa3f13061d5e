package telemetry

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Written is a status of a Release that was stored.
type Written struct {
	// Release has the status that was stored; Before is the one that it replaced.
	Release *v1alpha1.Release
	Before  v1alpha1.ReleaseStatus
	// Last is the last environment of the Microservice, and Previous the number of the release that it had verified last before this
	// was stored; 0 for none.
	Last     string
	Previous int64
}

// ReleaseWritten counts, and sends as spans, what a stored status tells that the one before did not. It must be called once for each that was stored, by
// who stored it.
func (r *Recorder) ReleaseWritten(w Written) {
	if r == nil {
		return
	}
	for _, environment := range w.Release.Status.Environments {
		r.events.count(r.names.of(environment.Name), happenedIn(w, environment))
	}
	r.options.Tracer.send(w)
	d := deploymentOf(w)
	if d == nil {
		return
	}
	if d.lead != nil {
		r.events.lead.Observe(d.lead.Seconds())
	}
	if d.restore != nil {
		r.events.restore.Observe(d.restore.Seconds())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := types.NamespacedName{Namespace: w.Release.Namespace, Name: w.Release.Spec.Microservice}
	if r.figures[key] == nil {
		r.figures[key] = &figures{deployments: map[outcome]int{}}
	}
	r.figures[key].add(*d)
}

// happened is what a status tells of an environment that the one before did not.
type happened struct {
	// steps that were come to, and stays in those that were left.
	steps []v1alpha1.Step
	stays []stay
	// rejection is set if the release has just failed there.
	rejection *v1alpha1.Rejection
	// migrations are how long those took that were applied, by phase; backups those that were made.
	migrations map[string][]time.Duration
	backups    []time.Duration
}

type stay struct {
	step v1alpha1.Step
	from time.Time
	took time.Duration
}

func happenedIn(w Written, after v1alpha1.ReleaseEnvironmentStatus) happened {
	before := recordOf(w.Before, after.Name)
	out := happened{migrations: map[string][]time.Duration{}}
	out.steps, out.stays = stepsBetween(before, after)
	if w.Before.Rejection == nil && w.Release.Status.Rejection != nil && w.Release.Status.Rejection.Environment == after.Name {
		out.rejection = w.Release.Status.Rejection
	}
	if after.Database != nil {
		out.addDatabase(before.Database, after.Database)
	}
	return out
}

func recordOf(status v1alpha1.ReleaseStatus, environment string) v1alpha1.ReleaseEnvironmentStatus {
	i := slices.IndexFunc(status.Environments, func(e v1alpha1.ReleaseEnvironmentStatus) bool { return e.Name == environment })
	if i < 0 {
		return v1alpha1.ReleaseEnvironmentStatus{}
	}
	return status.Environments[i]
}

// stepsBetween tells which steps were come to, and how long those lasted that were left for them. A step that was left because
// another release was asked for has no end.
func stepsBetween(before, after v1alpha1.ReleaseEnvironmentStatus) (steps []v1alpha1.Step, stays []stay) {
	if after.Step == v1alpha1.StepSuperseded && before.Step != after.Step {
		return []v1alpha1.Step{after.Step}, nil
	}
	from := common(before.Steps, after.Steps)
	for i := from; i < len(after.Steps); i++ {
		steps = append(steps, after.Steps[i].Step)
		if i > 0 {
			left := after.Steps[i-1]
			stays = append(stays, stay{left.Step, left.Time.Time, atLeastZero(after.Steps[i].Time.Sub(left.Time.Time))})
		}
	}
	return steps, stays
}

// common is how many of the later steps the earlier list has already. The later one may have lost its beginning, and after a
// retry it has nothing of the earlier one.
func common(before, after []v1alpha1.StepTime) int {
	if len(before) == 0 {
		return 0
	}
	last := before[len(before)-1]
	for i := len(after) - 1; i >= 0; i-- {
		if after[i].Step == last.Step && after[i].Time.Equal(&last.Time) {
			return i + 1
		}
	}
	return 0
}

func (h *happened) addDatabase(before, after *v1alpha1.DatabaseEvidence) {
	if before == nil {
		before = &v1alpha1.DatabaseEvidence{}
	}
	for _, applied := range after.Applied {
		if !slices.ContainsFunc(before.Applied, func(a v1alpha1.AppliedMigration) bool { return a.Version == applied.Version }) {
			h.migrations[phaseExpand] = append(h.migrations[phaseExpand], applied.Duration.Duration)
		}
	}
	h.addBackup(before.Backup, after.Backup)
	// What was removed for an earlier release with the same files is taken over whole, and was counted there.
	if before.Contract == nil || after.Contract == nil {
		return
	}
	h.addBackup(before.Contract.Backup, after.Contract.Backup)
	if before.Contract.FinishedAt == nil && after.Contract.FinishedAt != nil {
		for _, applied := range after.Contract.Applied {
			h.migrations[phaseContract] = append(h.migrations[phaseContract], applied.Duration.Duration)
		}
	}
}

func (h *happened) addBackup(before, after *v1alpha1.BackupEvidence) {
	if after != nil && (before == nil || before.Name != after.Name) {
		h.backups = append(h.backups, atLeastZero(after.FinishedAt.Sub(after.StartedAt.Time)))
	}
}
