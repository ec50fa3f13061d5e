package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
)

// cache is what a filled cache holds.
type cache struct {
	client.Reader
	items []v1alpha1.Microservice
	err   error
}

func (c *cache) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if into, ok := list.(*v1alpha1.MicroserviceList); ok {
		into.Items = c.items
	}
	return c.err
}

// leading returns a Recorder that leads and reads from a cache.
func leading(c *cache) *Recorder {
	r := New(Options{Version: "1.2.3", MaxRollouts: 10})
	leads := make(chan struct{})
	close(leads)
	r.Watch(c, leads)
	return r
}

// scrape returns the lines of the metrics whose names begin with one of the prefixes.
func scrape(t testing.TB, r *Recorder, prefixes ...string) []string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry() // checks that what is collected was described
	registry.MustRegister(r)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			t.Fatal(err)
		}
	}
	var out []string
	for line := range strings.Lines(text.String()) {
		if line = strings.TrimSpace(line); slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(line, prefix) }) {
			out = append(out, line)
		}
	}
	return out
}

func microservice(namespace, name string, environments ...v1alpha1.EnvironmentStatus) v1alpha1.Microservice {
	out := v1alpha1.Microservice{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	for _, e := range environments {
		out.Spec.Environments = append(out.Spec.Environments, v1alpha1.EnvironmentSpec{Name: e.Name})
	}
	out.Status.Environments = environments
	return out
}

func TestStateOfMicroservices(t *testing.T) {
	scores := microservice("mirubato", "scores",
		v1alpha1.EnvironmentStatus{
			Name: "staging", Step: v1alpha1.StepCanary, Weight: 20,
			WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitAnalysis, Since: metav1.Unix(1000, 0)},
			Settings:   &v1alpha1.SettingsStatus{Pods: 5, Acknowledged: 2, Rejected: []v1alpha1.SettingsRejection{{Pod: "a"}}},
		},
		v1alpha1.EnvironmentStatus{
			Name: "production", Step: v1alpha1.StepAdmit,
			WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitPreviousEnvironment, Since: metav1.Unix(900, 0)},
		},
	)
	scores.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Analysis"},
		{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonProgressing},
		{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionUnknown, Reason: "Unknown"},
	}
	got := scrape(t, leading(&cache{items: []v1alpha1.Microservice{scores, microservice("mirubato", "new")}}),
		"mirubato_microservice_condition", "mirubato_environment", "mirubato_rollouts", "mirubato_microservices", "mirubato_operator")
	want := []string{
		`mirubato_environment_settings_pods{environment="staging",microservice="scores",microservice_namespace="mirubato",state="acknowledged"} 2`,
		`mirubato_environment_settings_pods{environment="staging",microservice="scores",microservice_namespace="mirubato",state="refused"} 1`,
		`mirubato_environment_settings_pods{environment="staging",microservice="scores",microservice_namespace="mirubato",state="waiting"} 2`,
		`mirubato_environment_step{environment="production",microservice="scores",microservice_namespace="mirubato",step="Admit"} 1`,
		`mirubato_environment_step{environment="staging",microservice="scores",microservice_namespace="mirubato",step="Canary"} 1`,
		`mirubato_environment_waiting_since_timestamp_seconds{environment="production",microservice="scores",microservice_namespace="mirubato",reason="PreviousEnvironment"} 900`,
		`mirubato_environment_waiting_since_timestamp_seconds{environment="staging",microservice="scores",microservice_namespace="mirubato",reason="Analysis"} 1000`,
		`mirubato_environment_weight_ratio{environment="staging",microservice="scores",microservice_namespace="mirubato"} 0.2`,
		`mirubato_environments_waiting{reason="Analysis"} 1`,
		`mirubato_environments_waiting{reason="PreviousEnvironment"} 1`,
		`mirubato_microservice_condition{microservice="scores",microservice_namespace="mirubato",reason="Analysis",type="Ready"} 0`,
		`mirubato_microservice_condition{microservice="scores",microservice_namespace="mirubato",reason="Progressing",type="Reconciling"} 1`,
		`mirubato_microservices 2`,
		`mirubato_operator_info{version="1.2.3"} 1`,
		`mirubato_operator_leading 1`,
		`mirubato_rollouts 1`,
		`mirubato_rollouts_max 10`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWhoDoesNotLeadTellsNothing: with two replicas each Microservice would be there twice.
func TestWhoDoesNotLeadTellsNothing(t *testing.T) {
	full := &cache{items: []v1alpha1.Microservice{microservice("a", "b", v1alpha1.EnvironmentStatus{Name: "production"})}}
	waits := New(Options{})
	waits.Watch(full, make(chan struct{}))
	empty := leading(&cache{items: full.items, err: errors.New("not filled yet")})
	for name, r := range map[string]*Recorder{"before it was told": New(Options{}), "while another leads": waits, "while nothing can be listed": empty} {
		t.Run(name, func(t *testing.T) {
			if got := scrape(t, r, "mirubato_microservice", "mirubato_environment", "mirubato_deployments", "mirubato_steps", "mirubato_rollouts"); len(got) > 0 {
				t.Errorf("got %q", got)
			}
		})
	}
}

// release has just been verified in its only environment.
func verifiedRelease(namespace, of string) Written {
	rel := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: of + "-1", CreationTimestamp: at(0)},
		Spec:       v1alpha1.ReleaseSpec{Microservice: of, Number: 1},
		Status: v1alpha1.ReleaseStatus{Environments: []record{{
			Name: "production", Step: v1alpha1.StepVerified, AdmittedAt: when(0), PromotedAt: when(50), VerifiedAt: when(60),
			Steps: []v1alpha1.StepTime{step(v1alpha1.StepAdmit, 0), step(v1alpha1.StepPromote, 0), step(v1alpha1.StepVerified, 60)},
		}}},
	}
	return Written{Release: rel, Last: "production"}
}

// TestSeriesBeginAtZeroAndGoWithTheirMicroservice: an increase is seen only from a value that was seen before.
func TestSeriesBeginAtZeroAndGoWithTheirMicroservice(t *testing.T) {
	c := &cache{items: []v1alpha1.Microservice{microservice("mirubato", "scores", v1alpha1.EnvironmentStatus{Name: "production", Step: v1alpha1.StepAdmit})}}
	r := leading(c)
	for _, line := range []string{
		`mirubato_deployments_total{microservice="scores",microservice_namespace="mirubato",outcome="verified"} 0`,
		`mirubato_deployments_total{microservice="scores",microservice_namespace="mirubato",outcome="failed"} 0`,
		`mirubato_microservice_lead_time_seconds_count{microservice="scores",microservice_namespace="mirubato"} 0`,
		`mirubato_steps_total{environment="production",step="Verified"} 0`,
		`mirubato_step_duration_seconds_count{environment="production",step="Promote"} 0`,
		`mirubato_migration_duration_seconds_count{environment="production",phase="contract"} 0`,
		`mirubato_reconcile_errors_total{reason="Conflict"} 0`,
	} {
		if got := scrape(t, r, line); len(got) != 1 {
			t.Errorf("%s is not told before anything has happened", line)
		}
	}
	r.ReleaseWritten(verifiedRelease("mirubato", "scores"))
	r.Told(gate.Place{Microservice: types.NamespacedName{Namespace: "mirubato", Name: "scores"}, Environment: "production"}, readyPod("a"), time.Now())
	for _, line := range []string{
		`mirubato_deployments_total{microservice="scores",microservice_namespace="mirubato",outcome="verified"} 1`,
		`mirubato_microservice_lead_time_seconds_sum{microservice="scores",microservice_namespace="mirubato"} 60`,
		`mirubato_lead_time_seconds_bucket{le="60"} 1`,
		`mirubato_steps_total{environment="production",step="Verified"} 1`,
		`mirubato_step_duration_seconds_sum{environment="production",step="Promote"} 60`,
	} {
		if got := scrape(t, r, line); len(got) != 1 {
			t.Errorf("%s is not told", line)
		}
	}
	c.items = nil
	if got := scrape(t, r, "mirubato_deployments_total", "mirubato_microservice_"); len(got) > 0 {
		t.Errorf("series are left of a Microservice that is gone: %q", got)
	}
	if len(r.figures) > 0 || len(r.told) > 0 {
		t.Errorf("memory is left: %v, %v", r.figures, r.told)
	}
}

// TestNumberOfSeries holds the formula that docs/observability.md gives.
func TestNumberOfSeries(t *testing.T) {
	count := func(microservices, names int) int {
		c := &cache{}
		for i := range microservices {
			name := fmt.Sprintf("environment-%d", i%names)
			ms := microservice("n", fmt.Sprint("m", i), v1alpha1.EnvironmentStatus{
				Name: name, Step: v1alpha1.StepCanary, Weight: 1, Settings: &v1alpha1.SettingsStatus{},
				WaitingFor: &v1alpha1.WaitingFor{Type: v1alpha1.WaitAnalysis},
			})
			for _, condition := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
				ms.Status.Conditions = append(ms.Status.Conditions, metav1.Condition{Type: condition, Status: metav1.ConditionTrue})
			}
			c.items = append(c.items, ms)
		}
		return len(scrape(t, leading(c), "mirubato_"))
	}
	one, two := count(100, 1), count(200, 1)
	const ofMicroservice, ofEnvironment = 3 + 3 + 2 + 2, 6
	if got := (two - one) / 100; got != ofMicroservice+ofEnvironment {
		t.Errorf("a Microservice with one environment has %d series, want %d", got, ofMicroservice+ofEnvironment)
	}
	const ofName = 230
	if got := count(100, 2) - one; got > ofName {
		t.Errorf("a name of an environment has %d series, want at most %d", got, ofName)
	}
	if few, many := count(100, maxNames+1), count(100, 100); few != many {
		t.Errorf("%d series with %d names and %d with 100: names beyond %d must share", few, maxNames+1, many, maxNames)
	}
}

func readyPod(uid types.UID) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{UID: uid},
		Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
}

func TestAcknowledgementIsMeasuredFromTelling(t *testing.T) {
	r := New(Options{})
	place := gate.Place{Microservice: types.NamespacedName{Namespace: "mirubato", Name: "scores"}, Environment: "production"}
	count := func() string {
		return strings.Join(scrape(t, r, "mirubato_settings_acknowledgement_seconds_sum", "mirubato_settings_acknowledgement_seconds_count"), " ")
	}
	start := at(0).Time
	r.Told(place, readyPod("a"), start)
	r.Told(place, readyPod("b"), start)
	r.Told(place, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "starts"}}, start)
	r.Acknowledged(place, map[types.UID]bool{"a": false, "b": true, "starts": true, "of an earlier process": true}, start.Add(2*time.Second))
	const one = `mirubato_settings_acknowledgement_seconds_sum{environment="production"} 2 mirubato_settings_acknowledgement_seconds_count{environment="production"} 1`
	if got := count(); got != one {
		t.Errorf("got %s, want %s", got, one)
	}
	r.Acknowledged(place, map[types.UID]bool{"a": false, "b": true}, start.Add(3*time.Second)) // b is not measured again
	r.Acknowledged(place, map[types.UID]bool{"b": true}, start.Add(4*time.Second))             // a is gone
	r.Acknowledged(place, map[types.UID]bool{"a": true, "b": true}, start.Add(5*time.Second))
	if got := count(); got != one || len(r.told) != 0 {
		t.Errorf("got %s, want %s; %v is left", got, one, r.told)
	}
}

func TestNilMeasuresNothing(_ *testing.T) {
	var r *Recorder
	r.ReleaseWritten(Written{})
	r.Told(gate.Place{}, readyPod("a"), time.Time{})
	r.Acknowledged(gate.Place{}, nil, time.Time{})
}

func TestReasonOf(t *testing.T) {
	resource := schema.GroupResource{Resource: "pods"}
	for want, err := range map[string]error{
		"Conflict":      fmt.Errorf("writing: %w", apierrors.NewConflict(resource, "a", nil)),
		"Forbidden":     apierrors.NewForbidden(resource, "a", nil),
		"Canceled":      fmt.Errorf("listing: %w", context.Canceled),
		"Timeout":       context.DeadlineExceeded,
		"Unreachable":   fmt.Errorf("dialing: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}),
		"Other":         errors.New("something"),
		"InternalError": apierrors.NewInternalError(errors.New("inside")),
		"AlreadyExists": apierrors.NewAlreadyExists(resource, "a"),
		"Unauthorized":  apierrors.NewUnauthorized("no"),
	} {
		if got := reasonOf(err); got != want {
			t.Errorf("%v: got %s, want %s", err, got, want)
		}
	}
	if got := reasonOf(&apierrors.StatusError{ErrStatus: metav1.Status{Reason: "Invented"}}); got != reasonOther {
		t.Errorf("a reason that nobody knows: got %s, want %s", got, reasonOther)
	}
}

func TestErrorsAreCountedAndPassedOn(t *testing.T) {
	r := New(Options{})
	wanted := errors.New("wanted")
	for _, err := range []error{nil, wanted, wanted} {
		result, got := r.Reconciler(reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) {
			return reconcile.Result{RequeueAfter: time.Second}, err
		})).Reconcile(t.Context(), reconcile.Request{})
		if !errors.Is(got, err) || result.RequeueAfter != time.Second {
			t.Errorf("result %v, error %v, want %v", result, got, err)
		}
	}
	if got := scrape(t, r, `mirubato_reconcile_errors_total{reason="Other"} 2`); len(got) != 1 {
		t.Errorf("got %q", scrape(t, r, "mirubato_reconcile_errors_total"))
	}
}

func TestResourceOf(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/namespaces/a/pods/b":                                         "pods",
		"/api/v1/namespaces/a/configmaps":                                     "configmaps",
		"/api/v1/namespaces/a":                                                "namespaces",
		"/api/v1/nodes/a/status":                                              "nodes/status",
		"/apis/apps/v1/namespaces/api/deployments/apis":                       "deployments",
		"/apis/platform.mirubato.com/v1alpha1/namespaces/a/releases/b/status": "releases/status",
		"/k8s/clusters/c-1/apis/coordination.k8s.io/v1/namespaces/a/leases/b": "leases",
		"/apis/authentication.k8s.io/v1/tokenreviews":                         "tokenreviews",
		"/version": "other", "/": "other", "/api/v1": "other", "/apis/apps/v1": "other",
	} {
		if got := resourceOf(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestWritesAreCountedByWhatBecameOfThem(t *testing.T) {
	answers := map[string]int{"/done": http.StatusCreated, "/conflict": http.StatusConflict, "/refused": http.StatusForbidden, "/failed": http.StatusServiceUnavailable}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(answers[req.URL.Path[strings.LastIndex(req.URL.Path, "/"):]])
	}))
	t.Cleanup(server.Close)
	r := New(Options{})
	transport := r.Transport(http.DefaultTransport)
	ask := func(method, url string) {
		req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := transport.RoundTrip(req)
		if err == nil {
			_ = res.Body.Close()
		}
	}
	for path := range answers {
		ask(http.MethodPatch, server.URL+"/api/v1/namespaces/a/pods"+path)
		ask(http.MethodGet, server.URL+"/api/v1/namespaces/a/pods"+path) // changes nothing
	}
	server.Close()
	ask(http.MethodDelete, server.URL+"/api/v1/namespaces/a/pods/gone")
	want := []string{
		`mirubato_api_writes_total{outcome="failed",resource="pods",verb="delete"} 1`,
		`mirubato_api_writes_total{outcome="conflict",resource="pods",verb="patch"} 1`,
		`mirubato_api_writes_total{outcome="done",resource="pods",verb="patch"} 1`,
		`mirubato_api_writes_total{outcome="failed",resource="pods",verb="patch"} 1`,
		`mirubato_api_writes_total{outcome="refused",resource="pods",verb="patch"} 1`,
	}
	got := scrape(t, r, "mirubato_api_writes_total")
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
