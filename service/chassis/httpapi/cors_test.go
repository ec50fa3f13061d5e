package httpapi

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestC60OriginsAreToldWhatTheyMay(t *testing.T) {
	const page = "https://app.example.org"
	preflight := []string{"Origin", page, "Access-Control-Request-Method", "POST"}
	for name, tc := range map[string]struct {
		origins []string
		method  string
		headers []string
		status  int
		allowed string
		credits string
		methods bool
		exposes bool
	}{
		"a known origin":                   {origins: []string{"https://x.example.org", page}, method: "GET", headers: []string{"Origin", page}, status: 204, allowed: page, credits: "true", exposes: true},
		"its preflight":                    {origins: []string{page}, method: "OPTIONS", headers: preflight, status: 204, allowed: page, credits: "true", methods: true},
		"an unknown origin":                {origins: []string{"https://x.example.org"}, method: "GET", headers: []string{"Origin", page}, status: 204},
		"its preflight is no route":        {origins: []string{"https://x.example.org"}, method: "OPTIONS", headers: preflight, status: 405},
		"any origin, without credentials":  {origins: []string{"*"}, method: "GET", headers: []string{"Origin", page}, status: 204, allowed: "*", exposes: true},
		"no origin":                        {origins: []string{page}, method: "GET", status: 204},
		"nothing is allowed unless told":   {method: "GET", headers: []string{"Origin", page}, status: 204},
		"an origin that only begins alike": {origins: []string{page}, method: "GET", headers: []string{"Origin", page + ".evil.example"}, status: 204},
	} {
		t.Run(name, func(t *testing.T) {
			router := NewRouter()
			router.Handle("GET /things", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				NoContent().WithHeader("Vary", "Authorization").Write(r.Context(), w)
			}))
			h := Middleware(Options{Logger: slog.New(slog.DiscardHandler), Observer: &observer{}, RequestTimeout: Fixed(time.Second), MaxBody: 1, CORS: func() CORS { return CORS{Origins: tc.origins, MaxAge: 24 * time.Hour} }}, router)
			req := httptest.NewRequestWithContext(t.Context(), tc.method, "/things", nil)
			for i := 0; i < len(tc.headers); i += 2 {
				req.Header.Set(tc.headers[i], tc.headers[i+1])
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			got := []any{
				rec.Code, rec.Header().Get("Access-Control-Allow-Origin"), rec.Header().Get("Access-Control-Allow-Credentials"),
				strings.Contains(rec.Header().Get("Access-Control-Allow-Methods"), "DELETE"),
				strings.Contains(rec.Header().Get("Access-Control-Expose-Headers"), "ETag"),
			}
			if diff := cmp.Diff([]any{tc.status, tc.allowed, tc.credits, tc.methods, tc.exposes}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if varies := slices.Contains(rec.Header().Values("Vary"), "Origin"); varies != (tc.origins != nil) {
				t.Errorf("Vary: %v", rec.Header().Values("Vary"))
			}
		})
	}
}

func TestC61ServerTiming(t *testing.T) {
	f := serve(t, map[string]http.HandlerFunc{"GET /things": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) }})
	for _, path := range []string{"/things", "/nothing"} {
		got := f.do(t, http.MethodGet, path, nil).header.Get("Server-Timing")
		if !regexp.MustCompile(`^total;dur=\d+\.\d$`).MatchString(got) {
			t.Errorf("%s: %q", path, got)
		}
	}
}
