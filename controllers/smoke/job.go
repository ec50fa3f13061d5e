package smoke

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/diagnosis"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/release"
	"github.com/mirubato/mirubato/controllers/restricted"
)

// envTargetURL tells a Job where to send its requests, without a slash at its end.
const envTargetURL = "TARGET_URL"

// annotationAttempt counts the Jobs made for the same test, from 1.
const annotationAttempt = "platform.mirubato.com/attempt"

// job returns the Job for the n-th attempt at a test, counted from 1. Its name follows from the test and the attempt, so that
// making it twice, also on two operators, makes one.
func (r Run) job(t test, attempt int32) (manifest.Manifest, error) {
	s := r.subject
	labels := s.Owner.Labels(ownership.ComponentSmokeTest)
	labels[v1alpha1.LabelSmokeTest] = t.hash
	pod := restricted.PodSpec().
		WithServiceAccountName(s.ServiceAccount).
		WithRestartPolicy(corev1.RestartPolicyNever).
		WithContainers(r.container(t))
	for _, name := range s.ImagePullSecrets {
		pod.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(name))
	}
	s.Placement.Apply(pod)
	// Short, because a Job's name must fit into 63 characters.
	name := fmt.Sprintf("%s-st-%s-%d", s.Owner.Microservice.Name, t.hash, attempt)
	return manifest.New(batchv1ac.Job(name, s.Namespace).
		WithLabels(labels).
		WithAnnotations(map[string]string{
			v1alpha1.AnnotationRelease: s.Release,
			annotationAttempt:          strconv.Itoa(int(attempt)),
		}).
		WithSpec(batchv1ac.JobSpec().
			// The operator decides about another attempt, not the Job controller: both would count.
			WithBackoffLimit(0).
			WithActiveDeadlineSeconds(int64((t.timeout + time.Second - 1) / time.Second)).
			WithTemplate(corev1ac.PodTemplateSpec().WithLabels(labels).WithSpec(pod))))
}

func (r Run) container(t test) *corev1ac.ContainerApplyConfiguration {
	container := restricted.Container("test", cmp.Or(t.Job.Image, r.subject.Image)).
		WithEnv(
			corev1ac.EnvVar().WithName(envTargetURL).WithValue(r.url()),
			corev1ac.EnvVar().WithName(contract.EnvRelease).WithValue(r.subject.Release),
			corev1ac.EnvVar().WithName(contract.EnvEnvironment).WithValue(r.subject.Owner.Environment)).
		WithResources(restricted.SmallResources()).
		// What the test says about its failure ends up where the operator can read it.
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError)
	if len(t.Job.Command) > 0 {
		container.WithCommand(t.Job.Command...)
	}
	if len(t.Job.Args) > 0 {
		container.WithArgs(t.Job.Args...)
	}
	return container
}

// url is that of the Service in front of the target, on the port that a URL without one means.
func (r Run) url() string {
	name := r.subject.Owner.Microservice.Name
	if r.subject.Target == v1alpha1.SmokeCanary {
		name += "-canary"
	}
	return fmt.Sprintf("http://%s.%s.svc", name, r.subject.Namespace)
}

// lookAtJobs adds to what was recorded of a test what its last Job has to tell.
func (p *progress) lookAtJobs(observed Observed) {
	job := latest(p.hash, observed.Jobs)
	if job == nil || attemptOf(job) <= p.attempts {
		return
	}
	switch {
	case finished(job, batchv1.JobComplete):
		p.state, p.attempts, p.ended = release.SmokePassed, attemptOf(job), endedAt(job)
	case finished(job, batchv1.JobFailed):
		p.attempts, p.ended, p.message = attemptOf(job), endedAt(job), p.failure(job, observed.Pods)
		p.state = stateAfter(false, p.attempts, p.test.attempts)
	default:
		p.state, p.running = release.SmokeRunning, job
	}
}

func (p *progress) failure(job *batchv1.Job, pods []corev1.Pod) string {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobFailed && condition.Reason == batchv1.JobReasonDeadlineExceeded {
			return clip("it did not end within " + p.timeout.String())
		}
	}
	if finding := diagnosis.Of(podsOf(job, pods)); finding != nil {
		return clip(finding.Message)
	}
	return "its Job failed, and its pod is gone"
}

// holdUp says why a Job does not come to work; empty if it is at work.
func holdUp(job *batchv1.Job, pods []corev1.Pod) string {
	if job.DeletionTimestamp != nil {
		return "its Job is being removed"
	}
	if finding := diagnosis.Of(podsOf(job, pods)); finding != nil {
		return clip(finding.Message)
	}
	return ""
}

// Obsolete returns the Jobs of smoke tests that nobody needs any more: those of none of the runs, at work or not, and the
// earlier attempts of the others. Without runs that is all of them. The last attempt of a test stays, for its log.
func Obsolete(jobs []batchv1.Job, runs ...Run) []batchv1.Job {
	keep := map[string]bool{}
	for _, run := range runs {
		for _, t := range run.tests {
			if job := latest(t.hash, jobs); job != nil {
				keep[job.Name] = true
			}
		}
	}
	var out []batchv1.Job
	for _, job := range jobs {
		if isSmokeTest(&job) && job.DeletionTimestamp == nil && !keep[job.Name] {
			out = append(out, job)
		}
	}
	return out
}

func isSmokeTest(job *batchv1.Job) bool {
	return ownership.ComponentOf(job.Labels) == ownership.ComponentSmokeTest
}

// latest returns the Job of a test with the highest attempt, or nil.
func latest(hash string, jobs []batchv1.Job) *batchv1.Job {
	var own []batchv1.Job
	for _, job := range jobs {
		if isSmokeTest(&job) && job.Labels[v1alpha1.LabelSmokeTest] == hash {
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
func attemptOf(job *batchv1.Job) int32 {
	attempt, err := strconv.ParseInt(job.Annotations[annotationAttempt], 10, 32)
	if err != nil || attempt < 1 {
		return 1
	}
	return int32(attempt)
}

// podsOf goes by the owner's identity, not by its name: a Job that was made anew under the same name must not inherit what
// a pod says that is still being removed.
func podsOf(job *batchv1.Job, pods []corev1.Pod) []corev1.Pod {
	var out []corev1.Pod
	for _, pod := range pods {
		if metav1.IsControlledBy(&pod, job) {
			out = append(out, pod)
		}
	}
	return out
}

func finished(job *batchv1.Job, how batchv1.JobConditionType) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == how && c.Status == corev1.ConditionTrue
	})
}

func endedAt(job *batchv1.Job) time.Time {
	for _, condition := range job.Status.Conditions {
		if condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed {
			return condition.LastTransitionTime.Time
		}
	}
	return job.CreationTimestamp.Time
}
