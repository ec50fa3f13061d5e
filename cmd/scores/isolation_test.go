package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// isolationRows are the bodies of requests to each route that there is, with which another would find or change what is private to
// alice. They say SCORE, COLLECTION, USER and EMAIL where hers belong. A route without a body has an empty one.
var isolationRows = map[string]string{
	"GET /livez": "", "GET /readyz": "", "GET /health": "", "GET /health/detailed": "",
	"GET /docs": "", "GET /docs/openapi.json": "", "GET /docs/swagger": "", "GET /swagger": "", "GET /swagger/{file}": "", "GET /api/openapi.json": "",

	"GET /": "", "GET /scores/{id}": "", "GET /sign-in": "", "GET /site/{version}/{file}": "",

	"POST /api/auth/token":        `{"email":"EMAIL","password":"not her password"}`,
	"POST /api/auth/refresh":      `{"refreshToken":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
	"POST /api/auth/logout":       `{"refreshToken":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
	"GET /api/auth/me":            "",
	"PUT /api/auth/password":      `{"password":"not his password","newPassword":"correct horse battery"}`,
	"POST /api/admin/users":       `{"email":"EMAIL","role":"user","password":"correct horse battery"}`,
	"GET /api/admin/users":        "",
	"PATCH /api/admin/users/{id}": `{"role":"user","disabled":true,"password":"correct horse battery"}`,

	"GET /api/scores": "", "GET /api/scores/search": "", "GET /api/scores/recent": "", "GET /api/scores/popular": "",
	"GET /api/scores/{id}": "", "DELETE /api/scores/{id}": "", "GET /api/scores/{id}/notes": "", "DELETE /api/scores/{id}/notes": "",
	"POST /api/scores":              `{"title":"Bob's"}`,
	"PUT /api/scores/{id}":          `{"title":"Bob's now","visibility":"public"}`,
	"POST /api/scores/bulk-update":  `{"ids":["SCORE"],"updates":{"title":"Bob's now","visibility":"public"}}`,
	"POST /api/scores/batch-delete": `{"ids":["SCORE"]}`,
	"PUT /api/scores/{id}/notes":    `{"notes":"Bob's"}`,
	// A body that is no JSON is not looked at here; which IDs an import refuses is tested with it.
	"GET /api/scores/export": "", "POST /api/scores/import": "",
	"GET /api/scores/{id}/categories": "",
	"PUT /api/scores/{id}/categories": `{"categoryIds":[]}`,

	"GET /api/scores/{id}/versions": "", "POST /api/scores/{id}/versions": "", "GET /api/scores/{id}/incipit.svg": "",
	"GET /api/scores/{id}/versions/{version}": "", "DELETE /api/scores/{id}/versions/{version}": "",
	"GET /api/scores/{id}/versions/{version}/content": "",
	"POST /api/scores/{id}/versions/{version}/links":  `{"seconds":60}`,
	"GET /api/files/usage":                            "",
	"GET /api/tasks/{id}":                             "",

	"GET /api/favorites": "", "PUT /api/favorites/{scoreId}": "", "DELETE /api/favorites/{scoreId}": "",
	"POST /api/favorites/check": `{"ids":["SCORE"]}`,

	"GET /api/categories": "", "DELETE /api/categories/{id}": "",
	"POST /api/categories":     `{"name":"Bob's"}`,
	"PUT /api/categories/{id}": `{"name":"Bob's"}`,

	"GET /api/collections": "", "GET /api/collections/featured": "", "GET /api/collections/{id}": "", "DELETE /api/collections/{id}": "",
	"POST /api/collections":                         `{"name":"Bob's"}`,
	"PUT /api/collections/{id}":                     `{"name":"Bob's","visibility":"public"}`,
	"GET /api/collections/{id}/scores":              "",
	"PUT /api/collections/{id}/scores/{scoreId}":    "",
	"DELETE /api/collections/{id}/scores/{scoreId}": "",
	"POST /api/collections/{id}/scores:batch":       `{"add":["SCORE"]}`,
	"GET /api/collections/{id}/shares":              "",
	"PUT /api/collections/{id}/shares/{userId}":     "",
	"DELETE /api/collections/{id}/shares/{userId}":  "",
	"PUT /api/collections/{id}/featured":            "",
	"DELETE /api/collections/{id}/featured":         "",

	"GET /api/admin/audit":        "",
	"GET /api/admin/cache/stats":  "",
	"POST /api/admin/cache/purge": `{"tags":["score:SCORE"]}`,
	"GET /api/admin/jobs":         "", "POST /api/admin/jobs/{id}/retry": "", "POST /api/admin/jobs/{id}/cancel": "",
}

// hidden is what is private to alice: by its kind, the ID or address under which it would be asked for.
type hidden map[string]string

// absent is nothing, of the same kinds.
func absent() hidden {
	return hidden{
		"SCORE": uuid.NewString(), "COLLECTION": uuid.NewString(), "USER": uuid.NewString(), "EMAIL": "nobody@example.org",
	}
}

// fill puts what is hidden into a path or a body.
func (h hidden) fill(text string) string {
	return strings.NewReplacer(
		"/collections/{id}", "/collections/"+h["COLLECTION"], "/users/{id}", "/users/"+h["USER"], "{scoreId}", h["SCORE"],
		// That a version which exists is not shown is proved where files are.
		"/versions/{version}", "/versions/"+h["SCORE"],
		"{id}", h["SCORE"], "{userId}", "bob", "COLLECTION", h["COLLECTION"], "SCORE", h["SCORE"], "USER", h["USER"], "EMAIL", h["EMAIL"],
	).Replace(text)
}

// told is what an answer tells: status, body and headers, without what differs from request to request, and with what is hidden under
// the name of its kind.
func (h hidden) told(got reply) map[string]string {
	body := regexp.MustCompile(`"(requestId|timestamp|uptime|totalLatency|latency)":("[^"]*"|[0-9.]+)`).ReplaceAllString(got.body, "")
	all := map[string]string{"status": http.StatusText(got.status), "body": h.unnamed(body)}
	for name := range got.header {
		passing := []string{"Date", "X-Request-Id", "Content-Length", "Server-Timing", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Cache", "Age"}
		if !slices.Contains(passing, name) {
			all[name] = h.unnamed(got.header.Get(name))
		}
	}
	return all
}

func (h hidden) unnamed(text string) string {
	for kind, id := range h {
		text = strings.ReplaceAll(text, id, kind)
	}
	return text
}

// queries are query strings that try every parameter with values that would find what is hidden.
func (h hidden) queries(params []field) []string {
	all := []string{""}
	for _, param := range params {
		values := []string{privateWord, h["USER"], h["SCORE"], h["EMAIL"]}
		if len(param.words) > 0 {
			values = param.words
		}
		for _, value := range values {
			all = append(all, "?"+url.Values{param.name: {value}}.Encode())
			if param.name != "q" {
				all = append(all, "?"+url.Values{param.name: {value}, "q": {privateWord}, "limit": {"50"}}.Encode())
			}
		}
	}
	return all
}

// isolation is a service with accounts, and with things that everybody may see.
type isolation struct {
	*library
	t       *testing.T
	alice   auth.Identity
	callers []auth.Identity
	// open is what everybody sees of her, among it a collection.
	open     hidden
	gathered string
}

// isolated runs the service, with caches as settings say.
func isolated(t *testing.T, caches string) *isolation {
	t.Helper()
	k := keysetCommands{t: t, file: filepath.Join(t.TempDir(), "keyset"), url: scorestest.URL(t)}
	k.replace("keyset", "new")
	i := &isolation{t: t, library: run(t, k.url, func(c *Config) {
		c.NotesKeyset, c.SettingsDir = secret.FromFile(k.file), roomy(t)
		generations(c.SettingsDir).put(t, 2, roomyLimits+caches)
	})}
	i.alice = i.account(privateWord+"@example.org", "teacher")
	bob := i.account("bob@example.org", "user")
	i.callers = []auth.Identity{bob, teacher, nobody}
	seen := i.added(t, i.alice, `{"title":"Nocturne","visibility":"public"}`)
	i.gathered = i.as(t, i.alice, "POST", "/api/collections", `{"name":"Nocturnes","visibility":"public"}`).is(t, 201, "").header.Get("Location")
	i.open = hidden{"SCORE": seen[len("/api/scores/"):], "COLLECTION": i.gathered[len("/api/collections/"):]}
	i.as(t, i.alice, "PUT", i.gathered+"/scores/"+i.open["SCORE"], "").is(t, 204, "")
	i.as(t, admin, "POST", "/api/categories", `{"name":"Romantic"}`).is(t, 201, "")
	return i
}

func (i *isolation) account(email, role string) auth.Identity {
	i.t.Helper()
	made := i.as(i.t, admin, "POST", "/api/admin/users", `{"email":"`+email+`","role":"`+role+`","password":"correct horse battery"}`).is(i.t, 201, "")
	id, _ := made.data(i.t)["id"].(string)
	return auth.Identity{ID: id, Role: auth.Role(role)}
}

// hide adds what is private to alice, also to what everybody sees.
func (i *isolation) hide() hidden {
	t := i.t
	t.Helper()
	score := i.added(t, i.alice, strings.ReplaceAll(`{"title":"W","composer":"W","tags":["W"],"description":"W","metadata":{"k":"W"}}`, "W", privateWord))
	id := score[len("/api/scores/"):]
	i.as(t, i.alice, "PUT", score+"/notes", `{"notes":"`+privateWord+`"}`).is(t, 200, "")
	i.as(t, i.alice, "PUT", "/api/favorites/"+id, "").is(t, 204, "")
	category, _ := i.as(t, admin, "GET", "/api/categories", "").object(t)["data"].([]any)[0].(map[string]any)
	i.as(t, i.alice, "PUT", score+"/categories", fmt.Sprintf(`{"categoryIds":[%q]}`, category["id"])).is(t, 200, "")
	collection := i.as(t, i.alice, "POST", "/api/collections", `{"name":"`+privateWord+`","description":"`+privateWord+`"}`).is(t, 201, "").header.Get("Location")
	for _, of := range []string{collection, i.gathered} {
		i.as(t, i.alice, "PUT", of+"/scores/"+id, "").is(t, 204, "")
	}
	i.as(t, i.alice, "PUT", collection+"/scores/"+i.open["SCORE"], "").is(t, 204, "")
	i.as(t, admin, "PUT", collection+"/featured", "").is(t, 204, "")
	return hidden{
		"SCORE": id, "COLLECTION": collection[len("/api/collections/"):], "USER": i.alice.ID, "EMAIL": privateWord + "@example.org",
	}
}

// own is everything that alice sees of her own.
func (i *isolation) own(h hidden) map[string]string {
	i.t.Helper()
	all := map[string]string{}
	for _, path := range []string{
		"/api/scores/SCORE", "/api/scores/SCORE/notes", "/api/scores?owner=me", "/api/favorites", "/api/collections/COLLECTION",
		"/api/collections?owner=me", "/api/collections/COLLECTION/scores", "/api/auth/me",
	} {
		all[path] = i.as(i.t, i.alice, "GET", h.fill(path), "").is(i.t, 200, "").body
		if !strings.Contains(all[path], privateWord) {
			i.t.Errorf("%s does not even show it to its owner: %s", path, all[path])
		}
	}
	return all
}

// reads are what the others get of everything that can be read, with every parameter, of what is hidden and of what is open.
func (i *isolation) reads(shapes []shape, h hidden) map[string]map[string]string {
	i.t.Helper()
	all := map[string]map[string]string{}
	for _, s := range shapes {
		if s.method != http.MethodGet || s.path == "/health/detailed" {
			continue
		}
		for _, caller := range i.callers {
			for _, query := range h.queries(s.query) {
				got := i.as(i.t, caller, s.method, h.fill(s.path)+query, "")
				if strings.Contains(got.body, privateWord) && got.status < 400 || got.status >= 500 {
					i.t.Errorf("%s%s by %q: %d %s", s.path, query, caller.ID, got.status, got.body)
				}
				all[s.path+h.unnamed(query)+" by "+caller.ID] = h.told(got)
			}
			all[i.open.fill(s.path)+" by "+caller.ID] = h.told(i.as(i.t, caller, s.method, i.open.fill(s.path), ""))
		}
	}
	return all
}

// For each route that there is, and everybody who is neither the owner nor an admin: what is private to another leaves no trace in any
// list, count or search, asking for it by ID answers exactly as asking for what does not exist, and nothing changes it.
func TestC34NoRouteShowsWhatIsPrivateToAnother(t *testing.T) {
	for name, caches := range map[string]string{
		"with caches": "", "without caches": "cache: {edge: {sizeMiB: 0}, application: {sizeMiB: 0}, query: {sizeMiB: 0}}",
	} {
		t.Run(name, func(t *testing.T) { isolated(t, caches).holds() })
	}
}

func (i *isolation) holds() {
	t := i.t
	t.Helper()
	shapes := shapesOf(t, i.library)
	nothing := absent()
	nothing["USER"], nothing["EMAIL"] = i.alice.ID, privateWord+"@example.org"
	without := i.reads(shapes, nothing)
	h := i.hide()
	if diff := cmp.Diff(without, i.reads(shapes, h)); diff != "" {
		t.Errorf("what is private to another leaves traces (-without +with):\n%s", diff)
	}
	before := i.own(h)
	for _, s := range shapes {
		body, ok := isolationRows[s.method+" "+s.path]
		if !ok || (body == "") != (len(s.body) == 0) {
			t.Errorf("isolationRows lacks a row, or its body, for %s %s", s.method, s.path)
			continue
		}
		for _, caller := range i.callers {
			i.tells(s, caller, body, h)
		}
	}
	if diff := cmp.Diff(before, i.own(h)); diff != "" {
		t.Errorf("what is private to another was changed (-before +after):\n%s", diff)
	}
	i.as(t, nobody, "POST", "/api/auth/token", h.fill(`{"email":"EMAIL","password":"correct horse battery"}`)).is(t, 200, "")
}

// tells whether a route tells what is there from what is not.
func (i *isolation) tells(s shape, caller auth.Identity, body string, h hidden) {
	i.t.Helper()
	if h.fill(s.path+body) == s.path+body {
		return
	}
	ask := func(h hidden) map[string]string {
		path := h.fill(s.path)
		if strings.Contains(path, "{") {
			i.t.Fatalf("nothing hidden belongs into %s", path)
		}
		return h.told(i.as(i.t, caller, s.method, path, h.fill(body)))
	}
	if diff := cmp.Diff(ask(absent()), ask(h)); diff != "" {
		i.t.Errorf("%s %s by %q tells what is there from what is not (-absent +private):\n%s", s.method, s.path, caller.ID, diff)
	}
}

// IDs tell neither how many there are nor when they were made, so nobody finds one by trying.
func TestC34IDsCannotBeGuessed(t *testing.T) {
	i := isolated(t, "")
	for kind, id := range i.hide() {
		if parsed, err := uuid.Parse(id); kind != "EMAIL" && (err != nil || parsed.Version() != 4) {
			t.Errorf("%s %s is no random UUID: %v", kind, id, err)
		}
	}
}

// The rows hold nothing that is out of date.
func TestIsolationRowsBelongToRoutes(t *testing.T) {
	l := open(t, nil)
	rows := maps.Clone(isolationRows)
	for _, s := range shapesOf(t, l) {
		delete(rows, s.method+" "+s.path)
	}
	for row := range rows {
		t.Errorf("%s is no route", row)
	}
	for row, body := range isolationRows {
		if body != "" && !json.Valid([]byte(body)) {
			t.Errorf("%s: %s", row, body)
		}
	}
}
