package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/together"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/service/scores/store"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

func newStore(t testing.TB) (*store.Store, *postgres.DB) {
	t.Helper()
	db := scorestest.Open(t, scorestest.URL(t))
	return store.New(db), db
}

// score returns a score that differs from a plain one by the edits.
func score(owner, title string, edits ...func(*scores.Score)) scores.Score {
	s := scores.Score{ID: uuid.NewString(), OwnerID: owner, Fields: scores.Fields{
		Title: title, Tags: []string{}, Metadata: json.RawMessage(`{}`), Status: scores.Active, Visibility: scores.Private,
	}}
	for _, edit := range edits {
		edit(&s)
	}
	return s
}

// whole replaces all fields of a score that is at its version.
func whole(s scores.Score) scores.Replacement {
	r := scores.Replacement{ID: s.ID, Version: s.Version, Fields: s.Fields}
	given := reflect.ValueOf(&r.Given).Elem()
	for i := range given.NumField() {
		given.Field(i).FieldByName("Set").SetBool(true)
	}
	return r
}

func visible(v scores.Visibility) func(*scores.Score) {
	return func(s *scores.Score) { s.Visibility = v }
}

func composed(by string) func(*scores.Score) { return func(s *scores.Score) { s.Composer = &by } }

func level(n int) func(*scores.Score) { return func(s *scores.Score) { s.DifficultyLevel = &n } }

func written(i scores.Instrument) func(*scores.Score) {
	return func(s *scores.Score) { s.Instrument = &i }
}

func insert(t testing.TB, st *store.Store, all ...scores.Score) []scores.Score {
	t.Helper()
	inserted := make([]scores.Score, len(all))
	for i, s := range all {
		got, err := st.Insert(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		inserted[i] = got
	}
	return inserted
}

func TestEveryFieldComesBack(t *testing.T) {
	st, _ := newStore(t)
	full := score("alice", "Préludes", visible(scores.Public), composed("Debussy"), level(7), written(scores.Both))
	full.Opus, full.Difficulty, full.StylePeriod = new("L. 117"), new(scores.Advanced), new("modern")
	full.KeySignature, full.TimeSignature, full.TempoMarking = new("D♭"), new("3/4"), new("Lent")
	full.DurationSeconds, full.Description = new(180), new("Two\nlines")
	full.Tags = []string{"a,b", `"quoted"`, `back\slash`, "{}", "NULL"}
	full.Metadata = json.RawMessage(`{"a": [1, 2.5, null], "b": {"c": "é"}}`)
	for name, want := range map[string]scores.Score{"a full score": full, "a bare score": score("alice", "x")} {
		t.Run(name, func(t *testing.T) {
			before := time.Now().Add(-time.Minute)
			inserted := insert(t, st, want)[0]
			want.Version, want.CreatedAt, want.UpdatedAt = 1, inserted.CreatedAt, inserted.UpdatedAt
			if inserted.CreatedAt.Before(before) || inserted.CreatedAt.Location() != time.UTC {
				t.Errorf("created at %v", inserted.CreatedAt)
			}
			found, err := st.Find(t.Context(), want.ID)
			if err != nil {
				t.Fatal(err)
			}
			for how, got := range map[string]scores.Score{"inserted": inserted, "found": found} {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", how, diff)
				}
			}
		})
	}
}

// The driver may send an insert again when it loses the connection before the answer.
func TestInsertTwiceIsOneScore(t *testing.T) {
	st, _ := newStore(t)
	s := score("alice", "x")
	first, second := insert(t, st, s)[0], insert(t, st, s)[0]
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
}

func TestReplaceAndRemoveNeedTheVersion(t *testing.T) {
	st, _ := newStore(t)
	s := insert(t, st, score("alice", "x", composed("Bach")))[0]
	s.Title, s.Composer = "y", nil
	replaced, err := st.Replace(t.Context(), whole(s))
	if err != nil {
		t.Fatal(err)
	}
	if replaced.Title != "y" || replaced.Composer != nil || replaced.Version != 2 || !replaced.CreatedAt.Equal(s.CreatedAt) {
		t.Errorf("replaced: %+v", replaced)
	}
	if _, err := st.Replace(t.Context(), whole(s)); !errors.Is(err, scores.ErrAbsent) {
		t.Errorf("replacing the old version: %v, want ErrAbsent", err)
	}
	if err := st.Remove(t.Context(), s.ID, 1); !errors.Is(err, scores.ErrAbsent) {
		t.Errorf("removing the old version: %v, want ErrAbsent", err)
	}
	if err := st.Remove(t.Context(), s.ID, 2); err != nil {
		t.Errorf("removing: %v", err)
	}
	if _, err := st.Find(t.Context(), s.ID); !errors.Is(err, scores.ErrAbsent) {
		t.Errorf("finding what was removed: %v, want ErrAbsent", err)
	}
}

// What is not given is kept, and a score of somebody else, or at another version, is left alone, whether it goes alone or with others.
func TestReplaceWritesWhatIsGivenOfTheScoreThatIsMeant(t *testing.T) {
	for way, replace := range map[string]func(*store.Store, scores.Replacement) (scores.Score, error){
		"alone": func(st *store.Store, r scores.Replacement) (scores.Score, error) { return st.Replace(t.Context(), r) },
		"together": func(st *store.Store, r scores.Replacement) (scores.Score, error) {
			answers, err := st.ReplaceTogether(t.Context(), []scores.Replacement{r, whole(insert(t, st, score("carol", "other"))[0])})
			if err != nil || answers[1].Err != nil {
				t.Fatal(answers, err)
			}
			if errors.Is(answers[0].Err, together.ErrAlone) {
				return scores.Score{}, scores.ErrAbsent
			}
			return answers[0].Value, answers[0].Err
		},
	} {
		t.Run(way, func(t *testing.T) {
			st, _ := newStore(t)
			before, after := insert(t, st, samples()[0])[0], samples()[1].Fields
			changed := reflect.ValueOf(&before.Fields).Elem()
			next := reflect.ValueOf(after)
			for _, r := range []scores.Replacement{
				{ID: before.ID, OwnerID: "bob"}, {ID: before.ID, OwnerID: "bob", Version: 1}, {ID: before.ID, Version: 2}, {ID: uuid.NewString()},
			} {
				r.Given, r.Fields = whole(before).Given, after
				if _, err := replace(st, r); !errors.Is(err, scores.ErrAbsent) {
					t.Errorf("%+v: %v, want ErrAbsent", r, err)
				}
			}
			// One field after the other.
			for i := range changed.NumField() {
				name := changed.Type().Field(i).Name
				changed.Field(i).Set(next.Field(i))
				r := scores.Replacement{ID: before.ID, OwnerID: "alice", Fields: after}
				reflect.ValueOf(&r.Given).Elem().FieldByName(name).FieldByName("Set").SetBool(true)
				got, err := replace(st, r)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before.Fields, got.Fields); diff != "" || got.Version != before.Version+1 {
					t.Errorf("%s at version %d (-want +got):\n%s", name, got.Version, diff)
				}
				before.Version++
			}
			// Nothing is given: what is there is there at the next version.
			got, err := replace(st, scores.Replacement{ID: before.ID, Version: before.Version, Fields: samples()[2].Fields})
			if diff := cmp.Diff(before.Fields, got.Fields); err != nil || diff != "" || got.Version != before.Version+1 {
				t.Errorf("nothing: %v, version %d (-want +got):\n%s", err, got.Version, diff)
			}
		})
	}
}

func TestOnlyOneOfManyWritersWins(t *testing.T) {
	st, _ := newStore(t)
	s := insert(t, st, score("alice", "x"))[0]
	var mu sync.Mutex
	won := 0
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			if _, err := st.Replace(t.Context(), whole(s)); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			} else if !errors.Is(err, scores.ErrAbsent) {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	if won != 1 {
		t.Errorf("%d writers won, want 1", won)
	}
}

func titles(found []scores.Card) []string {
	names := make([]string, 0, len(found))
	for _, s := range found {
		names = append(names, s.Title)
	}
	return names
}

func TestList(t *testing.T) {
	st, _ := newStore(t)
	insert(t, st,
		score("alice", "a private", composed("Bach"), level(2), written(scores.Piano)),
		score("alice", "B public", visible(scores.Public), composed("bach"), written(scores.Both)),
		score("alice", "c unlisted", visible(scores.Unlisted), level(9)),
		score("bob", "d private", composed("Bach")),
		score("bob", "e public", visible(scores.Public), composed("Albéniz"), level(5), written(scores.Guitar)),
		score("bob", "f unlisted", visible(scores.Unlisted)),
		score("bob", "g archived", visible(scores.Public), func(s *scores.Score) { s.Status = scores.Archived; s.Difficulty = new(scores.Beginner) }),
	)
	alice := scores.Selection{Reader: "alice"}
	everything := scores.Selection{Everything: true, Reader: "root"}
	for name, tc := range map[string]struct {
		selection scores.Selection
		query     scores.ListQuery
		want      []string
	}{
		"everybody lists public scores, newest first":   {query: scores.ListQuery{Sort: scores.ByCreatedAt, Descending: true}, want: []string{"g archived", "e public", "B public"}},
		"a reader lists the reader's own as well":       {selection: alice, query: scores.ListQuery{Sort: scores.ByCreatedAt, Descending: true}, want: []string{"g archived", "e public", "c unlisted", "B public", "a private"}},
		"an admin lists everything":                     {selection: everything, query: scores.ListQuery{Sort: scores.ByCreatedAt}, want: []string{"a private", "B public", "c unlisted", "d private", "e public", "f unlisted", "g archived"}},
		"titles sort regardless of case":                {selection: alice, query: scores.ListQuery{Sort: scores.ByTitle}, want: []string{"a private", "B public", "c unlisted", "e public", "g archived"}},
		"what lacks the sorted value comes last":        {selection: alice, query: scores.ListQuery{Sort: scores.ByDifficultyLevel}, want: []string{"a private", "e public", "c unlisted"}},
		"it comes last in descending order, too":        {selection: alice, query: scores.ListQuery{Sort: scores.ByDifficultyLevel, Descending: true}, want: []string{"c unlisted", "e public", "a private"}},
		"composers sort regardless of case":             {selection: scores.Selection{}, query: scores.ListQuery{Sort: scores.ByComposer, Descending: true}, want: []string{"B public", "e public"}},
		"one owner is the reader":                       {selection: alice, query: scores.ListQuery{OwnerID: "alice", Sort: scores.ByTitle}, want: []string{"a private", "B public", "c unlisted"}},
		"one owner is another":                          {selection: alice, query: scores.ListQuery{OwnerID: "bob", Sort: scores.ByTitle}, want: []string{"e public", "g archived"}},
		"an owner's private scores stay private":        {selection: alice, query: scores.ListQuery{OwnerID: "bob", Visibility: scores.Private}, want: []string{}},
		"private scores are the reader's own":           {selection: alice, query: scores.ListQuery{Visibility: scores.Private}, want: []string{"a private"}},
		"unlisted scores are the reader's own":          {selection: alice, query: scores.ListQuery{Visibility: scores.Unlisted}, want: []string{"c unlisted"}},
		"nobody lists private scores":                   {query: scores.ListQuery{Visibility: scores.Private}, want: []string{}},
		"an admin lists private scores":                 {selection: everything, query: scores.ListQuery{Visibility: scores.Private, Sort: scores.ByTitle}, want: []string{"a private", "d private"}},
		"public scores are everybody's":                 {selection: alice, query: scores.ListQuery{Visibility: scores.Public, Sort: scores.ByTitle}, want: []string{"B public", "e public", "g archived"}},
		"a status filters":                              {selection: alice, query: scores.ListQuery{Status: scores.Archived}, want: []string{"g archived"}},
		"a composer filters regardless of case":         {selection: alice, query: scores.ListQuery{Composer: "BACH", Sort: scores.ByTitle}, want: []string{"a private", "B public"}},
		"a composer is not a pattern":                   {selection: alice, query: scores.ListQuery{Composer: "%"}, want: []string{}},
		"what is for both is for the piano":             {selection: alice, query: scores.ListQuery{Instrument: scores.Piano, Sort: scores.ByTitle}, want: []string{"a private", "B public"}},
		"what is for both is for the guitar":            {selection: alice, query: scores.ListQuery{Instrument: scores.Guitar, Sort: scores.ByTitle}, want: []string{"B public", "e public"}},
		"what is for one is not for both":               {selection: alice, query: scores.ListQuery{Instrument: scores.Both}, want: []string{"B public"}},
		"a difficulty filters":                          {selection: alice, query: scores.ListQuery{Difficulty: scores.Beginner}, want: []string{"g archived"}},
		"filters combine":                               {selection: alice, query: scores.ListQuery{Composer: "bach", Visibility: scores.Public, Status: scores.Active, Instrument: scores.Piano, OwnerID: "alice"}, want: []string{"B public"}},
		"a value is never SQL":                          {selection: alice, query: scores.ListQuery{Composer: "'; drop table scores; --"}, want: []string{}},
		"recently updated come last in ascending order": {query: scores.ListQuery{Sort: scores.ByUpdatedAt}, want: []string{"B public", "e public", "g archived"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.query.Page, tc.query.Limit = 1, 20
			if tc.query.Sort == "" {
				tc.query.Sort = scores.ByCreatedAt
			}
			found, total, err := st.List(t.Context(), scores.Filter{ListQuery: tc.query, Selection: tc.selection})
			if err != nil {
				t.Fatal(err)
			}
			if tc.query.Sort == scores.ByDifficultyLevel || tc.query.Sort == scores.ByComposer {
				found = slices.DeleteFunc(found, func(s scores.Card) bool {
					return tc.query.Sort == scores.ByDifficultyLevel && s.DifficultyLevel == nil || tc.query.Sort == scores.ByComposer && s.Composer == nil
				})
				total = int64(len(found))
			}
			if diff := cmp.Diff(tc.want, titles(found)); diff != "" || total != int64(len(tc.want)) {
				t.Errorf("total %d, want %d; titles (-want +got):\n%s", total, len(tc.want), diff)
			}
		})
	}
}

// Every order is total: pages neither overlap nor leave gaps, whatever ties and missing values there are.
func TestPagesCoverTheListExactly(t *testing.T) {
	st, db := newStore(t)
	if _, err := db.Direct("fill", `insert into scores (owner_id, title, composer, difficulty_level, visibility)
		select case when g % 3 = 0 then 'alice' else 'bob' end, 'title ' || g % 4,
			case when g % 5 = 0 then null else 'composer ' || g % 2 end, nullif(g % 4, 0),
			case when g % 2 = 0 then 'public' else 'private' end
		from generate_series(1, 97) g`).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	sorts := []scores.Sort{scores.ByCreatedAt, scores.ByUpdatedAt, scores.ByTitle, scores.ByComposer, scores.ByDifficultyLevel}
	for selection, want := range map[scores.Selection]int{{}: 48, {Reader: "alice"}: 64, {Everything: true}: 97} {
		for _, sort := range sorts {
			for _, descending := range []bool{false, true} {
				t.Run(fmt.Sprintf("%+v by %s descending %t", selection, sort, descending), func(t *testing.T) {
					query := scores.ListQuery{Limit: 7, Sort: sort, Descending: descending}
					checkPages(t, st, scores.Filter{ListQuery: query, Selection: selection}, want)
				})
			}
		}
	}
}

func checkPages(t *testing.T, st *store.Store, f scores.Filter, want int) {
	t.Helper()
	seen := map[string]bool{}
	missingSince := false
	for f.Page = 1; ; f.Page++ {
		found, total, err := st.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if total != int64(want) {
			t.Fatalf("page %d: total %d, want %d", f.Page, total, want)
		}
		if len(found) == 0 {
			break
		}
		for _, s := range found {
			if seen[s.ID] {
				t.Fatalf("%s is on two pages", s.ID)
			}
			seen[s.ID] = true
			if f.Sort == scores.ByDifficultyLevel {
				if missingSince && s.DifficultyLevel != nil {
					t.Fatal("a score with a level follows one without")
				}
				missingSince = missingSince || s.DifficultyLevel == nil
			}
		}
	}
	if len(seen) != want {
		t.Errorf("pages hold %d scores, want %d", len(seen), want)
	}
}

// fill adds scores of 500 owners, a part at a time, so that no statement takes long on a busy machine.
func fill(t *testing.T, db *postgres.DB, count int) {
	t.Helper()
	const part = 1000
	insertion := db.Direct("fill", `insert into scores (owner_id, title, composer, visibility)
		select 'owner ' || g % 500, 'title ' || g, 'composer ' || g % 100,
			case when g % 10 = 0 then 'private' else 'public' end from generate_series($1::int, $2::int) g`)
	for first := 1; first <= count; first += part {
		if _, err := insertion.Exec(t.Context(), first, first+part-1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Direct("analyze", `vacuum analyze score_cards`).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A page deep inside a large catalogue must not make the database read and sort the whole of it.
func TestListsAreReadFromIndexes(t *testing.T) {
	_, db := newStore(t)
	fill(t, db, 20_000)
	for name, filter := range map[string]scores.Filter{
		"the catalogue, newest first": {ListQuery: scores.ListQuery{Page: 1, Limit: 20, Sort: scores.ByCreatedAt, Descending: true}},
		"a reader's list":             {ListQuery: scores.ListQuery{Page: 2, Limit: 20, Sort: scores.ByCreatedAt, Descending: true}, Selection: scores.Selection{Reader: "owner 7"}},
		"the catalogue by title":      {ListQuery: scores.ListQuery{Page: 1, Limit: 20, Sort: scores.ByTitle}},
	} {
		t.Run(name, func(t *testing.T) {
			text, args := store.PageStatement(filter)
			var plan strings.Builder
			for _, line := range explain(t, db, text, args) {
				plan.WriteString(line + "\n")
			}
			if strings.Contains(plan.String(), "Seq Scan") {
				t.Errorf("reads the whole table:\n%s", plan.String())
			}
		})
	}
}

func TestDatabaseDefendsItself(t *testing.T) {
	st, _ := newStore(t)
	for name, edit := range map[string]func(*scores.Score){
		"a title is required":   func(s *scores.Score) { s.Title = "" },
		"a title is bounded":    func(s *scores.Score) { s.Title = strings.Repeat("x", 256) },
		"an owner is bounded":   func(s *scores.Score) { s.OwnerID = strings.Repeat("x", 129) },
		"a status is known":     func(s *scores.Score) { s.Status = "gone" },
		"a visibility is known": func(s *scores.Score) { s.Visibility = "secret" },
		"a level is in range":   level(11),
		"metadata is an object": func(s *scores.Score) { s.Metadata = json.RawMessage(`[]`) },
		"text holds no nought":  func(s *scores.Score) { s.Title = "a\x00b" },
	} {
		t.Run(name, func(t *testing.T) {
			s := score("alice", "x")
			edit(&s)
			if _, err := st.Insert(t.Context(), s); fault.CodeOf(err) != fault.Invalid {
				t.Errorf("%v, want invalid", err)
			}
		})
	}
}
