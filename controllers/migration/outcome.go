package migration

import (
	"cmp"
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
// more than maxRetry, so that a database that comes back is noticed within a minute. What takes a person is tried more and more
// rarely, because a backup may be a heavy thing to do for nothing.
const (
	firstRetry    = 5 * time.Second
	maxRetry      = time.Minute
	maxStuckRetry = 30 * time.Minute
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
	// Done: the stage has reached its aim. Nothing else is set but Evidence.
	Done bool
	// Evidence is what the Job has found out, complete where Done of any stage but Expand.
	Evidence Evidence
	// Start is the number of the attempt to make now; 0 for none.
	Start int
	// Delete are Jobs that stand in the way, or that a later attempt has made worthless.
	Delete []batchv1.Job
	// Waiting says what for, while not Done.
	Waiting *v1alpha1.WaitingFor
	// Stalled: it was refused at FailedAt, for a reason that lies in the release, and would be again.
	Stalled  bool
	FailedAt time.Time
	// Stuck: a person has to mend something around the database. It is tried again all the same.
	Stuck bool
}

// Decide says what to do about a run of a stage whose Hash is hash.
//
//	no Job              -> start attempt 1
//	Job of another run  -> let it finish if it may be changing the database, else delete it
//	running             -> wait, naming what holds it up
//	succeeded           -> done; without its report, where that is the purpose, start the next attempt
//	failed, retryable   -> start the next attempt when its time has come
//	failed for good     -> stalled until the Job is removed or the run changes, if the release is to blame
func Decide(stage Stage, hash string, observed Observed) Decision {
	if decision, busy := settleOthers(hash, observed); busy {
		return decision
	}
	job := latest(hash, observed.Jobs)
	if job == nil {
		return Decision{Start: 1, Waiting: stage.running("")}
	}
	pods := podsOf(job, observed.Pods)
	var decision Decision
	switch {
	case job.DeletionTimestamp != nil:
		return Decision{Waiting: stage.running("an earlier attempt is being removed")}
	case finished(job, batchv1.JobComplete):
		decision = stage.afterSuccess(job, pods, observed.Now)
		if decision.Done {
			return decision
		}
	case finished(job, batchv1.JobFailed):
		decision = stage.afterFailure(job, pods, observed.Now)
	default:
		decision = Decision{Waiting: stage.holdUp(pods)}
	}
	decision.Delete = superseded(hash, job, observed.Jobs)
	return decision
}

// afterSuccess is Done unless the stage is there for a report that nobody can read any more, because the pod is gone. One that the
// cache has not heard of yet is waited for.
func (s Stage) afterSuccess(job *batchv1.Job, pods []corev1.Pod, now time.Time) Decision {
	evidence, complete := s.evidence(pods)
	if complete || s == Expand {
		return Decision{Done: true, Evidence: evidence}
	}
	waiting := s.running("the Job has ended and its report is not there; it is made again")
	due := endedAt(job).Add(maxRetry)
	if now.Before(due) {
		deadline := metav1.NewTime(due)
		waiting.Deadline = &deadline
		return Decision{Waiting: waiting}
	}
	return Decision{Start: attemptOf(job) + 1, Waiting: waiting}
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
// runs and stages than those of hashes, whether they have ended or have not come to the database yet. One that is at work there is left
// to finish.
func Obsolete(hashes []string, observed Observed) []batchv1.Job {
	keep := map[string]bool{}
	for _, hash := range hashes {
		if job := latest(hash, observed.Jobs); job != nil {
			keep[job.Name] = true
		}
	}
	var out []batchv1.Job
	for _, job := range observed.Jobs {
		if job.DeletionTimestamp != nil || keep[job.Name] {
			continue
		}
		if ended(&job) || !mustFinish(&job, observed.Pods) {
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
		if job.DeletionTimestamp != nil || mustFinish(&job, observed.Pods) {
			return Decision{Waiting: Expand.running("a migration of an earlier release is still at work")}, true
		}
		untouched = append(untouched, job)
	}
	if len(untouched) == 0 {
		return Decision{}, false
	}
	return Decision{Delete: untouched, Waiting: Expand.running("a migration of an earlier release is being removed")}, true
}

// mustFinish reports whether a Job may be changing the database. A backup or a rehearsal may be cut short at any time.
func mustFinish(job *batchv1.Job, pods []corev1.Pod) bool {
	stage := stageOf(job)
	return stage.changes() && touchedDatabase(podsOf(job, pods))
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

func (s Stage) afterFailure(job *batchv1.Job, pods []corev1.Pod, now time.Time) Decision {
	failed := errorOf(pods)
	evidence, _ := s.evidence(pods)
	if failed != nil && !failed.Retryable && s.blames(failed.Code) {
		return Decision{
			Evidence: evidence,
			Stalled:  true,
			FailedAt: endedAt(job),
			Waiting: &v1alpha1.WaitingFor{
				Type:    v1alpha1.WaitMigration,
				Message: failure(failed),
				Unblock: "correct the migration and release a new image, or mend the data and retry the release",
			},
		}
	}
	decision := Decision{Evidence: evidence, Waiting: s.running("the last attempt failed")}
	longest := maxRetry
	if failed != nil {
		decision.Waiting = s.mend(failed)
		if decision.Stuck = !failed.Retryable; decision.Stuck {
			longest = maxStuckRetry
		}
	} else if finding := diagnosis.Of(pods); finding != nil {
		decision.Waiting = &v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: finding.Message, Unblock: finding.Unblock}
	}
	attempt := attemptOf(job)
	due := endedAt(job).Add(delay(attempt, longest))
	if now.Before(due) {
		deadline := metav1.NewTime(due)
		decision.Waiting.Deadline = &deadline
		return decision
	}
	decision.Start = attempt + 1
	return decision
}

// mend says what a person has to mend, after which the next attempt succeeds.
func (s Stage) mend(failed *contract.MigrationError) *v1alpha1.WaitingFor {
	switch failed.Code {
	case contract.DatabaseUnreachable, contract.CredentialsRefused, contract.LockNotAcquired, contract.Interrupted:
		return &v1alpha1.WaitingFor{Type: v1alpha1.WaitDatabase, Message: failure(failed), Unblock: "mend the database or the Secret; the next attempt is made by itself"}
	case contract.ImageTooOld, contract.ReleaseSkipped:
		return &v1alpha1.WaitingFor{Type: v1alpha1.WaitSchema, Message: failure(failed), Unblock: "choose a release that runs on this schema"}
	case contract.OwnedByAnother:
		return &v1alpha1.WaitingFor{Type: v1alpha1.WaitSchema, Message: failure(failed), Unblock: "name another database in the Secret, or hand this one over: mirubato-migrate hand-over"}
	case contract.BackfillPending, contract.BackfillPaused:
		return &v1alpha1.WaitingFor{Type: v1alpha1.WaitContract, Message: failure(failed), Unblock: "let it go on: mirubato-migrate backfill --resume NAME"}
	case contract.StorageUnavailable:
		return &v1alpha1.WaitingFor{Type: v1alpha1.WaitBackup, Message: failure(failed), Unblock: "mend what the message names: the volume or the bucket of database.backup, its credentials, or the room on the node; the next attempt is made by itself"}
	case contract.ServerTooNew:
		return &v1alpha1.WaitingFor{Type: v1alpha1.WaitBackup, Message: failure(failed), Unblock: "run the operator with a migrate image of a newer PostgreSQL"}
	case contract.BackupFailed, contract.BackupDiffers:
		return &v1alpha1.WaitingFor{Type: v1alpha1.WaitBackup, Message: failure(failed), Unblock: "mend what the message names, such as a right of the role of database.migrationSecretRef; the next attempt is made by itself"}
	}
	return &v1alpha1.WaitingFor{Type: v1alpha1.WaitDatabase, Message: failure(failed), Unblock: "mend what the message names; the next attempt is made by itself"}
}

// failure names the file.
func failure(err *contract.MigrationError) string {
	if err.Migration == "" {
		return err.Message
	}
	return fmt.Sprintf("migration %s: %s", err.Migration, err.Message)
}

// delay is the pause after the n-th failed attempt: at most longest.
func delay(attempt int, longest time.Duration) time.Duration {
	pause := firstRetry
	for range attempt - 1 {
		if pause *= 2; pause >= longest {
			return longest
		}
	}
	return pause
}

func (s Stage) holdUp(pods []corev1.Pod) *v1alpha1.WaitingFor {
	finding := diagnosis.Of(pods)
	if finding == nil || failing(pods) {
		return s.running("")
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

func endedAt(job *batchv1.Job) time.Time {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed || condition.Type == batchv1.JobComplete {
			return condition.LastTransitionTime.Time
		}
	}
	return job.CreationTimestamp.Time
}
