package scores_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/category"
)

// categorize adds a category and returns it.
func (a *api) categorize(t *testing.T, body string) category.Category {
	t.Helper()
	return decode[httpapi.Envelope[category.Category]](t, a.as(admin, "POST", "/api/categories", body).expect(t, 201, `"1"`)).Data
}

func names(t *testing.T, a answer) []string {
	t.Helper()
	all := []string{}
	for _, c := range decode[httpapi.Envelope[[]category.Category]](t, a).Data {
		all = append(all, c.Name)
	}
	return all
}

func TestC70CategoriesAreATree(t *testing.T) {
	a := newAPI(t)
	music := a.categorize(t, `{"name":"Music","position":2}`)
	dances := a.categorize(t, `{"name":"Dances & more","parentId":"`+strings.ToUpper(music.ID)+`","description":"x"}`)
	waltzes := a.categorize(t, `{"name":"Waltzes","parentId":"`+dances.ID+`"}`)
	a.categorize(t, `{"name":"Études","parentId":"`+music.ID+`","slug":"studies","position":1}`)
	a.categorize(t, `{"name":"Books","position":1}`)
	order := func() []string {
		return names(t, a.as(auth.Identity{}, "GET", "/api/categories", "").expect(t, 200, ""))
	}
	if diff := cmp.Diff([]string{"Books", "Music", "Dances & more", "Waltzes", "Études"}, order()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if dances.Slug != "dances-more" || dances.ParentID == nil || *dances.ParentID != music.ID {
		t.Errorf("created %+v", dances)
	}
	a.as(admin, "PUT", "/api/categories/"+dances.ID, `{"parentId":null,"name":"Dances"}`, "If-Match", `"1"`).expect(t, 200, `"2"`)
	a.as(admin, "PUT", "/api/categories/"+dances.ID, `{"position":9}`, "If-Match", `"1"`).expect(t, 412, "")
	if diff := cmp.Diff([]string{"Dances", "Waltzes", "Books", "Music", "Études"}, order()); diff != "" {
		t.Errorf("after moving (-want +got):\n%s", diff)
	}
	for name, tc := range map[string]struct {
		method, path, body, code string
		status                   int
	}{
		"below itself":            {method: "PUT", path: "/" + dances.ID, body: `{"parentId":"` + dances.ID + `"}`, status: 400, code: "tree"},
		"below its own":           {method: "PUT", path: "/" + dances.ID, body: `{"parentId":"` + waltzes.ID + `"}`, status: 400, code: "tree"},
		"below nothing":           {method: "POST", body: `{"name":"x","parentId":"` + id + `"}`, status: 400, code: "unknown"},
		"a parent that is no ID":  {method: "POST", body: `{"name":"x","parentId":"x"}`, status: 400, code: "uuid"},
		"no name":                 {method: "POST", body: `{}`, status: 400, code: "required"},
		"a name without a slug":   {method: "POST", body: `{"name":"♫"}`, status: 400, code: "slug"},
		"a slug that is none":     {method: "POST", body: `{"name":"x","slug":"-x"}`, status: 400, code: "slug"},
		"a name that is taken":    {method: "POST", body: `{"name":"Books","slug":"b"}`, status: 409},
		"a slug that is taken":    {method: "POST", body: `{"name":"Bücher","slug":"books"}`, status: 409},
		"a category with others":  {method: "DELETE", path: "/" + dances.ID, status: 409},
		"a category that is none": {method: "DELETE", path: "/" + id, status: 404},
		"a change of nothing":     {method: "PUT", path: "/" + id, body: `{"name":"x"}`, status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.as(admin, tc.method, "/api/categories"+tc.path, tc.body).expect(t, tc.status, "")
			body := decode[httpapi.ErrorEnvelope](t, got)
			if tc.code != "" && (len(body.Details) != 1 || body.Details[0].Code != tc.code) {
				t.Errorf("%s, want %s", got.body, tc.code)
			}
		})
	}
	a.as(admin, "DELETE", "/api/categories/"+waltzes.ID, "").expect(t, 204, "")
}

func TestC33OnlyAdminsChangeCategories(t *testing.T) {
	a := newAPI(t)
	c := a.categorize(t, `{"name":"Music"}`)
	for _, caller := range []auth.Identity{alice, {ID: "tess", Role: auth.RoleTeacher}} {
		a.as(caller, "POST", "/api/categories", `{"name":"x"}`).expect(t, 403, "")
		a.as(caller, "PUT", "/api/categories/"+c.ID, `{"name":"x"}`).expect(t, 403, "")
		a.as(caller, "DELETE", "/api/categories/"+c.ID, "").expect(t, 403, "")
		a.as(caller, "DELETE", "/api/categories/"+id, "").expect(t, 403, "")
	}
	a.as(auth.Identity{}, "POST", "/api/categories", `{"name":"x"}`).expect(t, 401, "")
	if diff := cmp.Diff([]string{"Music"}, names(t, a.as(bob, "GET", "/api/categories", "").expect(t, 200, ""))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var recorded int
	if err := a.db.Direct("count", `select count(*) from audit_log where action = 'category.create' and actor_id = 'root' and target = $1`).QueryRow(t.Context(), []any{&recorded}, c.ID); err != nil || recorded != 1 {
		t.Errorf("%d entries in the audit log (%v), want 1", recorded, err)
	}
}

func TestC70ScoresInCategories(t *testing.T) {
	a := newAPI(t)
	music := a.categorize(t, `{"name":"Music"}`)
	dances := a.categorize(t, `{"name":"Dances","parentId":"`+music.ID+`"}`)
	other := a.categorize(t, `{"name":"Other"}`)
	path := a.create(alice, `{"title":"Waltz","visibility":"public"}`)
	set := func(caller auth.Identity, ids []string, headers ...string) answer {
		return a.as(caller, "PUT", path+"/categories", `{"categoryIds":`+list(t, ids...)+`}`, headers...)
	}
	if diff := cmp.Diff([]string{"Dances", "Other"}, names(t, set(alice, []string{other.ID, strings.ToUpper(dances.ID), other.ID}).expect(t, 200, `"2"`))); diff != "" {
		t.Errorf("set (-want +got):\n%s", diff)
	}
	set(alice, []string{music.ID}, "If-Match", `"1"`).expect(t, 412, "")
	set(alice, []string{id}).expect(t, 400, "")
	set(alice, []string{"x"}).expect(t, 400, "")
	set(alice, make([]string, 21)).expect(t, 400, "")
	set(bob, []string{music.ID}).expect(t, 403, "")
	set(auth.Identity{}, []string{}).expect(t, 401, "")
	a.as(alice, "PUT", path+"/categories", `{}`).expect(t, 400, "")
	a.as(alice, "GET", path, "").expect(t, 200, `"2"`)
	a.as(admin, "PUT", "/api/categories/"+other.ID, `{"name":"Another"}`).expect(t, 200, `"2"`)

	card := func(query string) []string {
		found := decode[scores.CardList](t, a.as(bob, "GET", "/api/scores?"+query, "").expect(t, 200, "")).Data
		if len(found) == 0 {
			return nil
		}
		return found[0].Categories
	}
	want := []string{"Another", "Dances"}
	for query, want := range map[string][]string{
		"": want, "category=" + music.ID: want, "category=" + dances.ID: want, "category=" + id: nil,
	} {
		if diff := cmp.Diff(want, card(query)); diff != "" {
			t.Errorf("the card by %q (-want +got):\n%s", query, diff)
		}
	}
	if got := cardTitles(t, a.as(bob, "GET", "/api/scores/search?q=waltz&category="+music.ID, "")); len(got) != 1 {
		t.Errorf("the search in a category finds %v", got)
	}
	a.as(bob, "GET", "/api/scores?category=x", "").expect(t, 400, "")
	a.as(admin, "DELETE", "/api/categories/"+other.ID, "").expect(t, 204, "")
	if diff := cmp.Diff([]string{"Dances"}, card("")); diff != "" {
		t.Errorf("after a removal the card has (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Dances"}, names(t, a.as(bob, "GET", path+"/categories", "").expect(t, 200, ""))); diff != "" {
		t.Errorf("after a removal (-want +got):\n%s", diff)
	}
	set(alice, []string{}).expect(t, 200, `"3"`)
	if got := card(""); len(got) != 0 {
		t.Errorf("the card still has %v", got)
	}
	a.as(alice, "PUT", path, `{"visibility":"private"}`).expect(t, 200, `"4"`)
	a.as(bob, "GET", path+"/categories", "").expect(t, 404, "")
	set(bob, []string{}).expect(t, 404, "")
}
