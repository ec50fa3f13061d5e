package smoke

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/podclient"
	"github.com/mirubato/mirubato/controllers/release"
)

// fleet is pods whose IPs lead to servers of the test.
type fleet struct {
	pods []corev1.Pod
	urls map[string]string
}

func (f *fleet) BaseURL(pod podclient.Pod, port int) (string, error) {
	if port != 8080 {
		return "", fmt.Errorf("port %d was asked", port)
	}
	return f.urls[pod.IP], nil
}

// add runs a canary pod that answers as the handler does.
func (f *fleet) add(t testing.TB, handler http.HandlerFunc) *corev1.Pod {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	if f.urls == nil {
		f.urls = map[string]string{}
	}
	ip := fmt.Sprintf("10.0.0.%d", len(f.pods))
	f.urls[ip] = server.URL
	f.pods = append(f.pods, corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("canary-%03d", len(f.pods)), Labels: subject().Owner.Labels(ownership.ComponentCanary)},
		Status: corev1.PodStatus{
			PodIP:      ip,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	})
	return &f.pods[len(f.pods)-1]
}

func (f *fleet) executor(objects ...client.Object) *Executor {
	c := fake.NewClientBuilder().WithObjects(objects...).Build()
	return &Executor{Client: podclient.New(), Endpoints: f, Reader: c, Writer: c, Now: func() time.Time { return now }}
}

// answers as a pod of the present release.
func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Release", currentRelease)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestWhatAnAnswerMustBe(t *testing.T) {
	path := func(path, value string) func(*v1alpha1.HTTPTest) {
		return func(test *v1alpha1.HTTPTest) { test.JSONPath, test.Value = path, value }
	}
	status := func(status int32) func(*v1alpha1.HTTPTest) {
		return func(test *v1alpha1.HTTPTest) { test.Status = &status }
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		test    func(*v1alpha1.HTTPTest)
		want    string
	}{
		"a good answer":                 {handler: answers(200, "")},
		"any status of success":         {handler: answers(204, "")},
		"the status that is wanted":     {handler: answers(401, ""), test: status(401)},
		"a status of failure":           {handler: answers(500, "secret body"), want: "it answers with status 500, not with one of 200 to 299"},
		"another status than is wanted": {handler: answers(200, ""), test: status(401), want: "it answers with status 200, not 401"},
		"a redirect is not followed": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Release", currentRelease)
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
			},
			want: "it answers with status 302, not with one of 200 to 299",
		},
		"no release": {
			handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
			want:    "it answers without the header X-Release (status 404)",
		},
		"the release before": {
			handler: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Release", "1.3.0-0000000000") },
			want:    `it answers as release "1.3.0-0000000000", not 1.4.0-3f2a9c01de`,
		},
		"a release that is a novel": {
			handler: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Release", strings.Repeat("é", 1000)) },
			want:    `it answers as release "` + strings.Repeat("é", 30) + `…", not 1.4.0-3f2a9c01de`,
		},
		"the value that is wanted":   {handler: answers(200, `{"data":{"status":"ok"}}`), test: path("{.data.status}", "ok")},
		"a number":                   {handler: answers(200, `{"n":12345678}`), test: path("{.n}", "12345678")},
		"one of a list":              {handler: answers(200, `{"l":[{"a":"x","b":1},{"a":"y","b":2}]}`), test: path(`{.l[?(@.a=="y")].b}`, "2")},
		"any value":                  {handler: answers(200, `{"data":{"status":"whatever"}}`), test: path("{.data.status}", "")},
		"another value":              {handler: answers(200, `{"data":{"status":"down"}}`), test: path("{.data.status}", "ok"), want: `{.data.status} is "down", not "ok"`},
		"no value":                   {handler: answers(200, `{"data":{}}`), test: path("{.data.status}", ""), want: `{.data.status} is not in its answer: "status is not found"`},
		"an empty list is no value":  {handler: answers(200, `{"l":[]}`), test: path("{.l[*]}", ""), want: `{.l[*]} is not in its answer: "nothing is found"`},
		"a long value is cut":        {handler: answers(200, `{"a":"`+strings.Repeat("x", 500)+`"}`), test: path("{.a}", "ok"), want: `{.a} is "` + strings.Repeat("x", 60) + `…", not "ok"`},
		"broken JSON":                {handler: answers(200, `{"data":`), test: path("{.data}", ""), want: "its answer is not JSON"},
		"no JSON at all":             {handler: answers(200, `<html>`), test: path("{.data}", ""), want: "its answer is not JSON"},
		"nothing":                    {handler: answers(200, ``), test: path("{.data}", ""), want: "its answer is not JSON"},
		"a huge answer":              {handler: answers(200, `"`+strings.Repeat("x", 2<<20)+`"`), test: path("{}", ""), want: "the answer is larger than 1048576 bytes"},
		"a huge answer is no matter": {handler: answers(200, strings.Repeat("x", 2<<20))},
		"a deep answer":              {handler: answers(200, strings.Repeat("[", 1<<19)), test: path("{..a}", ""), want: "its answer is not JSON"},
		"the connection breaks off":  {handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: "EOF"},
		"a path that is no path":     {handler: answers(200, ""), test: func(test *v1alpha1.HTTPTest) { test.Path = "/%zz" }, want: `invalid URL escape "%zz"`},
	} {
		t.Run(name, func(t *testing.T) {
			var pods fleet
			pods.add(t, tc.handler)
			test := httpTest("health")
			if tc.test != nil {
				tc.test(test.HTTP)
			}
			run := newRun(t, subject(), test)
			got, err := pods.executor().Attempt(t.Context(), run, Observed{Pods: pods.pods, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			want := result("health", tc.want == "", 1, 0, "")
			if tc.want != "" {
				want.Message = clip("pod canary-000: " + tc.want)
			}
			if diff := cmp.Diff([]v1alpha1.SmokeResult{want}, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if len(got[0].Message) > maxMessage+len("…") {
				t.Errorf("a message of %d bytes", len(got[0].Message))
			}
		})
	}
}

func TestARequestIsTheOneOfTheSpec(t *testing.T) {
	var pods fleet
	pods.add(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got := fmt.Sprintf("%s %s %s %s %s %s", r.Method, r.RequestURI, r.Host, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), body)
		w.Header().Set("X-Release", currentRelease)
		_, _ = fmt.Fprintf(w, "%q", got)
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "scores-staging", Name: "robot"}, Data: map[string][]byte{
		"authorization": []byte("Bearer abc\n"), "Host": []byte("scores.example.com"),
	}}
	run := newRun(t, subject(), httpTest("order", func(test *v1alpha1.HTTPTest) {
		test.Method, test.Path, test.Body, test.HeadersFrom = http.MethodPost, "/orders?dry=1", `{"a":1}`, "robot"
		test.JSONPath, test.Value = "{}", `POST /orders?dry=1 scores.example.com Bearer abc application/json {"a":1}`
	}))
	got, err := pods.executor(secret).Attempt(t.Context(), run, Observed{Pods: pods.pods, Now: now})
	if err != nil || len(got) != 1 || !got[0].Passed {
		t.Errorf("results %+v, err %v", got, err)
	}
}

func TestHeadersAreNotTold(t *testing.T) {
	const token = "Bearer-0123456789"
	var pods fleet
	pods.add(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Release", "echo "+r.Header.Get("Authorization"))
	})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "scores-staging", Name: "robot"}, Data: map[string][]byte{"Authorization": []byte(token)}}
	run := newRun(t, subject(), httpTest("login", func(test *v1alpha1.HTTPTest) { test.HeadersFrom = "robot" }))
	got, err := pods.executor(secret).Attempt(t.Context(), run, Observed{Pods: pods.pods, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if want := `pod canary-000: it answers as release "echo ***", not ` + currentRelease; got[0].Message != want {
		t.Errorf("message = %s, want %s", got[0].Message, want)
	}
	// A value that no header can hold must not be told by the error either.
	secret.Data["Authorization"] = []byte(token + "\nSet-Cookie: a")
	got, err = pods.executor(secret).Attempt(t.Context(), run, Observed{Pods: pods.pods, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Passed || strings.Contains(got[0].Message, "0123456789") || !strings.Contains(got[0].Message, "Authorization") {
		t.Errorf("message = %s", got[0].Message)
	}
}

func TestWithoutItsSecretNoAttemptIsMade(t *testing.T) {
	var pods fleet
	pods.add(t, answers(200, ""))
	tests := []v1alpha1.SmokeTest{httpTest("login", func(test *v1alpha1.HTTPTest) { test.HeadersFrom = "robot" }), httpTest("health")}
	run := newRun(t, subject(), tests...)
	executor := pods.executor()
	got, err := executor.Attempt(t.Context(), run, Observed{Pods: pods.pods, Now: now})
	want := []v1alpha1.SmokeResult{result("health", true, 1, 0, "")}
	if diff := cmp.Diff(want, got); diff != "" || !apierrors.IsNotFound(err) {
		t.Errorf("err %v, results (-want +got):\n%s", err, diff)
	}
	waiting, err := executor.MissingSecret(t.Context(), subject().Namespace, tests)
	if err != nil || waiting == nil || waiting.Type != v1alpha1.WaitSecret || !strings.Contains(waiting.Message, "Secret robot") || waiting.Unblock == "" {
		t.Errorf("err %v, waits for %+v, want the Secret and a way out", err, waiting)
	}
	robot := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: subject().Namespace, Name: "robot"}}
	if waiting, err := pods.executor(robot).MissingSecret(t.Context(), subject().Namespace, tests); err != nil || waiting != nil {
		t.Errorf("err %v, waits for %+v, though the Secret is there", err, waiting)
	}
	away := errors.New("the API server is away")
	executor.Reader = interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return away
		},
	})
	got, err = executor.Attempt(t.Context(), run, Observed{Pods: pods.pods, Now: now})
	if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, away) {
		t.Errorf("err %v, results (-want +got):\n%s", err, diff)
	}
	if waiting, err := executor.MissingSecret(t.Context(), subject().Namespace, tests); waiting != nil || !errors.Is(err, away) {
		t.Errorf("err %v, waits for %+v: what could not be read is not missing", err, waiting)
	}
}

func TestEveryReadyPodIsAsked(t *testing.T) {
	const pods = 25
	var f fleet
	var asked, present, most atomic.Int32
	for i := range pods {
		f.add(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			defer present.Add(-1)
			for now := present.Add(1); ; {
				if before := most.Load(); now <= before || most.CompareAndSwap(before, now) {
					break
				}
			}
			if i == 7 || i == 20 {
				answers(500, "")(w, r)
				return
			}
			answers(200, "")(w, r)
		})
	}
	silent := func(http.ResponseWriter, *http.Request) { t.Error("a pod was asked that should not be") }
	f.add(t, silent).Status.Conditions = nil
	f.add(t, silent).DeletionTimestamp = &metav1.Time{Time: now}
	f.add(t, silent).Labels = subject().Owner.Labels(ownership.ComponentAPI)
	run := newRun(t, subject(), httpTest("health"))
	got, err := f.executor().Attempt(t.Context(), run, Observed{Pods: f.pods, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	want := []v1alpha1.SmokeResult{result("health", false, 1, 0, "2 of 25 pods failed; pod canary-007: it answers with status 500, not with one of 200 to 299")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if asked.Load() != pods || most.Load() > atOnce {
		t.Errorf("%d pods were asked, %d at once; want %d, at most %d", asked.Load(), most.Load(), pods, atOnce)
	}
}

func TestNoPodIsAFailedAttempt(t *testing.T) {
	var pods fleet
	got, err := pods.executor().Attempt(t.Context(), newRun(t, subject(), httpTest("health")), Observed{Now: now})
	if diff := cmp.Diff([]v1alpha1.SmokeResult{result("health", false, 1, 0, "no pod is ready")}, got); diff != "" || err != nil {
		t.Errorf("err %v, results (-want +got):\n%s", err, diff)
	}
}

func TestASlowPodEndsTheAttemptAndNotTheOperator(t *testing.T) {
	var pods fleet
	pods.add(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	pods.add(t, answers(200, ""))
	slow := httpTest("health")
	slow.Timeout = &metav1.Duration{Duration: 200 * time.Millisecond}
	run := newRun(t, subject(), slow)
	got, err := pods.executor().Attempt(t.Context(), run, Observed{Pods: pods.pods, Now: now})
	want := []v1alpha1.SmokeResult{result("health", false, 1, 0, "1 of 2 pods failed; pod canary-000: no answer within 200ms")}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("err %v, results (-want +got):\n%s", err, diff)
	}
	// An operator that is told to stop has not found out anything.
	ctx, cancel := context.WithCancel(t.Context())
	var stopped fleet
	stopped.add(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	got, err = stopped.executor().Attempt(ctx, newRun(t, subject(), httpTest("health"), jobTest("shop")), Observed{Pods: stopped.pods, Now: now})
	if len(got) != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("results %+v, err %v", got, err)
	}
}

func TestAPassEndsWithItsBudget(t *testing.T) {
	var pods fleet
	var passed atomic.Int64
	pods.add(t, func(w http.ResponseWriter, r *http.Request) {
		passed.Add(int64(passBudget / 2))
		answers(200, "")(w, r)
	})
	executor := pods.executor()
	executor.Now = func() time.Time { return now.Add(time.Duration(passed.Load())) }
	run := newRun(t, subject(), httpTest("a"), httpTest("b"), httpTest("c"), jobTest("d"))
	observed := Observed{Pods: pods.pods, Now: now}
	var err error
	if observed.Results, err = executor.Attempt(t.Context(), run, observed); err != nil {
		t.Fatal(err)
	}
	observed.Now = executor.Now()
	if got := run.State(observed); len(observed.Results) != 2 || got.State != release.SmokeRunning || !got.Next.Equal(observed.Now) {
		t.Errorf("results %+v, state %+v; want two tests made, the third one due", observed.Results, got)
	}
}

// TestARunFromItsFirstAttemptToItsLast plays the loop of the operator, which knows nothing but what was recorded and what is there.
func TestARunFromItsFirstAttemptToItsLast(t *testing.T) {
	var pods fleet
	var asked atomic.Int32
	pods.add(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 {
			answers(503, "")(w, r)
			return
		}
		answers(200, "")(w, r)
	})
	clock := now
	executor := pods.executor()
	executor.Now = func() time.Time { return clock }
	cluster := fake.NewClientBuilder().Build()
	executor.Writer = cluster
	run := newRun(t, subject(), httpTest("health"), jobTest("shop"))
	observed := Observed{Pods: pods.pods}
	for pass := range 20 {
		observed.Now = clock
		var list batchv1.JobList
		if err := cluster.List(t.Context(), &list); err != nil {
			t.Fatal(err)
		}
		observed.Jobs = list.Items
		state := run.State(observed)
		observed.Results = run.Results(observed)
		for _, job := range Obsolete(observed.Jobs, run) {
			if err := cluster.Delete(t.Context(), &job); err != nil {
				t.Fatal(err)
			}
		}
		if state.State == release.SmokePassed {
			want := []v1alpha1.SmokeResult{result("health", true, 3, 0, ""), result("shop", true, 2, 0, "")}
			for i := range want {
				want[i].Time = observed.Results[i].Time
			}
			if diff := cmp.Diff(want, observed.Results); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if len(list.Items) > 2 {
				t.Errorf("%d Jobs are left", len(list.Items))
			}
			return
		}
		if state.State == release.SmokeFailed {
			t.Fatalf("pass %d: %s", pass, state.Message)
		}
		if !state.Next.IsZero() {
			clock = state.Next
			observed.Now = clock
		}
		for range 2 { // the second time from a cache that has not seen the first
			results, err := executor.Attempt(t.Context(), run, observed)
			if err != nil {
				t.Fatal(err)
			}
			observed.Results = results
		}
		finishJobs(t, cluster, clock)
	}
	t.Error("the run does not end")
}

// finishJobs lets the first attempt fail, the second one succeed.
func finishJobs(t testing.TB, cluster client.Client, now time.Time) {
	t.Helper()
	var list batchv1.JobList
	if err := cluster.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		job := &list.Items[i]
		if len(job.Status.Conditions) > 0 {
			continue
		}
		how := batchv1.JobFailed
		if attemptOf(job) == 2 {
			how = batchv1.JobComplete
		}
		job.Status.Conditions = []batchv1.JobCondition{{Type: how, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now)}}
		if err := cluster.Status().Update(t.Context(), job); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAJobThatCannotBeMadeIsAnErrorAndNoAttempt(t *testing.T) {
	refused := errors.New("refused")
	var pods fleet
	executor := pods.executor()
	executor.Writer = interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			return refused
		},
	})
	got, err := executor.Attempt(t.Context(), newRun(t, subject(), jobTest("shop")), Observed{Now: now})
	if len(got) != 0 || !errors.Is(err, refused) {
		t.Errorf("results %+v, err %v", got, err)
	}
}
