package connections

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
)

func TestMissing(t *testing.T) {
	for name, tc := range map[string]struct {
		demand    Demand
		available int64
		want      string
	}{
		"as many as there are":     {Demand{Stable: 4}, 40, ""},
		"one too few":              {Demand{Stable: 4}, 39, "the rollout takes up to 4 pods with 10 connections each, 40 together; the database has 39 for this service"},
		"a quarter more":           {Demand{Stable: 4, Replaces: true}, 50, ""},
		"a quarter, rounded up":    {Demand{Stable: 5, Replaces: true}, 69, "the rollout takes up to 7 pods with 10 connections each, 70 together; the database has 69 for this service"},
		"a canary":                 {Demand{Stable: 4, Canary: 2}, 59, "the rollout takes up to 6 pods with 10 connections each, 60 together; the database has 59 for this service"},
		"a migration":              {Demand{Stable: 4, Migrates: true}, 41, "the rollout takes up to 4 pods with 10 connections each and 2 for the migration, 42 together; the database has 41 for this service"},
		"everything that may come": {Demand{Stable: 4, Canary: 4, Replaces: true, Migrates: true}, 92, ""},
		"a database that is full":  {Demand{Stable: 1}, 0, "the rollout takes up to 1 pods with 10 connections each, 10 together; the database has 0 for this service"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Missing(tc.demand, Report{PerPod: 10, Available: tc.available})
			var want *v1alpha1.WaitingFor
			if tc.want != "" {
				want = &v1alpha1.WaitingFor{
					Type: v1alpha1.WaitConnections, Message: tc.want,
					Unblock: "lower workload.replicas or workload.autoscaling.max until it is through, or raise max_connections of the database",
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// at reaches every pod at one address.
type at string

// BaseURL implements podclient.Endpoints.
func (a at) BaseURL(podclient.Pod, int) (string, error) { return string(a), nil }

func TestAsk(t *testing.T) {
	const perPod, available = "# TYPE database_connections gauge\ndatabase_connections 16\n", "# TYPE database_connections_available gauge\ndatabase_connections_available 97\n"
	for name, tc := range map[string]struct {
		body string
		want Report
		ok   bool
	}{
		"both":              {perPod + available, Report{PerPod: 16, Available: 97}, true},
		"nothing":           {"", Report{}, false},
		"one alone":         {perPod, Report{PerPod: 16}, false},
		"no number":         {perPod + "database_connections_available NaN\n", Report{PerPod: 16}, false},
		"less than nothing": {perPod + "# TYPE database_connections_available gauge\ndatabase_connections_available -1\n", Report{PerPod: 16}, false},
		"no exposition":     {"<html>", Report{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/metrics" {
					w.WriteHeader(http.StatusNotFound)
				}
				_, _ = w.Write([]byte(tc.body))
			}))
			defer server.Close()
			got, ok := Ask(t.Context(), podclient.New(), at(server.URL), podclient.Pod{})
			if ok != tc.ok || got != tc.want {
				t.Errorf("got %+v %t, want %+v %t", got, ok, tc.want, tc.ok)
			}
		})
	}
	if _, ok := Ask(t.Context(), podclient.New(), podclient.Direct{}, podclient.Pod{Name: "a"}); ok {
		t.Error("a pod without an address told something")
	}
}
