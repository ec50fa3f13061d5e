package microservice

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/migration"
	"github.com/mirubato/mirubato/controllers/release"
)

// task is a Job on the database that the plan may ask for, and what is to be done about it.
type task struct {
	run      migration.Run
	hash     string
	decision migration.Decision
}

// observeDatabase tells how far the Jobs on the database have come, and backups that somebody else makes.
func (r *Reconciler) observeDatabase(ctx context.Context, s *station, facts *release.Facts) error {
	children := s.targetChildren()
	facts.Migration.Done = true
	if children.Migration == nil {
		return nil
	}
	run := *children.Migration
	s.input.Rollout.Backup = run.Backup != nil
	s.input.Rollout.ContractAfter = run.Options.ContractAfter.Duration
	s.input.Rollout.Rehearsal = run.Rehearsal != v1alpha1.RehearseNone
	s.tasks = map[release.ActionType]task{}
	var err error
	if facts.Migration, err = s.look(release.Migrate, run); err != nil {
		return err
	}
	if facts.Stable.Migration == children.MigrationHash {
		// The Job may be gone since.
		facts.Migration = release.Work{Done: true, SchemaVersion: facts.Migration.SchemaVersion}
	}
	admitted, recorded := s.input.Record.AdmittedAt, s.input.Record.Database
	if recorded == nil {
		recorded = &v1alpha1.DatabaseEvidence{}
	}
	if s.input.Record.VerifiedAt != nil {
		return r.lookLater(ctx, s, run, *recorded, facts)
	}
	if admitted == nil || facts.Migration.Done {
		return nil
	}
	return r.lookBefore(ctx, s, run, admitted.Time, *recorded, facts)
}

// lookBefore tells how far the Jobs have come that precede the migrations of a release that was admitted.
func (r *Reconciler) lookBefore(
	ctx context.Context, s *station, run migration.Run, admitted time.Time, recorded v1alpha1.DatabaseEvidence, facts *release.Facts,
) error {
	var err error
	if recorded.Check == nil {
		facts.Check, err = s.look(release.Check, run.At(migration.Check, admitted))
		return err
	}
	if run.Backup != nil && recorded.Backup == nil && len(recorded.Check.Pending) > 0 {
		if facts.Backup, err = r.lookBackup(ctx, s, run.At(migration.BackUp, admitted), migration.Expand); err != nil {
			return err
		}
	}
	if s.input.Rollout.Rehearsal && recorded.Rehearsal == nil {
		facts.Rehearsal, err = s.look(release.Rehearse, run.At(migration.Rehearse, admitted).On(recorded.Backup))
	}
	return err
}

// lookLater tells how far the Jobs have come that follow a release that was verified.
func (r *Reconciler) lookLater(ctx context.Context, s *station, run migration.Run, recorded v1alpha1.DatabaseEvidence, facts *release.Facts) error {
	var err error
	if recorded.Check != nil && recorded.Check.Backfills > 0 && recorded.BackfilledAt == nil {
		facts.Backfill, err = s.look(release.Backfill, run.At(migration.Backfill, s.input.Record.VerifiedAt.Time))
		return err
	}
	began := recorded.Contract
	if began == nil || began.FinishedAt != nil {
		return nil
	}
	if run.Backup != nil && began.Backup == nil {
		facts.Backup, err = r.lookBackup(ctx, s, run.At(migration.BackUp, began.BeganAt.Time), migration.Contract)
		return err
	}
	// Also before its rehearsal has passed: an operator that knew none may have done it.
	if facts.Contract, err = s.look(release.Contract, run.At(migration.Contract, began.BeganAt.Time)); err != nil {
		return err
	}
	if s.input.Rollout.Rehearsal && began.Rehearsal == nil && !facts.Contract.Done {
		rehearsal := run.At(migration.RehearseContract, began.BeganAt.Time).On(began.Backup)
		facts.ContractRehearsal, err = s.look(release.RehearseContract, rehearsal)
	}
	return err
}

// lookBackup is look for a backup, and adds where it lies. before is what it precedes.
func (r *Reconciler) lookBackup(ctx context.Context, s *station, run migration.Run, before migration.Stage) (release.Work, error) {
	if run.Backup.Asked != nil {
		return r.lookAsked(ctx, s, run, before)
	}
	out, err := s.look(release.BackUp, run)
	if found := out.Found.Backup; found != nil {
		found.ClaimName, found.Bucket, found.SecretRef = run.Backup.Claim, run.Backup.Bucket, run.Backup.Credentials
	}
	return out, err
}

// look decides about the Job of a run, and remembers it for the action that would make it.
func (s *station) look(action release.ActionType, run migration.Run) (release.Work, error) {
	hash, err := run.Hash()
	if err != nil {
		return release.Work{}, err
	}
	d := migration.Decide(run.Stage, hash, migration.Observed{Jobs: s.facts.Jobs, Pods: s.facts.Pods, Now: s.input.Now})
	s.tasks[action] = task{run: run, hash: hash, decision: d}
	out := release.Work{Done: d.Done, Stuck: d.Stuck, Waiting: d.Waiting, Found: d.Evidence.DatabaseEvidence, SchemaVersion: d.Evidence.SchemaVersion}
	if d.Stalled {
		out.Failed, out.FailedAt = true, d.FailedAt
	}
	return out, nil
}

// work makes the Job that an action asks for, and removes what stands in its way.
func (r *Reconciler) work(ctx context.Context, s *station, action release.ActionType) error {
	if action == release.BackUp && s.asked != nil {
		return r.ask(ctx, s)
	}
	task, ok := s.tasks[action]
	if !ok {
		return fmt.Errorf("the plan asks for %s, which was not looked at", action)
	}
	var old []client.Object
	for i := range task.decision.Delete {
		old = append(old, &task.decision.Delete[i])
	}
	if task.decision.Start == 0 {
		return r.remove(ctx, s.cluster, old)
	}
	if err := r.write(ctx, s, []manifest.Manifest{s.targetChildren().ServiceAccount}); err != nil {
		return err
	}
	job, err := task.run.Job(task.decision.Start)
	if err != nil {
		return err
	}
	if _, err := manifest.Apply(ctx, s.cluster.Client, job); err != nil {
		return err
	}
	return r.remove(ctx, s.cluster, old)
}
