package httpapi

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// named is a middleware that leaves its name in the answer's header.
func named(name string) Wrapper {
	return func(_ Route, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Passed", name)
			next.ServeHTTP(w, r)
		})
	}
}

// namedGuard lets everybody through.
type namedGuard struct{}

func (namedGuard) Guard(_ Access, next http.Handler) http.Handler {
	return named("guard")(Route{}, next)
}

func TestMountPutsTheGuardFirst(t *testing.T) {
	router := NewRouter()
	route := Route{Method: "GET", Path: "/things", Access: Callers, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { NoContent().Write(r.Context(), w) })}
	router.Mount(namedGuard{}, []Route{route}, named("first"), named("second"))
	rec := httptest.NewRecorder()
	router.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/things", nil))
	if diff := cmp.Diff([]string{"guard", "first", "second"}, rec.Header().Values("Passed")); diff != "" || rec.Code != 204 {
		t.Errorf("status %d, order (-want +got):\n%s", rec.Code, diff)
	}
	if got := router.Routes(); len(got) != 1 || got[0].Pattern() != "GET /things" {
		t.Errorf("routes: %v", got)
	}
}

func TestMountRefuses(t *testing.T) {
	for name, route := range map[string]Route{
		"a route without a handler":         {Method: "GET", Path: "/", Access: Open},
		"a route without an access":         {Method: "GET", Path: "/", Handler: http.NotFoundHandler()},
		"callers where nobody can ask them": {Method: "GET", Path: "/", Access: Callers, Handler: http.NotFoundHandler()},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("mounted")
				}
			}()
			NewRouter().Mount(OpenGuard{}, []Route{route})
		})
	}
}

func TestAllFaults(t *testing.T) {
	always := []fault.Code{fault.Internal, fault.Unavailable, fault.Timeout, fault.RateLimited}
	for name, tc := range map[string]struct {
		route Route
		want  []fault.Code
	}{
		"an open read":             {route: Route{Method: "GET", Access: Open}},
		"a read of one's own":      {route: Route{Method: "GET", Access: Callers, Params: struct{}{}, Versioned: true}, want: []fault.Code{fault.Unauthenticated, fault.Invalid}},
		"a write":                  {route: Route{Method: "POST", Access: Anyone, Request: struct{}{}, Faults: []fault.Code{fault.Conflict}}, want: []fault.Code{fault.Unauthenticated, fault.Conflict, fault.TooLarge, fault.SlowRequest, fault.UnsupportedMedia, fault.Invalid}},
		"a deletion of a version":  {route: Route{Method: "DELETE", Access: Admins, Versioned: true}, want: []fault.Code{fault.Unauthenticated, fault.Denied, fault.TooLarge, fault.PreconditionFailed}},
		"a code is not said twice": {route: Route{Method: "GET", Access: Open, Faults: []fault.Code{fault.Internal}}},
	} {
		t.Run(name, func(t *testing.T) {
			count := map[fault.Code]int{}
			for _, code := range tc.route.AllFaults() {
				count[code]++
			}
			want := map[fault.Code]int{}
			for _, code := range append(tc.want, always...) {
				want[code] = 1
			}
			if diff := cmp.Diff(want, count); diff != "" {
				t.Errorf("codes (-want +got):\n%s", diff)
			}
		})
	}
}
