package ratelimit

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// byHeader is a guard that believes the headers User and Role.
type byHeader struct{}

func (byHeader) Guard(_ httpapi.Access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := auth.Identity{ID: r.Header.Get("User"), Role: auth.Role(r.Header.Get("Role"))}
		next.ServeHTTP(w, r.WithContext(auth.NewContext(r.Context(), id)))
	})
}

type quiet struct{}

func (quiet) RequestStarted()                                    {}
func (quiet) RequestFinished(string, string, int, time.Duration) {}

// service is a small API whose requests are counted.
type service struct {
	http.Handler
	guard *Guard
	clock *clock
	board *board
	tally *tally
}

// decode reads settings over the defaults.
func decode(t testing.TB, text string) settings.Settings {
	t.Helper()
	s, err := settings.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return settings.Merge(settings.Default(), s)
}

func newService(t testing.TB, text string) *service {
	t.Helper()
	c := newClock()
	s := &service{clock: c, board: newBoard(c), tally: &tally{}}
	s.guard = NewGuard(New(Config{Fleet: s.board, Timeout: time.Minute, Observer: s.tally, Logger: slog.New(slog.DiscardHandler), Now: c.now}))
	s.guard.Apply(decode(t, text))
	router := httpapi.NewRouter()
	done := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { httpapi.NoContent().Write(r.Context(), w) })
	var routes []httpapi.Route
	for _, r := range []httpapi.Route{
		{Method: "GET", Path: "/things"},
		{Method: "GET", Path: "/things/{id}"},
		{Method: "POST", Path: "/token", Class: httpapi.ClassAuth},
		{Method: "POST", Path: "/files", Class: httpapi.ClassUpload},
		{Method: "GET", Path: "/livez"},
	} {
		r.Handler, r.Access = done, httpapi.Anyone
		routes = append(routes, r)
	}
	router.Mount(byHeader{}, routes, s.guard.Wrap)
	s.Handler = httpapi.Middleware(httpapi.Options{
		Logger: slog.New(slog.DiscardHandler), Observer: quiet{}, RequestTimeout: func() time.Duration { return time.Minute }, MaxBody: 1,
	}, s.guard.Addresses(router))
	return s
}

// ask sends a request; headers come in pairs, Peer being the address it comes from.
func (s *service) ask(t testing.TB, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	r.RemoteAddr = "192.0.2.1:1234"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Peer" {
			r.RemoteAddr = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// passes sends requests until one is refused and returns how many were not.
func (s *service) passes(t testing.TB, method, path string, headers ...string) int {
	t.Helper()
	for n := range 2000 {
		if s.ask(t, method, path, headers...).Code == http.StatusTooManyRequests {
			return n
		}
	}
	t.Fatal("nothing is ever refused")
	return 0
}

func TestC40WhatTheDefaultsLetThrough(t *testing.T) {
	for name, tc := range map[string]struct {
		method, path string
		headers      []string
		want         int
	}{
		"anybody":            {"GET", "/things", nil, 100},
		"a user":             {"GET", "/things", []string{"User", "alice", "Role", "user"}, 120},
		"a teacher":          {"GET", "/things", []string{"User", "tess", "Role", "teacher"}, 600},
		"an admin":           {"GET", "/things", []string{"User", "ada", "Role", "admin"}, 600},
		"logging in":         {"POST", "/token", nil, 5},
		"a file":             {"POST", "/files", []string{"User", "alice", "Role", "user"}, 10},
		"an unknown address": {"GET", "/nothing", nil, 1200},
		"a wrong method":     {"DELETE", "/things", nil, 1200},
	} {
		t.Run(name, func(t *testing.T) {
			for _, scope := range []string{"Fleet", "Pod"} {
				s := newService(t, "rateLimits: {scope: "+scope+"}")
				if got := s.passes(t, tc.method, tc.path, tc.headers...); got != tc.want {
					t.Errorf("%s: %d, want %d", scope, got, tc.want)
				}
				if asked := s.board.asked() > 0; asked != (scope == "Fleet") {
					t.Errorf("%s: the fleet was asked: %v", scope, asked)
				}
			}
		})
	}
}

func TestC41HeadersOfEveryAnswer(t *testing.T) {
	s := newService(t, "rateLimits: {default: {requests: 2, window: 1m}}")
	reset := strconv.FormatInt(s.clock.now().Add(time.Minute).UnixMilli(), 10)
	headers := func(w *httptest.ResponseRecorder) [4]string {
		h := w.Header()
		return [4]string{h.Get(LimitHeader), h.Get(RemainingHeader), h.Get(ResetHeader), h.Get("Retry-After")}
	}
	for i, want := range [][4]string{{"2", "1", reset, ""}, {"2", "0", reset, ""}, {"2", "0", reset, "60"}} {
		if got := headers(s.ask(t, "GET", "/things")); got != want {
			t.Errorf("answer %d: %v, want %v", i, got, want)
		}
	}
	if got, want := headers(s.ask(t, "GET", "/nothing")), [4]string{"1200", "1196", reset, ""}; got != want {
		t.Errorf("404: %v, want %v", got, want)
	}
	s.clock.advance(59*time.Second + time.Millisecond)
	refused := s.ask(t, "GET", "/things")
	if refused.Code != 429 || refused.Header().Get("Retry-After") != "1" {
		t.Errorf("%d, Retry-After %s", refused.Code, refused.Header().Get("Retry-After"))
	}
	var body map[string]any
	if err := json.Unmarshal(refused.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	delete(body, "requestId")
	want := map[string]any{"success": false, "code": "RATE_LIMIT_EXCEEDED", "error": "Rate limit exceeded. Please retry after 1 seconds."}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.clock.advance(time.Second)
	if got := s.ask(t, "GET", "/things"); got.Code != 204 {
		t.Errorf("%d after waiting as told", got.Code)
	}
}

func TestC42WhoseRequestsAreCounted(t *testing.T) {
	s := newService(t, "rateLimits: {default: {requests: 3, window: 1m}, tiers: [], trustedProxies: [10.0.0.0/8]}")
	as := func(id string) []string { return []string{"User", id, "Role", "user"} }
	if got := s.passes(t, "GET", "/things"); got != 3 {
		t.Errorf("%d from an address", got)
	}
	for _, forged := range []string{"198.51.100.1", "198.51.100.2", "10.0.0.1", "::1"} {
		if got := s.ask(t, "GET", "/things", "X-Forwarded-For", forged, "X-Real-IP", forged, "Forwarded", "for="+forged); got.Code != 429 {
			t.Errorf("%d for one who pretends to be %s", got.Code, forged)
		}
	}
	if got := s.passes(t, "GET", "/things", as("alice")...); got != 3 {
		t.Errorf("%d for an account at the same address", got)
	}
	if got := s.ask(t, "GET", "/things", append(as("alice"), "Peer", "203.0.113.5:1")...); got.Code != 429 {
		t.Errorf("%d for the account at another address", got.Code)
	}
	if got := s.passes(t, "GET", "/things", as("bob")...); got != 3 {
		t.Errorf("%d for another account", got)
	}
	proxied := func(client string) []string {
		return []string{"Peer", "10.0.0.9:1", "X-Forwarded-For", "192.0.2.1, " + client}
	}
	if got := s.passes(t, "GET", "/things", proxied("2001:db8:0:1::1")...); got != 3 {
		t.Errorf("%d through a proxy", got)
	}
	if got := s.ask(t, "GET", "/things", proxied("2001:db8:0:1:ffff::2")...); got.Code != 429 {
		t.Errorf("%d for the same network", got.Code)
	}
	if got := s.ask(t, "GET", "/things", proxied("2001:db8:0:2::1")...); got.Code != 204 {
		t.Errorf("%d for another network", got.Code)
	}
}

func TestAddressesAreBoundedWhoeverCalls(t *testing.T) {
	s := newService(t, "rateLimits: {address: {requests: 5, window: 1m}}")
	for i := range 5 {
		if got := s.ask(t, "GET", "/things", "User", strconv.Itoa(i), "Role", "user"); got.Code != 204 {
			t.Errorf("%d", got.Code)
		}
	}
	if got := s.ask(t, "GET", "/things", "User", "six", "Role", "user"); got.Code != 429 || got.Header().Get(LimitHeader) != "5" {
		t.Errorf("%d with a limit of %s", got.Code, got.Header().Get(LimitHeader))
	}
}

func TestRoutesAndClassesHaveLimitsOfTheirOwn(t *testing.T) {
	s := newService(t, `rateLimits:
  routes:
  - {route: "GET /things/{id}", requests: 7, window: 1m}
  - {route: "POST /files", requests: 4, window: 1m}`)
	if got := s.passes(t, "GET", "/things/1"); got != 7 {
		t.Errorf("%d of a route", got)
	}
	if got := s.ask(t, "GET", "/things/2"); got.Code != 429 {
		t.Errorf("%d: things are counted apart", got.Code)
	}
	if got := s.ask(t, "GET", "/things"); got.Code != 204 || got.Header().Get(RemainingHeader) != "92" {
		t.Errorf("%d with %s remaining: refusals use up what others may", got.Code, got.Header().Get(RemainingHeader))
	}
	if got := s.passes(t, "POST", "/files"); got != 4 {
		t.Errorf("%d of a route whose class has another limit", got)
	}
}

func TestProbesAreNeverLimited(t *testing.T) {
	s := newService(t, "rateLimits: {address: {requests: 1, window: 24h}, default: {requests: 1, window: 24h}}")
	for range 50 {
		if got := s.ask(t, "GET", "/livez"); got.Code != 204 || got.Header().Get(LimitHeader) != "" {
			t.Fatalf("%d", got.Code)
		}
	}
	if n := s.tally.decided.Load(); n != 0 {
		t.Errorf("%d decisions", n)
	}
}

func TestLimitsAreLive(t *testing.T) {
	s := newService(t, "rateLimits: {default: {requests: 3, window: 1m}}")
	if got := s.passes(t, "GET", "/things"); got != 3 {
		t.Errorf("%d", got)
	}
	s.guard.Apply(decode(t, "rateLimits: {default: {requests: 8, window: 1m}}"))
	if got := s.passes(t, "GET", "/things"); got != 5 {
		t.Errorf("%d more after 3 of 8", got)
	}
	s.guard.Apply(decode(t, "rateLimits: {default: {requests: 8, window: 1s}}"))
	if got := s.passes(t, "GET", "/things"); got != 8 {
		t.Errorf("%d in a window of another length", got)
	}
	s.guard.Apply(decode(t, "rateLimits: {scope: Pod, default: {requests: 2, window: 1s}}"))
	if got := s.passes(t, "GET", "/things"); got != 2 {
		t.Errorf("%d in this process", got)
	}
}

func TestMetricsTellWhatWasCountedHere(t *testing.T) {
	s := newService(t, "")
	s.board.fail(http.ErrServerClosed)
	if got := s.ask(t, "GET", "/things"); got.Code != 204 {
		t.Errorf("%d without the fleet", got.Code)
	}
	if s.tally.failed.Load() != 1 || s.tally.local.Load() != 2 {
		t.Errorf("%d failures, %d decisions of this process", s.tally.failed.Load(), s.tally.local.Load())
	}
}

func BenchmarkTwoStages(b *testing.B) {
	s := newService(b, "rateLimits: {address: {requests: 1000000, window: 24h}, default: {requests: 1000000, window: 24h}}")
	b.ReportAllocs()
	for b.Loop() {
		s.ask(b, "GET", "/things")
	}
}
