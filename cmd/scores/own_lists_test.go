package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// ownLists are two instances with caches and one without, on one database, and what is in it.
type ownLists struct {
	t              testing.TB
	writer, reader *library
	plain          *library
	// private, shown and his are the paths of scores: two of alice's, one of them public, and a private one of bob's.
	private, shown, his string
	collection          string
	category            string
	// paths are lists, in each way in which they are read.
	paths []string
}

func openOwnLists(t testing.TB) *ownLists {
	t.Helper()
	address := scorestest.URL(t)
	started := func(caches string) *library {
		return run(t, address, func(c *Config) {
			dir := generations(t.TempDir())
			dir.put(t, 1, roomyLimits+caches)
			c.SettingsDir = string(dir)
		})
	}
	o := &ownLists{t: t, plain: started("cache: {edge: {sizeMiB: 0}, application: {sizeMiB: 0}, query: {sizeMiB: 0}}")}
	o.writer, o.reader = started("").fresh(t), started("").fresh(t)
	o.private = o.plain.added(t, alice, `{"title":"Waltz, hers"}`)
	o.shown = o.plain.added(t, alice, `{"title":"Waltz, shown","visibility":"public"}`)
	o.his = o.plain.added(t, bob, `{"title":"Waltz, his"}`)
	o.collection = o.plain.as(t, alice, "POST", "/api/collections", `{"name":"Waltzes"}`).is(t, 201, "").header.Get("Location")
	o.plain.as(t, alice, "PUT", o.collection+"/scores/"+scoreID(o.private), "").is(t, 204, "")
	made := o.plain.as(t, admin, "POST", "/api/categories", `{"name":"Waltz"}`).is(t, 201, "")
	o.category, _ = made.data(t)["id"].(string)
	var first struct {
		Pagination struct{ NextCursor string }
	}
	text := o.plain.as(t, alice, "GET", "/api/scores?limit=1", "").is(t, 200, "").body
	if err := json.Unmarshal([]byte(text), &first); err != nil || first.Pagination.NextCursor == "" {
		t.Fatalf("%v in %s", err, text)
	}
	o.paths = []string{
		"/api/scores", "/api/scores?owner=alice&limit=2", "/api/scores?visibility=private", "/api/scores?sort=title&order=desc", "/api/scores/recent",
		"/api/scores?limit=1&cursor=" + first.Pagination.NextCursor, "/api/scores/search?q=waltz", "/api/scores?category=" + o.category,
	}
	return o
}

func scoreID(path string) string { return strings.TrimPrefix(path, "/api/scores/") }

// each calls f for each reader and list.
func (o *ownLists) each(f func(caller auth.Identity, path string)) {
	for _, caller := range []auth.Identity{alice, bob, nobody, admin} {
		for _, path := range o.paths {
			f(caller, path)
		}
	}
}

// differs says in what the instance shows something else than one without caches.
func (o *ownLists) differs(on *library, caller auth.Identity, path string) string {
	o.t.Helper()
	return cmp.Diff(told(o.plain.as(o.t, caller, "GET", path, "")), told(on.as(o.t, caller, "GET", path, "")))
}

// Whoever changes something on an instance finds it changed there in everybody's lists at once, and elsewhere soon after. So lists that were
// kept for a reader show neither what is old nor what is no longer the reader's.
func TestListsOfEachReaderFollowEveryChange(t *testing.T) {
	o := openOwnLists(t)
	send := func(caller auth.Identity, method, path, body string) func() {
		return func() {
			if got := o.writer.as(t, caller, method, path, body); got.status >= 300 {
				t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
			}
		}
	}
	query := func(text string) func() { return func() { runSQL(t, o.plain.database, text) } }
	assigned := fmt.Sprintf(`{"categoryIds":[%q]}`, o.category)
	many := fmt.Sprintf(`{"ids":[%q,%q]`, scoreID(o.private), scoreID(o.shown))
	o.reader.hears(t) // of what was made so far
	for _, step := range []struct {
		name string
		do   func()
		// behind says that no instance does it, so that all hear of it.
		behind bool
	}{
		{"a private score is added", send(alice, "POST", "/api/scores", `{"title":"Waltz, new"}`), false},
		{"a public one is made private", send(alice, "PUT", o.shown, `{"visibility":"private"}`), false},
		{"it is made public", send(alice, "PUT", o.shown, `{"visibility":"public"}`), false},
		{"an admin changes a private one", send(admin, "PUT", o.private, `{"title":"Waltz, corrected"}`), false},
		{"one's own private one is a favorite", send(alice, "PUT", "/api/favorites/"+scoreID(o.private), ""), false},
		{"it gets a category", send(alice, "PUT", o.private+"/categories", assigned), false},
		{"his gets it as well", send(bob, "PUT", o.his+"/categories", assigned), false},
		{"the category is renamed", send(admin, "PUT", "/api/categories/"+o.category, `{"name":"Valse"}`), false},
		{"the collection is made public", send(alice, "PUT", o.collection, `{"visibility":"public"}`), false},
		{"it is emptied", send(alice, "DELETE", o.collection+"/scores/"+scoreID(o.private), ""), false},
		{"it is filled", send(alice, "POST", o.collection+"/scores:batch", fmt.Sprintf(`{"add":[%q]}`, scoreID(o.private))), false},
		{"it is deleted", send(alice, "DELETE", o.collection, ""), false},
		{"many are changed", send(alice, "POST", "/api/scores/bulk-update", many+`,"updates":{"composer":"Chopin"}}`), false},
		{"the favorite goes", send(alice, "DELETE", "/api/favorites/"+scoreID(o.private), ""), false},
		{"a private one is handed to another", query(`update scores set owner_id = 'bob' where id = '` + scoreID(o.private) + `'`), true},
		{"a public one is, and hidden", query(`update scores set owner_id = 'bob', visibility = 'private' where id = '` + scoreID(o.shown) + `'`), true},
		{"it loses its category", query(`delete from score_categories where score_id = '` + scoreID(o.his) + `'`), true},
		{"it is a favorite", query(`insert into favorites (user_id, score_id) values ('eve', '` + scoreID(o.private) + `')`), true},
		{"the category is deleted", send(admin, "DELETE", "/api/categories/"+o.category, ""), false},
		{"an admin deletes a private one", send(admin, "DELETE", o.his, ""), false},
		{"many are deleted", send(bob, "POST", "/api/scores/batch-delete", many+`}`), false},
	} {
		for _, on := range []*library{o.writer, o.reader} {
			o.each(func(caller auth.Identity, path string) {
				if diff := o.differs(on, caller, path); diff != "" {
					t.Fatalf("before %q, %s by %q (-without caches +with):\n%s", step.name, path, caller.ID, diff)
				}
			})
		}
		before := map[string]string{}
		o.each(func(caller auth.Identity, path string) {
			before[caller.ID+path] = o.plain.as(t, caller, "GET", path, "").body
		})
		step.do()
		changes := 0
		o.each(func(caller auth.Identity, path string) {
			if o.plain.as(t, caller, "GET", path, "").body != before[caller.ID+path] {
				changes++
			}
			if diff := o.differs(o.writer, caller, path); diff != "" && !step.behind {
				t.Fatalf("%q, %s by %q, where it was written (-without caches +with):\n%s", step.name, path, caller.ID, diff)
			}
			for _, on := range []*library{o.writer, o.reader} {
				eventually(t, fmt.Sprintf("%q, %s by %q is shown", step.name, path, caller.ID), func() bool { return o.differs(on, caller, path) == "" })
			}
		})
		if changes == 0 {
			t.Errorf("%q changes nothing that a list shows", step.name)
		}
	}
}

// A list of a reader's own is asked of the database once, and the answer says what it always did.
func TestListsOfAReaderAreReadOnce(t *testing.T) {
	o := openOwnLists(t)
	o.writer.hears(t)
	hits := func() (n int) {
		_, after, found := strings.Cut(o.writer.send(t, "GET", o.writer.ops+"/metrics", "").body, "\ncache_requests_total{cache=\"query\",outcome=\"hit\"} ")
		if _, err := fmt.Sscan(after, &n); found && err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, path := range o.paths {
		o.writer.steadily(t, func() (wrong []string) {
			first := o.writer.as(t, alice, "GET", path, "").is(t, 200, "")
			before := hits()
			again := o.writer.as(t, alice, "GET", path, "").is(t, 200, "")
			if hits() != before+1 {
				wrong = append(wrong, path+" was read again")
			}
			for _, name := range []string{"X-Cache", "Cache-Control", "Vary", "ETag", "Age", "Cache-Tag"} {
				if got := again.header.Get(name); got != first.header.Get(name) {
					wrong = append(wrong, fmt.Sprintf("%s: %s is %q, was %q", path, name, got, first.header.Get(name)))
				}
			}
			if got := again.header.Get("Cache-Control"); got != "private, no-cache" || kept(again) != "BYPASS 200" || again.header.Get("Cache-Tag") != "" {
				wrong = append(wrong, fmt.Sprintf("%s: %q, %s", path, got, kept(again)))
			}
			before = hits()
			o.writer.as(t, admin, "GET", path, "").is(t, 200, "")
			o.writer.as(t, admin, "GET", path, "").is(t, 200, "")
			if hits() != before {
				wrong = append(wrong, path+" is kept for admins")
			}
			return wrong
		})
	}
}
