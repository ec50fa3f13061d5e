package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

func TestC20PagesAreBounded(t *testing.T) {
	l := open(t, nil)
	for _, title := range []string{"b", "a", "c"} {
		l.added(t, alice, `{"title":"`+title+`"}`)
	}
	for query, field := range map[string]string{
		"page=0": "page", "page=-1": "page", "page=1.5": "page", "page=one": "page", "page=99999999999999999999": "page", "page=1&page=2": "page",
		"page=": "page", "page=10001": "page", "limit=0": "limit", "limit=101": "limit", "limit=0x10": "limit", "limit=%201": "limit",
		"sort=ownerId": "sort", "sort=title;drop": "", "sort=": "sort", "order=down": "order", "order=ASC": "order",
		"status=gone": "status", "visibility=hidden": "visibility", "instrument=flute": "instrument", "difficulty=hard": "difficulty",
		"stylePeriod=late": "stylePeriod", "composer=": "composer", "composer=%00": "composer", "composer=%ff": "composer",
		"tag=": "tag", "tag=%0a": "tag", "owner=": "owner", "owner=%00": "owner", "cursor=x": "cursor", "cursor=": "cursor", "page=%zz": "",
		"from=": "from", "from=2026-01-31": "from", "to=0000-01-01T00:00:00Z": "to", "to=9999-12-31T23:00:00-14:00": "to", "from=2026-02-30T00:00:00Z": "from",
		"from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z": "to", "to=2026-01-02T00:00:00Z&to=2026-01-03T00:00:00Z": "to",
	} {
		got := l.as(t, alice, "GET", "/api/scores?"+query, "").is(t, 400, "VALIDATION_ERROR")
		if got.object(t)["error"] != "Invalid query parameters" {
			t.Errorf("%s: %s", query, got.body)
		}
		if diff := cmp.Diff([]string{field}, got.fields(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	for query, want := range map[string]string{
		"page=1&limit=1": "c", "page=1&limit=100": "cab", "sort=title": "abc", "sort=title&order=desc": "cba", "order=asc": "bac",
		"sort=title&limit=2&page=2": "c", "unknown=1": "cab",
	} {
		var titles strings.Builder
		items, _ := l.as(t, alice, "GET", "/api/scores?"+query, "").is(t, 200, "").object(t)["data"].([]any)
		for _, item := range items {
			card, _ := item.(map[string]any)
			title, _ := card["title"].(string)
			titles.WriteString(title)
		}
		if titles.String() != want {
			t.Errorf("%s: %s, want %s", query, &titles, want)
		}
	}
}

// Lists and searches can be held to what was created from one moment on and before another.
func TestC22PeriodsOfCreation(t *testing.T) {
	l := open(t, nil)
	var at []string // when each of three was created
	for _, title := range []string{"Etude a", "Etude b", "Etude c"} {
		made := l.as(t, alice, "POST", "/api/scores", `{"title":"`+title+`","visibility":"public"}`).is(t, 201, "")
		at = append(at, made.data(t)["createdAt"].(string))
	}
	for query, want := range map[string]string{
		"from=" + at[1]: "bc", "to=" + at[1]: "a", "from=" + at[1] + "&to=" + at[2]: "b", "from=" + at[0]: "abc",
		"to=0002-01-01T00:00:00Z": "", "from=9999-12-31T23:59:59Z": "", "from=0002-01-01T00:00:00Z&to=9999-12-31T23:59:59Z": "abc",
	} {
		for _, path := range []string{"/api/scores?sort=title&", "/api/scores/search?q=etu&"} {
			for _, caller := range []auth.Identity{alice, nobody} {
				var found []string
				items, _ := l.as(t, caller, "GET", path+query, "").is(t, 200, "").object(t)["data"].([]any)
				for _, item := range items {
					title, _ := item.(map[string]any)["title"].(string)
					found = append(found, title[len("Etude "):])
				}
				if slices.Sort(found); strings.Join(found, "") != want {
					t.Errorf("%s%s by %q: %v, want %s", path, query, caller.ID, found, want)
				}
			}
		}
	}
}

func TestC21CreationHasDefaultsAndChangesHaveNone(t *testing.T) {
	l := open(t, nil)
	made := l.as(t, alice, "POST", "/api/scores", `{"title":"Nocturne"}`).is(t, 201, "")
	path := made.header.Get("Location")
	data := made.data(t)
	want := []any{"active", "private", []any{}, map[string]any{}, nil}
	if diff := cmp.Diff(want, []any{data["status"], data["visibility"], data["tags"], data["metadata"], data["description"]}); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	given := `{"status":"archived","visibility":"public","tags":["x"],"metadata":{"a":[1,{"b":null}]},"description":"d"}`
	l.as(t, alice, "PUT", path, given).is(t, 200, "")
	data = l.as(t, alice, "PUT", path, `{"title":"Etude"}`).is(t, 200, "").data(t)
	want = []any{"Etude", "archived", "public", []any{"x"}, map[string]any{"a": []any{1.0, map[string]any{"b": nil}}}, "d"}
	if diff := cmp.Diff(want, []any{data["title"], data["status"], data["visibility"], data["tags"], data["metadata"], data["description"]}); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	for name, tc := range map[string]struct {
		title  string
		status int
	}{
		"a title of one character": {"x", 201}, "of 255": {strings.Repeat("é", 255), 201},
		"of 256": {strings.Repeat("é", 256), 400}, "of none": {"", 400}, "of spaces": {"   ", 400},
	} {
		t.Run(name, func(t *testing.T) {
			if got := l.as(t, alice, "POST", "/api/scores", `{"title":"`+tc.title+`"}`); got.status != tc.status {
				t.Errorf("%d, want %d: %s", got.status, tc.status, got.body)
			}
		})
	}
	for _, status := range []string{"active", "inactive", "archived"} {
		l.added(t, alice, `{"title":"x","status":"`+status+`"}`)
	}
}

func TestC22RefusalsSayWhichPartIsWrong(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"Nocturne"}`)
	for name, tc := range map[string]struct {
		method, path, body, message, field string
	}{
		"an ID":           {"GET", "/api/scores/7", "", "Invalid route parameters", "id"},
		"an ID to change": {"PUT", "/api/scores/x%00y", `{"title":"x"}`, "Invalid route parameters", "id"},
		"an ID to delete": {"DELETE", "/api/scores/" + strings.Repeat("a", 36), "", "Invalid route parameters", "id"},
		"a query":         {"GET", "/api/scores?limit=x", "", "Invalid query parameters", "limit"},
		"a search":        {"GET", "/api/scores/search?q=", "", "Invalid query parameters", "q"},
		"a long search":   {"GET", "/api/scores/search?q=" + strings.Repeat("x", 201), "", "Invalid query parameters", "q"},
		"its limit":       {"GET", "/api/scores/search?q=x&limit=51", "", "Invalid query parameters", "limit"},
		"a body":          {"PUT", path, `{"title":null}`, "Validation failed", "title"},
		"broken JSON":     {"POST", "/api/scores", `{"title":`, "Validation failed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := l.as(t, alice, tc.method, tc.path, tc.body).is(t, 400, "VALIDATION_ERROR")
			if got.object(t)["error"] != tc.message {
				t.Errorf("%s, want %s", got.body, tc.message)
			}
			if diff := cmp.Diff([]string{tc.field}, got.fields(t)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for range 12 {
		l.added(t, alice, `{"title":"Prelude"}`)
	}
	if found, _ := l.as(t, alice, "GET", "/api/scores/search?q=prel", "").is(t, 200, "").object(t)["data"].([]any); len(found) != 10 {
		t.Errorf("a search without a limit finds %d, want 10", len(found))
	}
}

func TestC23IDsAreUUIDsOfAnyVersion(t *testing.T) {
	l := open(t, nil)
	id := strings.TrimPrefix(l.added(t, alice, `{"title":"Nocturne"}`), "/api/scores/")
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.Version() != 4 || id != strings.ToLower(id) {
		t.Errorf("%s is no UUID of version 4 in lower case", id)
	}
	l.as(t, alice, "GET", "/api/scores/"+strings.ToUpper(id), "").is(t, 200, "")
	seventh, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{seventh.String(), uuid.Nil.String(), uuid.Max.String()} {
		l.as(t, alice, "GET", "/api/scores/"+other, "").is(t, 404, "NOT_FOUND")
	}
	for _, none := range []string{"{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""), id + "0", id[:35], "g" + id[1:]} {
		l.as(t, alice, "GET", "/api/scores/"+none, "").is(t, 400, "VALIDATION_ERROR")
	}
}
