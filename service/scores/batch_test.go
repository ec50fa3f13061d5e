package scores_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
)

func idOf(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// list is the JSON of IDs.
func list(t *testing.T, ids ...string) string {
	t.Helper()
	text, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestC13BulkUpdateTouchesOnlyTheCallersScores(t *testing.T) {
	a := newAPI(t)
	mine, other := a.create(alice, `{"title":"a","composer":"Bach","opus":"1"}`), a.create(alice, `{"title":"b","composer":"Bach","visibility":"public"}`)
	private, public := a.create(bob, `{"title":"c","composer":"Bach"}`), a.create(bob, `{"title":"d","composer":"Bach","visibility":"public"}`)
	ids := list(t, idOf(mine), strings.ToUpper(idOf(other)), idOf(private), idOf(public), idOf(mine), id)
	got := a.as(alice, "POST", "/api/scores/bulk-update", `{"ids":`+ids+`,"updates":{"composer":null,"tags":[" x ","x"],"status":"archived"}}`).expect(t, 200, "")
	want := httpapi.Envelope[scores.BatchUpdated]{Success: true, Data: scores.BatchUpdated{Updated: 2}, Message: "Updated 2 scores"}
	if diff := cmp.Diff(want, decode[httpapi.Envelope[scores.BatchUpdated]](t, got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, path := range []string{mine, other} {
		s := decode[httpapi.Envelope[scores.Score]](t, a.as(alice, "GET", path, "").expect(t, 200, `"2"`)).Data
		if s.Composer != nil || !cmp.Equal(s.Tags, []string{"x"}) || s.Status != scores.Archived || s.Title == "" {
			t.Errorf("changed to %+v", s)
		}
	}
	for _, path := range []string{private, public} {
		a.as(bob, "GET", path, "").expect(t, 200, `"1"`)
	}
	if found := decode[scores.CardList](t, a.as(alice, "GET", "/api/scores?status=archived", "")).Data; len(found) != 2 {
		t.Errorf("the list shows %d of the changed scores", len(found))
	}
	admins := a.as(admin, "POST", "/api/scores/bulk-update", `{"ids":`+ids+`,"updates":{"title":"root was here"}}`).expect(t, 200, "")
	if n := decode[httpapi.Envelope[scores.BatchUpdated]](t, admins).Data.Updated; n != 0 {
		t.Errorf("an admin changed %d scores of others", n)
	}
}

func TestC13BatchDeleteTouchesOnlyTheCallersScores(t *testing.T) {
	a := newAPI(t)
	mine, foreign := a.create(alice, `{"title":"a"}`), a.create(bob, `{"title":"c","visibility":"public"}`)
	body := `{"ids":` + list(t, idOf(mine), idOf(foreign), id) + `}`
	for _, want := range []int64{1, 0} {
		got := decode[httpapi.Envelope[scores.BatchDeleted]](t, a.as(alice, "POST", "/api/scores/batch-delete", body).expect(t, 200, ""))
		if got.Data.Deleted != want || got.Message != fmt.Sprintf("Deleted %d scores", want) {
			t.Errorf("%+v, want %d", got, want)
		}
	}
	a.as(alice, "GET", mine, "").expect(t, 404, "")
	a.as(bob, "GET", foreign, "").expect(t, 200, `"1"`)
}

func TestC13BatchesAreChecked(t *testing.T) {
	a := newAPI(t)
	mine := a.create(alice, `{"title":"a"}`)
	many := make([]string, 101)
	for i := range many {
		many[i] = id
	}
	for name, tc := range map[string]struct{ ids, updates, field, code string }{
		"too many IDs":                {ids: list(t, many...), updates: `{"title":"x"}`, field: "ids", code: "max"},
		"no IDs":                      {ids: `[]`, updates: `{"title":"x"}`, field: "ids", code: "required"},
		"null for IDs":                {ids: `null`, updates: `{"title":"x"}`, field: "ids", code: "required"},
		"an ID that is none":          {ids: list(t, idOf(mine), "x"), updates: `{"title":"x"}`, field: "ids.1", code: "uuid"},
		"an ID that is a number":      {ids: `[1]`, updates: `{"title":"x"}`, field: "ids", code: "wrong_type"},
		"nothing to change":           {ids: list(t, idOf(mine)), updates: `{}`, field: "updates", code: "required"},
		"a cleared title":             {ids: list(t, idOf(mine)), updates: `{"title":null}`, field: "title", code: "required"},
		"a value out of range":        {ids: list(t, idOf(mine)), updates: `{"difficultyLevel":11}`, field: "difficultyLevel", code: "max"},
		"a field that is not theirs":  {ids: list(t, idOf(mine)), updates: `{"ownerId":"bob"}`, field: "ownerId", code: "unknown_field"},
		"metadata that is no object":  {ids: list(t, idOf(mine)), updates: `{"metadata":[]}`, field: "metadata", code: "wrong_type"},
		"an owner among the request ": {ids: list(t, idOf(mine)) + `,"owner":"bob"`, updates: `{"title":"x"}`, field: "owner", code: "unknown_field"},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.as(alice, "POST", "/api/scores/bulk-update", `{"ids":`+tc.ids+`,"updates":`+tc.updates+`}`).expect(t, 400, "")
			body := decode[httpapi.ErrorEnvelope](t, got)
			if len(body.Details) != 1 || !strings.HasPrefix(body.Details[0].Field, tc.field) || body.Details[0].Code != tc.code {
				t.Errorf("%s, want %s for %s", got.body, tc.code, tc.field)
			}
		})
	}
	a.as(alice, "GET", mine, "").expect(t, 200, `"1"`)
	if got := a.as(alice, "POST", "/api/scores/batch-delete", `{"ids":`+list(t, many...)+`}`).expect(t, 400, ""); !strings.Contains(string(got.body), "Cannot delete more than 100 scores at once") {
		t.Errorf("%s", got.body)
	}
	for _, path := range []string{"/api/scores/bulk-update", "/api/scores/batch-delete"} {
		a.as(auth.Identity{}, "POST", path, `{}`).expect(t, 401, "")
	}
}

// Batches over the same scores in opposite orders, together with changes of single ones, all succeed.
func TestC13BatchesDoNotBlockEachOther(t *testing.T) {
	a := newAPI(t)
	var ids, reversed []string
	for range 20 {
		path := a.create(alice, `{"title":"x"}`)
		ids, reversed = append(ids, idOf(path)), append([]string{idOf(path)}, reversed...)
	}
	const rounds = 8
	var all sync.WaitGroup
	for _, order := range [][]string{ids, reversed} {
		body := `{"ids":` + list(t, order...) + `,"updates":{"opus":"op"}}`
		all.Go(func() {
			for range rounds {
				if got := a.as(alice, "POST", "/api/scores/bulk-update", body); got.status != 200 {
					t.Errorf("%d %s", got.status, got.body)
				}
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		a.as(alice, "GET", "/api/scores/"+id, "").expect(t, 200, fmt.Sprintf(`"%d"`, 1+2*rounds))
	}
}

// Each field of a change reaches its own column.
func TestC13BulkUpdateSetsEveryField(t *testing.T) {
	a := newAPI(t)
	path := a.create(alice, `{"title":"x"}`)
	updates := `{"title":"T","composer":"C","opus":"O","instrument":"both","difficulty":"advanced","stylePeriod":"modern","difficultyLevel":9,
		"keySignature":"K","timeSignature":"3/4","tempoMarking":"M","durationSeconds":77,"description":"D","tags":["t"],"metadata":{"k":1},
		"status":"inactive","visibility":"unlisted"}`
	a.as(alice, "POST", "/api/scores/bulk-update", `{"ids":`+list(t, idOf(path))+`,"updates":`+updates+`}`).expect(t, 200, "")
	got := decode[httpapi.Envelope[scores.Score]](t, a.as(alice, "GET", path, "").expect(t, 200, `"2"`)).Data
	single := decode[httpapi.Envelope[scores.Score]](t, a.as(alice, "PUT", a.create(alice, `{"title":"y"}`), updates).expect(t, 200, `"2"`)).Data
	if diff := cmp.Diff(single.Fields, got.Fields); diff != "" {
		t.Errorf("(-one by one +in bulk):\n%s", diff)
	}
}
