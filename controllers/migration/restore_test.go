package migration

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

const aBackup = "20261128T080000Z-abcdefgh"

func restoreJob(t *testing.T) *batchv1.Job {
	t.Helper()
	wanted := run(func(r *Run) { r.Backup = &Backup{Claim: "backups"} })
	job, err := Restore{Run: wanted, Backup: aBackup, Database: "scores_restored"}.Job()
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func TestRestoreJobReadsTheBackupAndTheSecret(t *testing.T) {
	job := restoreJob(t)
	pod := job.Spec.Template.Spec
	want := []string{
		"restore", aBackup, "--location", "/backups", "--database", "scores_restored", "--report", "/dev/termination-log",
	}
	if diff := cmp.Diff(want, pod.Containers[0].Args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if len(pod.InitContainers) > 0 || len(pod.Containers) != 1 || pod.Containers[0].Image != "example.com/migrate:0.1.0" {
		t.Errorf("containers %+v, %+v", pod.InitContainers, pod.Containers)
	}
	mounts := map[string]bool{}
	for _, mount := range pod.Containers[0].VolumeMounts {
		mounts[mount.MountPath] = mount.ReadOnly
	}
	if diff := cmp.Diff(map[string]bool{"/backups": true, contract.DatabaseDir: true}, mounts); diff != "" {
		t.Errorf("mounts that are read-only (-want +got):\n%s", diff)
	}
	for _, volume := range pod.Volumes {
		if claim := volume.PersistentVolumeClaim; claim != nil && (claim.ClaimName != "backups" || !claim.ReadOnly) {
			t.Errorf("claim %+v", claim)
		}
		if volume.Projected != nil && volume.Projected.Sources[0].Secret.Name != "owner" {
			t.Errorf("secret %+v", volume.Projected.Sources)
		}
	}
	if job.Name != "" || job.GenerateName != "scores-restore-" || job.Namespace != "scores-staging" || *job.Spec.BackoffLimit != 0 || job.Spec.TTLSecondsAfterFinished == nil {
		t.Errorf("job %+v", job)
	}
}

// The operator lists what is its own by labels, and would remove a Job of a run that it does not know.
func TestRestoreJobIsNotTheOperators(t *testing.T) {
	job := restoreJob(t)
	for what, labels := range map[string]map[string]string{"Job": job.Labels, "pod": job.Spec.Template.Labels} {
		if _, ours := ownership.Of(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: labels}}); ours || labels[v1alpha1.LabelMigration] != "" {
			t.Errorf("the %s is taken for one of the operator's: %v", what, labels)
		}
		if labels[v1alpha1.LabelMicroservice] != "scores" || labels[v1alpha1.LabelEnvironment] != "staging" {
			t.Errorf("the %s does not say what it belongs to: %v", what, labels)
		}
	}
}

func TestUnderWayIsTheJobForTheSameDatabase(t *testing.T) {
	made := func(change func(*batchv1.Job)) batchv1.Job {
		job := *restoreJob(t)
		change(&job)
		return job
	}
	for name, tc := range map[string]struct {
		job  batchv1.Job
		want bool
	}{
		"at work":               {made(func(*batchv1.Job) {}), true},
		"for another database":  {made(func(j *batchv1.Job) { j.Annotations[annotationRestore] = "other" }), false},
		"ended":                 {made(func(j *batchv1.Job) { j.Status.Conditions = conditions(batchv1.JobFailed) }), false},
		"being removed":         {made(func(j *batchv1.Job) { j.DeletionTimestamp = &metav1.Time{Time: time.Now()} }), false},
		"one of the operator's": {*rendered(t, run(), 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			got := UnderWay([]batchv1.Job{tc.job}, "scores_restored")
			if (got != nil) != tc.want || got != nil && BackupOf(got) != aBackup {
				t.Errorf("got %v", got)
			}
		})
	}
}

func conditions(types ...batchv1.JobConditionType) []batchv1.JobCondition {
	var out []batchv1.JobCondition
	for _, kind := range types {
		out = append(out, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue})
	}
	return out
}

func TestOutcomeOfARestore(t *testing.T) {
	job := restoreJob(t)
	job.Name, job.UID = "scores-restore-x", types.UID("1")
	pod := func(uid types.UID, phase corev1.PodPhase, report *contract.RestoreReport) corev1.Pod {
		out := corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "pod", OwnerReferences: []metav1.OwnerReference{{UID: uid, Controller: new(true)}}},
			Status:     corev1.PodStatus{Phase: phase},
		}
		if report != nil {
			encoded, err := json.Marshal(report)
			if err != nil {
				t.Fatal(err)
			}
			out.Status.ContainerStatuses = []corev1.ContainerStatus{{
				Name: containerMigrate, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: string(encoded)}},
			}}
		}
		return out
	}
	report := &contract.RestoreReport{ReportVersion: contract.RestoreReportVersion, Database: "scores_restored", Restored: true}
	unknown := &contract.RestoreReport{ReportVersion: contract.RestoreReportVersion + 1}
	for name, tc := range map[string]struct {
		conditions []batchv1.JobCondition
		pods       []corev1.Pod
		want       Outcome
	}{
		"no pod yet":                    {want: Outcome{}},
		"at work":                       {pods: []corev1.Pod{pod("1", corev1.PodRunning, nil)}, want: Outcome{Pod: "pod", Running: true}},
		"done":                          {conditions(batchv1.JobComplete), []corev1.Pod{pod("1", corev1.PodSucceeded, report)}, Outcome{Ended: true, Report: report, Pod: "pod"}},
		"gone with its report":          {conditions(batchv1.JobFailed), nil, Outcome{Ended: true}},
		"a report of another version":   {conditions(batchv1.JobFailed), []corev1.Pod{pod("1", corev1.PodFailed, unknown)}, Outcome{Ended: true, Pod: "pod"}},
		"the pod of another Job":        {pods: []corev1.Pod{pod("2", corev1.PodRunning, report)}, want: Outcome{}},
		"ended, and the Job not yet so": {pods: []corev1.Pod{pod("1", corev1.PodSucceeded, report)}, want: Outcome{Report: report, Pod: "pod"}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := job.DeepCopy()
			seen.Status.Conditions = tc.conditions
			if diff := cmp.Diff(tc.want, OutcomeOf(seen, tc.pods)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestImageIsThatOfTheOperatorsLastJob(t *testing.T) {
	aged := func(image string, age time.Duration) batchv1.Job {
		job := *rendered(t, run(func(r *Run) { r.MigrateImage = image }), 1)
		job.CreationTimestamp = metav1.NewTime(time.Unix(1_800_000_000, 0).Add(-age))
		return job
	}
	own := *restoreJob(t)
	own.CreationTimestamp = metav1.NewTime(time.Unix(1_900_000_000, 0))
	got := ImageOf([]batchv1.Job{aged("old", time.Hour), aged("new", time.Minute), aged("older", 2*time.Hour), own})
	if got != "new" {
		t.Errorf("got %q, want that of the newest Job of the operator", got)
	}
	if got := ImageOf([]batchv1.Job{own}); got != "" {
		t.Errorf("got %q of somebody's own Job", got)
	}
}
