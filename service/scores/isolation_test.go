package scores_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// marker is a word that stands in everything that is private to alice and nowhere else.
const marker = "Xyzzyplugh"

// hidden are the IDs of what is private to alice, by the path under which it lives.
type hidden map[string]string

// bodies are requests to the routes that take one, by their names. They say SCORE and COLLECTION where an ID belongs.
var bodies = map[string]string{
	"createScore":            `{"title":"Bob's"}`,
	"updateScore":            `{"title":"Bob's now","visibility":"public"}`,
	"updateScores":           `{"ids":["SCORE"],"updates":{"title":"Bob's now","visibility":"public"}}`,
	"deleteScores":           `{"ids":["SCORE"]}`,
	"createCollection":       `{"name":"Bob's"}`,
	"updateCollection":       `{"name":"Bob's","visibility":"public"}`,
	"createCategory":         `{"name":"Bob's"}`,
	"updateCategory":         `{"name":"Bob's"}`,
	"setScoreCategories":     `{"categoryIds":[]}`,
	"checkFavorites":         `{"ids":["SCORE"]}`,
	"purgeCache":             `{"tags":["score:SCORE"]}`,
	"setNotes":               `{"notes":"Bob's"}`,
	"changeCollectionScores": `{"add":["SCORE"]}`,
}

// hide adds what is private to alice.
func (a *api) hide() hidden {
	a.t.Helper()
	private := a.create(alice, `{"title":"`+marker+`","composer":"`+marker+`","tags":["`+marker+`"],"description":"`+marker+`","metadata":{"k":"`+marker+`"}}`)
	a.as(alice, "PUT", private+"/notes", `{"notes":"`+marker+`"}`)
	a.as(alice, "PUT", "/api/favorites/"+idOf(private), "")
	collected := a.as(alice, "POST", "/api/collections", `{"name":"`+marker+`","description":"`+marker+`"}`).header.Get("Location")
	a.as(alice, "PUT", collected+"/scores/"+idOf(private), "")
	a.as(admin, "PUT", collected+"/featured", "")
	return hidden{"/api/scores": idOf(private), "/api/collections": idOf(collected)}
}

// seen is everything that alice sees of her own.
func (a *api) seen(h hidden) map[string]string {
	a.t.Helper()
	all := map[string]string{}
	for base, id := range h {
		all[base] = string(a.as(alice, "GET", base+"/"+id, "").body)
	}
	for _, path := range []string{"/api/scores?owner=me", "/api/favorites", "/api/collections?owner=me", "/api/collections/" + h["/api/collections"] + "/scores", "/api/scores/" + h["/api/scores"] + "/notes"} {
		all[path] = string(a.as(alice, "GET", path, "").body)
	}
	return all
}

// fill puts the IDs into a path pattern or a body.
func (h hidden) fill(text string) string {
	return strings.NewReplacer(
		"/api/collections/{id}", "/api/collections/"+h["/api/collections"], "{scoreId}", h["/api/scores"], "{id}", h["/api/scores"],
		"{userId}", "bob", "SCORE", h["/api/scores"], "COLLECTION", h["/api/collections"],
	).Replace(text)
}

// absent are IDs of nothing, of the same kinds.
func (h hidden) absent() hidden {
	other := maps.Clone(h)
	for base := range other {
		other[base] = uuid.NewString()
	}
	return other
}

var requestIDs = regexp.MustCompile(`"requestId":"[^"]*"`)

// told is what an answer tells: status, body and headers, without what differs from request to request, and with each of the IDs
// under the name of its kind.
func (h hidden) told(got answer) map[string]string {
	body := requestIDs.ReplaceAllString(string(got.body), "")
	all := map[string]string{"status": http.StatusText(got.status)}
	for base, id := range h {
		body = strings.ReplaceAll(body, id, base)
	}
	all["body"] = body
	for name := range got.header {
		if !slices.Contains([]string{"Date", "X-Request-Id", "Content-Length", "Server-Timing"}, name) {
			all[name] = got.header.Get(name)
		}
	}
	return all
}

// queries are query strings that try every parameter of the route with values that would find what is hidden.
func queries(params any, h hidden) []string {
	all := []string{""}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(params)) {
		name, ok := field.Tag.Lookup("query")
		if !ok {
			continue
		}
		values := []string{marker, "alice", h["/api/scores"]}
		if enum := field.Tag.Get("enum"); enum != "" {
			values = strings.Split(enum, ",")
		}
		for _, value := range values {
			all = append(all, "?"+url.Values{name: {value}}.Encode())
			if name != "q" {
				all = append(all, "?"+url.Values{name: {value}, "q": {marker}, "limit": {"50"}}.Encode())
			}
		}
	}
	return all
}

// For each route that there is, and everybody who is neither the owner nor an admin: what is private to another is not shown, and
// asking for it by ID answers exactly as asking for what does not exist; nor is it changed.
func TestC34NoRouteShowsWhatIsPrivateToAnother(t *testing.T) {
	a := newAPI(t)
	h := a.hide()
	before := a.seen(h)
	for path, shown := range before {
		if !strings.Contains(shown, marker) {
			t.Fatalf("%s does not even show it to its owner: %s", path, shown)
		}
	}
	callers := []auth.Identity{bob, {ID: "tess", Role: auth.RoleTeacher}, {}}
	tried := 0
	for _, route := range a.router.Routes() {
		body, ok := bodies[route.Name]
		if route.Request != nil && !ok {
			t.Fatalf("bodies has none for %s", route.Name)
		}
		for _, caller := range callers {
			a.tryRoute(t, caller, route, body, h)
			tried++
		}
	}
	if tried < 3*10 {
		t.Errorf("only %d routes were tried", tried)
	}
	if diff := cmp.Diff(before, a.seen(h)); diff != "" {
		t.Errorf("what is private to another was changed (-before +after):\n%s", diff)
	}
}

func (a *api) tryRoute(t *testing.T, caller auth.Identity, route httpapi.Route, body string, h hidden) {
	t.Helper()
	ask := func(ids hidden, query string) answer {
		return a.as(caller, route.Method, ids.fill(route.Path)+query, ids.fill(body))
	}
	if strings.Contains(route.Path+body, "{") {
		other := h.absent()
		if diff := cmp.Diff(other.told(ask(other, "")), h.told(ask(h, ""))); diff != "" && h.fill(route.Path+body) != route.Path+body {
			t.Errorf("%s by %q tells what is there from what is not (-absent +private):\n%s", route.Name, caller.ID, diff)
		}
	}
	if route.Params == nil || !route.IsRead() {
		return
	}
	for _, query := range queries(route.Params, h) {
		got := ask(h, query)
		if strings.Contains(string(got.body), marker) && got.status < 400 || got.status >= 500 {
			t.Errorf("%s%s by %q: %d %s", route.Name, query, caller.ID, got.status, got.body)
		}
	}
}

// The table of bodies holds nothing that is out of date.
func TestBodiesBelongToRoutes(t *testing.T) {
	a := newAPI(t)
	var names []string
	for _, route := range a.router.Routes() {
		names = append(names, route.Name)
	}
	for name, body := range bodies {
		if !slices.Contains(names, name) || !json.Valid([]byte(body)) {
			t.Errorf("%s: %s", name, body)
		}
	}
}
