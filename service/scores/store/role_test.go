package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/category"
	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/service/scores/store"
)

// The service runs as a role that may read and write rows and nothing else. What the triggers do for it must not need more.
func TestTriggersNeedNoMoreThanRows(t *testing.T) {
	url := scorestest.URL(t)
	owner := scorestest.Open(t, url)
	role := "app_" + uuid.NewString()[:8]
	for _, text := range []string{
		"create role " + role,
		"revoke create on schema public from public",
		"grant select, insert, update, delete on all tables in schema public to " + role,
		"grant usage on all sequences in schema public to " + role,
	} {
		if _, err := owner.Direct("grant", text).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	db := scorestest.Open(t, url+"&role="+role)
	var acting string
	if err := db.Direct("who", "select current_user").QueryRow(t.Context(), []any{&acting}); err != nil || acting != role {
		t.Fatalf("acting as %q (%v), want %q", acting, err, role)
	}
	st, favorites, categories := store.New(db), store.NewFavorites(db), store.NewCategories(db)
	s := insert(t, st, score("alice", "Waltz", visible(scores.Public)))[0]
	answers, err := st.ReplaceTogether(t.Context(), []scores.Replacement{whole(s), whole(insert(t, st, score("alice", "Polka"))[0])})
	if err != nil || answers[0].Err != nil || answers[1].Err != nil {
		t.Fatal(answers, err)
	}
	s = answers[0].Value
	if err := favorites.Insert(t.Context(), "bob", s.ID); err != nil {
		t.Fatal(err)
	}
	made, err := categories.Insert(t.Context(), category.Category{ID: uuid.NewString(), Fields: category.Fields{Name: "Dances", Slug: "dances"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := categories.Assign(t.Context(), s.ID, s.Version, []string{made.ID}); err != nil {
		t.Fatal(err)
	}
	made.Name = "Old dances"
	if _, err := categories.Replace(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if err := st.AddReads(t.Context(), map[string]int64{s.ID: 3, uuid.NewString(): 1}); err != nil {
		t.Fatal(err)
	}
	found, err := st.Search(t.Context(), "waltz", scores.Filter{ListQuery: scores.ListQuery{Limit: 5, CategoryID: made.ID}})
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v (%v), want one card", found, err)
	}
	if diff := cmp.Diff([]string{"Old dances"}, found[0].Categories); diff != "" || found[0].FavoriteCount != 1 {
		t.Errorf("%d favorites, categories (-want +got):\n%s", found[0].FavoriteCount, diff)
	}
	if removed, err := st.RemoveMany(t.Context(), "alice", []string{s.ID}); err != nil || removed != 1 {
		t.Errorf("removed %d (%v), want 1", removed, err)
	}
}
