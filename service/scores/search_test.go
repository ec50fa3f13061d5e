package scores_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
)

// cardTitles reads the titles of an answer without pages.
func cardTitles(t *testing.T, a answer) []string {
	t.Helper()
	a.expect(t, 200, "")
	titles := []string{}
	for _, c := range decode[httpapi.Envelope[[]scores.Card]](t, a).Data {
		titles = append(titles, c.Title)
	}
	return titles
}

func TestC22SearchFindsWords(t *testing.T) {
	a := newAPI(t)
	for _, body := range []string{
		`{"title":"Gymnopédie No. 1","composer":"Erik Satie","visibility":"public","instrument":"piano","tags":["slow"]}`,
		`{"title":"Satie's Faction","composer":"Anonymous","visibility":"public","description":"in the manner of a gymnopedie"}`,
		`{"title":"Études, Op. 10","composer":"Frédéric Chopin","visibility":"public","opus":"op.10","tags":["Ævintýri"]}`,
		`{"title":"Straße","composer":"Dvořák","visibility":"public"}`,
		`{"title":"Łódź o'Neill","visibility":"public","status":"archived"}`,
	} {
		a.create(alice, body)
	}
	for name, tc := range map[string]struct {
		q, more string
		want    []string
	}{
		"a title weighs more than a composer":       {q: "satie", want: []string{"Satie's Faction", "Gymnopédie No. 1"}},
		"a title weighs more than the rest":         {q: "gymnopedie", want: []string{"Gymnopédie No. 1", "Satie's Faction"}},
		"a beginning is enough":                     {q: "gymn sat", want: []string{"Gymnopédie No. 1", "Satie's Faction"}},
		"the middle of a word is not":               {q: "opedie", want: []string{}},
		"all words must be there":                   {q: "satie chopin", want: []string{}},
		"words stand in different fields":           {q: "etudes chopin", want: []string{"Études, Op. 10"}},
		"accents in the query do not count":         {q: "étudès FRÉDERIC", want: []string{"Études, Op. 10"}},
		"composed letters are one with their parts": {q: "E\u0301tudes", want: []string{"Études, Op. 10"}},
		"letters that do not decompose":             {q: "aevintyri", want: []string{"Études, Op. 10"}},
		"sharp s":                                   {q: "strasse dvorak", want: []string{"Straße"}},
		"a struck l":                                {q: "lodz", want: []string{"Łódź o'Neill"}},
		"an apostrophe parts words":                 {q: "o'neill", want: []string{"Łódź o'Neill"}},
		"a point parts words":                       {q: "op.10", want: []string{"Études, Op. 10"}},
		"a tag is found":                            {q: "slow", want: []string{"Gymnopédie No. 1"}},
		"a filter narrows":                          {q: "satie", more: "&instrument=guitar", want: []string{}},
		"another filter narrows":                    {q: "s", more: "&tag=slow", want: []string{"Gymnopédie No. 1"}},
		"the status filters":                        {q: "lodz", more: "&status=active", want: []string{}},
		"a limit cuts off the worst":                {q: "satie", more: "&limit=1", want: []string{"Satie's Faction"}},
		"no words match nothing":                    {q: "!? - ...", want: []string{}},
		"operators are words like others":           {q: "satie & !chopin | :*", want: []string{}},
		"quotes do no harm":                         {q: `'satie' \'`, want: []string{"Satie's Faction", "Gymnopédie No. 1"}},
		"a statement is only words":                 {q: "'); drop table scores; --", want: []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the same question has the same answer
				got := cardTitles(t, a.as(bob, "GET", "/api/scores/search?q="+url.QueryEscape(tc.q)+tc.more, ""))
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestC34SearchShowsOnlyWhatTheCallerMayList(t *testing.T) {
	a := newAPI(t)
	for _, visibility := range []string{"private", "unlisted", "public"} {
		a.create(alice, `{"title":"Secretum `+visibility+`","visibility":"`+visibility+`"}`)
	}
	for name, tc := range map[string]struct {
		caller auth.Identity
		want   []string
	}{
		"the owner finds all":               {caller: alice, want: []string{"Secretum private", "Secretum public", "Secretum unlisted"}},
		"an admin finds all":                {caller: admin, want: []string{"Secretum private", "Secretum public", "Secretum unlisted"}},
		"another finds what is public":      {caller: bob, want: []string{"Secretum public"}},
		"a caller without a token, as well": {want: []string{"Secretum public"}},
	} {
		t.Run(name, func(t *testing.T) {
			for path, want := range map[string][]string{
				"/api/scores/search?q=secretum":                          tc.want,
				"/api/scores/search?q=secretum&owner=alice":              tc.want,
				"/api/scores/search?q=secretum&visibility=public":        {"Secretum public"},
				"/api/scores/search?q=secretum&owner=bob":                {},
				"/api/scores/search?q=secretum&visibility=private&tag=x": {},
			} {
				if diff := cmp.Diff(want, cardTitles(t, a.as(tc.caller, "GET", path, ""))); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			}
		})
	}
}

// What a search finds follows the score.
func TestC70CardsFollowTheirScores(t *testing.T) {
	a := newAPI(t)
	path := a.create(alice, `{"title":"Prelude","visibility":"public"}`)
	a.as(alice, "PUT", path, `{"title":"Fugue","tags":["late"]}`).expect(t, 200, `"2"`)
	for q, want := range map[string][]string{"prelude": {}, "fugue": {"Fugue"}, "late": {"Fugue"}} {
		if diff := cmp.Diff(want, cardTitles(t, a.as(bob, "GET", "/api/scores/search?q="+q, ""))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", q, diff)
		}
	}
	a.as(alice, "PUT", path, `{"visibility":"private"}`).expect(t, 200, `"3"`)
	if got := cardTitles(t, a.as(bob, "GET", "/api/scores/search?q=fugue", "")); len(got) != 0 {
		t.Errorf("a score that became private is found: %v", got)
	}
	a.as(alice, "DELETE", path, "").expect(t, 204, "")
	if got := cardTitles(t, a.as(alice, "GET", "/api/scores/search?q=fugue", "")); len(got) != 0 {
		t.Errorf("a removed score is found: %v", got)
	}
}

func TestRecentShowsTheNewest(t *testing.T) {
	a := newAPI(t)
	a.create(alice, `{"title":"a","visibility":"public"}`)
	a.create(alice, `{"title":"b","visibility":"private"}`)
	a.create(bob, `{"title":"c","visibility":"public"}`)
	for path, want := range map[string][]string{
		"/api/scores/recent":         {"c", "a"},
		"/api/scores/recent?limit=1": {"c"},
	} {
		if diff := cmp.Diff(want, cardTitles(t, a.as(bob, "GET", path, ""))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if diff := cmp.Diff([]string{"c", "b", "a"}, cardTitles(t, a.as(alice, "GET", "/api/scores/recent", ""))); diff != "" {
		t.Errorf("the owner's (-want +got):\n%s", diff)
	}
}

func TestC22SearchRefuses(t *testing.T) {
	a := newAPI(t)
	for name, tc := range map[string]struct{ query, field string }{
		"no words":                 {query: "", field: "q"},
		"an empty text":            {query: "?q=", field: "q"},
		"two texts":                {query: "?q=a&q=b", field: "q"},
		"a nought":                 {query: "?q=a%00b", field: "q"},
		"bytes that are not UTF-8": {query: "?q=%ff", field: "q"},
		"a limit of nothing":       {query: "?q=a&limit=0", field: "limit"},
		"a limit beyond the limit": {query: "?q=a&limit=51", field: "limit"},
		"an unknown filter value":  {query: "?q=a&stylePeriod=late", field: "stylePeriod"},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.as(bob, "GET", "/api/scores/search"+tc.query, "").expect(t, 400, "")
			body := decode[httpapi.ErrorEnvelope](t, got)
			if body.Code != fault.Invalid || len(body.Details) != 1 || body.Details[0].Field != tc.field {
				t.Errorf("%s, want one detail for %s", got.body, tc.field)
			}
		})
	}
	if got := a.as(auth.Identity{}, "GET", "/api/scores/search?q=a&owner=me", ""); got.status != 401 {
		t.Errorf("nobody's own scores: %d", got.status)
	}
}
