package migration

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	ours   = "aaaaaaaaaa"
	theirs = "bbbbbbbbbb"
)

// job is the n-th attempt of a run, not ended.
func job(hash string, attempt int, changes ...func(*batchv1.Job)) batchv1.Job {
	name := fmt.Sprintf("scores-db-%s-%d", hash, attempt)
	j := batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: name, UID: types.UID(name),
		Labels:            map[string]string{v1alpha1.LabelMigration: hash},
		Annotations:       map[string]string{annotationAttempt: fmt.Sprint(attempt)},
		CreationTimestamp: metav1.NewTime(now.Add(-time.Hour)),
	}}
	for _, change := range changes {
		change(&j)
	}
	return j
}

func complete(j *batchv1.Job) {
	j.Status.Conditions = []batchv1.JobCondition{
		{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue},
		{Type: batchv1.JobComplete, Status: corev1.ConditionTrue},
	}
}

func failedBefore(ago time.Duration) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		at := metav1.NewTime(now.Add(-ago))
		j.Status.Conditions = []batchv1.JobCondition{
			{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, LastTransitionTime: at},
			{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, LastTransitionTime: at},
		}
	}
}

func deleting(j *batchv1.Job) { j.DeletionTimestamp = &metav1.Time{Time: now} }

// pod is the pod of a Job whose migrate container is in the given state.
func pod(of batchv1.Job, state corev1.ContainerState) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: of.Namespace, Name: of.Name + "-x", Labels: map[string]string{batchv1.JobNameLabel: of.Name},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&of, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: containerMigrate, State: state}}},
	}
}

func initializing() corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}
}

func atWork() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
}

func exited(code int32, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message}}
}

func succeeded(t testing.TB, to int64) corev1.ContainerState {
	t.Helper()
	return exited(contract.ExitOK, message(t, contract.MigrationReport{ReportVersion: 1, To: to, Target: to}))
}

func stopped(t testing.TB, code int32, err contract.MigrationError) corev1.ContainerState {
	t.Helper()
	return exited(code, message(t, contract.MigrationReport{ReportVersion: 1, From: -1, To: -1, Error: &err}))
}

func migrating(message string) *v1alpha1.WaitingFor {
	return &v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: message}
}

func until(ahead time.Duration, waiting v1alpha1.WaitingFor) *v1alpha1.WaitingFor {
	deadline := metav1.NewTime(now.Add(ahead))
	waiting.Deadline = &deadline
	return &waiting
}

type decideCase struct {
	jobs []batchv1.Job
	pods []corev1.Pod
	want Decision
}

func TestDecide(t *testing.T) {
	version := int64(7)
	away := v1alpha1.WaitingFor{
		Type: v1alpha1.WaitDatabase, Message: "the database does not answer",
		Unblock: "mend the database or the Secret; the next attempt is made by itself",
	}
	unreachable := stopped(t, contract.ExitUnavailable, contract.MigrationError{
		Code: contract.DatabaseUnreachable, Message: "the database does not answer", Retryable: true,
	})
	refused := stopped(t, contract.ExitFailed, contract.MigrationError{
		Code: contract.MigrationFailed, Migration: "00003_parts.sql", Message: "relation parts does not exist", SQLState: "42P01",
	})
	runCases(t, map[string]decideCase{
		"without a Job the first attempt is made": {
			want: Decision{Start: 1, Waiting: migrating("the migrations are running")},
		},
		"a Job whose pod nobody has seen yet is waited for": {
			jobs: []batchv1.Job{job(ours, 1)},
			want: Decision{Waiting: migrating("the migrations are running")},
		},
		"a Job at work is waited for": {
			jobs: []batchv1.Job{job(ours, 1)}, pods: []corev1.Pod{pod(job(ours, 1), atWork())},
			want: Decision{Waiting: migrating("the migrations are running")},
		},
		"a Job that is being removed is waited for": {
			jobs: []batchv1.Job{job(ours, 1, complete, deleting)},
			want: Decision{Waiting: migrating("an earlier attempt is being removed")},
		},
		"a Job that succeeded is done, at the version that it reported": {
			jobs: []batchv1.Job{job(ours, 1, complete)}, pods: []corev1.Pod{pod(job(ours, 1), succeeded(t, version))},
			want: Decision{Done: true, Evidence: Evidence{SchemaVersion: &version}},
		},
		"a Job that succeeded is done, although its pod is gone": {
			jobs: []batchv1.Job{job(ours, 1, complete)},
			want: Decision{Done: true},
		},
		"a success after failures is done": {
			jobs: []batchv1.Job{job(ours, 1, failedBefore(time.Minute)), job(ours, 2, complete)},
			want: Decision{Done: true},
		},
		"after a retryable failure the next attempt waits for its time": {
			jobs: []batchv1.Job{job(ours, 1, failedBefore(2*time.Second))}, pods: []corev1.Pod{pod(job(ours, 1), unreachable)},
			want: Decision{Waiting: until(3*time.Second, away)},
		},
		"when its time has come the next attempt is made": {
			jobs: []batchv1.Job{job(ours, 1, failedBefore(5*time.Second))}, pods: []corev1.Pod{pod(job(ours, 1), unreachable)},
			want: Decision{Start: 2, Waiting: &away},
		},
		"attempts that a later one has replaced are removed": {
			jobs: []batchv1.Job{
				job(ours, 1, failedBefore(time.Hour), deleting), job(ours, 2, failedBefore(time.Minute)), job(ours, 3, failedBefore(time.Second)),
			},
			pods: []corev1.Pod{pod(job(ours, 3), unreachable)},
			want: Decision{
				Delete:  []batchv1.Job{job(ours, 2, failedBefore(time.Minute))},
				Waiting: until(19*time.Second, away),
			},
		},
		"the tenth attempt is counted as a number, not as a text": {
			jobs: []batchv1.Job{job(ours, 10, failedBefore(time.Minute)), job(ours, 9, failedBefore(time.Minute), deleting)},
			pods: []corev1.Pod{pod(job(ours, 10), unreachable)},
			want: Decision{Start: 11, Waiting: &away},
		},
		"a Job that lost its count is the first": {
			jobs: []batchv1.Job{job(ours, 1, failedBefore(time.Minute), func(j *batchv1.Job) { j.Annotations = nil })},
			pods: []corev1.Pod{pod(job(ours, 1), unreachable)},
			want: Decision{Start: 2, Waiting: &away},
		},
		"a migration that the database refused stalls until a person acts": {
			jobs: []batchv1.Job{job(ours, 1, failedBefore(time.Hour))}, pods: []corev1.Pod{pod(job(ours, 1), refused)},
			want: Decision{Stalled: true, FailedAt: now.Add(-time.Hour), Waiting: &v1alpha1.WaitingFor{
				Type:    v1alpha1.WaitMigration,
				Message: "migration 00003_parts.sql: relation parts does not exist",
				Unblock: "correct the migration and release a new image, or mend the data and retry the release",
			}},
		},
		"a failure that left no report is tried again": {
			jobs: []batchv1.Job{job(ours, 1, failedBefore(time.Second))},
			want: Decision{Waiting: until(4*time.Second, *migrating("the last attempt failed"))},
		},
		"a report of the pod of an earlier Job of the same name is not believed": {
			jobs: []batchv1.Job{job(ours, 1, failedBefore(time.Second))},
			pods: []corev1.Pod{pod(job(ours, 1, func(j *batchv1.Job) { j.UID = "earlier" }), refused)},
			want: Decision{Waiting: until(4*time.Second, *migrating("the last attempt failed"))},
		},
		"a Job of another run that has ended is in nobody's way": {
			jobs: []batchv1.Job{job(theirs, 1, complete), job(theirs, 2, failedBefore(time.Minute))},
			want: Decision{Start: 1, Waiting: migrating("the migrations are running")},
		},
		"a Job of another run that has come to the database finishes first": {
			jobs: []batchv1.Job{job(theirs, 1)}, pods: []corev1.Pod{pod(job(theirs, 1), atWork())},
			want: Decision{Waiting: migrating("a migration of an earlier release is still at work")},
		},
		"a Job of another run that only lacks its verdict finishes first": {
			jobs: []batchv1.Job{job(theirs, 1)}, pods: []corev1.Pod{pod(job(theirs, 1), succeeded(t, 3))},
			want: Decision{Waiting: migrating("a migration of an earlier release is still at work")},
		},
		"a Job of another run that is being removed is gone first": {
			jobs: []batchv1.Job{job(theirs, 1, deleting)},
			want: Decision{Waiting: migrating("a migration of an earlier release is still at work")},
		},
		"a Job of another run that has not come to the database is removed": {
			jobs: []batchv1.Job{job(theirs, 1)}, pods: []corev1.Pod{pod(job(theirs, 1), initializing())},
			want: Decision{Delete: []batchv1.Job{job(theirs, 1)}, Waiting: migrating("a migration of an earlier release is being removed")},
		},
		"a Job of another run without a pod is removed, even when ours is done": {
			jobs: []batchv1.Job{job(theirs, 1), job(ours, 1, complete)},
			want: Decision{Delete: []batchv1.Job{job(theirs, 1)}, Waiting: migrating("a migration of an earlier release is being removed")},
		},
	})
}

func TestDecideNamesWhatHoldsAJobUp(t *testing.T) {
	pulling := pod(job(ours, 1), initializing())
	pulling.Status.InitContainerStatuses = []corev1.ContainerStatus{{
		Name: containerExport, Image: "example.com/scores:1.4.0",
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"}},
	}}
	unschedulable := pod(job(ours, 1), corev1.ContainerState{})
	unschedulable.Status = corev1.PodStatus{Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
	}}}
	exportFailed := pod(job(ours, 1), initializing())
	exportFailed.Status.InitContainerStatuses = []corev1.ContainerStatus{{
		Name: containerExport, State: exited(2, "unknown command: migrations"),
	}}
	const logs = "see kubectl logs --namespace ns scores-db-aaaaaaaaaa-1-x --container export"
	runCases(t, map[string]decideCase{
		"an image that cannot be pulled": {
			jobs: []batchv1.Job{job(ours, 1)}, pods: []corev1.Pod{pulling},
			want: Decision{Waiting: &v1alpha1.WaitingFor{
				Type: v1alpha1.WaitImage, Message: "image example.com/scores:1.4.0 cannot be pulled (not found)",
				Unblock: "push the image, correct spec.image, or name credentials in spec.workload.imagePullSecrets",
			}},
		},
		"no room on any node": {
			jobs: []batchv1.Job{job(ours, 1)}, pods: []corev1.Pod{unschedulable},
			want: Decision{Waiting: &v1alpha1.WaitingFor{
				Type: v1alpha1.WaitPods, Message: "no node has room for a pod",
				Unblock: "add nodes, or lower spec.workload.resources.requests",
			}},
		},
		"a container that has just failed is not told before the Job's verdict": {
			jobs: []batchv1.Job{job(ours, 1)}, pods: []corev1.Pod{exportFailed},
			want: Decision{Waiting: migrating("the migrations are running")},
		},
		"an export that failed is told, and tried again": {
			jobs: []batchv1.Job{job(ours, 1, failedBefore(time.Second))}, pods: []corev1.Pod{exportFailed},
			want: Decision{Waiting: until(4*time.Second, v1alpha1.WaitingFor{
				Type: v1alpha1.WaitMigration, Message: "container export ended with exit code 2: unknown command: migrations", Unblock: logs,
			})},
		},
	})
}

func runCases(t *testing.T, cases map[string]decideCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := Decide(Expand, ours, Observed{Jobs: tc.jobs, Pods: tc.pods, Now: now})
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if !got.Done && got.Waiting == nil {
				t.Error("not done, but nothing is waited for")
			}
		})
	}
}

func TestDelayDoublesUpToAMinute(t *testing.T) {
	for attempt, want := range map[int]time.Duration{
		1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 4: 40 * time.Second,
		5: time.Minute, 6: time.Minute, 100_000: time.Minute,
	} {
		if got := delay(attempt, maxRetry); got != want {
			t.Errorf("delay after attempt %d = %s, want %s", attempt, got, want)
		}
	}
}

func TestObsolete(t *testing.T) {
	for name, tc := range map[string]struct {
		jobs []batchv1.Job
		pods []corev1.Pod
		want []string
	}{
		"the last attempt of the run is kept as evidence": {
			jobs: []batchv1.Job{job(ours, 1, complete)},
		},
		"earlier attempts go": {
			jobs: []batchv1.Job{job(ours, 1, failedBefore(time.Minute)), job(ours, 2, complete)},
			want: []string{"scores-db-aaaaaaaaaa-1"},
		},
		"Jobs of other runs go when they have ended": {
			jobs: []batchv1.Job{job(ours, 1, complete), job(theirs, 1, complete), job(theirs, 2, failedBefore(time.Hour))},
			want: []string{"scores-db-bbbbbbbbbb-1", "scores-db-bbbbbbbbbb-2"},
		},
		"a Job of another run that waits for its image goes, or it would migrate some day": {
			jobs: []batchv1.Job{job(theirs, 1)}, pods: []corev1.Pod{pod(job(theirs, 1), initializing())},
			want: []string{"scores-db-bbbbbbbbbb-1"},
		},
		"a Job of another run that is at work in the database is left to finish": {
			jobs: []batchv1.Job{job(theirs, 1)}, pods: []corev1.Pod{pod(job(theirs, 1), atWork())},
		},
		"what is being removed is not removed again": {
			jobs: []batchv1.Job{job(theirs, 1, complete, deleting)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, j := range Obsolete([]string{ours}, Observed{Jobs: tc.jobs, Pods: tc.pods, Now: now}) {
				got = append(got, j.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Jobs to remove (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReportIsReadFromTheTerminationMessage(t *testing.T) {
	good := contract.MigrationReport{ReportVersion: 1, From: 1, To: 3, Target: 3}
	for name, tc := range map[string]struct {
		state corev1.ContainerState
		want  *contract.MigrationReport
	}{
		"a report is read":                              {state: exited(0, message(t, good)), want: &good},
		"fields that came later are passed over":        {state: exited(0, `{"reportVersion":1,"from":1,"to":3,"target":3,"later":true}`), want: &good},
		"a container that runs has none":                {state: atWork()},
		"an empty message is none":                      {state: exited(137, "")},
		"a line of the log is none":                     {state: exited(2, "unknown flag: --dir")},
		"a truncated report is none":                    {state: exited(0, message(t, good)[:20])},
		"JSON that is no report is none":                {state: exited(0, `{"level":"error"}`)},
		"a list is none":                                {state: exited(0, `[1]`)},
		"a report of a version that came later is none": {state: exited(0, `{"reportVersion":2,"from":1,"to":3,"target":3}`)},
	} {
		t.Run(name, func(t *testing.T) {
			var got *contract.MigrationReport
			if report, ok := reportOf[contract.MigrationReport]([]corev1.Pod{pod(job(ours, 1), tc.state)}, 1); ok {
				got = &report
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSchemaVersionIsUnknownUnlessReported(t *testing.T) {
	unknown := exited(0, `{"reportVersion":1,"from":-1,"to":-1,"target":3}`)
	if got, _ := Expand.evidence([]corev1.Pod{pod(job(ours, 1), unknown)}); got.SchemaVersion != nil {
		t.Errorf("version = %d, want none", *got.SchemaVersion)
	}
	if got, _ := Expand.evidence([]corev1.Pod{pod(job(ours, 1), succeeded(t, 0))}); got.SchemaVersion == nil || *got.SchemaVersion != 0 {
		t.Errorf("version = %v, want 0: an image may bring no migrations", got.SchemaVersion)
	}
}
