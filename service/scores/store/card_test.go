package store_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/migrations"
	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/service/scores/store"
)

// until returns the migrations before the one with this number.
func until(t *testing.T, number string) fs.FS {
	t.Helper()
	names, err := fs.Glob(migrations.Files, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for _, name := range names {
		if name >= number {
			continue
		}
		text, err := fs.ReadFile(migrations.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	return files
}

// A library that has scores already gets its cards, and finds and lists them like those that come later.
func TestC71CardsOfScoresFromBefore(t *testing.T) {
	url := pgserver.Database(t)
	if _, err := migrate.Up(t.Context(), migrate.Config{DatabaseURL: url, Files: until(t, "00003")}); err != nil {
		t.Fatal(err)
	}
	db := scorestest.Open(t, url)
	if _, err := db.Direct("fill", `insert into scores (owner_id, title, visibility)
		select 'alice', 'Étude ' || g, 'public' from generate_series(1, 2500) g`).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if _, err := migrate.Up(t.Context(), migrate.Config{DatabaseURL: url, Files: migrations.Files}); err != nil {
			t.Fatal(err)
		}
	}
	st := store.New(db)
	_, total, err := st.List(t.Context(), scores.Filter{ListQuery: scores.ListQuery{Page: 1, Limit: 10, Sort: scores.ByTitle}})
	if err != nil || total != 2500 {
		t.Errorf("%d cards (%v), want 2500", total, err)
	}
	found, err := st.Search(t.Context(), "etude 2499", scores.Filter{ListQuery: scores.ListQuery{Limit: 5}})
	if diff := cmp.Diff([]string{"Étude 2499"}, titles(found)); diff != "" || err != nil {
		t.Errorf("%v, found (-want +got):\n%s", err, diff)
	}
}

func TestSearchIsLedByTheIndexOfWords(t *testing.T) {
	_, db := newStore(t)
	fill(t, db, 20_000)
	text, args := store.SearchStatement("title 1777", scores.Filter{ListQuery: scores.ListQuery{Limit: 10}, Selection: scores.Selection{Reader: "owner 7"}})
	if plan := strings.Join(explain(t, db, text, args), "\n"); !strings.Contains(plan, "score_cards_search") {
		t.Errorf("reads the whole table:\n%s", plan)
	}
}
