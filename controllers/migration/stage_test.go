package migration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
)

// guarded is a run of a stage, in an environment with backups.
func guarded(stage Stage) func(*Run) {
	return func(r *Run) {
		room := resource.MustParse("10Gi")
		r.Stage, r.Since = stage, now
		r.Backup = &Backup{Claim: "scores-backups", Retain: 7, Scratch: &room}
		r.Rehearsal = v1alpha1.RehearseData
		*r = r.On(&v1alpha1.BackupEvidence{Name: "20261123T115900Z-abcdefgh", ClaimName: "scores-backups"})
	}
}

func TestStagesRunWhatTheyAreFor(t *testing.T) {
	schemaOnly := func(r *Run) { r.Backup, r.Rehearsal = nil, v1alpha1.RehearseSchema }
	for name, tc := range map[string]struct {
		run    Run
		args   string
		mounts []string
	}{
		"a backup writes to its claim and to scratch, and needs no migrations": {
			run:    run(guarded(BackUp)),
			args:   "backup --location /backups --scratch /scratch --keep 7 --report /dev/termination-log",
			mounts: []string{contract.DatabaseDir + " ro", "/scratch rw", "/backups rw"},
		},
		"a rehearsal on data reads the backup": {
			run: run(guarded(Rehearse)),
			args: "rehearse --dir /migrations --mode Data --scratch /scratch --location /backups --backup 20261123T115900Z-abcdefgh " +
				"--report /dev/termination-log",
			mounts: []string{"/migrations ro", contract.DatabaseDir + " ro", "/scratch rw", "/backups ro"},
		},
		"a rehearsal of what is removed says so": {
			run: run(guarded(RehearseContract)),
			args: "rehearse --dir /migrations --mode Data --scratch /scratch --phase contract --location /backups --backup 20261123T115900Z-abcdefgh " +
				"--report /dev/termination-log",
			mounts: []string{"/migrations ro", contract.DatabaseDir + " ro", "/scratch rw", "/backups ro"},
		},
		"a rehearsal on the schema needs no backup": {
			run:    run(guarded(Rehearse), schemaOnly),
			args:   "rehearse --dir /migrations --mode Schema --scratch /scratch --report /dev/termination-log",
			mounts: []string{"/migrations ro", contract.DatabaseDir + " ro", "/scratch rw"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			job := rendered(t, tc.run, 1)
			container := job.Spec.Template.Spec.Containers[0]
			if got := strings.Join(container.Args, " "); got != tc.args {
				t.Errorf("arguments\n%s\nwant\n%s", got, tc.args)
			}
			var mounts []string
			for _, m := range container.VolumeMounts {
				mounts = append(mounts, m.MountPath+map[bool]string{true: " ro", false: " rw"}[m.ReadOnly])
			}
			if diff := cmp.Diff(tc.mounts, mounts); diff != "" {
				t.Errorf("mounts (-want +got):\n%s", diff)
			}
			if job.Labels[v1alpha1.LabelStage] != tc.run.Stage.String() {
				t.Errorf("labels %v do not tell the stage", job.Labels)
			}
			if container.Resources.Limits.Memory().String() != "1Gi" {
				t.Errorf("a scratch server gets %s", container.Resources.Limits.Memory())
			}
			assertRestricted(t, job)
		})
	}
}

func assertRestricted(t *testing.T, job *batchv1.Job) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &job.Spec.Template.ObjectMeta, &job.Spec.Template.Spec) {
		if !result.Allowed {
			t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
}

func TestScratchIsBounded(t *testing.T) {
	for _, volume := range rendered(t, run(guarded(BackUp)), 1).Spec.Template.Spec.Volumes {
		if volume.Name == "scratch" {
			if got := volume.EmptyDir.SizeLimit.String(); got != "10Gi" {
				t.Errorf("scratch is bounded by %s, want 10Gi", got)
			}
			return
		}
	}
	t.Error("there is no scratch volume")
}

// The evidence of an earlier rollout counts for nothing: the data have changed since.
func TestStagesAreMadeAnewForEachRollout(t *testing.T) {
	seen := map[string]string{}
	for name, r := range map[string]Run{
		"expand":                  run(),
		"backup":                  run(guarded(BackUp)),
		"rehearsal":               run(guarded(Rehearse)),
		"rehearsal of a removal":  run(guarded(RehearseContract)),
		"removal":                 run(guarded(Contract)),
		"backup of a later retry": run(guarded(BackUp), func(r *Run) { r.Since = now.Add(time.Second) }),
	} {
		hash, err := r.Hash()
		if err != nil {
			t.Fatal(err)
		}
		if seen[hash] != "" {
			t.Errorf("%s and %s have one Job", name, seen[hash])
		}
		seen[hash] = name
	}
}

func staged(stage Stage) func(*batchv1.Job) {
	return func(j *batchv1.Job) { j.Labels[v1alpha1.LabelStage] = stage.String() }
}

func endedBefore(ago time.Duration) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		complete(j)
		for i := range j.Status.Conditions {
			j.Status.Conditions[i].LastTransitionTime.Time = now.Add(-ago)
		}
	}
}

func reporting(t *testing.T, report any) corev1.ContainerState {
	t.Helper()
	encoded, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	return exited(0, string(encoded))
}

func TestDecideAboutPreparations(t *testing.T) {
	report := contract.BackupReport{ReportVersion: 1, Name: "b1", Verified: true, Started: now, Finished: now, Size: 9, Rows: 3, LSN: "0/1", Files: []contract.BackupFile{{SHA256: "aa"}}}
	unverified := report
	unverified.Verified = false
	stop := func(code contract.MigrationErrorCode, retryable bool) []corev1.Pod {
		return []corev1.Pod{pod(job(ours, 1), stopped(t, contract.ExitFailed, contract.MigrationError{Code: code, Message: "no", Retryable: retryable}))}
	}
	failed := []batchv1.Job{job(ours, 1, failedBefore(time.Second))}
	for name, tc := range map[string]struct {
		stage Stage
		jobs  []batchv1.Job
		pods  []corev1.Pod
		want  string
	}{
		"a backup is begun": {stage: BackUp, want: "start 1, Backup"},
		"a verified backup is done": {
			stage: BackUp, jobs: []batchv1.Job{job(ours, 1, endedBefore(0))}, pods: []corev1.Pod{pod(job(ours, 1), reporting(t, report))}, want: "done b1",
		},
		"one that is not verified is none": {
			stage: BackUp, jobs: []batchv1.Job{job(ours, 1, endedBefore(time.Hour))}, pods: []corev1.Pod{pod(job(ours, 1), reporting(t, unverified))}, want: "start 2, Backup",
		},
		"a report that the cache may not have heard of yet is waited for": {stage: BackUp, jobs: []batchv1.Job{job(ours, 1, endedBefore(time.Second))}, want: "Backup until 59s"},
		"a report that is lost is made again":                             {stage: BackUp, jobs: []batchv1.Job{job(ours, 1, endedBefore(time.Hour))}, want: "start 2, Backup"},
		"a full volume is waited for":                                     {stage: BackUp, jobs: failed, pods: stop(contract.StorageUnavailable, true), want: "Backup until 4s"},
		"a missing right takes a person":                                  {stage: BackUp, jobs: failed, pods: stop(contract.BackupFailed, false), want: "stuck, Backup until 4s"},
		"so does a server that is too new":                                {stage: Rehearse, jobs: failed, pods: stop(contract.ServerTooNew, false), want: "stuck, Backup until 4s"},
		"a database that is away is waited for":                           {stage: Rehearse, jobs: failed, pods: stop(contract.DatabaseUnreachable, true), want: "Database until 4s"},
		"a migration that fails in its rehearsal is refused":              {stage: Rehearse, jobs: failed, pods: stop(contract.MigrationFailed, false), want: "stalled, Migration"},
		"files that are none are refused":                                 {stage: Rehearse, jobs: failed, pods: stop(contract.InvalidMigrations, false), want: "stalled, Migration"},
		"what fails in the rehearsal of a removal is not tried again":     {stage: RehearseContract, jobs: failed, pods: stop(contract.MigrationFailed, false), want: "stalled, Migration"},
		"a removal that fails is, once the data are mended":               {stage: Contract, jobs: failed, pods: stop(contract.MigrationFailed, false), want: "stuck, Database until 4s"},
		"a rehearsal without room waits for some":                         {stage: RehearseContract, jobs: failed, pods: stop(contract.StorageUnavailable, true), want: "Backup until 4s"},
		"a rehearsal of a removal is begun":                               {stage: RehearseContract, want: "start 1, Contract"},
		"a rehearsal of a removal is cut short by another release": {
			stage: Expand, jobs: []batchv1.Job{job(theirs, 1, staged(RehearseContract))}, pods: []corev1.Pod{pod(job(theirs, 1), atWork())}, want: "delete 1, Migration",
		},
		"a backup of an earlier rollout is cut short": {
			stage: Expand, jobs: []batchv1.Job{job(theirs, 1, staged(BackUp))}, pods: []corev1.Pod{pod(job(theirs, 1), atWork())}, want: "delete 1, Migration",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, told(Decide(tc.stage, ours, Observed{Jobs: tc.jobs, Pods: tc.pods, Now: now}))); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

// told is a decision in a few words.
func told(d Decision) string {
	var words []string
	if d.Done {
		words = append(words, "done "+d.Evidence.Backup.Name)
	}
	if d.Start > 0 {
		words = append(words, fmt.Sprintf("start %d", d.Start))
	}
	if len(d.Delete) > 0 {
		words = append(words, fmt.Sprintf("delete %d", len(d.Delete)))
	}
	for word, is := range map[string]bool{"stuck": d.Stuck, "stalled": d.Stalled} {
		if is {
			words = append(words, word)
		}
	}
	if d.Waiting != nil {
		word := string(d.Waiting.Type)
		if d.Waiting.Deadline != nil {
			word += " until " + d.Waiting.Deadline.Sub(now).String()
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// A rehearsal proves nothing for the files of the other phase.
func TestARehearsalIsOfOnePhase(t *testing.T) {
	report := contract.RehearsalReport{ReportVersion: 1, Mode: contract.RehearsalOnData, Passed: true, FingerprintBefore: "f", DatabaseFingerprint: "d"}
	removed := report
	removed.Phase = "contract"
	refused := removed
	refused.Passed = false
	for name, tc := range map[string]struct {
		stage  Stage
		report contract.RehearsalReport
		want   bool
	}{
		"a report from before there were two": {Rehearse, report, true},
		"which is none of a removal":          {RehearseContract, report, false},
		"a removal":                           {RehearseContract, removed, true},
		"is nothing added":                    {Rehearse, removed, false},
		"one that has failed":                 {RehearseContract, refused, false},
	} {
		t.Run(name, func(t *testing.T) {
			found, complete := tc.stage.evidence([]corev1.Pod{pod(job(ours, 1), reporting(t, tc.report))})
			if complete != tc.want || complete && (found.Rehearsal.Fingerprint != "f" || found.Rehearsal.DatabaseFingerprint != "d") {
				t.Errorf("complete %t, want %t; evidence %+v", complete, tc.want, found.Rehearsal)
			}
		})
	}
}

func TestWhatARehearsalIsHeldOn(t *testing.T) {
	onClaim := &Backup{Claim: "scores-backups", Retain: 7}
	inBucket := &Backup{Bucket: "s3://backups?prefix=a%2F", Retain: 7}
	for name, tc := range map[string]struct {
		backup    *Backup
		rehearsal v1alpha1.Rehearsal
		made      *v1alpha1.BackupEvidence
		want      v1alpha1.Rehearsal
	}{
		"a dump":                            {onClaim, v1alpha1.RehearseData, &v1alpha1.BackupEvidence{Name: "b", ClaimName: "scores-backups"}, v1alpha1.RehearseData},
		"a dump in a bucket":                {inBucket, v1alpha1.RehearseData, &v1alpha1.BackupEvidence{Name: "b", Bucket: inBucket.Bucket}, v1alpha1.RehearseData},
		"the schema, because that is asked": {onClaim, v1alpha1.RehearseSchema, &v1alpha1.BackupEvidence{Name: "b", ClaimName: "scores-backups"}, v1alpha1.RehearseSchema},
		"the schema, for nothing was made":  {nil, v1alpha1.RehearseSchema, nil, v1alpha1.RehearseSchema},
		"the schema, for it is no dump": {
			onClaim, v1alpha1.RehearseData, &v1alpha1.BackupEvidence{Name: "b", Method: v1alpha1.BackupCloudNativePG, Source: "pg"}, v1alpha1.RehearseSchema,
		},
		"the schema, for the dump is elsewhere": {
			inBucket, v1alpha1.RehearseData, &v1alpha1.BackupEvidence{Name: "b", ClaimName: "scores-backups"}, v1alpha1.RehearseSchema,
		},
		"the schema, for no dumps are made any more": {
			nil, v1alpha1.RehearseData, &v1alpha1.BackupEvidence{Name: "b", ClaimName: "scores-backups"}, v1alpha1.RehearseSchema,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Run{Backup: tc.backup, Rehearsal: tc.rehearsal}.On(tc.made)
			if got.Rehearsal != tc.want || tc.made != nil && got.BackupName != tc.made.Name {
				t.Errorf("held on %s, backup %q; want %s", got.Rehearsal, got.BackupName, tc.want)
			}
		})
	}
}

func TestRehearsalEvidenceIsBounded(t *testing.T) {
	report := contract.RehearsalReport{ReportVersion: 1, Mode: contract.RehearsalOnData, Passed: true, From: 1, To: 90, FingerprintBefore: "f"}
	for i := range 90 {
		report.Files = append(report.Files, contract.PendingMigration{Version: int64(i), Name: "n", Phase: "expand", Checksum: "c"})
		report.Statements = append(report.Statements, contract.RehearsedStatement{
			Migration: fmt.Sprint(i), Duration: time.Duration(i%45) * time.Millisecond,
			Locks: []contract.RehearsedLock{{Relation: "public.works", Mode: "AccessExclusiveLock"}},
		})
	}
	found, complete := Rehearse.evidence([]corev1.Pod{pod(job(ours, 1), reporting(t, report))})
	if !complete || len(found.Rehearsal.Files) != maxFiles || len(found.Rehearsal.Statements) != maxStatements {
		t.Fatalf("complete %t, evidence %+v", complete, found.Rehearsal)
	}
	var kept []string
	for _, statement := range found.Rehearsal.Statements {
		kept = append(kept, statement.Migration)
	}
	if diff := cmp.Diff([]string{"40", "41", "42", "43", "44", "85", "86", "87", "88", "89"}, kept, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the slowest, in their order (-want +got):\n%s", diff)
	}
	if got := found.Rehearsal.Statements[0].Locks; len(got) != 1 || got[0] != "AccessExclusiveLock on public.works" {
		t.Errorf("locks %q", got)
	}
}
