package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

func TestC06UnknownPathAnswersJSON404(t *testing.T) {
	l := open(t, nil)
	for _, path := range []string{"/songs", "/api", "/api/songs", "/api/scores/", "/api//scores", "/api/scores/../scores", "/%2e%2e/etc/passwd", "/api/scores/a/b/c"} {
		got := l.as(t, nobody, "GET", path, "").is(t, 404, "NOT_FOUND").object(t)
		message, _ := got["message"].(string)
		if got["error"] != "Not Found" || !strings.HasPrefix(message, "The requested endpoint /") || !strings.HasSuffix(message, " does not exist") {
			t.Errorf("%s: %v", path, got)
		}
	}
	if got := l.as(t, nobody, "GET", "/api/songs", "").object(t)["message"]; got != "The requested endpoint /api/songs does not exist" {
		t.Errorf("%v", got)
	}
}

func TestC06WrongMethodAnswersJSON405(t *testing.T) {
	l := open(t, nil)
	for path, allow := range map[string]string{
		"/livez": "GET, HEAD", "/docs": "GET, HEAD", "/api/scores": "GET, HEAD, POST",
		"/api/scores/" + uuid.NewString(): "DELETE, GET, HEAD, PUT",
	} {
		got := l.as(t, nobody, "PATCH", path, "{}").is(t, 405, "METHOD_NOT_ALLOWED")
		if got.header.Get("Allow") != allow {
			t.Errorf("%s allows %q, want %q", path, got.header.Get("Allow"), allow)
		}
	}
}

func TestC07ItemsHaveEveryOperation(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"Nocturne"}`)
	id := strings.TrimPrefix(path, "/api/scores/")
	for _, step := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/api/scores?owner=me", "", 200},
		{"GET", path, "", 200},
		{"HEAD", path, "", 200},
		{"PUT", path, `{"composer":"Chopin"}`, 200},
		{"GET", "/api/scores/search?q=noct", "", 200},
		{"POST", "/api/scores/bulk-update", `{"ids":["` + id + `"],"updates":{"status":"archived"}}`, 200},
		{"DELETE", path, "", 204},
		{"GET", path, "", 404},
	} {
		got := l.as(t, alice, step.method, step.path, step.body).is(t, step.status, "")
		if (step.status == 204 || step.method == "HEAD") && got.body != "" {
			t.Errorf("%s %s has the body %s", step.method, step.path, got.body)
		}
	}
}

func TestC10SuccessEnvelopes(t *testing.T) {
	l := open(t, nil)
	made := l.as(t, alice, "POST", "/api/scores", `{"title":"Nocturne"}`).is(t, 201, "")
	id, _ := made.data(t)["id"].(string)
	path := "/api/scores/" + id
	if made.header.Get("Location") != path || made.object(t)["message"] != "Created successfully" {
		t.Errorf("%v %s", made.header, made.body)
	}
	changed := l.as(t, alice, "PUT", path, `{"title":"Etude"}`).is(t, 200, "")
	if changed.object(t)["message"] != "Score updated successfully" {
		t.Errorf("%s", changed.body)
	}
	for _, r := range []reply{made, changed, l.as(t, alice, "GET", path, "").is(t, 200, "")} {
		if r.object(t)["success"] != true || r.data(t)["id"] != id || r.header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("%v %s", r.header, r.body)
		}
	}
}

func TestC11ListEnvelope(t *testing.T) {
	l := open(t, nil)
	for n := range 5 {
		l.added(t, alice, fmt.Sprintf(`{"title":"%d"}`, n))
	}
	pagination := func(page, limit, total, pages float64, next, prev bool) map[string]any {
		return map[string]any{"page": page, "limit": limit, "total": total, "totalPages": pages, "hasNext": next, "hasPrev": prev}
	}
	for name, tc := range map[string]struct {
		caller auth.Identity
		query  string
		items  int
		want   map[string]any
	}{
		"one page":      {caller: alice, query: "", items: 5, want: pagination(1, 20, 5, 1, false, false)},
		"the first":     {caller: alice, query: "?limit=2", items: 2, want: pagination(1, 2, 5, 3, true, false)},
		"in the middle": {caller: alice, query: "?limit=2&page=2", items: 2, want: pagination(2, 2, 5, 3, true, true)},
		"the last":      {caller: alice, query: "?limit=2&page=3", items: 1, want: pagination(3, 2, 5, 3, false, true)},
		"beyond":        {caller: alice, query: "?limit=2&page=4", items: 0, want: pagination(4, 2, 5, 3, false, true)},
		"an exact fit":  {caller: alice, query: "?limit=5", items: 5, want: pagination(1, 5, 5, 1, false, false)},
		"empty":         {caller: bob, query: "", items: 0, want: pagination(1, 20, 0, 0, false, false)},
	} {
		t.Run(name, func(t *testing.T) {
			got := l.as(t, tc.caller, "GET", "/api/scores"+tc.query, "").is(t, 200, "")
			body := got.object(t)
			items, isList := body["data"].([]any)
			if body["success"] != true || !isList || len(items) != tc.items {
				t.Errorf("%s, want %d items", got.body, tc.items)
			}
			page, _ := body["pagination"].(map[string]any)
			delete(page, "nextCursor")
			if diff := cmp.Diff(tc.want, page); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestC13BulkEnvelope(t *testing.T) {
	l := open(t, nil)
	ids := []string{strings.TrimPrefix(l.added(t, alice, `{"title":"hers"}`), "/api/scores/"), strings.TrimPrefix(l.added(t, bob, `{"title":"his"}`), "/api/scores/")}
	text, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	got := l.as(t, alice, "POST", "/api/scores/bulk-update", `{"ids":`+string(text)+`,"updates":{"status":"inactive"}}`).is(t, 200, "").object(t)
	if diff := cmp.Diff(map[string]any{"success": true, "data": map[string]any{"updated": 1.0}, "message": "Updated 1 scores"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for len(ids) <= 100 {
		ids = append(ids, uuid.NewString())
	}
	if text, err = json.Marshal(ids); err != nil {
		t.Fatal(err)
	}
	refused := l.as(t, alice, "POST", "/api/scores/bulk-update", `{"ids":`+string(text)+`,"updates":{"status":"active"}}`).is(t, 400, "VALIDATION_ERROR")
	if refused.object(t)["error"] != "Cannot update more than 100 scores at once" {
		t.Errorf("%s", refused.body)
	}
}

func TestC14ErrorsHideWhatIsInside(t *testing.T) {
	l := open(t, func(c *Config) { c.Environment = "production" })
	runSQL(t, l.database, "alter table score_cards rename to hidden_away")
	got := l.as(t, alice, "GET", "/api/scores", "").is(t, 500, "INTERNAL_ERROR")
	body := got.object(t)
	delete(body, "requestId")
	want := map[string]any{
		"success": false, "error": "Internal server error", "code": "INTERNAL_ERROR", "message": "An unexpected error occurred",
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(l.log.String(), "score_cards") {
		t.Error("the log does not say what is the matter")
	}
}

func TestC15CodesAreWords(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"hers","visibility":"public"}`)
	user := `{"email":"bea@example.org","role":"user","password":"correct horse battery"}`
	l.as(t, admin, "POST", "/api/admin/users", user).is(t, 201, "")
	for name, tc := range map[string]struct {
		caller             auth.Identity
		method, path, body string
		headers            []string
		status             int
		code               string
	}{
		"input":        {alice, "POST", "/api/scores", `{}`, nil, 400, "VALIDATION_ERROR"},
		"no caller":    {nobody, "POST", "/api/scores", `{"title":"x"}`, nil, 401, "AUTHENTICATION_ERROR"},
		"no right":     {bob, "PUT", path, `{"title":"his"}`, nil, 403, "AUTHORIZATION_ERROR"},
		"no role":      {alice, "GET", "/api/admin/audit", "", nil, 403, "AUTHORIZATION_ERROR"},
		"nothing":      {alice, "GET", "/api/scores/" + uuid.NewString(), "", nil, 404, "NOT_FOUND"},
		"a method":     {alice, "PUT", "/api/scores", `{}`, nil, 405, "METHOD_NOT_ALLOWED"},
		"a conflict":   {admin, "POST", "/api/admin/users", user, nil, 409, "CONFLICT"},
		"a stale copy": {alice, "PUT", path, `{"title":"x"}`, []string{"If-Match", `"9"`}, 412, "PRECONDITION_FAILED"},
		"much":         {alice, "POST", "/api/scores", `{"title":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413, "PAYLOAD_TOO_LARGE"},
		"a form":       {alice, "POST", "/api/scores", "title=x", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"},
	} {
		t.Run(name, func(t *testing.T) {
			l.as(t, tc.caller, tc.method, tc.path, tc.body, tc.headers...).is(t, tc.status, tc.code)
		})
	}
	t.Run("no time", func(t *testing.T) {
		hasty := run(t, l.database, func(c *Config) { c.RequestTimeout = 500 * time.Millisecond })
		release := lockTable(t, l.database, "scores")
		defer release()
		hasty.as(t, alice, "GET", path, "").is(t, 504, "TIMEOUT")
	})
	t.Run("no database", func(t *testing.T) {
		got := withoutDatabase(t)
		if got.as(t, alice, "GET", path, "").is(t, 503, "SERVICE_ERROR").header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
}

func TestC16DetailsNameEveryField(t *testing.T) {
	l := open(t, nil)
	got := l.as(t, alice, "POST", "/api/scores", `{"title":"","difficultyLevel":11,"tags":[""],"status":"gone","metadata":[]}`).is(t, 400, "VALIDATION_ERROR")
	named := strings.Join(got.fields(t), " ")
	for _, field := range []string{"title", "difficultyLevel", "tags", "status", "metadata"} {
		if !strings.Contains(named, field) {
			t.Errorf("%s is not among %s", field, named)
		}
	}
	query := l.as(t, alice, "GET", "/api/scores?page=0&limit=x&sort=y", "").is(t, 400, "VALIDATION_ERROR")
	if diff := cmp.Diff([]string{"page", "limit", "sort"}, query.fields(t), sorted); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestC50AnswersSayWhoMayKeepThem(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"Nocturne","visibility":"public"}`)
	for name, tc := range map[string]struct {
		caller       auth.Identity
		method, path string
		want         string
	}{
		"a caller's score":  {alice, "GET", path, "private, no-cache"},
		"a caller's list":   {alice, "GET", "/api/scores", "private, no-cache"},
		"everybody's score": {nobody, "GET", path, "public, max-age=0, s-maxage=60, stale-while-revalidate=30, stale-if-error=600"},
		"everybody's list":  {nobody, "GET", "/api/scores", "public, max-age=0, s-maxage=60, stale-while-revalidate=30, stale-if-error=600"},
		"favorites":         {alice, "GET", "/api/favorites", "no-store"},
		"who is calling":    {alice, "GET", "/api/auth/me", "no-store"},
		"a refusal":         {nobody, "GET", "/api/auth/me", "no-store"},
		"what is not there": {nobody, "GET", "/api/songs", "no-store"},
		"a probe":           {nobody, "GET", "/livez", "no-store"},
	} {
		t.Run(name, func(t *testing.T) {
			got := l.as(t, tc.caller, tc.method, tc.path, "")
			if cc := got.header.Get("Cache-Control"); cc != tc.want {
				t.Errorf("Cache-Control %q, want %q", cc, tc.want)
			}
			if strings.HasPrefix(tc.want, "private") && !strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Authorization") {
				t.Errorf("Vary %q", got.header.Values("Vary"))
			}
		})
	}
}

func TestC53UnchangedAnswersAreNotSentAgain(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"Nocturne"}`)
	for _, address := range []string{path, "/docs"} {
		first := l.as(t, alice, http.MethodGet, address, "").is(t, 200, "")
		etag := first.header.Get("ETag")
		if len(etag) < 3 || etag[0] != '"' || etag[len(etag)-1] != '"' {
			t.Fatalf("%s: ETag %q", address, etag)
		}
		for _, known := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
			again := l.as(t, alice, http.MethodGet, address, "", "If-None-Match", known).is(t, 304, "")
			if again.body != "" || again.header.Get("ETag") != etag {
				t.Errorf("%s: %q, ETag %q", address, again.body, again.header.Get("ETag"))
			}
		}
		l.as(t, alice, http.MethodGet, address, "", "If-None-Match", `"other"`).is(t, 200, "")
	}
	l.as(t, alice, http.MethodPut, path, `{"title":"Etude"}`).is(t, 200, "")
	l.as(t, alice, http.MethodGet, path, "", "If-None-Match", `"1"`).is(t, 200, "")
}
