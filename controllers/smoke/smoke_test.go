package smoke

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/release"
)

// now is a whole second, as times are recorded.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const currentRelease = "1.4.0-3f2a9c01de"

func subject(changes ...func(*Subject)) Subject {
	out := Subject{
		Owner:            ownership.Owner{Microservice: types.NamespacedName{Namespace: "mirubato", Name: "scores"}, Environment: "staging"},
		Namespace:        "scores-staging",
		ServiceAccount:   "scores",
		Target:           v1alpha1.SmokeCanary,
		Release:          currentRelease,
		Image:            "example.com/scores:1.4.0",
		ImagePullSecrets: []string{"pull"},
		Admitted:         now.Add(-time.Hour),
	}
	for _, change := range changes {
		change(&out)
	}
	return out
}

func newRun(t testing.TB, s Subject, tests ...v1alpha1.SmokeTest) Run {
	t.Helper()
	run, err := New(s, tests)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func httpTest(name string, changes ...func(*v1alpha1.HTTPTest)) v1alpha1.SmokeTest {
	out := v1alpha1.SmokeTest{Name: name, HTTP: &v1alpha1.HTTPTest{Path: "/health"}}
	for _, change := range changes {
		change(out.HTTP)
	}
	return out
}

func jobTest(name string) v1alpha1.SmokeTest {
	return v1alpha1.SmokeTest{Name: name, Job: &v1alpha1.JobTest{Command: []string{"/test"}, Args: []string{"--fast"}}}
}

// made is the Job of the n-th attempt at the first test of a run, and its pod.
func made(t testing.TB, run Run, attempt int32, changes ...func(*batchv1.Job, *corev1.Pod)) (batchv1.Job, corev1.Pod) {
	t.Helper()
	job := rendered(t, run, attempt)
	job.UID = types.UID(job.Name)
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: job.Name + "-x", Namespace: job.Namespace, Labels: job.Labels,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
	}}
	for _, change := range changes {
		change(job, &pod)
	}
	return *job, pod
}

// ends finishes a Job some time before now.
func ends(how batchv1.JobConditionType, reason string, ago time.Duration) func(*batchv1.Job, *corev1.Pod) {
	return func(job *batchv1.Job, _ *corev1.Pod) {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: how, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: metav1.NewTime(now.Add(-ago)),
		})
	}
}

func says(message string) func(*batchv1.Job, *corev1.Pod) {
	return func(_ *batchv1.Job, pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "test", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: message},
		}}}
	}
}

func waits(reason, message string) func(*batchv1.Job, *corev1.Pod) {
	return func(_ *batchv1.Job, pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "test", Image: "scores:1", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
		}}}
	}
}

func result(name string, passed bool, attempts int32, ago time.Duration, message string) v1alpha1.SmokeResult {
	return v1alpha1.SmokeResult{
		Target: v1alpha1.SmokeCanary, Name: name, Passed: passed, Attempts: attempts,
		Time: metav1.NewTime(now.Add(-ago)), Message: message,
	}
}

func TestStateOfRequests(t *testing.T) {
	two := []v1alpha1.SmokeTest{httpTest("health"), httpTest("login")}
	once := httpTest("health")
	once.Attempts = new(int32(1))
	for name, tc := range map[string]struct {
		tests   []v1alpha1.SmokeTest
		results []v1alpha1.SmokeResult
		want    release.Smoke
	}{
		"without tests it has passed": {want: release.Smoke{State: release.SmokePassed}},
		"nothing was asked yet":       {tests: two, want: release.Smoke{State: release.SmokePending}},
		"what another target answered does not count": {
			tests:   two[:1],
			results: []v1alpha1.SmokeResult{{Target: v1alpha1.SmokeStable, Name: "health", Passed: true, Attempts: 1, Time: metav1.NewTime(now)}},
			want:    release.Smoke{State: release.SmokePending},
		},
		"one has passed, one was not made": {
			tests: two, results: []v1alpha1.SmokeResult{result("health", true, 1, 0, "")},
			want: release.Smoke{State: release.SmokeRunning, Message: "smoke test login is running", Next: now},
		},
		"all have passed": {
			tests: two, results: []v1alpha1.SmokeResult{result("health", true, 1, 0, ""), result("login", true, 3, 0, "")},
			want: release.Smoke{State: release.SmokePassed},
		},
		"after a failure there is a pause of a second, and one for what recording cuts off": {
			tests: two[:1], results: []v1alpha1.SmokeResult{result("health", false, 1, 0, "it answers with status 500")},
			want: release.Smoke{State: release.SmokeRunning, Message: "smoke test health: it answers with status 500", Next: now.Add(2 * time.Second)},
		},
		"a longer one after the next": {
			tests: two[:1], results: []v1alpha1.SmokeResult{result("health", false, 2, time.Second, "no")},
			want: release.Smoke{State: release.SmokeRunning, Message: "smoke test health: no", Next: now.Add(2 * time.Second)},
		},
		"the sooner of two": {
			tests: two, results: []v1alpha1.SmokeResult{result("health", false, 2, 0, "no"), result("login", false, 1, 0, "neither")},
			want: release.Smoke{State: release.SmokeRunning, Message: "smoke test health: no", Next: now.Add(2 * time.Second)},
		},
		"three failures end it": {
			tests: two, results: []v1alpha1.SmokeResult{result("login", false, 3, 0, "it answers with status 500")},
			want: release.Smoke{State: release.SmokeFailed, Message: "smoke test login failed 3 times: it answers with status 500"},
		},
		"as many as the spec says": {
			tests: []v1alpha1.SmokeTest{once}, results: []v1alpha1.SmokeResult{result("health", false, 1, 0, "no")},
			want: release.Smoke{State: release.SmokeFailed, Message: "smoke test health failed once: no"},
		},
		"a test that was taken out does not count": {
			tests: two[:1], results: []v1alpha1.SmokeResult{result("health", true, 1, 0, ""), result("login", false, 3, 0, "no")},
			want: release.Smoke{State: release.SmokePassed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := newRun(t, subject(), tc.tests...).State(Observed{Results: tc.results, Now: now})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStateOfJobs(t *testing.T) {
	for name, tc := range map[string]struct {
		attempt  int32
		changes  []func(*batchv1.Job, *corev1.Pod)
		recorded []v1alpha1.SmokeResult
		want     release.Smoke
		results  []v1alpha1.SmokeResult
	}{
		"at work": {
			attempt: 1,
			want:    release.Smoke{State: release.SmokeRunning, Message: "smoke test shop is running"},
		},
		"its image cannot be pulled": {
			attempt: 1, changes: []func(*batchv1.Job, *corev1.Pod){waits("ErrImagePull", "not found")},
			want: release.Smoke{State: release.SmokeRunning, Message: "smoke test shop: image scores:1 cannot be pulled (not found)"},
		},
		"being removed": {
			attempt: 1, changes: []func(*batchv1.Job, *corev1.Pod){func(job *batchv1.Job, _ *corev1.Pod) { job.DeletionTimestamp = &metav1.Time{Time: now} }},
			want: release.Smoke{State: release.SmokeRunning, Message: "smoke test shop: its Job is being removed"},
		},
		"complete": {
			attempt: 2, changes: []func(*batchv1.Job, *corev1.Pod){ends(batchv1.JobComplete, "", time.Minute)},
			want:    release.Smoke{State: release.SmokePassed},
			results: []v1alpha1.SmokeResult{result("shop", true, 2, time.Minute, "")},
		},
		"failed, with its last words": {
			attempt: 1, changes: []func(*batchv1.Job, *corev1.Pod){ends(batchv1.JobFailed, "", 0), says("starting\nno order came with password=hunter2")},
			want: release.Smoke{
				State: release.SmokeRunning, Next: now.Add(2 * time.Second),
				Message: "smoke test shop: container test ended with exit code 1: no order came with password=***",
			},
			results: []v1alpha1.SmokeResult{result("shop", false, 1, 0, "container test ended with exit code 1: no order came with password=***")},
		},
		"failed for the last time, and its pod is gone": {
			attempt: 3, changes: []func(*batchv1.Job, *corev1.Pod){ends(batchv1.JobFailed, "", 0)},
			want:    release.Smoke{State: release.SmokeFailed, Message: "smoke test shop failed 3 times: its Job failed, and its pod is gone"},
			results: []v1alpha1.SmokeResult{result("shop", false, 3, 0, "its Job failed, and its pod is gone")},
		},
		"too slow": {
			attempt: 3, changes: []func(*batchv1.Job, *corev1.Pod){ends(batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded, 0)},
			want:    release.Smoke{State: release.SmokeFailed, Message: "smoke test shop failed 3 times: it did not end within 5m0s"},
			results: []v1alpha1.SmokeResult{result("shop", false, 3, 0, "it did not end within 5m0s")},
		},
		"recorded already, and its Job is still there": {
			attempt: 1, changes: []func(*batchv1.Job, *corev1.Pod){ends(batchv1.JobFailed, "", 0)},
			recorded: []v1alpha1.SmokeResult{result("shop", false, 1, 0, "as recorded")},
			want:     release.Smoke{State: release.SmokeRunning, Message: "smoke test shop: as recorded", Next: now.Add(2 * time.Second)},
			results:  []v1alpha1.SmokeResult{result("shop", false, 1, 0, "as recorded")},
		},
		"the attempt after the one that was recorded": {
			attempt: 2, recorded: []v1alpha1.SmokeResult{result("shop", false, 1, 0, "as recorded")},
			want:    release.Smoke{State: release.SmokeRunning, Message: "smoke test shop is running"},
			results: []v1alpha1.SmokeResult{result("shop", false, 1, 0, "as recorded")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			run := newRun(t, subject(), jobTest("shop"))
			// The Job of a test of the same name, but of an earlier time or of another release, must not be taken for this one.
			before := newRun(t, subject(func(s *Subject) { s.Admitted = s.Admitted.Add(-time.Second) }), jobTest("shop"))
			old, oldPod := made(t, before, 9, ends(batchv1.JobFailed, "", 0), says("old"))
			job, pod := made(t, run, tc.attempt, tc.changes...)
			observed := Observed{Results: tc.recorded, Jobs: []batchv1.Job{old, job}, Pods: []corev1.Pod{oldPod, pod}, Now: now}
			if diff := cmp.Diff(tc.want, run.State(observed)); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.results, run.Results(observed)); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			// Once recorded, the Jobs are not needed.
			observed.Results, observed.Jobs, observed.Pods = run.Results(observed), nil, nil
			if got := run.State(observed); tc.results != nil && tc.recorded == nil && got != tc.want {
				t.Errorf("without its Job the state is %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestResultsAreThoseOfTheTestsThatAreMade(t *testing.T) {
	run := newRun(t, subject(), httpTest("health"))
	stable := result("gone", true, 1, 0, "")
	stable.Target = v1alpha1.SmokeStable
	health := result("health", true, 2, time.Minute, "")
	got := run.Results(Observed{Results: []v1alpha1.SmokeResult{result("gone", false, 3, 0, "no"), health, stable}, Now: now})
	if diff := cmp.Diff([]v1alpha1.SmokeResult{health, stable}, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestPausesGrowToAMinute(t *testing.T) {
	var got []time.Duration
	for attempt := range int32(9) {
		got = append(got, pause(attempt+1)/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60}, got); diff != "" {
		t.Errorf("seconds (-want +got):\n%s", diff)
	}
}

func TestSecrets(t *testing.T) {
	from := func(secret string) func(*v1alpha1.HTTPTest) {
		return func(test *v1alpha1.HTTPTest) { test.HeadersFrom = secret }
	}
	tests := []v1alpha1.SmokeTest{httpTest("a", from("z")), jobTest("b"), httpTest("c", from("a")), httpTest("d", from("z")), httpTest("e")}
	if diff := cmp.Diff([]string{"a", "z"}, Secrets(tests)); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

func TestProblem(t *testing.T) {
	path := func(p string) func(*v1alpha1.HTTPTest) {
		return func(test *v1alpha1.HTTPTest) { test.JSONPath = p }
	}
	good := []v1alpha1.SmokeTest{jobTest("a"), httpTest("b"), httpTest("c", path("{.data.status}"))}
	if got := Problem(good); got != nil {
		t.Errorf("problem = %+v", got)
	}
	for _, broken := range []string{"{.data", "{.items[}", "{.a[?(@.b==)]}"} {
		got := Problem(append(good, httpTest("broken", path(broken))))
		if got == nil || got.Type != v1alpha1.WaitSmokeTest || got.Unblock == "" {
			t.Errorf("%s: problem = %+v", broken, got)
		}
	}
	if got := Problem([]v1alpha1.SmokeTest{httpTest("broken", path("{.data"))}).Message; got != "jsonPath of smoke test broken is not valid: unclosed action" {
		t.Errorf("message = %q", got)
	}
}
