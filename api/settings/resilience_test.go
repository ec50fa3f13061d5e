package settings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/settings"
)

func TestDecodeResilience(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"everything": {"resilience: {requestTimeout: 5s, database: {timeout: 1s, retries: 0, breaker: {failurePercent: 100, minimumCalls: 1, window: 1s, openFor: 100ms}, bulkhead: {concurrency: 1, wait: 0s}}, " +
			"upstreams: [{name: dictionary, timeout: 1s, retries: 5}], retryBudget: 0, shedding: {maxInFlight: 1}}", ""},
		"no time for a request":         {"resilience: {requestTimeout: 0s}", "resilience.requestTimeout must be a duration from 100ms to 5m"},
		"an attempt without end":        {"resilience: {database: {timeout: 2m}}", "resilience.database.timeout must be a duration from 10ms to 1m"},
		"an attempt beyond its request": {"resilience: {requestTimeout: 1s, database: {timeout: 2s}}", "resilience.database.timeout must not be longer than requestTimeout"},
		"retries without end":           {"resilience: {database: {retries: 6}}", "resilience.database.retries must be a number from 0 to 5"},
		"negative retries":              {"resilience: {database: {retries: -1}}", "resilience.database.retries must be"},
		"no failures at all":            {"resilience: {database: {breaker: {failurePercent: 0}}}", "resilience.database.breaker.failurePercent must be a number from 1 to 100"},
		"no calls at all":               {"resilience: {database: {breaker: {minimumCalls: 0}}}", "resilience.database.breaker.minimumCalls must be"},
		"no window":                     {"resilience: {database: {breaker: {window: 10ms}}}", "resilience.database.breaker.window must be a duration from 1s to 10m"},
		"open for ever":                 {"resilience: {database: {breaker: {openFor: 1h}}}", "resilience.database.breaker.openFor must be a duration from 100ms to 5m"},
		"nothing at once":               {"resilience: {database: {bulkhead: {concurrency: 0}}}", "resilience.database.bulkhead.concurrency must be a number from 1 to 10000"},
		"a negative wait":               {"resilience: {database: {bulkhead: {wait: -1s}}}", "resilience.database.bulkhead.wait must be a duration from 0s to 1m"},
		"an upstream without a name":    {"resilience: {upstreams: [{timeout: 1s}]}", "resilience.upstreams[0].name must be"},
		"an upstream by its address":    {"resilience: {upstreams: [{name: 'http://dictionary'}]}", "resilience.upstreams[0].name must be"},
		"an upstream twice":             {"resilience: {upstreams: [{name: a}, {name: a}]}", "resilience.upstreams[1].name must not be given twice"},
		"a value of an upstream":        {"resilience: {upstreams: [{name: a, timeout: 0s}]}", "resilience.upstreams[0].timeout must be"},
		"more retries than calls":       {"resilience: {retryBudget: 101}", "resilience.retryBudget must be a number from 0 to 100"},
		"no requests at all":            {"resilience: {shedding: {maxInFlight: 0}}", "resilience.shedding.maxInFlight must be a number from 1 to 100000"},
		"an unknown key of an upstream": {"resilience: {upstreams: [{name: a, url: 'http://a'}]}", "resilience.upstreams[0].url is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := settings.Decode([]byte(tc.text))
			if tc.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestUpstreamOf(t *testing.T) {
	s, err := settings.Decode([]byte("resilience: {upstreams: [{name: dictionary, timeout: 1s, bulkhead: {wait: 0s}}]}"))
	if err != nil {
		t.Fatal(err)
	}
	known, other := s.Resilience.UpstreamOf("dictionary"), s.Resilience.UpstreamOf("another")
	if got := known.Timeout.Std(); got != time.Second || *known.Bulkhead.Wait != 0 || *known.Bulkhead.Concurrency != 100 || *known.Retries != 2 {
		t.Errorf("%s, %+v; want what is given, and defaults for the rest", got, *known.Bulkhead)
	}
	if got := other.Timeout.Std(); got != 2*time.Second || *other.Bulkhead.Wait == 0 {
		t.Errorf("an upstream that is not named: %s, %+v; want defaults", got, *other.Bulkhead)
	}
}
