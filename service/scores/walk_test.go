package scores_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/scores"
)

// walk follows the cursors from the first page to the end and returns the titles; between calls it lets the library change.
func (a *api) walk(query string, between func(step int)) []string {
	a.t.Helper()
	var titles []string
	path := "/api/scores?" + query
	for step := 0; ; step++ {
		got := a.as(alice, "GET", path, "")
		if got.status != 200 {
			a.t.Fatalf("%s: %d %s", path, got.status, got.body)
		}
		list := decode[scores.CardList](a.t, got)
		for _, c := range list.Data {
			titles = append(titles, c.Title)
		}
		if p := list.Pagination; p.HasNext != (p.NextCursor != "") || p.HasPrev != (step > 0) {
			a.t.Fatalf("step %d: %+v", step, p)
		}
		if !list.Pagination.HasNext {
			return titles
		}
		path = "/api/scores?" + query + "&cursor=" + url.QueryEscape(list.Pagination.NextCursor)
		between(step)
	}
}

func TestC20CursorsAreStableUnderInserts(t *testing.T) {
	a := newAPI(t)
	var want []string
	for n := range 17 {
		title := fmt.Sprintf("t%02d", n)
		want = append(want, title)
		composer, level := `null`, `null`
		if n%3 > 0 {
			composer, level = fmt.Sprintf(`"Composer %d"`, n%2), fmt.Sprint(1+n%4)
		}
		a.create(alice, fmt.Sprintf(`{"title":%q,"composer":%s,"difficultyLevel":%s,"tags":["kept"]}`, title, composer, level))
	}
	for _, sort := range []string{"createdAt", "updatedAt", "title", "composer", "difficultyLevel"} {
		for _, order := range []string{"asc", "desc"} {
			t.Run(sort+" "+order, func(t *testing.T) {
				query := "limit=4&owner=me&sort=" + sort + "&order=" + order
				var added []string
				got := a.walk(query, func(step int) {
					// These sort before and behind everything else.
					added = append(added,
						a.create(alice, fmt.Sprintf(`{"title":"new","composer":%q,"difficultyLevel":%d}`, []string{"Aaron", "Zoe"}[step%2], 1+9*(step%2))))
				})
				got = slices.DeleteFunc(got, func(title string) bool { return title == "new" })
				if sorted := slices.Sorted(slices.Values(got)); !slices.Equal(sorted, want) {
					t.Errorf("walked over %v, want each of %v once", got, want)
				}
				for _, path := range added {
					a.as(alice, "DELETE", path, "").expect(t, 204, "")
				}
				if once := decode[scores.CardList](t, a.as(alice, "GET", "/api/scores?limit=100&owner=me&sort="+sort+"&order="+order, "")); !sameOrder(once.Data, got) {
					t.Errorf("walked in another order than that of the page: %v", got)
				}
			})
		}
	}
}

func sameOrder(cards []scores.Card, titles []string) bool {
	return slices.EqualFunc(cards, titles, func(c scores.Card, title string) bool { return c.Title == title })
}

func TestC22CursorsAreChecked(t *testing.T) {
	a := newAPI(t)
	for range 3 {
		a.create(alice, `{"title":"x"}`)
	}
	first := decode[scores.CardList](t, a.as(alice, "GET", "/api/scores?limit=1&sort=title", ""))
	good := first.Pagination.NextCursor
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for name, query := range map[string]string{
		"another sort":               "sort=createdAt&cursor=" + good,
		"another order":              "sort=title&order=desc&cursor=" + good,
		"a page as well":             "sort=title&page=2&cursor=" + good,
		"empty":                      "sort=title&cursor=",
		"cut off":                    "sort=title&cursor=" + good[:len(good)-3],
		"with something behind":      "sort=title&cursor=" + good + "AA",
		"no base64":                  "sort=title&cursor=%3D%3D%3D",
		"padded":                     "sort=title&cursor=" + good + "%3D",
		"very long":                  "sort=title&cursor=" + strings.Repeat("A", 5000),
		"no JSON":                    "sort=title&cursor=" + encode("hello"),
		"another shape":              "sort=title&cursor=" + encode(`[]`),
		"an unknown field":           "sort=title&cursor=" + encode(`{"s":"title","d":false,"i":"`+id+`","v":"a","x":1}`),
		"an ID that is none":         "sort=title&cursor=" + encode(`{"s":"title","d":false,"i":"1","v":"a"}`),
		"a value that is missing":    "sort=title&cursor=" + encode(`{"s":"title","d":false,"i":"`+id+`","v":null}`),
		"a value with a nought":      "sort=title&cursor=" + encode(`{"s":"title","d":false,"i":"`+id+`","v":"\u0000"}`),
		"a time that is none":        "sort=createdAt&order=asc&cursor=" + encode(`{"s":"createdAt","d":false,"i":"`+id+`","v":"x"}`),
		"a time without bounds":      "sort=createdAt&order=asc&cursor=" + encode(`{"s":"createdAt","d":false,"i":"`+id+`","v":"0000-01-01T00:00:00Z"}`),
		"a level that is none":       "sort=difficultyLevel&cursor=" + encode(`{"s":"difficultyLevel","d":false,"i":"`+id+`","v":"99999999"}`),
		"a sort that does not exist": "sort=title&cursor=" + encode(`{"s":"owner_id","d":false,"i":"`+id+`","v":"a"}`),
	} {
		t.Run(name, func(t *testing.T) {
			got := a.as(alice, "GET", "/api/scores?"+query, "").expect(t, 400, "")
			if got.code(t) != fault.Invalid {
				t.Errorf("%s", got.body)
			}
		})
	}
	// A cursor is a place, not a permission: in another's hands it leads through that other's list.
	if theirs := decode[scores.CardList](t, a.as(bob, "GET", "/api/scores?sort=title&cursor="+good, "").expect(t, 200, "")); len(theirs.Data) != 0 {
		t.Errorf("another's cursor shows %v", theirs.Data)
	}
}
