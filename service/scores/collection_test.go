package scores_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/collection"
)

var tess = auth.Identity{ID: "tess", Role: auth.RoleTeacher}

// collect adds a collection and returns its path.
func (a *api) collect(t *testing.T, caller auth.Identity, body string) string {
	t.Helper()
	return a.as(caller, "POST", "/api/collections", body).expect(t, 201, `"1"`).header.Get("Location")
}

// collections reads the names of a page of collections and wants the total to be their number.
func (a *api) collections(t *testing.T, caller auth.Identity, query string) []string {
	t.Helper()
	page := decode[httpapi.ListEnvelope[collection.Collection]](t, a.as(caller, "GET", "/api/collections"+query, "").expect(t, 200, ""))
	found := []string{}
	for _, c := range page.Data {
		found = append(found, c.Name)
	}
	if page.Pagination.Total != int64(len(found)) {
		t.Errorf("total %d of %v", page.Pagination.Total, found)
	}
	return found
}

// members reads the titles in a collection and wants the total to be their number.
func (a *api) members(t *testing.T, caller auth.Identity, path string) []string {
	t.Helper()
	page := decode[httpapi.ListEnvelope[scores.Card]](t, a.as(caller, "GET", path+"/scores", "").expect(t, 200, ""))
	titles := []string{}
	for _, c := range page.Data {
		titles = append(titles, c.Title)
	}
	if page.Pagination.Total != int64(len(titles)) {
		t.Errorf("total %d of %v", page.Pagination.Total, titles)
	}
	return titles
}

func TestLifeOfACollection(t *testing.T) {
	a := newAPI(t)
	path := a.collect(t, alice, `{"name":" Waltzes ","description":" "}`)
	got := decode[httpapi.Envelope[collection.Collection]](t, a.as(alice, "GET", path, "").expect(t, 200, `"1"`)).Data
	want := collection.Collection{
		ID: idOf(path), OwnerID: "alice", Version: 1, CreatedAt: got.CreatedAt, UpdatedAt: got.UpdatedAt,
		Fields: collection.Fields{Name: "Waltzes", Visibility: scores.Private},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.as(alice, "GET", path, "", "If-None-Match", `"1"`).expect(t, 304, `"1"`)
	a.as(alice, "PUT", path, `{"description":"x"}`, "If-Match", `"1"`).expect(t, 200, `"2"`)
	a.as(alice, "PUT", path, `{"description":"y"}`, "If-Match", `"1"`).expect(t, 412, "")
	a.as(alice, "PUT", path, `{"name":""}`).expect(t, 400, "")
	a.as(alice, "PUT", path, `{"visibility":"secret"}`).expect(t, 400, "")
	a.as(alice, "PUT", path, `{"ownerId":"bob"}`).expect(t, 400, "")
	first, second := a.create(alice, `{"title":"first"}`), a.create(alice, `{"title":"second"}`)
	for _, score := range []string{first, second, first} {
		a.as(alice, "PUT", path+"/scores/"+idOf(score), "").expect(t, 204, "")
	}
	if diff := cmp.Diff([]string{"second", "first"}, a.members(t, alice, path)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	for range 2 {
		a.as(alice, "DELETE", path+"/scores/"+idOf(second), "").expect(t, 204, "")
	}
	a.as(alice, "DELETE", first, "").expect(t, 204, "")
	if got := a.members(t, alice, path); len(got) != 0 {
		t.Errorf("removed scores are members: %v", got)
	}
	a.as(alice, "DELETE", path, "").expect(t, 204, "")
	a.as(alice, "GET", path, "").expect(t, 404, "")
	a.as(alice, "GET", second, "").expect(t, 200, `"1"`)
}

func TestC33TheDefaultCollectionStays(t *testing.T) {
	a := newAPI(t)
	path := a.collect(t, alice, `{"name":"Mine","isDefault":true}`)
	a.as(alice, "POST", "/api/collections", `{"name":"Another","isDefault":true}`).expect(t, 409, "")
	a.collect(t, bob, `{"name":"Mine","isDefault":true}`)
	a.as(alice, "DELETE", path, "").expect(t, 403, "")
	a.as(admin, "DELETE", path, "").expect(t, 204, "")
}

func TestC33Shares(t *testing.T) {
	a := newAPI(t)
	path := a.collect(t, tess, `{"name":"Lessons"}`)
	hers := a.collect(t, alice, `{"name":"Hers"}`)
	a.as(bob, "GET", path, "").expect(t, 404, "")
	a.as(bob, "PUT", path+"/shares/bob", "").expect(t, 404, "")
	a.as(alice, "PUT", hers+"/shares/bob", "").expect(t, 403, "") // an owner, but no teacher
	for range 2 {
		a.as(tess, "PUT", path+"/shares/bob", "").expect(t, 204, "")
	}
	a.as(tess, "PUT", path+"/shares/alice%20b", "").expect(t, 204, "")
	a.as(tess, "PUT", path+"/shares/%00", "").expect(t, 400, "")
	a.as(tess, "PUT", path+"/shares/"+strings.Repeat("x", 129), "").expect(t, 400, "")
	shared := decode[httpapi.Envelope[[]string]](t, a.as(tess, "GET", path+"/shares", "").expect(t, 200, "")).Data
	if diff := cmp.Diff([]string{"alice b", "bob"}, shared); diff != "" {
		t.Errorf("shared with (-want +got):\n%s", diff)
	}
	a.as(bob, "GET", path, "").expect(t, 200, `"1"`)
	if diff := cmp.Diff([]string{"Lessons"}, a.collections(t, bob, "")); diff != "" {
		t.Errorf("bob's list (-want +got):\n%s", diff)
	}
	for _, route := range [][2]string{{"PUT", ""}, {"DELETE", ""}, {"PUT", "/scores/" + id}, {"DELETE", "/scores/" + id}, {"GET", "/shares"}, {"PUT", "/shares/x"}, {"DELETE", "/shares/bob"}, {"PUT", "/featured"}} {
		body := ""
		if route[1] == "" && route[0] == "PUT" {
			body = `{"name":"bob's"}`
		}
		a.as(bob, route[0], path+route[1], body).expect(t, 403, "")
	}
	for range 2 {
		a.as(tess, "DELETE", path+"/shares/bob", "").expect(t, 204, "")
	}
	a.as(bob, "GET", path, "").expect(t, 404, "")
	if got := a.collections(t, bob, ""); len(got) != 0 {
		t.Errorf("bob's list holds %v", got)
	}
}

func TestC33Featured(t *testing.T) {
	a := newAPI(t)
	public, private := a.collect(t, alice, `{"name":"public","visibility":"public"}`), a.collect(t, alice, `{"name":"private"}`)
	for _, caller := range []auth.Identity{alice, tess} {
		a.as(caller, "PUT", public+"/featured", "").expect(t, 403, "")
		a.as(caller, "DELETE", public+"/featured", "").expect(t, 403, "")
	}
	for _, path := range []string{public, private, public} {
		a.as(admin, "PUT", path+"/featured", "").expect(t, 204, "")
	}
	a.as(admin, "PUT", "/api/collections/"+id+"/featured", "").expect(t, 404, "")
	shown := func() []string {
		found := []string{}
		for _, c := range decode[httpapi.Envelope[[]collection.Collection]](t, a.as(auth.Identity{}, "GET", "/api/collections/featured", "").expect(t, 200, "")).Data {
			found = append(found, c.Name)
		}
		return found
	}
	if diff := cmp.Diff([]string{"public"}, shown()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a.as(admin, "DELETE", public+"/featured", "").expect(t, 204, "")
	if got := shown(); len(got) != 0 {
		t.Errorf("still featured: %v", got)
	}
	var recorded int
	if err := a.db.Direct("count", `select count(*) from audit_log where action = 'collection.feature'`).QueryRow(t.Context(), []any{&recorded}); err != nil || recorded != 4 {
		t.Errorf("%d entries in the audit log (%v), want 4", recorded, err)
	}
}

func TestC34CollectionsShowOnlyWhatTheCallerMayRead(t *testing.T) {
	a := newAPI(t)
	public := a.collect(t, alice, `{"name":"public","visibility":"public"}`)
	a.collect(t, alice, `{"name":"unlisted","visibility":"unlisted"}`)
	a.collect(t, alice, `{"name":"private"}`)
	for _, visibility := range []string{"private", "unlisted", "public"} {
		score := a.create(alice, `{"title":"hers, `+visibility+`","visibility":"`+visibility+`"}`)
		a.as(alice, "PUT", public+"/scores/"+idOf(score), "").expect(t, 204, "")
	}
	theirs := a.create(bob, `{"title":"his, unlisted","visibility":"unlisted"}`)
	a.as(alice, "PUT", public+"/scores/"+idOf(theirs), "").expect(t, 204, "")
	secret := a.create(bob, `{"title":"his, private"}`)
	a.as(alice, "PUT", public+"/scores/"+idOf(secret), "").expect(t, 404, "")
	a.as(alice, "PUT", public+"/scores/"+id, "").expect(t, 404, "")
	for name, tc := range map[string]struct {
		caller               auth.Identity
		collections, members []string
	}{
		"the owner":                {caller: alice, collections: []string{"private", "unlisted", "public"}, members: []string{"hers, public", "hers, unlisted", "hers, private"}},
		"another":                  {caller: bob, collections: []string{"public"}, members: []string{"his, unlisted", "hers, public", "hers, unlisted"}},
		"a caller without a token": {collections: []string{"public"}, members: []string{"hers, public", "hers, unlisted"}},
		"an admin":                 {caller: admin, collections: []string{"private", "unlisted", "public"}, members: []string{"his, unlisted", "hers, public", "hers, unlisted", "hers, private"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.collections, a.collections(t, tc.caller, "")); diff != "" {
				t.Errorf("collections (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.collections, a.collections(t, tc.caller, "?owner=alice")); diff != "" {
				t.Errorf("alice's collections (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.members, a.members(t, tc.caller, public)); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
		})
	}
	if got := a.collections(t, bob, "?owner=me"); len(got) != 0 {
		t.Errorf("bob owns %v", got)
	}
	a.as(auth.Identity{}, "GET", "/api/collections?owner=me", "").expect(t, 401, "")
}

func TestC13CollectionsChangeInBatches(t *testing.T) {
	a := newAPI(t)
	path := a.collect(t, alice, `{"name":"Waltzes"}`)
	one, two, three := idOf(a.create(alice, `{"title":"one"}`)), idOf(a.create(alice, `{"title":"two"}`)), idOf(a.create(bob, `{"title":"three","visibility":"public"}`))
	hers := idOf(a.create(bob, `{"title":"hidden"}`))
	for _, step := range []struct {
		body           string
		added, removed int64
		want           []string
	}{
		{`{"add":["` + one + `","` + two + `"]}`, 2, 0, []string{"one", "two"}},
		{`{"add":["` + one + `","` + two + `"]}`, 0, 0, []string{"one", "two"}},
		{`{"add":["` + strings.ToUpper(three) + `","` + hers + `","` + id + `"],"remove":["` + one + `","` + id[:35] + `f"]}`, 1, 1, []string{"three", "two"}},
		{`{"remove":["` + two + `","` + three + `"]}`, 0, 2, []string{}},
	} {
		got := decode[httpapi.Envelope[collection.Batched]](t, a.as(alice, "POST", path+"/scores:batch", step.body).expect(t, 200, "")).Data
		if got.Added != step.added || got.Removed != step.removed {
			t.Errorf("%s: %+v", step.body, got)
		}
		members := a.members(t, alice, path)
		slices.Sort(members)
		if diff := cmp.Diff(step.want, members); diff != "" {
			t.Errorf("%s: members (-want +got):\n%s", step.body, diff)
		}
	}
	many := `"` + strings.Repeat(id+`","`, 50) + id + `"`
	for name, tc := range map[string]struct{ body, code string }{
		"nothing":            {`{}`, "required"},
		"more than 100":      {`{"add":[` + many + `],"remove":[` + many + `]}`, "max"},
		"in and out at once": {`{"add":["` + one + `"],"remove":["` + one + `"]}`, "repeated"},
		"no IDs":             {`{"remove":["x"]}`, "uuid"},
	} {
		if got := a.as(alice, "POST", path+"/scores:batch", tc.body).expect(t, 400, ""); !strings.Contains(string(got.body), `"code":"`+tc.code+`"`) {
			t.Errorf("%s: %s, want %s", name, got.body, tc.code)
		}
	}
	if _, err := a.db.Direct("test.fill", `with made as (insert into scores (owner_id, title) select 'alice', 'x' from generate_series(1, 999) returning id)
		insert into collection_members (collection_id, score_id) select $1, id from made`).Exec(t.Context(), idOf(path)); err != nil {
		t.Fatal(err)
	}
	a.as(alice, "POST", path+"/scores:batch", `{"add":["`+one+`","`+two+`"]}`).expect(t, 409, "")
	a.as(alice, "POST", path+"/scores:batch", `{"add":["`+one+`"]}`).expect(t, 200, "")
	a.as(alice, "POST", path+"/scores:batch", `{"add":["`+two+`"],"remove":["`+one+`"]}`).expect(t, 200, "")
}

// collected reads in how many collections a card says that its score is.
func (a *api) collected(t *testing.T, caller auth.Identity, title string) int {
	t.Helper()
	list := decode[scores.CardList](t, a.as(caller, "GET", "/api/scores?limit=100", "").expect(t, 200, ""))
	for _, c := range list.Data {
		if c.Title == title {
			return c.CollectionCount
		}
	}
	t.Fatalf("%s is not in the list", title)
	return 0
}

func TestC70CardsCountPublicCollections(t *testing.T) {
	a := newAPI(t)
	score := a.create(alice, `{"title":"counted","visibility":"public"}`)
	public := a.collect(t, alice, `{"name":"public","visibility":"public"}`)
	private := a.collect(t, bob, `{"name":"private"}`)
	for i, step := range []struct {
		caller             auth.Identity
		method, path, body string
		want               int
	}{
		{alice, "PUT", public + "/scores/" + idOf(score), "", 1},
		{alice, "PUT", public + "/scores/" + idOf(score), "", 1},
		{bob, "PUT", private + "/scores/" + idOf(score), "", 1},
		{bob, "PUT", private, `{"visibility":"public"}`, 2},
		{bob, "PUT", private, `{"visibility":"unlisted"}`, 1},
		{alice, "POST", public + "/scores:batch", `{"remove":["` + idOf(score) + `"]}`, 0},
		{alice, "POST", public + "/scores:batch", `{"add":["` + idOf(score) + `"]}`, 1},
		{alice, "DELETE", public, "", 0},
	} {
		if got := a.as(step.caller, step.method, step.path, step.body); got.status >= 300 {
			t.Fatalf("step %d: %d %s", i, got.status, got.body)
		}
		if got := a.collected(t, bob, "counted"); got != step.want {
			t.Errorf("after step %d: %d, want %d", i, got, step.want)
		}
	}
}

func TestC70CountsAreRightWhateverHappensAtOnce(t *testing.T) {
	a := newAPI(t)
	var paths, ids []string
	for range 4 {
		paths = append(paths, a.collect(t, alice, `{"name":"x"}`))
		ids = append(ids, idOf(a.create(alice, `{"title":"x","visibility":"public"}`)))
	}
	var wg sync.WaitGroup
	for i, path := range paths {
		wg.Go(func() {
			for n := range 6 {
				add, remove := ids[(i+n)%4], ids[(i+n+1)%4]
				got := a.as(alice, "POST", path+"/scores:batch", `{"add":["`+add+`"],"remove":["`+remove+`"]}`)
				seen := a.as(alice, "PUT", path, `{"visibility":"`+[]string{"public", "private"}[(i+n)%2]+`"}`)
				if got.status != 200 && got.status != 409 || seen.status != 200 && seen.status != 409 {
					t.Errorf("%d %s, %d %s", got.status, got.body, seen.status, seen.body)
				}
			}
		})
		wg.Go(func() {
			for n := range 6 {
				a.as(alice, "PUT", path+"/scores/"+ids[(i+n*3)%4], "")
			}
		})
	}
	wg.Wait()
	if wrong := a.strings(`select score_id::text || ': ' || collection_count from score_cards where collection_count <> (
		select count(*) from collection_members m join collections c on c.id = m.collection_id
		where m.score_id = score_cards.score_id and c.visibility = 'public')`); len(wrong) > 0 {
		t.Errorf("wrong counts: %v", wrong)
	}
}
