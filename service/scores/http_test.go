package scores_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/chassis/edge"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/invalidation"
	"github.com/mirubato/mirubato/service/chassis/openapi/openapitest"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/cached"
	"github.com/mirubato/mirubato/service/scores/category"
	"github.com/mirubato/mirubato/service/scores/collection"
	"github.com/mirubato/mirubato/service/scores/favorite"
	"github.com/mirubato/mirubato/service/scores/interchange"
	"github.com/mirubato/mirubato/service/scores/note"
	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/service/scores/store"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

const maxBody = 1 << 20

// unmeasured counts nothing.
type unmeasured struct{}

func (unmeasured) RequestStarted()                                    {}
func (unmeasured) RequestFinished(string, string, int, time.Duration) {}

// api is the whole service behind a real HTTP server, on a real database.
type api struct {
	t      testing.TB
	server *httptest.Server
	db     *postgres.DB
	issuer *auth.Issuer
	// library is what the server serves.
	library *scores.Library
}

func newAPI(t testing.TB) *api {
	t.Helper()
	db := scorestest.Open(t, scorestest.URL(t))
	keys, err := auth.NewKeys(secret.FromValue("a signing secret for tests, long enough"), secret.Source{}, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	router := httpapi.NewRouter()
	validity := cache.NewValidity(time.Now, 0)
	feed := invalidation.New(invalidation.Config{DB: db, Validity: validity, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	caches := cached.Caches{Entities: newCache(t, "application", validity), Lists: newCache(t, "query", validity), Changed: feed.Changed}
	answers := edge.New(newCache(t, "edge", validity))
	log := audit.New(db, uuid.NewString)
	library := scores.New(cached.Scores{Repository: store.New(db), Caches: caches}, uuid.NewString)
	verifier := auth.NewVerifier(keys, auth.Policy{})
	for _, routes := range [][]httpapi.Route{
		scores.Routes(library),
		favorite.Routes(favorite.New(cached.Favorites{Repository: store.NewFavorites(db), Caches: caches}, library)),
		category.Routes(category.New(cached.Categories{Repository: store.NewCategories(db), Caches: caches}, library, log, uuid.NewString)),
		collection.Routes(collection.NewService(cached.Collections{Repository: store.NewCollections(db), Caches: caches}, library, log, uuid.NewString)),
		note.Routes(note.New(store.NewNotes(db), library, keyset(t))),
		interchange.Routes(interchange.New(cached.Interchange{Repository: store.NewInterchange(db), Caches: caches}, library, uuid.NewString), nil),
		invalidation.Routes(feed, nil, log),
	} {
		router.Mount(verifier, routes, answers.Wrap)
	}
	server := httptest.NewServer(openapitest.Handler(t, router.Routes(), httpapi.Middleware(httpapi.Options{
		Logger: slog.New(slog.DiscardHandler), Observer: unmeasured{}, Release: "r1", RequestTimeout: httpapi.Fixed(5 * time.Second), MaxBody: maxBody,
	}, router)))
	t.Cleanup(server.Close)
	return &api{t: t, server: server, db: db, issuer: auth.NewIssuer(keys, auth.Policy{}), library: library}
}

// newCache returns a cache whose values would be good for an hour.
func newCache(t testing.TB, name string, validity *cache.Validity) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Config{
		Name: name, Settings: cache.Settings{MiB: 1, TTL: time.Hour}, Validity: validity, Now: time.Now,
		LoadTimeout: func() time.Duration { return 5 * time.Second },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// decode reads the body of a success.
func decode[T any](t testing.TB, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

func (a answer) code(t testing.TB) fault.Code {
	t.Helper()
	return decode[httpapi.ErrorEnvelope](t, a).Code
}

// as sends a request in the name of a caller; the zero caller sends no token. Headers come in pairs.
func (a *api) as(caller auth.Identity, method, path, body string, headers ...string) answer {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.server.URL+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if !caller.IsAnonymous() {
		token, err := a.issuer.Mint(caller, time.Hour)
		if err != nil {
			a.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := a.server.Client().Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: read}
}

// create adds a score and returns its path.
func (a *api) create(caller auth.Identity, body string) string {
	a.t.Helper()
	created := a.as(caller, "POST", "/api/scores", body)
	if created.status != http.StatusCreated {
		a.t.Fatalf("creating: %d %s", created.status, created.body)
	}
	return created.header.Get("Location")
}

// expect wants a status and the entity tag of a version; "" wants none, though the content may have one.
func (a answer) expect(t *testing.T, status int, etag string) answer {
	t.Helper()
	const contentTag = 34 // characters
	if got := a.header.Get("ETag"); a.status != status || got != etag && (etag != "" || len(got) != contentTag) {
		t.Errorf("status %d, ETag %q; want %d, %q: %s", a.status, a.header.Get("ETag"), status, etag, a.body)
	}
	return a
}

func TestLifeOfAScore(t *testing.T) {
	a := newAPI(t)
	created := a.as(alice, "POST", "/api/scores", `{"title":"Nocturne","composer":"Chopin","tags":["romantic"],"metadata":{"plates":[1,2]}}`).expect(t, 201, `"1"`)
	made := decode[httpapi.Envelope[scores.Score]](t, created)
	path := "/api/scores/" + made.Data.ID
	if made.Data.OwnerID != "alice" || created.header.Get("Location") != path || made.Message != "Created successfully" {
		t.Errorf("created: %v %s", created.header, created.body)
	}

	read := decode[httpapi.Envelope[scores.Score]](t, a.as(alice, "GET", path, "").expect(t, 200, `"1"`))
	if diff := cmp.Diff(made.Data, read.Data); diff != "" || !read.Success {
		t.Errorf("read (-created +read):\n%s", diff)
	}

	put := a.as(alice, "PUT", path, `{"title":"Nocturne in E♭","composer":null,"visibility":"public"}`).expect(t, 200, `"2"`)
	changed := decode[httpapi.Envelope[scores.Score]](t, put)
	want := made.Data
	want.Title, want.Composer, want.Visibility, want.Version, want.UpdatedAt = "Nocturne in E♭", nil, scores.Public, 2, changed.Data.UpdatedAt
	if diff := cmp.Diff(want, changed.Data); diff != "" || changed.Message != "Score updated successfully" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}

	if deleted := a.as(alice, "DELETE", path, "").expect(t, 204, ""); len(deleted.body) != 0 {
		t.Errorf("deleting answers with %s", deleted.body)
	}
	if gone := a.as(alice, "DELETE", path, "").expect(t, 404, ""); gone.code(t) != fault.NotFound {
		t.Errorf("deleting again answers with %s", gone.body)
	}
}

func TestVersionsGuardReadsAndChanges(t *testing.T) {
	a := newAPI(t)
	path := a.create(alice, `{"title":"Nocturne"}`)
	if same := a.as(alice, "GET", path, "", "If-None-Match", `"1"`).expect(t, 304, `"1"`); len(same.body) != 0 {
		t.Errorf("what the client has is sent again: %s", same.body)
	}
	got := a.as(alice, "GET", path, "", "If-None-Match", `"7"`).expect(t, 200, `"1"`)
	if cc := got.header.Get("Cache-Control"); !strings.Contains(cc, "private") || got.header.Get("Vary") != "Authorization" {
		t.Errorf("others may keep the answer: %q", cc)
	}
	a.as(alice, "PUT", path, `{"title":"a"}`, "If-Match", `"1"`).expect(t, 200, `"2"`)
	a.as(alice, "PUT", path, `{"title":"b"}`, "If-Match", `"1"`).expect(t, 412, "")
	a.as(alice, "PUT", path, `{"title":"c"}`, "If-Match", `*`).expect(t, 200, `"3"`)
	a.as(alice, "DELETE", path, "", "If-Match", `"2"`).expect(t, 412, "")
	a.as(alice, "DELETE", path, "", "If-Match", `"3"`).expect(t, 204, "")
}

func TestIsolation(t *testing.T) {
	a := newAPI(t)
	teacher := auth.Identity{ID: "tess", Role: auth.RoleTeacher}
	for visibility, callers := range map[string]map[*auth.Identity][3]int{ // read, change, delete
		"private":  {&bob: {404, 404, 404}, &teacher: {404, 404, 404}, {}: {404, 401, 401}, &admin: {200, 200, 204}},
		"unlisted": {&bob: {200, 403, 403}, &teacher: {200, 403, 403}, {}: {200, 401, 401}, &admin: {200, 200, 204}},
		"public":   {&bob: {200, 403, 403}, &teacher: {200, 403, 403}, {}: {200, 401, 401}, &admin: {200, 200, 204}},
	} {
		path := a.create(alice, `{"title":"Hers","visibility":"`+visibility+`"}`)
		for caller, want := range callers {
			if caller == &admin {
				continue // last, since an admin's deletion works
			}
			for i, got := range a.readChangeDelete(*caller, path) {
				if got != want[i] {
					t.Errorf("%s by %q: operation %d is %d, want %d", visibility, caller.ID, i, got, want[i])
				}
			}
		}
		if got := a.readChangeDelete(admin, path); got != callers[&admin] {
			t.Errorf("%s by an admin: %v, want %v", visibility, got, callers[&admin])
		}
	}
}

func (a *api) readChangeDelete(caller auth.Identity, path string) [3]int {
	a.t.Helper()
	return [3]int{
		a.as(caller, "GET", path, "").status,
		a.as(caller, "PUT", path, `{"title":"Mine"}`).status,
		a.as(caller, "DELETE", path, "").status,
	}
}

func TestList(t *testing.T) {
	a := newAPI(t)
	a.create(alice, `{"title":"a","visibility":"private"}`)
	a.create(alice, `{"title":"b","visibility":"public"}`)
	a.create(bob, `{"title":"c","visibility":"public","composer":"Bach"}`)
	a.create(bob, `{"title":"d","visibility":"unlisted"}`)
	for name, tc := range map[string]struct {
		caller auth.Identity
		query  string
		want   []string
		page   httpapi.Pagination
	}{
		"the catalogue is open":         {query: "", want: []string{"c", "b"}, page: httpapi.Pagination{Page: 1, Limit: 20, Total: 2, TotalPages: 1}},
		"a caller's own come with it":   {caller: alice, query: "?sort=title", want: []string{"a", "b", "c"}, page: httpapi.Pagination{Page: 1, Limit: 20, Total: 3, TotalPages: 1}},
		"only the caller's own":         {caller: bob, query: "?owner=me&sort=title&order=desc", want: []string{"d", "c"}, page: httpapi.Pagination{Page: 1, Limit: 20, Total: 2, TotalPages: 1}},
		"the first of two pages":        {caller: alice, query: "?sort=title&limit=2", want: []string{"a", "b"}, page: httpapi.Pagination{Page: 1, Limit: 2, Total: 3, TotalPages: 2, HasNext: true}},
		"the second of two pages":       {caller: alice, query: "?sort=title&limit=2&page=2", want: []string{"c"}, page: httpapi.Pagination{Page: 2, Limit: 2, Total: 3, TotalPages: 2, HasPrev: true}},
		"beyond the last page":          {caller: alice, query: "?limit=2&page=9", want: []string{}, page: httpapi.Pagination{Page: 9, Limit: 2, Total: 3, TotalPages: 2, HasPrev: true}},
		"an admin sees everything":      {caller: admin, query: "?sort=title", want: []string{"a", "b", "c", "d"}, page: httpapi.Pagination{Page: 1, Limit: 20, Total: 4, TotalPages: 1}},
		"a filter that matches little":  {query: "?composer=bach", want: []string{"c"}, page: httpapi.Pagination{Page: 1, Limit: 20, Total: 1, TotalPages: 1}},
		"a filter that matches nothing": {query: "?status=archived", want: []string{}, page: httpapi.Pagination{Page: 1, Limit: 20}},
		"oldest first":                  {query: "?order=asc", want: []string{"b", "c"}, page: httpapi.Pagination{Page: 1, Limit: 20, Total: 2, TotalPages: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.as(tc.caller, "GET", "/api/scores"+tc.query, "")
			list := decode[httpapi.ListEnvelope[scores.Card]](t, got)
			names := []string{}
			for _, s := range list.Data {
				names = append(names, s.Title)
			}
			if diff := cmp.Diff(tc.want, names); diff != "" || got.status != 200 || !list.Success {
				t.Errorf("status %d, titles (-want +got):\n%s", got.status, diff)
			}
			if diff := cmp.Diff(tc.page, list.Pagination); diff != "" {
				t.Errorf("pagination (-want +got):\n%s", diff)
			}
		})
	}
	if empty := a.as(auth.Identity{}, "GET", "/api/scores?status=archived", ""); !bytes.Contains(empty.body, []byte(`"data":[]`)) {
		t.Errorf("an empty list is %s, want an empty array", empty.body)
	}
}

func TestEveryRefusal(t *testing.T) {
	a := newAPI(t)
	path := a.create(alice, `{"title":"Hers"}`)
	big := `{"title":"x","description":"` + strings.Repeat("x", maxBody) + `"}`
	for name, tc := range map[string]struct {
		caller        auth.Identity
		method, path  string
		body          string
		headers       []string
		status        int
		code          fault.Code
		field, detail string
	}{
		"malformed JSON":              {caller: alice, method: "POST", path: "/api/scores", body: `{"title":`, status: 400, code: fault.Invalid, detail: "malformed"},
		"an unknown field":            {caller: alice, method: "POST", path: "/api/scores", body: `{"title":"x","ownerId":"bob"}`, status: 400, code: fault.Invalid, field: "ownerId", detail: "unknown_field"},
		"an ID of the client's":       {caller: alice, method: "POST", path: "/api/scores", body: `{"title":"x","id":"1"}`, status: 400, code: fault.Invalid, field: "id", detail: "unknown_field"},
		"a wrong type":                {caller: alice, method: "POST", path: "/api/scores", body: `{"title":["x"]}`, status: 400, code: fault.Invalid, field: "title", detail: "wrong_type"},
		"data after the object":       {caller: alice, method: "POST", path: "/api/scores", body: `{"title":"x"},`, status: 400, code: fault.Invalid, detail: "trailing_data"},
		"a broken rule":               {caller: alice, method: "PUT", path: path, body: `{"difficultyLevel":11}`, status: 400, code: fault.Invalid, field: "difficultyLevel", detail: "max"},
		"an oversized body":           {caller: alice, method: "POST", path: "/api/scores", body: big, status: 413, code: fault.TooLarge},
		"another content type":        {caller: alice, method: "POST", path: "/api/scores", body: `title=x`, headers: []string{"Content-Type", "text/plain"}, status: 415, code: fault.UnsupportedMedia},
		"no token":                    {method: "POST", path: "/api/scores", body: `{"title":"x"}`, status: 401, code: fault.Unauthenticated},
		"a bad token on an open list": {method: "GET", path: "/api/scores", headers: []string{"Authorization", "Bearer x.y.z"}, status: 401, code: fault.Unauthenticated},
		"nobody's own list":           {method: "GET", path: "/api/scores?owner=me", status: 401, code: fault.Unauthenticated},
		"an ID that is none":          {caller: alice, method: "GET", path: "/api/scores/1", status: 400, code: fault.Invalid, field: "id", detail: "uuid"},
		"another spelling of an ID":   {caller: alice, method: "GET", path: "/api/scores/urn:uuid:" + id, status: 400, code: fault.Invalid, field: "id", detail: "uuid"},
		"an ID of nothing":            {caller: alice, method: "GET", path: "/api/scores/" + id, status: 404, code: fault.NotFound},
		"a foreign private score":     {caller: bob, method: "GET", path: path, status: 404, code: fault.NotFound},
		"a limit beyond the limit":    {method: "GET", path: "/api/scores?limit=101", status: 400, code: fault.Invalid, field: "limit", detail: "range"},
		"an unknown sort":             {method: "GET", path: "/api/scores?sort=owner_id", status: 400, code: fault.Invalid, field: "sort", detail: "one_of"},
		"an unknown filter value":     {method: "GET", path: "/api/scores?difficulty=hard", status: 400, code: fault.Invalid, field: "difficulty", detail: "one_of"},
		"an If-Match that is no tag":  {caller: alice, method: "DELETE", path: path, headers: []string{"If-Match", "1"}, status: 412, code: fault.PreconditionFailed},
		"another method":              {caller: alice, method: "PATCH", path: path, body: `{}`, status: 405, code: fault.MethodNotAllowed},
		"another address":             {caller: alice, method: "GET", path: "/api/songs", status: 404, code: fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.as(tc.caller, tc.method, tc.path, tc.body, tc.headers...).expect(t, tc.status, "")
			body := decode[httpapi.ErrorEnvelope](t, got)
			if body.Code != tc.code || body.Success || body.Error == "" || body.RequestID == "" {
				t.Errorf("%s, want %s", got.body, tc.code)
			}
			want := []fault.Detail(nil)
			if tc.detail != "" {
				want = []fault.Detail{{Field: tc.field, Code: tc.detail}}
			}
			if diff := cmp.Diff(want, body.Details, cmpopts.IgnoreFields(fault.Detail{}, "Message")); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
			if allow := got.header.Get("Allow"); tc.status == 405 && allow != "DELETE, GET, HEAD, PUT" {
				t.Errorf("Allow: %q", allow)
			}
			if challenge := got.header.Get("WWW-Authenticate"); (tc.status == 401) != strings.HasPrefix(challenge, "Bearer") {
				t.Errorf("WWW-Authenticate: %q", challenge)
			}
			if got.header.Get("X-Release") != "r1" {
				t.Error("the answer does not say which release it is from")
			}
		})
	}
}

// Writers that each add a tag of their own to what they have read, guarded by If-Match, must not lose one.
func TestConcurrentChangesLoseNothing(t *testing.T) {
	a := newAPI(t)
	path := a.create(alice, `{"title":"Shared"}`)
	const writers = 6
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			for {
				read := a.as(alice, "GET", path, "")
				var body httpapi.Envelope[scores.Score]
				if err := json.Unmarshal(read.body, &body); err != nil {
					t.Error(err)
					return
				}
				tags, err := json.Marshal(append(body.Data.Tags, strconv.Itoa(n)))
				if err != nil {
					t.Error(err)
					return
				}
				put := a.as(alice, "PUT", path, `{"tags":`+string(tags)+`}`, "If-Match", read.header.Get("ETag"))
				if put.status == 412 {
					continue
				}
				if put.status != 200 {
					t.Errorf("%d %s", put.status, put.body)
				}
				return
			}
		})
	}
	all.Wait()
	final := decode[httpapi.Envelope[scores.Score]](t, a.as(alice, "GET", path, "")).Data
	if len(final.Tags) != writers || final.Version != writers+1 {
		t.Errorf("tags %v at version %d, want %d of them at %d", final.Tags, final.Version, writers, writers+1)
	}
}

func BenchmarkC65API(b *testing.B) {
	a := newAPI(b)
	if _, err := a.db.Direct("fill", `insert into scores (owner_id, title, composer, visibility)
		select 'owner ' || g % 100, 'title ' || g, 'composer ' || g % 50, case when g % 4 = 0 then 'private' else 'public' end
		from generate_series(1, 10000) g`).Exec(b.Context()); err != nil {
		b.Fatal(err)
	}
	path := a.create(alice, `{"title":"Nocturne","composer":"Chopin","visibility":"public"}`)
	for name, target := range map[string]string{
		"get": path, "list": "/api/scores?limit=20", "search": "/api/scores/search?q=title+12", "broad search": "/api/scores/search?q=t",
		"popular": "/api/scores/popular",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if got := a.as(alice, "GET", target, ""); got.status != 200 {
						b.Errorf("%d %s", got.status, got.body)
					}
				}
			})
		})
	}
}
