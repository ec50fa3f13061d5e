package microservice_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/microservice"
)

// guard asks for backups in one environment.
func (w *world) guard(i int) {
	w.ms.Spec.Environments[i].Overrides = &v1alpha1.EnvironmentOverrides{Database: &v1alpha1.DatabaseSpec{
		Backup: &v1alpha1.BackupSpec{ClaimName: new("scores-backups")},
	}}
}

func TestBackupsGoToABucket(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "production")
	w.guard(0)
	w.ms.Spec.Environments[0].Overrides.Database.Backup = &v1alpha1.BackupSpec{
		S3: &v1alpha1.S3Spec{Bucket: new("backups"), Prefix: new("databases/"), SecretRef: &v1alpha1.SecretKeyReference{Name: "bucket"}},
	}
	w.create(ctx)
	w.reconcile(ctx)
	waiting := w.ms.Status.Environments[0].WaitingFor
	if waiting == nil || waiting.Type != v1alpha1.WaitSecret || !strings.Contains(waiting.Message, "Secret bucket does not exist") ||
		!strings.Contains(waiting.Message, "database.backup.s3.secretRef") || !strings.Contains(waiting.Unblock, "credentials") {
		t.Fatalf("waits for %+v", waiting)
	}
	w.createSecret(ctx, w.namespace(0), "bucket", "credentials")
	where := "s3://backups?prefix=databases%2F" + w.ms.Namespace + "%2F" + w.ms.Name + "%2Fproduction%2F&region=us-east-1"
	for _, stage := range []string{"check", "backup", "rehearse", "expand"} {
		w.reconcile(ctx)
		if diff := cmp.Diff([]string{stage}, w.stages(ctx, 0)); diff != "" {
			t.Fatalf("Jobs (-want +got):\n%s", diff)
		}
		for _, job := range w.jobs(ctx) {
			args := job.Spec.Template.Spec.Containers[0].Args
			switch job.Labels[v1alpha1.LabelStage] {
			case "backup", "rehearse":
				if !slices.Contains(args, where) {
					t.Errorf("arguments %v, want %s", args, where)
				}
			}
		}
		w.runJobs(ctx, succeeded)
	}
	w.verify(ctx)
	evidence := w.release(ctx, "scores-1").Status.Environments[0].Database
	if evidence == nil || evidence.Backup == nil || evidence.Backup.Bucket != where || evidence.Backup.ClaimName != "" ||
		evidence.Backup.SecretRef == nil || evidence.Backup.SecretRef.Name != "bucket" {
		t.Errorf("evidence %+v", evidence)
	}
	w.expectRest(ctx)
}

// stages are the Jobs of a namespace that have not ended, by what they do.
func (w *world) stages(ctx context.Context, i int) []string {
	w.t.Helper()
	var out []string
	for _, job := range w.jobs(ctx) {
		if job.Namespace == w.namespace(i) && len(job.Status.Conditions) == 0 {
			out = append(out, job.Labels[v1alpha1.LabelStage])
		}
	}
	return out
}

func TestProductionIsBackedUpBeforeItsSchemaChanges(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "staging", "production")
	w.guard(1)
	w.create(ctx)
	w.reconcile(ctx)
	w.migrate(ctx, succeeded)
	w.reconcile(ctx)
	w.readyPods(ctx)
	for _, want := range []struct {
		stage string
		step  v1alpha1.Step
	}{{"check", v1alpha1.StepCheck}, {"backup", v1alpha1.StepBackUp}, {"rehearse", v1alpha1.StepRehearse}, {"expand", v1alpha1.StepExpand}} {
		w.reconcile(ctx)
		if diff := cmp.Diff([]string{want.stage}, w.stages(ctx, 1)); diff != "" {
			t.Fatalf("Jobs in production (-want +got):\n%s", diff)
		}
		if step := w.ms.Status.Environments[1].Step; step != want.step {
			t.Fatalf("production is at %s, want %s", step, want.step)
		}
		w.expectRest(ctx)
		w.runJobs(ctx, succeeded)
	}
	w.verify(ctx)
	evidence := w.release(ctx, "scores-1").Status.Environments[1].Database
	if evidence == nil || evidence.Backup == nil || evidence.Rehearsal == nil {
		t.Fatalf("the release has no evidence: %+v", evidence)
	}
	if b := evidence.Backup; b.ClaimName != "scores-backups" || b.Size != 4711 || b.LSN == "" || b.SHA256 != "ab" {
		t.Errorf("backup %+v", b)
	}
	if r := evidence.Rehearsal; r.Backup != "" || len(r.Files) != 1 || r.Fingerprint != "f1" {
		t.Errorf("rehearsal %+v", r)
	}
	w.reconcile(ctx)
	w.collectGarbage(ctx)
	if n := len(w.jobs(ctx)); n != 2 {
		t.Errorf("%d Jobs are left, want the migrations of each environment", n)
	}
	w.expectRest(ctx)
}

func TestWithoutABackupNoMigrationRuns(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "production")
	w.guard(0)
	w.create(ctx)
	w.reconcile(ctx)
	w.migrate(ctx, contract.MigrationReport{ReportVersion: contract.MigrationReportVersion, Error: &contract.MigrationError{
		Code: contract.BackupFailed, Message: "permission denied for table works", SQLState: "42501",
	}})
	w.reconcile(ctx)
	waiting := w.ms.Status.Environments[0].WaitingFor
	if waiting == nil || waiting.Type != v1alpha1.WaitBackup || !strings.Contains(waiting.Message, "works") || waiting.Unblock == "" || waiting.Deadline == nil {
		t.Errorf("waiting for %+v", waiting)
	}
	if !meta.IsStatusConditionTrue(w.ms.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Error("nobody is told that it takes a person")
	}
	for _, job := range w.jobs(ctx) {
		if stage := job.Labels[v1alpha1.LabelStage]; stage != "backup" && stage != "check" {
			t.Errorf("a Job for %s is there without a backup", job.Labels[v1alpha1.LabelStage])
		}
	}
	if rejection := w.release(ctx, "scores-1").Status.Rejection; rejection != nil {
		t.Errorf("the release is blamed: %+v", rejection)
	}
}

func TestWhatOnlyEarlierReleasesNeededIsRemovedLast(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "staging", "production")
	clock := time.Now()
	w.reconciler.Now = func() time.Time { return clock }
	w.create(ctx)
	held := succeeded
	held.Held = []contract.PendingMigration{{Version: 4, Name: "00004_drop.sql", Phase: "contract", Checksum: "dd"}}
	for range w.ms.Spec.Environments {
		w.reconcile(ctx)
		w.migrate(ctx, held)
		w.reconcile(ctx)
		w.readyPods(ctx)
	}
	w.verify(ctx)
	w.expectRest(ctx)
	waiting := w.ms.Status.Environments[1].WaitingFor
	if waiting == nil || waiting.Type != v1alpha1.WaitContract || waiting.Deadline == nil || !strings.Contains(waiting.Message, "00004_drop.sql") {
		t.Fatalf("production waits for %+v", waiting)
	}
	if n := w.stages(ctx, 1); len(n) != 0 {
		t.Fatalf("Jobs %v are there while one may still go back", n)
	}
	clock = waiting.Deadline.Add(time.Second)
	w.reconcile(ctx)
	if diff := cmp.Diff([]string{"contract"}, w.stages(ctx, 1)); diff != "" {
		t.Fatalf("Jobs in production (-want +got):\n%s", diff)
	}
	w.expectRest(ctx)
	done := succeeded
	done.From, done.To = 3, 4
	done.Applied = []contract.AppliedMigration{{Version: 4, Name: "00004_drop.sql"}}
	w.runJobs(ctx, done)
	w.reconcile(ctx)
	w.collectGarbage(ctx)
	w.expectRest(ctx)
	environment := w.ms.Status.Environments[1]
	if environment.WaitingFor != nil || environment.SchemaFloor == nil || *environment.SchemaFloor != 4 || *environment.SchemaVersion != 4 {
		t.Errorf("production: %+v", environment)
	}
	if evidence := w.release(ctx, "scores-1").Status.Environments[1].Database.Contract; evidence == nil || evidence.FinishedAt == nil || len(evidence.Applied) != 1 {
		t.Errorf("evidence %+v", evidence)
	}

	// An older image is kept from the schema, and the way out is named.
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:0.9.0" })
	w.reconcile(ctx)
	before := w.deployments(ctx)
	w.runJobs(ctx, contract.MigrationReport{ReportVersion: contract.MigrationReportVersion, Floor: 4, Error: &contract.MigrationError{
		Code: contract.ImageTooOld, Migration: "00004_drop.sql", Message: "it has removed what this image needs",
	}})
	w.reconcile(ctx)
	waiting = w.ms.Status.Environments[0].WaitingFor
	if waiting == nil || waiting.Type != v1alpha1.WaitSchema || !strings.Contains(waiting.Message, "00004_drop.sql") || !strings.Contains(waiting.Unblock, "hold=staging/scores-1/") {
		t.Fatalf("staging waits for %+v", waiting)
	}
	for name, d := range w.deployments(ctx) {
		if d.ResourceVersion != before[name].ResourceVersion {
			t.Errorf("the Deployment of %s was written", name)
		}
	}
}

// expectStage fails unless one Job is at work in the first environment, and returns it.
func (w *world) expectStage(ctx context.Context, stage string) batchv1.Job {
	w.t.Helper()
	w.reconcile(ctx)
	if diff := cmp.Diff([]string{stage}, w.stages(ctx, 0)); diff != "" {
		w.t.Fatalf("Jobs (-want +got):\n%s", diff)
	}
	w.expectRest(ctx)
	for _, job := range w.jobs(ctx) {
		if job.Labels[v1alpha1.LabelStage] == stage && len(job.Status.Conditions) == 0 {
			return job
		}
	}
	w.t.Fatalf("the Job for %s is gone", stage)
	return batchv1.Job{}
}

// untilRemoval has a release verified whose contract migrations are due, and returns the operator's clock.
func (w *world) untilRemoval(ctx context.Context) *time.Time {
	w.t.Helper()
	clock := time.Now()
	w.reconciler.Now = func() time.Time { return clock }
	w.create(ctx)
	held := succeeded
	held.Held = []contract.PendingMigration{{Version: 4, Name: "00004_drop.sql", Phase: "contract", Checksum: "dd"}}
	for _, stage := range []string{"check", "backup", "rehearse", "expand"} {
		w.expectStage(ctx, stage)
		w.runJobs(ctx, held)
	}
	w.verify(ctx)
	clock = w.ms.Status.Environments[0].WaitingFor.Deadline.Add(time.Second)
	return &clock
}

func TestARemovalIsRehearsedOnTheBackupBeforeIt(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "production")
	w.guard(0)
	clock := w.untilRemoval(ctx)
	w.expectStage(ctx, "backup")
	w.runJobs(ctx, succeeded)
	first := w.expectStage(ctx, "rehearse-contract")
	args := strings.Join(first.Spec.Template.Spec.Containers[0].Args, " ")
	for _, want := range []string{"--mode Data", "--phase contract", "--backup 20261128T080000Z-abcdefgh"} {
		if !strings.Contains(args, want) {
			t.Errorf("the rehearsal is held with %s, want %s", args, want)
		}
	}
	waiting := w.ms.Status.Environments[0].WaitingFor
	if waiting == nil || waiting.Type != v1alpha1.WaitContract || !meta.IsStatusConditionTrue(w.ms.Status.Conditions, v1alpha1.ConditionReady) {
		t.Errorf("waits for %+v", waiting)
	}

	// What the rows refuse is not tried on the database; somebody has to look, and the release stays what it is.
	w.runJobs(ctx, contract.MigrationReport{ReportVersion: contract.MigrationReportVersion, Error: &contract.MigrationError{
		Code: contract.MigrationFailed, Migration: "00004_drop.sql", Line: 3, Message: "line 3: applying it: a column contains null values",
	}})
	w.reconcile(ctx)
	e := w.ms.Status.Environments[0]
	if e.WaitingFor == nil || e.WaitingFor.Type != v1alpha1.WaitDatabase || !strings.Contains(e.WaitingFor.Message, "migration 00004_drop.sql: line 3: ") ||
		!strings.Contains(e.WaitingFor.Unblock, v1alpha1.VerbRetry) || e.Step != v1alpha1.StepVerified || e.SchemaFloor != nil {
		t.Errorf("production: %+v", e)
	}
	if !meta.IsStatusConditionTrue(w.ms.Status.Conditions, v1alpha1.ConditionStalled) || w.release(ctx, "scores-1").Status.Rejection != nil {
		t.Errorf("conditions %+v, rejection %+v", w.ms.Status.Conditions, w.release(ctx, "scores-1").Status.Rejection)
	}
	if stages := w.stages(ctx, 0); len(stages) != 0 {
		t.Errorf("Jobs %v are at work", stages)
	}
	*clock = clock.Add(time.Hour)
	w.reconcile(ctx)
	w.expectRest(ctx)

	// Tried again, it is tried on the data as they are then.
	w.annotate(ctx, v1alpha1.VerbRetry, "now")
	w.expectStage(ctx, "backup")
	w.runJobs(ctx, succeeded)
	if second := w.expectStage(ctx, "rehearse-contract"); second.Name == first.Name {
		t.Errorf("Job %s is made again", second.Name)
	}
	w.runJobs(ctx, succeeded)
	w.expectStage(ctx, "contract")
	done := succeeded
	done.From, done.To, done.Applied = 3, 4, []contract.AppliedMigration{{Version: 4, Name: "00004_drop.sql"}}
	w.runJobs(ctx, done)
	w.reconcile(ctx)
	w.collectGarbage(ctx)
	w.expectRest(ctx)
	evidence := w.release(ctx, "scores-1").Status.Environments[0].Database
	if evidence.Contract == nil || evidence.Contract.FinishedAt == nil || evidence.Contract.Backup == nil || evidence.Contract.Rehearsal == nil ||
		evidence.Contract.Rehearsal.Files[0].Phase != "contract" || evidence.Rehearsal.Files[0].Phase != "expand" {
		t.Errorf("evidence %+v", evidence.Contract)
	}
	if e := w.ms.Status.Environments[0]; e.WaitingFor != nil || e.SchemaFloor == nil || *e.SchemaFloor != 4 {
		t.Errorf("production: %+v", e)
	}
}

// An operator that knew no rehearsal of removals may have carried one out, and not have recorded it.
func TestWhatAnEarlierOperatorHasRemovedIsNotRehearsed(t *testing.T) {
	ctx := t.Context()
	w := newWorldOf(ctx, t, "production")
	w.guard(0)
	w.untilRemoval(ctx)
	w.expectStage(ctx, "backup")
	w.runJobs(ctx, succeeded)
	w.expectStage(ctx, "rehearse-contract")
	w.runJobs(ctx, succeeded)
	w.expectStage(ctx, "contract")
	done := succeeded
	done.From, done.To, done.Applied = 3, 4, []contract.AppliedMigration{{Version: 4, Name: "00004_drop.sql"}}
	w.runJobs(ctx, done)
	rel := w.release(ctx, "scores-1")
	rel.Status.Environments[0].Database.Contract.Rehearsal = nil
	w.must(direct.Status().Update(ctx, rel))
	w.reconcile(ctx)
	w.collectGarbage(ctx)
	w.expectRest(ctx)
	evidence := w.release(ctx, "scores-1").Status.Environments[0].Database.Contract
	if evidence == nil || evidence.FinishedAt == nil || len(evidence.Applied) != 1 || evidence.Rehearsal != nil {
		t.Errorf("evidence %+v", evidence)
	}
}

func TestEnvironmentsOnOneDatabaseWaitForEachOther(t *testing.T) {
	own := &v1alpha1.CheckEvidence{Database: "scores", SystemIdentifier: "42"}
	for name, tc := range map[string]struct {
		other *v1alpha1.CheckEvidence
		want  bool
	}{
		"the same":                   {own, true},
		"another of the same server": {&v1alpha1.CheckEvidence{Database: "other", SystemIdentifier: "42"}, false},
		"the same name elsewhere":    {&v1alpha1.CheckEvidence{Database: "scores", SystemIdentifier: "43"}, false},
		"a server that is not known": {&v1alpha1.CheckEvidence{Database: "scores"}, true},
		"one that was never checked": {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := microservice.SharesDatabase(own, tc.other); got != tc.want {
				t.Errorf("shares %t, want %t", got, tc.want)
			}
		})
	}
}
