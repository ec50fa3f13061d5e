// Package contract_test holds the service's side of api/contract against the operator's, since neither may know the other.
package contract_test

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/analysis"
	"github.com/mirubato/mirubato/controllers/podclient"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

// pods is where the pods listen, by name and port.
type pods map[string]string

func (p pods) BaseURL(pod podclient.Pod, port int) (string, error) {
	if url, ok := p[net.JoinHostPort(pod.Name, strconv.Itoa(port))]; ok {
		return url, nil
	}
	return "", podclient.ErrNoAddress
}

// start serves the API and the metrics of a pod as cmd/scores does. Its requests are answered with a status.
func (p pods) start(t *testing.T, name string, status int) podclient.Pod {
	t.Helper()
	metrics := telemetry.NewMetrics(telemetry.Info{Service: "songs", Version: "1.0", Environment: "staging", Release: "1.0-abc"})
	router := httpapi.NewRouter()
	for path, answer := range map[string]int{"/api/songs": status, contract.ReadyzPath: http.StatusServiceUnavailable} {
		router.Handle("GET "+path, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) }))
	}
	api := httptest.NewServer(httpapi.Middleware(httpapi.Options{
		Logger: slog.New(slog.DiscardHandler), Observer: metrics, Synthetic: metrics.Synthetic(), Release: "1.0-abc",
		RequestTimeout: httpapi.Fixed(30 * time.Second), MaxBody: 1,
	}, router))
	t.Cleanup(api.Close)
	mux := http.NewServeMux()
	mux.Handle("GET "+contract.MetricsPath, metrics.Handler())
	operations := httptest.NewServer(mux)
	t.Cleanup(operations.Close)
	p[net.JoinHostPort(name, strconv.Itoa(contract.APIPort))] = api.URL
	p[net.JoinHostPort(name, strconv.Itoa(contract.OperationsPort))] = operations.URL
	return podclient.Pod{Name: name, UID: name}
}

func (p pods) ask(t *testing.T, pod podclient.Pod, path string, times int) {
	t.Helper()
	base, err := p.BaseURL(pod, contract.APIPort)
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		if _, err := podclient.New().Do(t.Context(), podclient.Request{URL: base + path}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnalysisReadsTheMetricsOfTheChassis compares two pods by all that the operator reads of a service.
func TestAnalysisReadsTheMetricsOfTheChassis(t *testing.T) {
	for name, tc := range map[string]struct {
		status  int
		want    v1alpha1.Verdict
		message []string
	}{
		"a good release": {http.StatusOK, v1alpha1.VerdictPass, []string{
			"errors 0 of 30 (0 %), the others 0 of 30 (0 %)", ", at most 5 s accepted", "in flight 0",
		}},
		"a bad release": {http.StatusInternalServerError, v1alpha1.VerdictFail, []string{"errors 30 of 30 (100 %), the others 0 of 30 (0 %)"}},
	} {
		t.Run(name, func(t *testing.T) {
			all := pods{}
			newer, older := all.start(t, "new", tc.status), all.start(t, "old", http.StatusOK)
			now := time.Unix(1000, 0)
			subject := analysis.Subject{
				Since: now, New: []podclient.Pod{newer}, Old: []podclient.Pod{older}, Endpoints: all,
				Rules: v1alpha1.AnalysisSpec{
					Interval: &metav1.Duration{Duration: time.Second}, MinSamples: new(int32(30)),
					ErrorRatio: &v1alpha1.RatioRule{},
					Latency:    &v1alpha1.LatencyRule{Quantile: new(int32(50)), Max: &metav1.Duration{Duration: 5 * time.Second}, MaxIncreasePercent: new(int32(1000))},
					Metrics:    []v1alpha1.MetricRule{{Name: "in flight", Metric: "http_requests_in_flight", Max: "10"}},
					// Half of the requests are users', the others of the operator's making: both count.
					SyntheticTraffic: &v1alpha1.SyntheticTraffic{Path: "/api/songs", RequestsPerInterval: new(int32(15))},
				},
			}
			recorder := analysis.NewRecorder(podclient.New())
			recorder.Observe(t.Context(), subject, now)
			for _, pod := range []podclient.Pod{newer, older} {
				all.ask(t, pod, "/api/songs", 15)
				all.ask(t, pod, contract.ReadyzPath, 20) // nobody's requests, whatever the answer
			}
			got, sample, _ := recorder.Observe(t.Context(), subject, now.Add(time.Second))
			if got.Verdict != tc.want || sample.CanaryRequests != 30 || sample.StableRequests != 30 {
				t.Errorf("got %s: %s", got.Verdict, got.Message)
			}
			for _, message := range tc.message {
				if !strings.Contains(got.Message, message) {
					t.Errorf("%q is not in %s", message, got.Message)
				}
			}
		})
	}
}
