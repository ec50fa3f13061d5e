package telemetry_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

var info = telemetry.Info{Service: "scores", Version: "1.2.3", Environment: "staging", Release: "r1"}

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if got := rec.Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("content type %q", got)
	}
	return rec.Body.String()
}

// noDatabase is a connector for a pool that is never used.
type noDatabase struct{}

func (noDatabase) Connect(context.Context) (driver.Conn, error) { return nil, driver.ErrBadConn }
func (noDatabase) Driver() driver.Driver                        { return nil }

func TestExposition(t *testing.T) {
	m := telemetry.NewMetrics(info)
	pool := sql.OpenDB(noDatabase{})
	t.Cleanup(func() { _ = pool.Close() })
	m.WatchPool("main", pool)
	m.RequestStarted()
	m.RequestStarted()
	m.RequestFinished("GET /api/scores/{id}", "GET", 200, 3*time.Millisecond)
	m.ObserveQuery("scores.find", time.Millisecond, nil)
	m.ObserveQuery("scores.find", time.Millisecond, fault.New(fault.Timeout, "slow"))
	got := scrape(t, m)
	for _, want := range []string{
		`service_info{environment="staging",release="r1",service="scores",version="1.2.3"} 1`,
		`http_requests_in_flight 1`,
		`http_requests_total{method="GET",route="/api/scores/{id}",status="200"} 1`,
		`http_request_duration_seconds_bucket{method="GET",route="/api/scores/{id}",status="200",le="0.005"} 1`,
		`http_request_duration_seconds_bucket{method="GET",route="/api/scores/{id}",status="200",le="0.0025"} 0`,
		`database_query_duration_seconds_count{query="scores.find"} 2`,
		`database_errors_total{code="TIMEOUT",query="scores.find"} 1`,
		`go_sql_max_open_connections{db_name="main"} 0`,
		`# HELP service_info `,
		`# TYPE http_request_duration_seconds histogram`,
		`go_goroutines `, `process_resident_memory_bytes `,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the exposition lacks %s", want)
		}
	}
}

func TestClientsCannotInventLabels(t *testing.T) {
	m := telemetry.NewMetrics(info)
	for _, method := range []string{"BREW", "WHEN", "X"} {
		m.RequestStarted()
		m.RequestFinished("", method, 405, time.Millisecond)
	}
	if want := `http_requests_total{method="other",route="unmatched",status="405"} 3`; !strings.Contains(scrape(t, m), want) {
		t.Errorf("the exposition lacks %s", want)
	}
}

func TestMetricsFromManyGoroutines(t *testing.T) {
	m := telemetry.NewMetrics(info)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for range 100 {
				m.RequestStarted()
				m.RequestFinished("GET /x", "GET", 200+i%2, time.Millisecond)
			}
		})
	}
	clients.Wait()
	for _, want := range []string{`status="200"} 400`, `status="201"} 400`, `http_requests_in_flight 0`} {
		if !strings.Contains(scrape(t, m), want) {
			t.Errorf("the exposition lacks %s", want)
		}
	}
}

func TestLoggerWritesJSONWithIdentity(t *testing.T) {
	var out bytes.Buffer
	var level slog.LevelVar
	logger := telemetry.NewLogger(&out, &level, info)
	logger.Debug("Hiding")
	level.Set(slog.LevelDebug)
	logger.Debug("Showing", "n", 1)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	delete(line, "time")
	want := map[string]any{
		"level": "DEBUG", "msg": "Showing", "n": 1.0,
		"service": "scores", "version": "1.2.3", "environment": "staging", "release": "r1",
	}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseLevel(t *testing.T) {
	for name, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	} {
		if got, err := telemetry.ParseLevel(name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "INFO", "trace"} {
		if _, err := telemetry.ParseLevel(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestSyntheticRequestsAreCountedApart(t *testing.T) {
	m := telemetry.NewMetrics(info)
	m.Synthetic().RequestStarted()
	m.RequestStarted()
	m.Synthetic().RequestFinished("GET /x", "GET", 500, 3*time.Millisecond)
	m.RequestFinished("GET /x", "GET", 200, 3*time.Millisecond)
	got := scrape(t, m)
	for _, want := range []string{
		`http_synthetic_requests_total{method="GET",route="/x",status="500"} 1`,
		`http_synthetic_request_duration_seconds_bucket{method="GET",route="/x",status="500",le="0.005"} 1`,
		`http_requests_total{method="GET",route="/x",status="200"} 1`,
		`http_requests_in_flight 0`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the exposition lacks %s", want)
		}
	}
	if strings.Contains(got, `http_requests_total{method="GET",route="/x",status="500"}`) {
		t.Error("a synthetic request counts as one of a user")
	}
}
