package settings_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/settings"
)

func TestDefaultHoldsAndNothingIsMissing(t *testing.T) {
	if found := settings.Default().Validate(); found != nil {
		t.Errorf("%v", found)
	}
	text, err := json.Marshal(settings.Default())
	if err != nil {
		t.Fatal(err)
	}
	back, err := settings.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(settings.Default(), back); diff != "" {
		t.Errorf("written and read again (-want +got):\n%s", diff)
	}
}

func TestDecode(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                       {"", ""},
		"only a comment":                {"# nothing yet\n", ""},
		"an empty section":              {"rateLimits:\n", ""},
		"JSON":                          {`{"logging":{"level":"debug"}}`, ""},
		"every kind of limit":           {"rateLimits: {scope: Pod, address: {requests: 5, window: 1s}, default: {requests: 1, window: 24h}, tiers: [{tier: anonymous, requests: 1, window: 1m}], classes: {auth: {requests: 1, window: 1s}}, routes: [{route: 'GET /api/scores/{id}', requests: 1, window: 1s}], trustedProxies: [10.0.0.0/8, 'fd00::/8']}", ""},
		"origins":                       {"cors: {origins: ['https://example.org', 'http://localhost:3000', 'http://[::1]:80', 'capacitor://localhost', '*'], maxAge: 0s}", ""},
		"an unknown key":                {"ratelimits: {}", "ratelimits is not known; known here are "},
		"an unknown key deep down":      {"rateLimits: {tiers: [{tier: user, requests: 1, window: 1s, per: 2}]}", "rateLimits.tiers[0].per is not known; known here are requests, tier, window"},
		"another case":                  {"rateLimits: {Scope: Pod}", "rateLimits.Scope is not known"},
		"a key twice":                   {"logging: {level: info}\nlogging: {level: warn}", "already defined"},
		"two documents":                 {"{}\n---\n{}", "one document"},
		"no YAML":                       {"{", "reading settings: "},
		"a list":                        {"- 1", "settings must be an object"},
		"a text for a section":          {"cors: here", "cors must be an object"},
		"a text for a list":             {"cors: {origins: here}", "cors.origins must be a list"},
		"an empty item":                 {"rateLimits: {tiers: [null]}", "rateLimits.tiers[0] must not be empty"},
		"a text for a number":           {"rateLimits: {default: {requests: many, window: 1s}}", "rateLimits.default.requests must be a whole number, not a string"},
		"half a request":                {"rateLimits: {default: {requests: 1.5, window: 1s}}", "rateLimits.default.requests must be a whole number"},
		"a number for a duration":       {"rateLimits: {default: {requests: 1, window: 60}}", "rateLimits.default.window must be a duration such as 30s, not a number"},
		"no duration":                   {"tokens: {accessTTL: 1 day}", `tokens.accessTTL must be a duration such as 500ms, 30s or 1h30m, not "1 day"`},
		"a zero window":                 {"rateLimits: {default: {requests: 1, window: 0s}}", "rateLimits.default.window must be a duration from 1s to 24h"},
		"no window":                     {"rateLimits: {default: {requests: 1}}", "rateLimits.default.window must be"},
		"a negative window":             {"rateLimits: {address: {requests: 1, window: -1s}}", "rateLimits.address.window must be"},
		"no requests":                   {"rateLimits: {classes: {upload: {window: 1s}}}", "rateLimits.classes.upload.requests must be a number from 1 to 1000000"},
		"too many requests":             {"rateLimits: {default: {requests: 1000001, window: 1s}}", "rateLimits.default.requests must be a number"},
		"an unknown scope":              {"rateLimits: {scope: Cluster}", "rateLimits.scope must be Fleet or Pod"},
		"an unknown tier":               {"rateLimits: {tiers: [{tier: guest, requests: 1, window: 1s}]}", "rateLimits.tiers[0].tier must be anonymous, user, teacher or admin"},
		"a tier twice":                  {"rateLimits: {tiers: [{tier: user, requests: 1, window: 1s}, {tier: user, requests: 2, window: 1s}]}", "rateLimits.tiers[1].tier must not be given twice"},
		"a route without method":        {"rateLimits: {routes: [{route: /api/scores, requests: 1, window: 1s}]}", "rateLimits.routes[0].route must be a method and a path"},
		"a route twice":                 {"rateLimits: {routes: [{route: GET /a, requests: 1, window: 1s}, {route: GET /a, requests: 2, window: 1s}]}", "rateLimits.routes[1].route must not be given twice"},
		"an address for a network":      {"rateLimits: {trustedProxies: [10.0.0.1]}", "rateLimits.trustedProxies[0] must be a network"},
		"a network of mapped addresses": {"rateLimits: {trustedProxies: ['::ffff:10.0.0.0/104']}", "rateLimits.trustedProxies[0] must be a network"},
		"an origin with a path":         {"cors: {origins: ['https://example.org/']}", "cors.origins[0] must be an origin"},
		"an origin without a host":      {"cors: {origins: ['https://']}", "cors.origins[0] must be an origin"},
		"an origin twice":               {"cors: {origins: ['*', '*']}", "cors.origins[1] must not be given twice"},
		"too long in the cache":         {"cors: {maxAge: 25h}", "cors.maxAge must be a duration from 0s to 24h"},
		"an unknown level":              {"logging: {level: trace}", "logging.level must be debug, info, warn or error"},
		"a level in capitals":           {"logging: {level: INFO}", "logging.level must be"},
		"tokens for ever":               {"tokens: {refreshTTL: 8761h}", "tokens.refreshTTL must be"},
		"access longer than the rest":   {"tokens: {accessTTL: 2h, refreshTTL: 1h}", "tokens.accessTTL must not be longer than refreshTTL"},
		"every kind of cache":           {"cache: {browser: {maxAge: 1m}, edge: {sizeMiB: 0, ttl: 1s, staleWhileRevalidate: 0s, staleIfError: 24h}, application: {sizeMiB: 4096}, query: {ttl: 24h}}", ""},
		"a negative time to live":       {"cache: {query: {ttl: -1s}}", "cache.query.ttl must be a duration from 1s to 24h"},
		"a negative stale time":         {"cache: {edge: {staleWhileRevalidate: -1s}}", "cache.edge.staleWhileRevalidate must be a duration from 0s to 24h"},
		"stale for ever":                {"cache: {application: {staleIfError: 25h}}", "cache.application.staleIfError must be"},
		"a negative size":               {"cache: {edge: {sizeMiB: -1}}", "cache.edge.sizeMiB must be a number from 0 to 4096"},
		"a browser for ever":            {"cache: {browser: {maxAge: 25h}}", "cache.browser.maxAge must be a duration from 0s to 24h"},
		"beyond all measure":            {strings.Repeat("#", settings.MaxSize+1), "more than 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := settings.Decode([]byte(tc.text))
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

func TestDecodeTellsEveryProblem(t *testing.T) {
	_, err := settings.Decode([]byte("logging: {level: loud}\ntokens: {accessTTL: 1s}"))
	if err == nil || !strings.Contains(err.Error(), "logging.level") || !strings.Contains(err.Error(), "tokens.accessTTL") {
		t.Errorf("%v", err)
	}
}

func TestMergeGoesFieldByField(t *testing.T) {
	decode := func(text string) settings.Settings {
		t.Helper()
		s, err := settings.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, tc := range map[string]struct{ base, over, want string }{
		"nothing over something":    {"logging: {level: warn}", "", "logging: {level: warn}"},
		"something over nothing":    {"", "logging: {level: warn}", "logging: {level: warn}"},
		"the other field stays":     {"tokens: {accessTTL: 5m, refreshTTL: 2h}", "tokens: {accessTTL: 6m}", "tokens: {accessTTL: 6m, refreshTTL: 2h}"},
		"the other class stays":     {"rateLimits: {classes: {auth: {requests: 1, window: 1s}}}", "rateLimits: {classes: {upload: {requests: 2, window: 2s}}}", "rateLimits: {classes: {auth: {requests: 1, window: 1s}, upload: {requests: 2, window: 2s}}}"},
		"a list is taken whole":     {"cors: {origins: ['https://a.example', 'https://b.example']}", "cors: {origins: ['https://c.example']}", "cors: {origins: ['https://c.example']}"},
		"an empty list is one":      {"cors: {origins: ['https://a.example']}", "cors: {origins: []}", "cors: {origins: []}"},
		"no time at all is a value": {"cors: {maxAge: 1h}", "cors: {maxAge: 0s}", "cors: {maxAge: 0s}"},
	} {
		t.Run(name, func(t *testing.T) {
			base, over := decode(tc.base), decode(tc.over)
			if diff := cmp.Diff(decode(tc.want), settings.Merge(base, over)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(decode(tc.base), base) + cmp.Diff(decode(tc.over), over); diff != "" {
				t.Errorf("merging changed what was merged:\n%s", diff)
			}
		})
	}
}

func TestDurationIsWrittenShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", time.Minute: "1m", time.Hour: "1h", 90 * time.Second: "1m30s",
		time.Hour + time.Second: "1h0m1s", 30 * 24 * time.Hour: "720h", 10 * time.Second: "10s", 10 * time.Minute: "10m",
		500 * time.Millisecond: "500ms",
	} {
		if got := settings.Duration(d).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("rateLimits: {default: {requests: 1, window: 1s}}")
	f.Add("cors: {origins: &a ['*', *a]}")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := settings.Decode([]byte(text))
		if err != nil {
			return
		}
		if found := s.Validate(); found != nil {
			t.Errorf("%q is taken and then refused: %v", text, found)
		}
		if found := settings.Merge(settings.Default(), s).RateLimits.Default; found == nil || found.Requests < 1 {
			t.Errorf("%q leaves no default limit", text)
		}
	})
}
