package migration

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/diagnosis"
)

// Waiting times before another attempt: firstRetry after the first failure, twice as long after each further one, never
// more than maxRetry, so that a database that comes back is noticed within a minute.
const (
	firstRetry = 5 * time.Second
	maxRetry   = time.Minute
)

// Observed is what there is of one environment's migrations.
type Observed struct {
	// Jobs of the environment, of this run and of others.
	Jobs []batchv1.Job
	// Pods of those Jobs, and perhaps others.
	Pods []corev1.Pod
	Now  time.Time
}

// Decision is what to do next about a run.
type Decision struct {
	// Done: the schema holds what the run brings. Nothing else is set but SchemaVersion.
	Done bool
	// SchemaVersion after a run, if it is known.
	SchemaVersion *int64
	// Start is the number of the attempt to make now; 0 for none.
	Start int
	// Delete are Jobs that stand in the way, or that a later attempt has made worthless.
	Delete []batchv1.Job
	// Waiting says what for, while not Done.
	Waiting *v1alpha1.WaitingFor
	// Stalled: the database has refused it at FailedAt, and will again.
	Stalled  bool
	FailedAt time.Time
}

// Decide says what to do about a run whose Hash is hash.
//
//	no Job              -> start attempt 1
//	Job of another run  -> let it finish if it has touched the database, else delete it
//	running             -> wait, naming what holds it up
//	succeeded           -> done
//	failed, retryable   -> start the next attempt when its time has come
//	failed for good     -> stalled until the Job is removed or the run changes
func Decide(hash string, observed Observed) Decision {
	if decision, busy := settleOthers(hash, observed); busy {
		return decision
	}
	job := latest(hash, observed.Jobs)
	if job == nil {
		return Decision{Start: 1, Waiting: running("")}
	}
	pods := podsOf(job, observed.Pods)
	var decision Decision
	switch {
	case job.DeletionTimestamp != nil:
		return Decision{Waiting: running("an earlier attempt is being removed")}
	case finished(job, batchv1.JobComplete):
		return Decision{Done: true, SchemaVersion: versionAfter(pods)}
	case finished(job, batchv1.JobFailed):
		decision = afterFailure(job, pods, observed.Now)
	default:
		decision = Decision{Waiting: holdUp(pods)}
	}
	decision.Delete = superseded(hash, job, observed.Jobs)
	return decision
}

// superseded returns the earlier attempts of the run. A database that is away for a weekend is tried some thousand times; only
// the last attempt has anything to tell.
func superseded(hash string, last *batchv1.Job, jobs []batchv1.Job) []batchv1.Job {
	var out []batchv1.Job
	for _, job := range jobs {
		if job.Labels[v1alpha1.LabelMigration] == hash && job.Name != last.Name && job.DeletionTimestamp == nil && ended(&job) {
			out = append(out, job)
		}
	}
	return out
}

// Obsolete returns the Jobs that nobody needs once the run is done and its pods are ready: earlier attempts, and Jobs of other
// runs, whether they have ended or have not come to the database yet. One that is at work there is left to finish.
func Obsolete(hash string, observed Observed) []batchv1.Job {
	keep := latest(hash, observed.Jobs)
	var out []batchv1.Job
	for _, job := range observed.Jobs {
		if job.DeletionTimestamp != nil || keep != nil && job.Name == keep.Name {
			continue
		}
		if ended(&job) || !touchedDatabase(podsOf(&job, observed.Pods)) {
			out = append(out, job)
		}
	}
	return out
}

// settleOthers sees to it that no two runs are at work in one environment: the database's lock would hold one of them back,
// but which one would be luck.
func settleOthers(hash string, observed Observed) (Decision, bool) {
	var untouched []batchv1.Job
	for _, job := range observed.Jobs {
		if job.Labels[v1alpha1.LabelMigration] == hash || ended(&job) {
			continue
		}
		if job.DeletionTimestamp != nil || touchedDatabase(podsOf(&job, observed.Pods)) {
			return Decision{Waiting: running("a migration of an earlier release is still at work")}, true
		}
		untouched = append(untouched, job)
	}
	if len(untouched) == 0 {
		return Decision{}, false
	}
	return Decision{Delete: untouched, Waiting: running("a migration of an earlier release is being removed")}, true
}

// touchedDatabase reports whether the container that talks to the database has ever been started.
func touchedDatabase(pods []corev1.Pod) bool {
	for i := range pods {
		for _, status := range pods[i].Status.ContainerStatuses {
			if status.Name == containerMigrate && (status.State.Running != nil || status.State.Terminated != nil) {
				return true
			}
		}
	}
	return false
}

func afterFailure(job *batchv1.Job, pods []corev1.Pod, now time.Time) Decision {
	report := reportOf(pods)
	if report != nil && report.Error != nil && !report.Error.Retryable {
		return Decision{
			Stalled:  true,
			FailedAt: failedAt(job),
			Waiting: &v1alpha1.WaitingFor{
				Type:    v1alpha1.WaitMigration,
				Message: failure(report.Error),
				Unblock: "correct the migration and release a new image, or mend the data and retry the release",
			},
		}
	}
	waiting := running("the last attempt failed")
	if report != nil && report.Error != nil {
		waiting = &v1alpha1.WaitingFor{Type: v1alpha1.WaitDatabase, Message: failure(report.Error), Unblock: "mend the database or the Secret; the next attempt is made by itself"}
	} else if finding := diagnosis.Of(pods); finding != nil {
		waiting = &v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: finding.Message, Unblock: finding.Unblock}
	}
	attempt := attemptOf(job)
	due := failedAt(job).Add(delay(attempt))
	if now.Before(due) {
		deadline := metav1.NewTime(due)
		waiting.Deadline = &deadline
		return Decision{Waiting: waiting}
	}
	return Decision{Start: attempt + 1, Waiting: waiting}
}

func failure(err *contract.MigrationError) string {
	if err.Migration == "" {
		return err.Message
	}
	return fmt.Sprintf("migration %s: %s", err.Migration, err.Message)
}

// delay is the pause after the n-th failed attempt.
func delay(attempt int) time.Duration {
	pause := firstRetry
	for range attempt - 1 {
		if pause *= 2; pause >= maxRetry {
			return maxRetry
		}
	}
	return pause
}

func running(message string) *v1alpha1.WaitingFor {
	if message == "" {
		message = "the migrations are running"
	}
	return &v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: message}
}

func holdUp(pods []corev1.Pod) *v1alpha1.WaitingFor {
	finding := diagnosis.Of(pods)
	if finding == nil || failing(pods) {
		return running("")
	}
	waiting := &v1alpha1.WaitingFor{Type: v1alpha1.WaitPods, Message: finding.Message, Unblock: finding.Unblock}
	if finding.Image {
		waiting.Type = v1alpha1.WaitImage
	}
	return waiting
}

// failing reports whether a container has ended in an error: the Job's verdict follows at once, and says more.
func failing(pods []corev1.Pod) bool {
	for i := range pods {
		for _, status := range slices.Concat(pods[i].Status.InitContainerStatuses, pods[i].Status.ContainerStatuses) {
			if status.State.Terminated != nil && status.State.Terminated.ExitCode != 0 {
				return true
			}
		}
	}
	return false
}

// reportOf returns what mirubato-migrate reported, or nil if it did not come that far, its pod is gone, or the report is of a
// version that is not known here.
func reportOf(pods []corev1.Pod) *contract.MigrationReport {
	for i := range pods {
		for _, status := range pods[i].Status.ContainerStatuses {
			if status.Name != containerMigrate || status.State.Terminated == nil {
				continue
			}
			report := &contract.MigrationReport{}
			if err := json.Unmarshal([]byte(status.State.Terminated.Message), report); err == nil && report.ReportVersion == contract.MigrationReportVersion {
				return report
			}
		}
	}
	return nil
}

func versionAfter(pods []corev1.Pod) *int64 {
	if report := reportOf(pods); report != nil && report.To >= 0 {
		return &report.To
	}
	return nil
}

// latest returns the Job of the run with the highest attempt, or nil.
func latest(hash string, jobs []batchv1.Job) *batchv1.Job {
	var own []batchv1.Job
	for _, job := range jobs {
		if job.Labels[v1alpha1.LabelMigration] == hash {
			own = append(own, job)
		}
	}
	if len(own) == 0 {
		return nil
	}
	last := slices.MaxFunc(own, func(a, b batchv1.Job) int { return cmp.Compare(attemptOf(&a), attemptOf(&b)) })
	return &last
}

// attemptOf is 1 for a Job whose annotation was lost.
func attemptOf(job *batchv1.Job) int {
	attempt, err := strconv.Atoi(job.Annotations[annotationAttempt])
	if err != nil || attempt < 1 {
		return 1
	}
	return attempt
}

// podsOf goes by the owner's identity, not by its name: a Job that was made anew under the same name must not inherit the
// report of a pod that is still being removed.
func podsOf(job *batchv1.Job, pods []corev1.Pod) []corev1.Pod {
	var out []corev1.Pod
	for _, pod := range pods {
		if metav1.IsControlledBy(&pod, job) {
			out = append(out, pod)
		}
	}
	return out
}

func ended(job *batchv1.Job) bool {
	return finished(job, batchv1.JobComplete) || finished(job, batchv1.JobFailed)
}

func finished(job *batchv1.Job, how batchv1.JobConditionType) bool {
	for _, condition := range job.Status.Conditions {
		if condition.Type == how {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func failedAt(job *batchv1.Job) time.Time {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed {
			return condition.LastTransitionTime.Time
		}
	}
	return job.CreationTimestamp.Time
}
