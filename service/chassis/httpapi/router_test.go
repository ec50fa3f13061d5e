package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

func testRouter() *Router {
	router := NewRouter()
	for _, pattern := range []string{"GET /things", "POST /things", "GET /things/{id}", "DELETE /things/{id}", "GET /things/search"} {
		router.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			OK(pattern+" "+r.PathValue("id")).Write(r.Context(), w)
		}))
	}
	return router
}

func TestRouter(t *testing.T) {
	for name, tc := range map[string]struct {
		method, path string
		status       int
		data         string
		allow        string
	}{
		"a route is found":                            {method: "GET", path: "/things", status: 200, data: "GET /things "},
		"a value is taken from the path":              {method: "GET", path: "/things/7", status: 200, data: "GET /things/{id} 7"},
		"a fixed word wins over a value":              {method: "GET", path: "/things/search", status: 200, data: "GET /things/search "},
		"HEAD is served like GET":                     {method: "HEAD", path: "/things", status: 200, data: "GET /things "},
		"an escaped value is one value":               {method: "GET", path: "/things/a%2Fb", status: 200, data: "GET /things/{id} a/b"},
		"an unknown address is not found":             {method: "GET", path: "/nothing", status: 404},
		"a trailing slash is another address":         {method: "GET", path: "/things/", status: 404},
		"a doubled slash is not redirected":           {method: "POST", path: "//things", status: 404},
		"dots are not resolved":                       {method: "GET", path: "/things/../things", status: 404},
		"the root is not found":                       {method: "GET", path: "/", status: 404},
		"another method is named what is allowed":     {method: "PATCH", path: "/things", status: 405, allow: "GET, HEAD, POST"},
		"the allowed methods are those of the route":  {method: "POST", path: "/things/7", status: 405, allow: "DELETE, GET, HEAD"},
		"a method that nobody knows is not allowed":   {method: "BREW", path: "/things", status: 405, allow: "GET, HEAD, POST"},
		"OPTIONS is not allowed without cross-origin": {method: "OPTIONS", path: "/things/search", status: 405, allow: "DELETE, GET, HEAD"},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), tc.method, tc.path, nil)
			rec := httptest.NewRecorder()
			testRouter().ServeHTTP(rec, req)
			if rec.Code != tc.status || rec.Header().Get("Allow") != tc.allow {
				t.Fatalf("status %d, Allow %q; want %d, %q", rec.Code, rec.Header().Get("Allow"), tc.status, tc.allow)
			}
			if got := rec.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("content type %q", got)
			}
			checkBody(t, rec.Body.Bytes(), tc.status, tc.data)
		})
	}
}

// checkBody wants the data of a success, or the code of a refusal.
func checkBody(t *testing.T, raw []byte, status int, data string) {
	t.Helper()
	var body struct {
		Success bool       `json:"success"`
		Data    string     `json:"data"`
		Code    fault.Code `json:"code"`
		Message string     `json:"message"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		t.Fatal(err)
	}
	code := map[int]fault.Code{404: fault.NotFound, 405: fault.MethodNotAllowed}[status]
	if body.Data != data || body.Code != code || body.Success != (status == 200) {
		t.Errorf("body %s, want data %q and code %q", raw, data, code)
	}
	if status == 404 && !strings.HasSuffix(body.Message, " does not exist") {
		t.Errorf("the message does not name the address: %s", raw)
	}
}

func TestRouteIsRecorded(t *testing.T) {
	router := testRouter()
	seen := &Record{}
	serve := func(path string) string {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		ctx := contextWithRecord(req)
		seen = RecordOf(ctx)
		router.ServeHTTP(httptest.NewRecorder(), req.WithContext(ctx))
		return seen.Route
	}
	got := []string{serve("/things/1"), serve("/things/2"), serve("/nowhere")}
	if diff := cmp.Diff([]string{"GET /things/{id}", "GET /things/{id}", ""}, got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
}

func TestPatternWithoutMethodIsRefused(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("registered")
		}
	}()
	NewRouter().Handle("/things", http.NotFoundHandler())
}
