package scores_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
)

func (a *api) favorite(t *testing.T, caller auth.Identity, method, path string, want int) {
	t.Helper()
	a.as(caller, method, "/api/favorites/"+idOf(path), "").expect(t, want, "")
}

// favorites reads the titles of a caller's favorites and wants the total to be their number.
func (a *api) favorites(t *testing.T, caller auth.Identity) []string {
	t.Helper()
	list := decode[httpapi.ListEnvelope[scores.Card]](t, a.as(caller, "GET", "/api/favorites", "").expect(t, 200, ""))
	titles := []string{}
	for _, c := range list.Data {
		titles = append(titles, c.Title)
	}
	if list.Pagination.Total != int64(len(titles)) {
		t.Errorf("total %d of %v", list.Pagination.Total, titles)
	}
	return titles
}

func TestLifeOfAFavorite(t *testing.T) {
	a := newAPI(t)
	public, unlisted := a.create(alice, `{"title":"public","visibility":"public"}`), a.create(alice, `{"title":"unlisted","visibility":"unlisted"}`)
	for range 2 { // both are idempotent
		a.favorite(t, bob, "PUT", public, 204)
	}
	a.favorite(t, bob, "PUT", unlisted, 204)
	a.favorite(t, alice, "PUT", public, 204)
	if diff := cmp.Diff([]string{"unlisted", "public"}, a.favorites(t, bob)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	body := `{"ids":` + list(t, idOf(public), id) + `}`
	got := decode[httpapi.Envelope[map[string]bool]](t, a.as(bob, "POST", "/api/favorites/check", body).expect(t, 200, ""))
	if diff := cmp.Diff(map[string]bool{idOf(public): true, id: false}, got.Data); diff != "" {
		t.Errorf("checked (-want +got):\n%s", diff)
	}
	count := func() int {
		return decode[scores.CardList](t, a.as(bob, "GET", "/api/scores?owner=alice", "")).Data[0].FavoriteCount
	}
	if n := count(); n != 2 {
		t.Errorf("the card counts %d favorites, want 2", n)
	}
	for range 2 {
		a.favorite(t, bob, "DELETE", public, 204)
	}
	if n := count(); n != 1 {
		t.Errorf("the card counts %d favorites, want 1", n)
	}
	a.as(alice, "PUT", public, `{"title":"changed"}`).expect(t, 200, `"2"`)
	if n := count(); n != 1 {
		t.Errorf("after a change the card counts %d favorites, want 1", n)
	}
	a.as(alice, "DELETE", unlisted, "").expect(t, 204, "")
	if got := a.favorites(t, bob); len(got) != 0 {
		t.Errorf("a removed score is a favorite: %v", got)
	}
}

func TestC34FavoritesShowOnlyWhatTheCallerMayRead(t *testing.T) {
	a := newAPI(t)
	path := a.create(alice, `{"title":"x","visibility":"private"}`)
	a.favorite(t, bob, "PUT", path, 404)
	a.as(bob, "PUT", "/api/favorites/"+id, "").expect(t, 404, "")
	a.as(alice, "PUT", path, `{"visibility":"public"}`).expect(t, 200, `"2"`)
	a.favorite(t, bob, "PUT", path, 204)
	a.as(alice, "PUT", path, `{"visibility":"private"}`).expect(t, 200, `"3"`)
	if got := a.favorites(t, bob); len(got) != 0 {
		t.Errorf("a score that became private shows: %v", got)
	}
	body := `{"ids":` + list(t, idOf(path)) + `}`
	got := decode[httpapi.Envelope[map[string]bool]](t, a.as(bob, "POST", "/api/favorites/check", body).expect(t, 200, ""))
	if got.Data[idOf(path)] {
		t.Error("a score that became private is checked")
	}
	// Removing says nothing of what is there.
	a.favorite(t, bob, "DELETE", path, 204)
	a.as(bob, "DELETE", "/api/favorites/"+id, "").expect(t, 204, "")
	a.as(alice, "PUT", path, `{"visibility":"public"}`).expect(t, 200, `"4"`)
	if got := a.favorites(t, bob); len(got) != 0 {
		t.Errorf("a removed favorite is back: %v", got)
	}
	for _, route := range [][2]string{{"GET", "/api/favorites"}, {"PUT", "/api/favorites/" + id}, {"DELETE", "/api/favorites/" + id}, {"POST", "/api/favorites/check"}} {
		a.as(auth.Identity{}, route[0], route[1], "").expect(t, 401, "")
	}
}

func TestC22FavoritesAreChecked(t *testing.T) {
	a := newAPI(t)
	for name, tc := range map[string]struct{ method, path, body string }{
		"an ID that is none":       {method: "PUT", path: "/api/favorites/1"},
		"a page of nothing":        {method: "GET", path: "/api/favorites?page=0"},
		"no IDs to check":          {method: "POST", path: "/api/favorites/check", body: `{"ids":[]}`},
		"an ID to check is none":   {method: "POST", path: "/api/favorites/check", body: `{"ids":["x"]}`},
		"an unknown field in it":   {method: "POST", path: "/api/favorites/check", body: `{"scores":[]}`},
		"a caller's ID is no part": {method: "POST", path: "/api/favorites/check", body: `{"ids":["` + id + `"],"userId":"alice"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := a.as(bob, tc.method, tc.path, tc.body).expect(t, 400, ""); got.code(t) != fault.Invalid {
				t.Errorf("%s", got.body)
			}
		})
	}
}

func TestPopularCountsFavoritesAndReads(t *testing.T) {
	a := newAPI(t)
	paths := map[string]string{}
	for _, title := range []string{"favored", "read", "ignored", "self-read"} {
		paths[title] = a.create(alice, `{"title":"`+title+`","visibility":"public"}`)
	}
	hidden := a.create(alice, `{"title":"hidden","visibility":"unlisted"}`)
	a.favorite(t, bob, "PUT", paths["favored"], 204)
	a.favorite(t, bob, "PUT", hidden, 204)
	for range 7 {
		a.as(bob, "GET", paths["read"], "").expect(t, 200, `"1"`)
		a.as(auth.Identity{}, "GET", paths["read"], "").expect(t, 200, `"1"`)
		for range 3 {
			a.as(alice, "GET", paths["self-read"], "").expect(t, 200, `"1"`)
		}
	}
	a.as(bob, "GET", paths["ignored"], "").expect(t, 200, `"1"`)
	ended, end := context.WithCancel(t.Context())
	end()
	a.library.CountReads(ended, time.Hour, func(err error) { t.Error(err) })
	got := cardTitles(t, a.as(bob, "GET", "/api/scores/popular", ""))
	if diff := cmp.Diff([]string{"read", "favored", "ignored", "self-read"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := cardTitles(t, a.as(bob, "GET", "/api/scores/popular?limit=1", "")); len(got) != 1 {
		t.Errorf("a limit of 1 shows %v", got)
	}
	a.as(bob, "GET", "/api/scores/popular?limit=51", "").expect(t, 400, "")
}

// Reads are written together, and not lost when the database is away for a while.
func TestReadsAreWrittenInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := holding(scores.Public)
		library := scores.New(s, nil)
		read := func() {
			if _, err := library.Get(t.Context(), bob, id); err != nil {
				t.Error(err)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		failures := 0
		done := make(chan struct{})
		go func() {
			library.CountReads(ctx, time.Minute, func(error) { failures++ })
			close(done)
		}()
		read()
		read()
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff(map[string]int64{id: 2}, s.counted); diff != "" {
			t.Errorf("the first flush (-want +got):\n%s", diff)
		}
		s.uncountable = errors.New("away")
		read()
		time.Sleep(time.Minute)
		synctest.Wait()
		s.uncountable = nil
		read()
		stop()
		<-done
		if diff := cmp.Diff(map[string]int64{id: 2}, s.counted); diff != "" || failures != 1 {
			t.Errorf("%d failures; the last flush (-want +got):\n%s", failures, diff)
		}
	})
}
