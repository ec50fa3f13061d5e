package migrations_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// someScores are a library: each letter stands for a UUID of it.
const someScores = `
	insert into categories (id, name, slug) values ('C', 'Waltz', 'waltz'), ('D', 'March', 'march');
	insert into scores (id, owner_id, title, visibility) values
		('1', 'alice', 'hers', 'private'), ('2', 'alice', 'shown', 'public'), ('3', 'bob', 'his', 'private'), ('4', 'bob', 'known', 'unlisted');
	insert into score_categories (score_id, category_id) values ('1', 'C'), ('3', 'C'), ('2', 'D');
	insert into favorites (user_id, score_id) values ('alice', '1'), ('carol', '2');
	insert into collections (id, owner_id, name, visibility) values ('A', 'carol', 'all', 'public'), ('B', 'carol', 'none', 'private');
	insert into collection_members (collection_id, score_id) values ('A', '1'), ('A', '2'), ('B', '3');`

// named puts UUIDs in place of the letters that stand for them.
func named(text string) string {
	var pairs []string
	for _, letter := range strings.Split("1234567ABCDE", "") {
		pairs = append(pairs, "'"+letter+"'", "'"+uuidOf(letter)+"'")
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func uuidOf(letter string) string {
	return strings.Repeat("0", 7) + letter + "-0000-4000-8000-000000000000"
}

// toldBy returns the tags that the statement tells, each once and with letters in place of UUIDs. It undoes the statement.
func toldBy(t *testing.T, db *sql.DB, statement string) []string {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	done, err := tx.ExecContext(t.Context(), named(statement))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("it does nothing: %v", err)
	}
	var tags []string
	err = tx.QueryRowContext(t.Context(), `select array(select distinct unnest(tags) from cache_events where xid = pg_current_xact_id())`).Scan(pq.Array(&tags))
	if err != nil {
		t.Fatal(err)
	}
	for i, tag := range tags {
		for _, letter := range strings.Split("1234567ABCDE", "") {
			tag = strings.ReplaceAll(tag, strings.ToLower(uuidOf(letter)), letter)
		}
		tags[i] = tag
	}
	slices.Sort(tags)
	return tags
}

// Whatever changes what the card of a score shows, or in whose lists it stands, tells each list that it stood or stands in.
func TestChangesTellTheListsThatTheyChange(t *testing.T) {
	db, err := sql.Open("postgres", scorestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.ExecContext(t.Context(), named(someScores)); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		statement string
		want      []string
	}{
		"a private score is added":      {`insert into scores (id, owner_id, title) values ('5', 'bob', 'new')`, []string{"score:5", "scores:of:bob"}},
		"a public one":                  {`insert into scores (id, owner_id, title, visibility) values ('5', 'bob', 'new', 'public')`, []string{"score:5", "scores:visible"}},
		"a private one is changed":      {`update scores set title = 'x' where id = '1'`, []string{"score:1", "scores:of:alice"}},
		"an unlisted one":               {`update scores set title = 'x' where id = '4'`, []string{"score:4", "scores:visible"}},
		"what only the score shows":     {`update scores set description = 'x' where id = '1'`, []string{"score:1", "scores:of:alice"}},
		"a public one becomes private":  {`update scores set visibility = 'private' where id = '2'`, []string{"score:2", "scores:of:alice", "scores:visible"}},
		"a private one becomes public":  {`update scores set visibility = 'public' where id = '1'`, []string{"score:1", "scores:of:alice", "scores:visible"}},
		"a private one gets an owner":   {`update scores set owner_id = 'dave' where id = '1'`, []string{"score:1", "scores:of:alice", "scores:of:dave"}},
		"a public one gets an owner":    {`update scores set owner_id = 'dave' where id = '2'`, []string{"score:2", "scores:visible"}},
		"both at once":                  {`update scores set owner_id = 'dave', visibility = 'private' where id = '2'`, []string{"score:2", "scores:of:dave", "scores:visible"}},
		"an owner with signs":           {`update scores set owner_id = 'é, "}{' where id = '1'`, []string{"score:1", "scores:of:alice", `scores:of:é, "}{`}},
		"none is changed, one is added": {`insert into scores (id, owner_id, title) values ('5', 'bob', 'new') on conflict (id) do update set title = excluded.title`, []string{"score:5", "scores:of:bob"}},
		"one is changed, one is added":  {`insert into scores (id, owner_id, title, visibility) values ('5', 'bob', 'new', 'private'), ('2', 'alice', 'new', 'private') on conflict (id) do update set visibility = excluded.visibility`, []string{"score:2", "score:5", "scores:of:alice", "scores:of:bob", "scores:visible"}},
		"many are changed":              {`update scores set title = 'x' where visibility = 'private'`, []string{"score:1", "score:3", "scores:of:alice", "scores:of:bob"}},
		"a private one is deleted":      {`delete from scores where id = '1'`, []string{"collection:A", "score:1", "scores:of:alice", "scores:visible"}},
		"a private one in none":         {`delete from scores where id = '3'`, []string{"collection:B", "score:3", "scores:of:bob"}},
		"a category is renamed":         {`update categories set name = 'Valse' where id = 'C'`, []string{"categories", "scores:visible"}},
		"a category is deleted":         {`delete from categories where id = 'C'`, []string{"categories", "scores:of:alice", "scores:of:bob", "scores:visible"}},
		"a score gets a category":       {`insert into score_categories (score_id, category_id) values ('1', 'D')`, []string{"score:1", "scores:of:alice"}},
		"a score loses a category":      {`delete from score_categories where score_id = '2'`, []string{"score:2", "scores:visible"}},
		"a private favorite":            {`insert into favorites (user_id, score_id) values ('admin', '1')`, []string{"scores:of:alice"}},
		"a public favorite":             {`insert into favorites (user_id, score_id) values ('admin', '2')`, []string{"scores:visible"}},
		"a favorite that is there":      {`insert into favorites (user_id, score_id) values ('alice', '1') on conflict (user_id, score_id) do update set created_at = favorites.created_at`, []string{}},
		"favorites go":                  {`delete from favorites`, []string{"scores:of:alice", "scores:visible"}},
		"a private one is collected":    {`insert into collection_members (collection_id, score_id) values ('A', '3')`, []string{"collection:A", "scores:of:bob", "scores:visible"}},
		"where nobody looks":            {`insert into collection_members (collection_id, score_id) values ('B', '1')`, []string{"collection:B", "scores:of:alice"}},
		"a private one is taken out":    {`delete from collection_members where score_id = '3'`, []string{"collection:B", "scores:of:bob"}},
		"a collection becomes public":   {`update collections set visibility = 'public' where id = 'B'`, []string{"collection:B", "collections:public", "scores:of:bob", "scores:visible"}},
		"a collection becomes private":  {`update collections set visibility = 'private' where id = 'A'`, []string{"collection:A", "collections:public", "scores:of:alice", "scores:visible"}},
		"a public collection is gone":   {`delete from collections where id = 'A'`, []string{"collection:A", "collections:public", "scores:of:alice", "scores:visible"}},
		"nobody's list shows the reads": {`update score_cards set read_count = read_count + 1`, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, toldBy(t, db, tc.statement)); diff != "" {
				t.Errorf("(-want +told):\n%s", diff)
			}
		})
	}
}

// Whoever reads the news holds one row of them in memory, however much a statement changes.
func TestNewsOfManyAreSeveralRows(t *testing.T) {
	db, err := sql.Open("postgres", scorestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	const many = 2500
	for _, statement := range []string{
		fmt.Sprintf(`insert into scores (owner_id, title) select 'owner ' || n %% 3, 'x' from generate_series(1, %d) n`, many),
		`update scores set visibility = 'public'`,
		`delete from scores`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		var rows, most, told int
		err := db.QueryRowContext(t.Context(), `select count(*), max(cardinality(tags)),
			(select count(distinct tag) from cache_events, unnest(tags) tag where tag like 'score:%') from cache_events`).Scan(&rows, &most, &told)
		if err != nil || rows < 3 || rows > 4 || most > 1010 || told != many {
			t.Errorf("%.6s: %d rows of at most %d tags tell of %d scores (%v), want 3 rows of about 1000", statement, rows, most, told, err)
		}
		if _, err := db.ExecContext(t.Context(), `truncate cache_events`); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever favors a private score at the moment at which it becomes public tells those who see it then, whoever of the two comes first.
func TestVisibilityAndFavoritesChangeAtOnce(t *testing.T) {
	const publish, favor = `update scores set visibility = 'public' where id = '1'`, `insert into favorites (user_id, score_id) values ('admin', '1')`
	for name, order := range map[string][2]string{"published first": {publish, favor}, "favored first": {favor, publish}} {
		t.Run(name, func(t *testing.T) {
			db, err := sql.Open("postgres", scorestest.URL(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			if _, err := db.ExecContext(t.Context(), named(someScores)+"truncate cache_events;"); err != nil {
				t.Fatal(err)
			}
			first, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := first.ExecContext(t.Context(), named(order[0])); err != nil {
				t.Fatal(err)
			}
			second := make(chan error, 1)
			go func() {
				_, err := db.ExecContext(t.Context(), named(order[1]))
				second <- err
			}()
			waits(t, db)
			if err := first.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := <-second; err != nil {
				t.Fatal(err)
			}
			var last []string
			if err := db.QueryRowContext(t.Context(), `select tags from cache_events order by xid desc limit 1`).Scan(pq.Array(&last)); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(last, "scores:visible") {
				t.Errorf("the last told %v", last)
			}
		})
	}
}

// waits returns when a statement waits for a transaction.
func waits(t *testing.T, db *sql.DB) {
	t.Helper()
	for ; ; time.Sleep(time.Millisecond) {
		var n int
		err := db.QueryRowContext(t.Context(), `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
}
