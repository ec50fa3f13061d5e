package v1alpha1_test

import (
	"encoding/json"
	"testing"

	"github.com/mirubato/mirubato/api/settings"
)

// What a service refuses the API server refuses, and the other way round.
func TestSettingsAreJudgedAlike(t *testing.T) {
	for name, tc := range map[string]struct {
		settings string
		good     bool
	}{
		"none":                    {`{}`, true},
		"a level":                 {`{"logging": {"level": "debug"}}`, true},
		"a limit":                 {`{"rateLimits": {"address": {"requests": 5, "window": "1m30s"}, "scope": "Pod"}}`, true},
		"tiers":                   {`{"rateLimits": {"tiers": [{"tier": "user", "requests": 5, "window": "1m"}]}}`, true},
		"a cache":                 {`{"cache": {"edge": {"sizeMiB": 0, "ttl": "1s"}}}`, true},
		"an origin":               {`{"cors": {"origins": ["https://example.org", "*"]}}`, true},
		"tokens":                  {`{"tokens": {"accessTTL": "10m", "refreshTTL": "24h"}}`, true},
		"a level that is not":     {`{"logging": {"level": "loud"}}`, false},
		"a limit of nothing":      {`{"rateLimits": {"address": {"requests": 0, "window": "1m"}}}`, false},
		"a limit without window":  {`{"rateLimits": {"address": {"requests": 1}}}`, false},
		"a window too short":      {`{"rateLimits": {"address": {"requests": 1, "window": "1ms"}}}`, false},
		"a tier twice":            {`{"rateLimits": {"tiers": [{"tier": "user", "requests": 5, "window": "1m"}, {"tier": "user", "requests": 6, "window": "1m"}]}}`, false},
		"a duration that is none": {`{"cache": {"edge": {"ttl": "soon"}}}`, false},
		"more memory than may be": {`{"cache": {"edge": {"sizeMiB": 4097}}}`, false},
		"an origin with a path":   {`{"cors": {"origins": ["https://example.org/a"]}}`, false},
		"an origin twice":         {`{"cors": {"origins": ["*", "*"]}}`, false},
		"access beyond refresh":   {`{"tokens": {"accessTTL": "24h", "refreshTTL": "1h"}}`, false},
		"too many retries":        {`{"resilience": {"database": {"retries": 6}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			var value map[string]any
			if err := json.Unmarshal([]byte(tc.settings), &value); err != nil {
				t.Fatal(err)
			}
			whole(value)
			if err := validate(t, map[string]any{"spec.settings": value}); (err == nil) != tc.good {
				t.Errorf("the API server says %v", err)
			}
			overrides := map[string]any{"settings": value}
			environment := map[string]any{"name": "staging", "namespace": "staging", "overrides": overrides}
			if err := validate(t, map[string]any{"spec.environments": []any{environment}}); (err == nil) != tc.good {
				t.Errorf("as overrides, the API server says %v", err)
			}
			if _, err := settings.Decode([]byte(tc.settings)); (err == nil) != tc.good {
				t.Errorf("the service says %v", err)
			}
		})
	}
}

// whole makes the numbers what unstructured objects hold.
func whole(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, field := range value {
			if number, ok := field.(float64); ok {
				value[key] = int64(number)
			}
			whole(field)
		}
	case []any:
		for _, item := range value {
			whole(item)
		}
	}
}
