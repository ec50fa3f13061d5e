package analysis

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatOfAnExpositionCounts(t *testing.T) {
	got, err := parse([]byte(`# TYPE http_requests_total counter
http_requests_total{status="200",route="/api/scores"} 10
http_requests_total{status="429"} 3
http_requests_total{status="404"} 2
http_requests_total{status="503"} 1
http_requests_total{status="200",route="/livez"} 100
http_requests_total{status="200",route="/settings"} 100
# TYPE cache_requests_total counter
cache_requests_total{cache="edge",outcome="hit"} 5
cache_requests_total{cache="query",outcome="stale"} 1
cache_requests_total{cache="query",outcome="miss"} 4
cache_requests_total{cache="query",outcome="bypass"} 50
cache_requests_total{cache="query",outcome="miss",of="half"} 0.5
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Counts{Requests: 16, Errors: 1, Refusals: 3, Lookups: 10, Misses: 4}
	if diff := cmp.Diff(want, got.Counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRefusalsAndLookupsSince(t *testing.T) {
	before := Counts{Requests: 10, Refusals: 2, Lookups: 8, Misses: 4}
	if diff := cmp.Diff(Counts{Requests: 5, Refusals: 1, Lookups: 2, Misses: 1, Within: map[float64]float64{}},
		Counts{Requests: 15, Refusals: 3, Lookups: 10, Misses: 5}.since(before)); diff != "" {
		t.Errorf("grown (-want +got):\n%s", diff)
	}
	again := Counts{Requests: 15, Refusals: 1, Lookups: 10, Misses: 5}
	if diff := cmp.Diff(again, again.since(before)); diff != "" {
		t.Errorf("started again (-want +got):\n%s", diff)
	}
}
