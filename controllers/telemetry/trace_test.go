package telemetry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func released(environments ...record) *v1alpha1.Release {
	return &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Namespace: "home", Name: "scores-3", UID: "3", CreationTimestamp: at(-5)},
		Spec:       v1alpha1.ReleaseSpec{Microservice: "scores", Number: 3},
		Status:     v1alpha1.ReleaseStatus{Environments: environments},
	}
}

func TestSpansOf(t *testing.T) {
	t.Parallel()
	admitted := record{Name: "production", Step: v1alpha1.StepAdmit, Steps: []v1alpha1.StepTime{step(v1alpha1.StepAdmit, 0)}}
	canary := record{Name: "production", Step: v1alpha1.StepCanary, Steps: []v1alpha1.StepTime{step(v1alpha1.StepAdmit, 0), step(v1alpha1.StepCanary, 10)}}
	verified := record{
		Name: "production", Step: v1alpha1.StepVerified,
		Steps: []v1alpha1.StepTime{step(v1alpha1.StepAdmit, 0), step(v1alpha1.StepCanary, 10), step(v1alpha1.StepVerified, 70)},
	}
	rejected := record{
		Name: "production", Step: v1alpha1.StepRejected,
		Steps: []v1alpha1.StepTime{step(v1alpha1.StepAdmit, 0), step(v1alpha1.StepCanary, 10), step(v1alpha1.StepRejected, 30)},
	}
	failed := released(rejected)
	failed.Status.Rejection = &v1alpha1.Rejection{Environment: "production", Reason: v1alpha1.FailureAnalysis, Message: "too many errors"}
	superseded := canary
	superseded.Step = v1alpha1.StepSuperseded
	for name, tc := range map[string]struct {
		before []record
		after  *v1alpha1.Release
		want   []string
	}{
		"the first step":          {nil, released(admitted), []string{"release scores-3 from -5s for 5s"}},
		"nothing new":             {[]record{admitted}, released(admitted), nil},
		"a step that has ended":   {[]record{admitted}, released(canary), []string{"production: Admit from 0s for 10s"}},
		"the end":                 {[]record{canary}, released(verified), []string{"production: Canary from 10s for 1m0s", "production: Verified from 1m10s for 0s"}},
		"a failure":               {[]record{canary}, failed, []string{"production: Canary from 10s for 20s", "production: Rejected from 30s for 0s: too many errors"}},
		"another release":         {[]record{canary}, released(superseded), []string{"production: Superseded from 10s for 0s"}},
		"all of it at one stroke": {nil, released(verified), []string{"release scores-3 from -5s for 5s", "production: Admit from 0s for 10s", "production: Canary from 10s for 1m0s", "production: Verified from 1m10s for 0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, s := range spansOf(Written{Release: tc.after, Before: v1alpha1.ReleaseStatus{Environments: tc.before}, Last: "production"}) {
				text := s.name + " from " + s.from.Sub(at(0).Time).String() + " for " + s.to.Sub(s.from).String()
				if s.failure != "" {
					text += ": " + s.failure
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTraceOfARelease(t *testing.T) {
	t.Parallel()
	kept := tracetest.NewInMemoryExporter()
	tracer := tracerTo(kept, "1")
	recorder := New(Options{Tracer: tracer})
	steps := []v1alpha1.StepTime{step(v1alpha1.StepAdmit, 0), step(v1alpha1.StepCanary, 10), step(v1alpha1.StepRejected, 30)}
	before := v1alpha1.ReleaseStatus{}
	for i := range steps {
		e := record{Name: "production", Step: steps[i].Step, Steps: steps[:i+1]}
		if i > 0 {
			e.Analysis = []v1alpha1.AnalysisSample{
				{Time: at(12), Verdict: v1alpha1.VerdictNotEnoughData}, {Time: at(29), Verdict: v1alpha1.VerdictFail, CanaryErrors: 7},
			}
			e.SmokeTests = []v1alpha1.SmokeResult{{Name: "answers", Passed: true, Time: at(11)}, {Name: "of another step", Time: at(1000)}}
		}
		after := released(e)
		if e.Step == v1alpha1.StepRejected {
			after.Status.Rejection = &v1alpha1.Rejection{Environment: "production", Reason: v1alpha1.FailureAnalysis, Message: "too many errors"}
		}
		recorder.ReleaseWritten(Written{Release: after, Before: before, Last: "production"})
		before = after.Status
	}
	if err := tracer.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := kept.GetSpans()
	var names []string
	for _, s := range spans {
		names = append(names, s.Name)
	}
	want := []string{"release scores-3", "production: Admit", "production: Canary", "production: Rejected"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	root := spans[0].SpanContext
	if spans[0].Parent.IsValid() {
		t.Error("the release is below something")
	}
	seen := map[string]bool{}
	for _, s := range spans {
		if s.SpanContext.TraceID() != root.TraceID() || seen[s.SpanContext.SpanID().String()] {
			t.Errorf("%s is not part of the trace, or has the ID of another", s.Name)
		}
		seen[s.SpanContext.SpanID().String()] = true
	}
	for _, s := range spans[1:] {
		if s.Parent.SpanID() != root.SpanID() {
			t.Errorf("%s is not below the release", s.Name)
		}
	}
	var events []string
	for _, e := range spans[2].Events {
		events = append(events, e.Name)
	}
	slices.Sort(events)
	if diff := cmp.Diff([]string{"analysis", "analysis", "smoke test"}, events); diff != "" {
		t.Errorf("events of the canary (-want +got):\n%s", diff)
	}
	if got := spans[3].Status; got.Code != codes.Error || got.Description != "too many errors" {
		t.Errorf("the rejection is told as %+v", got)
	}
}

// Whoever tells a status again, after a restart or as another replica, makes the same spans of it.
func TestSpansKeepTheirIDs(t *testing.T) {
	t.Parallel()
	steps := []v1alpha1.StepTime{step(v1alpha1.StepAdmit, 0), step(v1alpha1.StepCanary, 10)}
	w := Written{Release: released(record{Name: "production", Step: v1alpha1.StepCanary, Steps: steps})}
	once, again := spansOf(w), spansOf(w)
	if len(once) != 2 || len(again) != 2 || identityOf("3", once[1].key) != identityOf("3", again[1].key) {
		t.Errorf("one status makes %v and %v", once, again)
	}
	if identityOf("3", "").trace == identityOf("4", "").trace || identityOf("3", "a").span == identityOf("3", "b").span {
		t.Error("two have one ID")
	}
}

func TestTracesReachTheCollector(t *testing.T) {
	t.Parallel()
	received := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		received <- fmt.Sprintf("%s %s %s %s %s %v", r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), body, err)
	}))
	defer collector.Close()
	tracer, err := NewTracer(collector.URL, "authorization=Bearer%20secret, x-tenant=a", "1")
	if err != nil {
		t.Fatal(err)
	}
	failed := released(record{Name: "staging", Step: v1alpha1.StepRejected, Steps: []v1alpha1.StepTime{step(v1alpha1.StepRejected, 0)}, Analysis: []v1alpha1.AnalysisSample{{Time: at(0)}}})
	failed.Status.Rejection = &v1alpha1.Rejection{Environment: "staging", Reason: v1alpha1.FailureAnalysis, Message: "too many errors"}
	New(Options{Tracer: tracer}).ReleaseWritten(Written{Release: failed})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := tracer.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	root, end := identityOf("3", ""), identityOf("3", "staging/Rejected/"+strconv.FormatInt(at(0).Unix(), 10))
	cut, rejected := at(-5).Unix(), at(0).Unix()
	want := fmt.Sprintf(`POST /v1/traces application/json Bearer secret {"resourceSpans":[{"resource":{"attributes":[`+
		`{"key":"service.name","value":{"stringValue":"mirubato-operator"}},{"key":"service.version","value":{"stringValue":"1"}}]},`+
		`"scopeSpans":[{"scope":{"name":"github.com/mirubato/mirubato"},"spans":[`+
		`{"traceId":"%[1]s","spanId":"%[2]s","name":"release scores-3","kind":1,"startTimeUnixNano":"%[4]d000000000","endTimeUnixNano":"%[5]d000000000","attributes":[`+
		`{"key":"k8s.namespace.name","value":{"stringValue":"home"}},{"key":"mirubato.microservice","value":{"stringValue":"scores"}},{"key":"mirubato.release","value":{"intValue":"3"}}]},`+
		`{"traceId":"%[1]s","spanId":"%[3]s","parentSpanId":"%[2]s","name":"staging: Rejected","kind":1,"startTimeUnixNano":"%[5]d000000000","endTimeUnixNano":"%[5]d000000000","attributes":[`+
		`{"key":"deployment.environment.name","value":{"stringValue":"staging"}},{"key":"mirubato.step","value":{"stringValue":"Rejected"}},{"key":"error.type","value":{"stringValue":"AnalysisFailed"}}],`+
		`"status":{"code":2,"message":"too many errors"}}]}]}]} <nil>`, root.trace, root.span, end.span, cut, rejected)
	if diff := cmp.Diff(want, <-received); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCollectorThatRefuses(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer server.Close()
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCollector(address, "")
	if err != nil {
		t.Fatal(err)
	}
	kept := tracetest.SpanStubs{{Name: "a"}}
	if err := c.ExportSpans(t.Context(), kept.Snapshots()); err == nil || !strings.Contains(err.Error(), "the collector answers 503") {
		t.Errorf("a refusal is told as %v", err)
	}
	if _, err := newCollector(address, "authorization"); err == nil || strings.Contains(err.Error(), "authorization") {
		t.Errorf("a header without value is told as %v", err)
	}
}

func TestWithoutCollector(t *testing.T) {
	t.Parallel()
	tracer, err := NewTracer("", "", "1")
	if err != nil {
		t.Fatal(err)
	}
	New(Options{Tracer: tracer}).ReleaseWritten(Written{Release: released()})
	if err := tracer.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := NewTracer("collector:4318", "", "1"); err == nil {
		t.Error("what is no URL is taken for one")
	}
}
