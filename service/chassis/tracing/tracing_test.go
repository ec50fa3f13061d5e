package tracing_test

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
	"github.com/mirubato/mirubato/service/chassis/tracing"
)

// unmeasured counts nothing.
type unmeasured struct{}

func (unmeasured) RequestStarted()                                    {}
func (unmeasured) RequestFinished(string, string, int, time.Duration) {}

// collect starts a collector that hands on what it gets.
func collect(t *testing.T) (endpoint string, got <-chan *spans.ResourceSpans) {
	t.Helper()
	received := make(chan *spans.ResourceSpans, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unpacked, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unpacked
		}
		raw, err := io.ReadAll(body)
		if err != nil {
			t.Error(err)
		}
		var request collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(raw, &request); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		for _, one := range request.GetResourceSpans() {
			received <- one
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, received
}

// serve sends a request through the chain and returns the answer's status.
func serve(t *testing.T, traces *tracing.Tracing, path, parent string) int {
	t.Helper()
	router := httpapi.NewRouter()
	router.Handle("GET /things/{id}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpapi.WriteError(r.Context(), w, fault.New(fault.Internal, "a secret cause"))
	}))
	h := httpapi.Middleware(httpapi.Options{Logger: slog.New(slog.DiscardHandler), Observer: unmeasured{}, RequestTimeout: httpapi.Fixed(time.Second), MaxBody: 1}, traces.Handler(router))
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	req.Header.Set("Traceparent", parent)
	req.Header.Set(httpapi.RequestIDHeader, "r-1")
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Code
}

func TestSpanOfARequest(t *testing.T) {
	endpoint, got := collect(t)
	traces, err := tracing.Start(t.Context(), endpoint, telemetry.Info{Service: "songs", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if status := serve(t, traces, "/things/7", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"); status != 500 {
		t.Errorf("status %d", status)
	}
	if err := traces.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	received := <-got
	span := received.GetScopeSpans()[0].GetSpans()[0]
	attributes := map[string]string{}
	for _, a := range append(span.GetAttributes(), received.GetResource().GetAttributes()...) {
		attributes[a.GetKey()] = a.GetValue().GetStringValue()
	}
	read := map[string]string{
		"name": span.GetName(), "route": attributes["http.route"], "request": attributes["request.id"],
		"error": attributes["error.type"], "service": attributes["service.name"],
	}
	want := map[string]string{
		"name": "GET /things/{id}", "route": "/things/{id}", "request": "r-1", "error": "INTERNAL_ERROR", "service": "songs",
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if parent := span.GetParentSpanId(); len(parent) != 8 || parent[0] != 0x01 {
		t.Errorf("the span stands alone: parent %x", parent)
	}
}

func TestNoCollectorIsNoTracing(t *testing.T) {
	traces, err := tracing.Start(t.Context(), "", telemetry.Info{})
	if err != nil {
		t.Fatal(err)
	}
	next := http.NewServeMux()
	if got := traces.Handler(next); got != http.Handler(next) {
		t.Error("requests pass something that does nothing")
	}
	if err := traces.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCollectorThatIsAwayDisturbsNobody(t *testing.T) {
	traces, err := tracing.Start(t.Context(), "http://127.0.0.1:1", telemetry.Info{})
	if err != nil {
		t.Fatal(err)
	}
	if status := serve(t, traces, "/nothing", ""); status != 404 {
		t.Errorf("status %d", status)
	}
}

func TestEndpointMustBeAnURL(t *testing.T) {
	if _, err := tracing.Start(t.Context(), "collector", telemetry.Info{}); err == nil {
		t.Error("accepted")
	}
}
