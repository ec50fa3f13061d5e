package auth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

func TestMiddleware(t *testing.T) {
	c := newClock()
	keys := newTestKeys(t, c, secret.FromValue(secretA), secret.Source{})
	verifier := NewVerifier(keys, Policy{})
	good := mint(t, NewIssuer(keys, Policy{}))
	stale, err := NewIssuer(newTestKeys(t, &clock{at: c.at.Add(-time.Hour)}, secret.FromValue(secretA), secret.Source{}), Policy{}).
		Mint(Identity{ID: "alice", Role: RoleUser}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	const invalid = `error="invalid_token"`

	for name, tc := range map[string]struct {
		authorization []string
		required      string // the caller, or the part of the challenge that is expected
		optional      string
	}{
		"a good token names the caller":          {authorization: []string{"Bearer " + good}, required: "alice", optional: "alice"},
		"the scheme's case does not matter":      {authorization: []string{"bearer " + good}, required: "alice", optional: "alice"},
		"no header is anonymous where it may be": {required: httpapi.Challenge, optional: "anonymous"},
		"an expired token is never anonymous":    {authorization: []string{"Bearer " + stale}, required: invalid, optional: invalid},
		"another scheme is refused":              {authorization: []string{"Basic YTpi"}, required: httpapi.Challenge, optional: httpapi.Challenge},
		"a scheme without a token is refused":    {authorization: []string{"Bearer "}, required: httpapi.Challenge, optional: httpapi.Challenge},
		"two headers are refused":                {authorization: []string{"Bearer " + good, "Bearer " + good}, required: httpapi.Challenge, optional: httpapi.Challenge},
		"an empty header is refused":             {authorization: []string{""}, required: httpapi.Challenge, optional: httpapi.Challenge},
	} {
		t.Run(name, func(t *testing.T) {
			for guard, want := range map[string]string{"required": tc.required, "optional": tc.optional} {
				wrap := verifier.Required
				if guard == "optional" {
					wrap = verifier.Optional
				}
				if got := callerOrChallenge(t, wrap, tc.authorization); !strings.Contains(got, want) {
					t.Errorf("%s: %q, want %q", guard, got, want)
				}
			}
		})
	}
}

// callerOrChallenge sends a request through the guard. It returns who the handler saw, or the challenge of a proper 401.
func callerOrChallenge(t *testing.T, guard func(http.Handler) http.Handler, authorization []string) string {
	t.Helper()
	caller := ""
	h := guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		caller = "anonymous"
		if id := FromContext(r.Context()); !id.IsAnonymous() {
			caller = id.ID
		}
	}))
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for _, a := range authorization {
		req.Header.Add("Authorization", a)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	if rec.Code == http.StatusOK {
		return caller
	}
	var body httpapi.ErrorEnvelope
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if rec.Code != http.StatusUnauthorized || body.Code != fault.Unauthenticated || caller != "" {
		t.Errorf("status %d, code %q, caller %q; want a 401 before the handler", rec.Code, body.Code, caller)
	}
	return rec.Header().Get("WWW-Authenticate")
}
