package health_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/health"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// world is a dependency and a clock that tests move.
type world struct {
	mu   sync.Mutex
	err  error
	at   time.Time
	runs atomic.Int32
	log  bytes.Buffer
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) set(err error, forward time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.at = err, w.at.Add(forward)
}

func (w *world) run(context.Context) error {
	w.runs.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func newReporter() (*health.Reporter, http.Handler, *world) {
	w := &world{at: time.Date(2030, 1, 1, 12, 0, 0, 5e6, time.UTC)}
	r := health.New(health.Config{
		Service: "scores", Version: "1.2.3", Environment: "staging", Release: "r1",
		Checks:   []health.Check{{Name: "database", Run: w.run}},
		FreshFor: time.Second, Timeout: time.Second, Logger: slog.New(slog.NewTextHandler(&w.log, nil)), Now: w.now,
	})
	router := httpapi.NewRouter()
	router.Mount(httpapi.OpenGuard{}, r.Routes())
	return r, router, w
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return rec.Code, strings.TrimSpace(rec.Body.String())
}

func TestProbes(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.1: password=hunter2")
	for name, tc := range map[string]struct {
		err       error
		drain     bool
		livez     string
		readyz    string
		readyCode int
	}{
		"well":                      {livez: `{"status":"ok"}`, readyz: `{"status":"ready"}`, readyCode: 200},
		"a dependency is away":      {err: health.Problem("the database does not answer", cause), livez: `{"status":"ok"}`, readyz: `{"status":"not ready","error":"the database does not answer"}`, readyCode: 503},
		"an error without a reason": {err: cause, livez: `{"status":"ok"}`, readyz: `{"status":"not ready","error":"not available"}`, readyCode: 503},
		"draining":                  {drain: true, livez: `{"status":"ok"}`, readyz: `{"status":"not ready","error":"shutting down"}`, readyCode: 503},
	} {
		t.Run(name, func(t *testing.T) {
			r, h, w := newReporter()
			w.set(tc.err, 0)
			if tc.drain {
				r.Drain()
			}
			if code, body := get(t, h, "/livez"); code != 200 || body != tc.livez {
				t.Errorf("/livez: %d %s, want 200 %s", code, body, tc.livez)
			}
			if code, body := get(t, h, "/readyz"); code != tc.readyCode || body != tc.readyz {
				t.Errorf("/readyz: %d %s, want %d %s", code, body, tc.readyCode, tc.readyz)
			}
		})
	}
}

func TestHealthReport(t *testing.T) {
	_, h, w := newReporter()
	want := health.Report{
		Summary: health.Summary{
			Status: "healthy", Timestamp: "2030-01-01T12:00:00.005Z", Service: "scores", Version: "1.2.3",
			Environment: "staging", Release: "r1",
		},
		Checks: map[string]bool{"database": true},
	}
	check := func(wantCode int) {
		t.Helper()
		code, body := get(t, h, "/health")
		var got health.Report
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" || code != wantCode {
			t.Errorf("status %d, want %d; report (-want +got):\n%s", code, wantCode, diff)
		}
	}
	check(200)
	w.set(health.Problem("gone", errors.New("secret")), time.Minute)
	want.Status, want.Timestamp, want.Uptime = "unhealthy", "2030-01-01T12:01:00.005Z", 60
	want.Checks, want.Problems = map[string]bool{"database": false}, map[string]string{"database": "gone"}
	check(503)
}

// admits lets everybody pass as an admin.
type admits struct{}

func (admits) Guard(_ httpapi.Access, next http.Handler) http.Handler { return next }

func TestC03ServiceIsDegradedWithoutWhatItCanDoWithout(t *testing.T) {
	for name, tc := range map[string]struct {
		database, cache error
		status          string
		code, ready     int
		want            map[string]health.Finding
	}{
		"all is well": {status: "healthy", code: 200, ready: 200, want: map[string]health.Finding{
			"database": {Status: "healthy", Latency: 3}, "cache": {Status: "healthy", Latency: 3},
		}},
		"the cache is away": {cache: health.Problem("full", nil), status: "degraded", code: 200, ready: 200, want: map[string]health.Finding{
			"database": {Status: "healthy", Latency: 3}, "cache": {Status: "degraded", Latency: 3, Problem: "full"},
		}},
		"the database is away": {database: health.Problem("gone", nil), status: "unhealthy", code: 503, ready: 503, want: map[string]health.Finding{
			"database": {Status: "unhealthy", Latency: 3, Problem: "gone"}, "cache": {Status: "healthy", Latency: 3},
		}},
		"both are away": {database: health.Problem("gone", nil), cache: errors.New("secret"), status: "unhealthy", code: 503, ready: 503, want: map[string]health.Finding{
			"database": {Status: "unhealthy", Latency: 3, Problem: "gone"}, "cache": {Status: "degraded", Latency: 3, Problem: "not available"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{at: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}
			answer := func(err error) func(context.Context) error {
				return func(context.Context) error {
					w.set(nil, 3*time.Millisecond)
					return err
				}
			}
			r := health.New(health.Config{
				Checks:   []health.Check{{Name: "database", Run: answer(tc.database)}},
				FreshFor: time.Minute, Timeout: time.Second, Logger: slog.New(slog.DiscardHandler), Now: w.now,
			})
			r.Register(health.Check{Name: "cache", Optional: true, Run: answer(tc.cache)})
			router := httpapi.NewRouter()
			router.Mount(httpapi.OpenGuard{}, r.Routes())
			router.Mount(admits{}, r.AdminRoutes())
			if code, body := get(t, router, "/readyz"); code != tc.ready {
				t.Errorf("/readyz: %d %s, want %d", code, body, tc.ready)
			}
			var short health.Report
			code, body := get(t, router, "/health")
			if err := json.Unmarshal([]byte(body), &short); err != nil || code != tc.code || short.Status != tc.status {
				t.Errorf("/health: %d %s (%v), want %d %s", code, body, err, tc.code, tc.status)
			}
			var long health.Detailed
			code, body = get(t, router, health.DetailedPath)
			if err := json.Unmarshal([]byte(body), &long); err != nil || code != tc.code || long.Status != tc.status || long.TotalLatency != 6 {
				t.Errorf("%s: %d %s (%v), want %d %s", health.DetailedPath, code, body, err, tc.code, tc.status)
			}
			if diff := cmp.Diff(tc.want, long.Checks); diff != "" {
				t.Errorf("checks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProbesCannotOverloadADependency(t *testing.T) {
	r, _, w := newReporter()
	var probes sync.WaitGroup
	for range 50 {
		probes.Go(func() { _ = r.Ready(t.Context()) })
	}
	probes.Wait()
	if got := w.runs.Load(); got != 1 {
		t.Errorf("50 probes asked %d times, want once", got)
	}
	w.set(errors.New("away"), time.Second)
	if err := r.Ready(t.Context()); err == nil {
		t.Error("a result is used after it went stale")
	}
}

func TestProberThatGoesAwaySpoilsNoResult(t *testing.T) {
	var got error
	r := health.New(health.Config{
		Checks: []health.Check{{Name: "database", Run: func(ctx context.Context) error {
			got = ctx.Err()
			return got
		}}},
		FreshFor: time.Second, Timeout: time.Second, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Ready(ctx); err != nil || got != nil {
		t.Errorf("the check ran with an ended context: %v, %v", err, got)
	}
}

func TestChangesAreLoggedOnce(t *testing.T) {
	r, _, w := newReporter()
	for _, err := range []error{nil, errors.New("away"), errors.New("away"), nil, nil} {
		w.set(err, time.Second)
		_ = r.Ready(t.Context())
	}
	for message, want := range map[string]int{"Losing dependency": 1, "Regaining dependency": 1} {
		if got := strings.Count(w.log.String(), message); got != want {
			t.Errorf("%q is logged %d times, want %d:\n%s", message, got, want, w.log.String())
		}
	}
}
