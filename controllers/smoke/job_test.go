package smoke

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// rendered is the typed form of the Job for one attempt at the first test of a run.
func rendered(t testing.TB, run Run, attempt int32) *batchv1.Job {
	t.Helper()
	m, err := run.job(run.tests[0], attempt)
	if err != nil {
		t.Fatal(err)
	}
	job := &batchv1.Job{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(m.Object().Object, job, true); err != nil {
		t.Fatal(err)
	}
	return job
}

func TestJobRunsTheTest(t *testing.T) {
	timed := jobTest("shop")
	timed.Timeout = &metav1.Duration{Duration: 1500 * time.Millisecond}
	job := rendered(t, newRun(t, subject(), timed), 2)
	spec := job.Spec.Template.Spec
	container := spec.Containers[0]
	env := map[string]string{}
	for _, variable := range container.Env {
		env[variable.Name] = variable.Value
	}
	want := map[string]string{"TARGET_URL": "http://scores-canary.scores-staging.svc", "RELEASE": currentRelease, "ENVIRONMENT": "staging"}
	if diff := cmp.Diff(want, env); diff != "" {
		t.Errorf("environment variables (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/test", "--fast"}, append(container.Command, container.Args...)); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
	if container.Image != "example.com/scores:1.4.0" || spec.ImagePullSecrets[0].Name != "pull" || spec.ServiceAccountName != "scores" {
		t.Errorf("image %s, pulled with %v, under %s", container.Image, spec.ImagePullSecrets, spec.ServiceAccountName)
	}
	if *job.Spec.BackoffLimit != 0 || *job.Spec.ActiveDeadlineSeconds != 2 || spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("backoffLimit %d, deadline %d s, restart %s", *job.Spec.BackoffLimit, *job.Spec.ActiveDeadlineSeconds, spec.RestartPolicy)
	}
	if got := attemptOf(job); got != 2 {
		t.Errorf("attempt = %d", got)
	}
	other := jobTest("shop")
	other.Job = &v1alpha1.JobTest{Image: "example.com/tests:7"}
	plain := rendered(t, newRun(t, subject(), other), 1).Spec.Template.Spec.Containers[0]
	if plain.Image != "example.com/tests:7" || plain.Command != nil || plain.Args != nil {
		t.Errorf("image %s, command %v, args %v; want the image's own", plain.Image, plain.Command, plain.Args)
	}
}

func TestJobAsksTheServiceOfItsTarget(t *testing.T) {
	for target, want := range map[v1alpha1.SmokeTarget]string{
		v1alpha1.SmokeStable:      "http://scores.scores-staging.svc",
		v1alpha1.SmokeCanary:      "http://scores-canary.scores-staging.svc",
		v1alpha1.SmokeEnvironment: "http://scores.scores-staging.svc",
	} {
		run := newRun(t, subject(func(s *Subject) { s.Target = target }), jobTest("shop"))
		if got := rendered(t, run, 1).Spec.Template.Spec.Containers[0].Env[0].Value; got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

func TestJobMeetsTheRestrictedStandard(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	job := rendered(t, newRun(t, subject(), jobTest("shop")), 1)
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &job.Spec.Template.ObjectMeta, &job.Spec.Template.Spec) {
		if !result.Allowed {
			t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
}

func TestJobIsNamedAfterWhatItTests(t *testing.T) {
	base := rendered(t, newRun(t, subject(), jobTest("shop")), 1).Name
	if again := rendered(t, newRun(t, subject(), jobTest("shop")), 1).Name; again != base {
		t.Errorf("the same test has two names, %s and %s", base, again)
	}
	edited := jobTest("shop")
	edited.Job.Args = nil
	for name, job := range map[string]*batchv1.Job{
		"attempt":   rendered(t, newRun(t, subject(), jobTest("shop")), 2),
		"test":      rendered(t, newRun(t, subject(), jobTest("cart")), 1),
		"content":   rendered(t, newRun(t, subject(), edited), 1),
		"release":   rendered(t, newRun(t, subject(func(s *Subject) { s.Release = "1.5.0-0000000000" }), jobTest("shop")), 1),
		"target":    rendered(t, newRun(t, subject(func(s *Subject) { s.Target = v1alpha1.SmokeStable }), jobTest("shop")), 1),
		"admission": rendered(t, newRun(t, subject(func(s *Subject) { s.Admitted = now }), jobTest("shop")), 1),
	} {
		if job.Name == base {
			t.Errorf("another %s has the same name %s", name, base)
		}
	}
	// A time that has lost its fractions on the way through the API server is the same time.
	precise := newRun(t, subject(func(s *Subject) { s.Admitted = s.Admitted.Add(time.Millisecond).Local() }), jobTest("shop"))
	if got := rendered(t, precise, 1).Name; got != base {
		t.Errorf("the time as it was before it was recorded makes another name, %s and %s", got, base)
	}
	longest := newRun(t, subject(func(s *Subject) { s.Owner.Microservice.Name = strings.Repeat("a", 40) }), jobTest(strings.Repeat("b", 40)))
	if problems := validation.IsDNS1123Label(rendered(t, longest, 10).Name); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestObsolete(t *testing.T) {
	current := newRun(t, subject(), jobTest("shop"))
	earlier := newRun(t, subject(func(s *Subject) { s.Release = "1.3.0-0000000000" }), jobTest("shop"))
	stable := newRun(t, subject(func(s *Subject) { s.Target = v1alpha1.SmokeStable }), jobTest("shop"))
	first, _ := made(t, current, 1, ends(batchv1.JobFailed, "", 0))
	last, _ := made(t, current, 10, ends(batchv1.JobFailed, "", 0))
	superseded, _ := made(t, earlier, 1)
	done, _ := made(t, stable, 1, ends(batchv1.JobComplete, "", 0))
	leaving, _ := made(t, earlier, 2)
	leaving.DeletionTimestamp = &metav1.Time{Time: now}
	migration, _ := made(t, earlier, 1)
	migration.Name, migration.Labels = "scores-db-1", subject().Owner.Labels("migration")
	jobs := []batchv1.Job{first, last, superseded, done, leaving, migration}
	for name, tc := range map[string]struct {
		runs []Run
		want []batchv1.Job
	}{
		"one target":   {[]Run{current}, []batchv1.Job{first, superseded, done}},
		"two targets":  {[]Run{stable, current}, []batchv1.Job{first, superseded}},
		"none is made": {nil, []batchv1.Job{first, last, superseded, done}},
	} {
		names := func(jobs []batchv1.Job) (out []string) {
			for _, job := range jobs {
				out = append(out, job.Name)
			}
			return out
		}
		if diff := cmp.Diff(names(tc.want), names(Obsolete(jobs, tc.runs...))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
