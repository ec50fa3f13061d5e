package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/chassis/together"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/service/scores/store"
)

// doorway lets no statement through while it is closed, so that calls meet that come meanwhile. It counts statements by their names.
type doorway struct {
	mu     sync.Mutex
	closed chan struct{}
	counts map[string]int
	// loses says that no answer comes back. repeatable then counts the statements that may be sent again.
	loses      bool
	repeatable int
}

// Do implements postgres.Protection.
func (d *doorway) Do(ctx context.Context, repeatable bool, call func(context.Context) error) error {
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed != nil {
		<-closed
	}
	err := call(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.loses {
		return err
	}
	if repeatable {
		d.repeatable++
	}
	return fault.Wrap(fault.Unavailable, "lost", driver.ErrBadConn)
}

// ObserveQuery implements postgres.Observer.
func (d *doorway) ObserveQuery(name string, _ time.Duration, _ error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts[name]++
}

// meanwhile does all of it at the same time, with the doorway closed until all have begun. The first is there before the others.
func (d *doorway) meanwhile(all ...func()) {
	open := d.close()
	var running sync.WaitGroup
	for _, do := range all {
		running.Go(do)
		time.Sleep(time.Millisecond / 10)
	}
	time.Sleep(30 * time.Millisecond) // each of them waits for others by now, or in the doorway
	open()
	running.Wait()
}

// close closes the doorway and returns what opens it.
func (d *doorway) close() (open func()) {
	closed := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed, d.counts = closed, map[string]int{}
	return func() {
		d.mu.Lock()
		d.closed = nil
		d.mu.Unlock()
		close(closed)
	}
}

func (d *doorway) count(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[name]
}

// newMeeting returns a store behind a doorway.
func newMeeting(t *testing.T) (*store.Store, *postgres.DB, *doorway) {
	t.Helper()
	return meetingAt(t, scorestest.URL(t))
}

func meetingAt(t *testing.T, url string) (*store.Store, *postgres.DB, *doorway) {
	t.Helper()
	d := &doorway{counts: map[string]int{}}
	db, err := postgres.Open(postgres.Config{
		URL: secret.FromValue(url), ApplicationName: "test", StatementTimeout: 5 * time.Second, MaxConns: 4,
		Observer: d, Reads: d, Writes: d,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return store.New(db), db, d
}

func TestReadsThatGoTogetherGetTheirOwn(t *testing.T) {
	st, _, door := newMeeting(t)
	library := scores.New(st, uuid.NewString)
	var all []scores.Score
	for i := range 8 {
		for _, owner := range []string{"alice", "bob"} {
			for _, v := range []scores.Visibility{scores.Private, scores.Unlisted, scores.Public} {
				all = append(all, score(owner, fmt.Sprintf("%s's %s %d", owner, v, i), visible(v), func(s *scores.Score) {
					s.Tags = []string{owner, fmt.Sprint(i)}
				}))
			}
		}
	}
	insert(t, st, all...)
	callers := []auth.Identity{{}, {ID: "alice", Role: auth.RoleUser}, {ID: "bob", Role: auth.RoleUser}, {ID: "root", Role: auth.RoleAdmin}}
	type read struct {
		caller auth.Identity
		id     string
		found  scores.Score
		err    error
	}
	var reads []*read
	for _, caller := range callers {
		for _, s := range all {
			reads = append(reads, &read{caller: caller, id: s.ID}, &read{caller: caller, id: s.ID})
			if s.Visibility == scores.Public {
				reads = append(reads, &read{caller: caller, id: strings.ToUpper(s.ID)})
			}
		}
		reads = append(reads, &read{caller: caller, id: uuid.NewString()})
	}
	var calls []func()
	for _, r := range reads {
		calls = append(calls, func() { r.found, r.err = library.Readable(t.Context(), r.caller, r.id) })
	}
	door.meanwhile(calls...)
	if sent := door.count("scores.find_together"); sent == 0 || sent+door.count("scores.find") > len(reads)/2 {
		t.Errorf("%d reads took %d statements and %d for several", len(reads), door.count("scores.find"), sent)
	}
	for _, r := range reads {
		i := slices.IndexFunc(all, func(s scores.Score) bool { return s.ID == strings.ToLower(r.id) })
		maySee := i >= 0 && (r.caller.IsAdmin() || r.caller.ID == all[i].OwnerID || all[i].Visibility != scores.Private)
		switch {
		case !maySee && (fault.CodeOf(r.err) != fault.NotFound || r.found.ID != ""):
			t.Errorf("%q reads what is not there for them: %v, %v", r.caller.ID, r.found, r.err)
		case maySee && (r.err != nil || r.found.ID != all[i].ID || r.found.Title != all[i].Title || !slices.Equal(r.found.Tags, all[i].Tags)):
			t.Errorf("%q reads %v, %v, want %v", r.caller.ID, r.found, r.err, all[i])
		}
		// Nobody may find what another one makes of the same score.
		for k := range r.found.Tags {
			r.found.Tags[k] = "mine"
		}
		for k := range r.found.Metadata {
			r.found.Metadata[k] = ' '
		}
	}
}

// kept is all that the database keeps of a score, without what differs from one to the next.
func kept(t *testing.T, db *postgres.DB, id string) (all [3]string) {
	t.Helper()
	for i, text := range []string{
		`select to_jsonb(s) - '{id,created_at,updated_at}'::text[] from scores s where id = $1::text::uuid`,
		`select to_jsonb(c) - '{score_id,created_at,updated_at}'::text[] from score_cards c where score_id = $1::text::uuid`,
		// What others that go together tell is told with it.
		`select coalesce(string_agg(distinct replace(tag, $1::text, 'ID'), ' '), '') from cache_events, unnest(tags) tag
			where ('score:' || $1::text) = any(tags) and (tag = 'score:' || $1::text
				or tag = (select card_tag(owner_id, visibility) from scores where id = $1::text::uuid))`,
	} {
		if err := db.Direct("kept", text).QueryRow(t.Context(), []any{&all[i]}, id); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// samples are scores that make use of all that fields may hold.
func samples() []scores.Score {
	full := score("alice", "Préludes", visible(scores.Public), composed("Debussy"), level(7), written(scores.Both))
	full.Opus, full.Difficulty, full.StylePeriod = new("L. 117"), new(scores.Advanced), new("modern")
	full.KeySignature, full.TimeSignature, full.TempoMarking = new("D♭"), new("3/4"), new("Lent")
	full.DurationSeconds, full.Description = new(180), new("Two\nlines, \"quoted\" \\ {null}")
	full.Tags = []string{"a,b", `"quoted"`, `back\slash`, "{}", "NULL", "null", "é", " "}
	full.Metadata = json.RawMessage(`{"a": [1, 2.5, null], "b": {"c": "é\"\\"}}`)
	awkward := score("bob", `NULL`, composed("null"))
	awkward.Description, awkward.Opus, awkward.Tags = new(`{"a",b}`), new(`\"`), []string{""}
	return []scores.Score{full, awkward, score("carol", "x"), score("alice", "of no time", visible(scores.Unlisted))}
}

func wholes(all ...scores.Score) (replacements []scores.Replacement) {
	for _, s := range all {
		replacements = append(replacements, whole(s))
	}
	return replacements
}

func TestWritesThatGoTogetherAreThoseOfSingleOnes(t *testing.T) {
	st, db, door := newMeeting(t)
	one, several := samples(), samples()
	for i := range one {
		one[i] = insert(t, st, one[i])[0]
	}
	answers, err := st.InsertTogether(t.Context(), several)
	if err != nil {
		t.Fatal(err)
	}
	ignored := func(s scores.Score) scores.Score {
		s.ID, s.CreatedAt, s.UpdatedAt = "", time.Time{}, time.Time{}
		return s
	}
	expect := func(act string, single []scores.Score, answers []together.Answer[scores.Score]) {
		t.Helper()
		for i, a := range answers {
			if a.Err != nil {
				t.Fatal(a.Err)
			}
			if diff := cmp.Diff(ignored(single[i]), ignored(a.Value)); diff != "" {
				t.Errorf("%s: score %d (-alone +together):\n%s", act, i, diff)
			}
			if a.Value.ID != several[i].ID || time.Since(a.Value.UpdatedAt) > time.Minute || a.Value.UpdatedAt.Location() != time.UTC {
				t.Errorf("%s: score %d has ID %s and time %s", act, i, a.Value.ID, a.Value.UpdatedAt)
			}
			if diff := cmp.Diff(kept(t, db, single[i].ID), kept(t, db, a.Value.ID)); diff != "" {
				t.Errorf("%s: score %d as the database has it (-alone +together):\n%s", act, i, diff)
			}
			several[i] = a.Value
		}
	}
	expect("insert", one, answers)

	// A second time each goes alone, and is the same.
	answers, err = st.InsertTogether(t.Context(), several)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if !errors.Is(a.Err, together.ErrAlone) {
			t.Errorf("score %d is added again with others: %v, %v", i, a.Value, a.Err)
		}
		if diff := cmp.Diff(several[i], insert(t, st, several[i])[0]); diff != "" {
			t.Errorf("score %d is added again (-first +second):\n%s", i, diff)
		}
	}

	// Everybody takes the fields of the next one.
	fields := samples()
	for i := range one {
		next := fields[(i+1)%len(fields)].Fields
		one[i].Fields, several[i].Fields = next, next
		if one[i], err = st.Replace(t.Context(), whole(one[i])); err != nil {
			t.Fatal(err)
		}
	}
	answers, err = st.ReplaceTogether(t.Context(), wholes(several...))
	if err != nil {
		t.Fatal(err)
	}
	expect("replace", one, answers)

	// One at a version that is gone, and one that is gone, are left to themselves.
	stale := several[0]
	stale.Version--
	answers, err = st.ReplaceTogether(t.Context(), wholes(stale, several[1], score("alice", "never was", func(s *scores.Score) { s.Version = 1 })))
	if err != nil || answers[1].Err != nil || answers[1].Value.Version != several[1].Version+1 {
		t.Errorf("%v, %v: one that is well is not changed", answers, err)
	}
	for i, left := range map[int]string{0: several[0].ID, 2: ""} {
		if !errors.Is(answers[i].Err, together.ErrAlone) || (left != "" && events(t, db, left) != 2) {
			t.Errorf("%d: %v, want that it is to go alone", i, answers[i].Err)
		}
	}
	if sent := door.count("scores.insert_together"); sent != 2 || door.count("scores.replace_together") != 2 {
		t.Errorf("%d statements to insert, %d to replace, want 2 and 2", sent, door.count("scores.replace_together"))
	}
}

func TestAWriteThatFailsIsNobodyElses(t *testing.T) {
	st, db, door := newMeeting(t)
	good := func(i int) scores.Score { return score("alice", fmt.Sprint("good ", i)) }
	twice := good(0)
	all := []scores.Score{
		good(1), good(2), good(3), twice, twice,
		score("alice", strings.Repeat("x", 300)), score("alice", "a\x00b"), score("", "nobody's"),
		score("alice", "level", level(1<<40)), score("alice", "metadata", func(s *scores.Score) { s.Metadata = json.RawMessage("[]") }),
		score("alice", "no tags", func(s *scores.Score) { s.Tags = nil }),
	}
	const bad = 5 // those from here on
	write := func(act func(context.Context, scores.Score) (scores.Score, error), all []scores.Score) ([]scores.Score, []error) {
		written, errs, calls := make([]scores.Score, len(all)), make([]error, len(all)), []func(){}
		for i := range all {
			calls = append(calls, func() { written[i], errs[i] = act(t.Context(), all[i]) })
		}
		door.meanwhile(calls...)
		return written, errs
	}
	written, errs := write(st.Insert, all)
	if door.count("scores.insert_together") == 0 {
		t.Error("nothing went together")
	}
	for i, err := range errs {
		switch {
		case i < bad && (err != nil || written[i].Title != all[i].Title || written[i].Version != 1):
			t.Errorf("inserting %q: %v, %v", all[i].Title, written[i], err)
		case i >= bad && fault.CodeOf(err) != fault.Invalid:
			t.Errorf("inserting %.10q: %v, want invalid", all[i].Title, err)
		}
	}

	// Two changes of one version, one of a version that is gone, one of a score that is gone, and bad ones among good ones.
	gone := written[2]
	if _, err := st.Replace(t.Context(), whole(gone)); err != nil {
		t.Fatal(err)
	}
	long, null := insert(t, st, score("alice", "long"), score("alice", "null"))[0], insert(t, st, score("alice", "null"))[0]
	long.Title, null.Title = strings.Repeat("x", 300), "a\x00b"
	written[0].Title, written[1].Title = "better 1", "better 2"
	changes := []scores.Score{written[0], written[1], written[3], written[3], gone, score("alice", "never was", func(s *scores.Score) { s.Version = 1 }), long, null}
	changed, errs := write(func(ctx context.Context, s scores.Score) (scores.Score, error) { return st.Replace(ctx, whole(s)) }, changes)
	if door.count("scores.replace_together") == 0 {
		t.Error("nothing went together")
	}
	for i, want := range []error{nil, nil, nil, nil, scores.ErrAbsent, scores.ErrAbsent} {
		if i == 2 || i == 3 {
			continue
		}
		if !errors.Is(errs[i], want) || (want == nil && (changed[i].Version != 2 || changed[i].Title != changes[i].Title)) {
			t.Errorf("changing %q: %v, %v, want %v", changes[i].Title, changed[i], errs[i], want)
		}
	}
	if (errs[2] == nil) == (errs[3] == nil) || !errors.Is(errors.Join(errs[2], errs[3]), scores.ErrAbsent) {
		t.Errorf("of two changes of one version: %v and %v", errs[2], errs[3])
	}
	for i := 6; i < 8; i++ {
		if fault.CodeOf(errs[i]) != fault.Invalid {
			t.Errorf("changing %.10q: %v, want invalid", changes[i].Title, errs[i])
		}
	}
	if n := events(t, db, written[3].ID); n != 2 { // though it was added twice
		t.Errorf("%d events of what two wanted to add and to change, want 2", n)
	}
}

func events(t *testing.T, db *postgres.DB, id string) (n int) {
	t.Helper()
	err := db.Direct("events", `select count(*) from cache_events where ('score:' || $1::text) = any(tags)`).QueryRow(t.Context(), []any{&n}, id)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Who changes what somebody has locked waits for that alone.
func TestNobodyWaitsForTheLockOfAnother(t *testing.T) {
	for name, lock := range map[string]string{
		"score": `select from scores where id = $1::text::uuid for update`,
		"card":  `select from score_cards where score_id = $1::text::uuid for update`,
	} {
		t.Run(name, func(t *testing.T) {
			url := scorestest.URL(t)
			st, _, door := meetingAt(t, url)
			all := insert(t, st, score("alice", "locked"), score("alice", "b"), score("alice", "c"), score("alice", "d"))
			tx, err := scorestest.Open(t, url).Pool().BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback() }()
			if _, err := tx.ExecContext(t.Context(), lock, all[0].ID); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var order []string
			var others sync.WaitGroup
			others.Add(len(all) - 1)
			var calls []func()
			// The last one comes first and goes alone, so that the others wait and go together.
			for _, i := range []int{3, 0, 1, 2} {
				s := all[i]
				calls = append(calls, func() {
					got, err := st.Replace(t.Context(), whole(s))
					if err != nil || got.Version != 2 {
						t.Errorf("%s: %v, %v", s.Title, got, err)
					}
					mu.Lock()
					order = append(order, s.Title)
					mu.Unlock()
					if i > 0 {
						others.Done()
					}
				})
			}
			calls = append(calls, func() {
				others.Wait()
				if err := tx.Rollback(); err != nil {
					t.Error(err)
				}
			})
			door.meanwhile(calls...)
			if order[len(order)-1] != "locked" {
				t.Errorf("they ended in the order %v", order)
			}
			if door.count("scores.replace_together") == 0 {
				t.Error("nothing went together")
			}
		})
	}
}

// A write whose caller goes while it waits is not made; one whose caller goes later is, or is not, when the caller hears of it.
func TestAWriteOfACallerWhoLeaves(t *testing.T) {
	st, db, door := newMeeting(t)
	var all []scores.Score
	for i := range 40 {
		all = append(all, score("alice", fmt.Sprint("score ", i)))
	}
	errs, there := make([]error, len(all)), make([]bool, len(all))
	var calls []func()
	for i, s := range all {
		calls = append(calls, func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*2*time.Millisecond)
			defer cancel()
			_, errs[i] = st.Insert(ctx, s)
			// The statement of somebody who stays to the end is over by now.
			err := db.Pool().QueryRowContext(t.Context(), `select exists (select from scores where id = $1)`, s.ID).Scan(&there[i])
			if err != nil {
				t.Error(err)
			}
		})
	}
	door.meanwhile(calls...)
	time.Sleep(100 * time.Millisecond)
	for i, s := range all {
		var later bool
		if err := db.Pool().QueryRowContext(t.Context(), `select exists (select from scores where id = $1)`, s.ID).Scan(&later); err != nil {
			t.Fatal(err)
		}
		if (errs[i] == nil && !there[i]) || there[i] != later {
			t.Errorf("score %d: %v; it was there: %t, and later: %t", i, errs[i], there[i], later)
		}
		if code := fault.CodeOf(errs[i]); errs[i] != nil && code != fault.Timeout {
			t.Errorf("score %d: %v", i, errs[i])
		}
	}
}

// What is part of a transaction goes with nothing else: it is not there for others before the transaction has ended.
func TestATransactionGoesWithNobody(t *testing.T) {
	st, db, door := newMeeting(t)
	s, other := insert(t, st, score("alice", "before"))[0], insert(t, st, score("alice", "other"))[0]
	undo := errors.New("undo")
	outsiders := []func(){
		func() {
			if found, err := st.Find(t.Context(), s.ID); err != nil || found.Title != "before" {
				t.Errorf("outside: %v, %v", found, err)
			}
		},
		func() {
			if _, err := st.Replace(t.Context(), whole(other)); err != nil && !errors.Is(err, scores.ErrAbsent) {
				t.Errorf("outside: %v", err)
			}
		},
		func() {
			if _, err := st.Insert(t.Context(), score("alice", "outside")); err != nil {
				t.Errorf("outside: %v", err)
			}
		},
	}
	var outside sync.WaitGroup
	err := db.Atomically(t.Context(), func(ctx context.Context) error {
		open := door.close()
		for range 5 {
			for _, do := range outsiders {
				outside.Go(do)
			}
		}
		time.Sleep(5 * time.Millisecond)
		time.AfterFunc(30*time.Millisecond, open)
		changed := s
		changed.Title = "after"
		if _, err := st.Replace(ctx, whole(changed)); err != nil {
			return err
		}
		if found, err := st.Find(ctx, s.ID); err != nil || found.Title != "after" {
			t.Errorf("within: %v, %v", found, err)
		}
		if _, err := st.Insert(ctx, score("alice", "never")); err != nil {
			return err
		}
		return undo
	})
	outside.Wait()
	if !errors.Is(err, undo) {
		t.Error(err)
	}
	var never int
	if err := db.Direct("never", `select count(*) from scores where title in ('never', 'after')`).QueryRow(t.Context(), []any{&never}); err != nil || never != 0 {
		t.Errorf("%d scores of the transaction are there (%v)", never, err)
	}
}

// When the answer is lost nobody knows what was done. All hear that, and nothing is done again.
func TestALostAnswerIsLostForAll(t *testing.T) {
	st, db, door := newMeeting(t)
	kept := insert(t, st, score("alice", "a"), score("alice", "b"), score("alice", "c"))
	added := []scores.Score{score("alice", "d"), score("alice", "e"), score("alice", "f")}
	door.loses = true
	var calls []func()
	for _, s := range kept {
		calls = append(calls, func() {
			if _, err := st.Replace(t.Context(), whole(s)); !lost(err) {
				t.Errorf("%s: %v, want that it is not known", s.Title, err)
			}
		})
	}
	door.meanwhile(calls...)
	if door.count("scores.replace_together") == 0 || door.repeatable != 0 {
		t.Errorf("%d changes may be sent again, want none", door.repeatable)
	}
	calls = nil
	for _, s := range added {
		calls = append(calls, func() {
			if _, err := st.Insert(t.Context(), s); !lost(err) {
				t.Errorf("%s: %v, want that it is not known", s.Title, err)
			}
		})
	}
	door.meanwhile(calls...)
	if sent := door.count("scores.insert_together") + door.count("scores.insert"); sent == len(added) || door.repeatable != sent {
		t.Errorf("of %d statements to insert %d may be sent again", sent, door.repeatable)
	}
	door.loses = false
	for i, s := range append(kept, added...) {
		want := int64(1)
		if i < len(kept) {
			want = 2
		}
		if found, err := st.Find(t.Context(), s.ID); err != nil || found.Version != want || events(t, db, s.ID) != int(want) {
			t.Errorf("%s is at version %d (%v), want %d", s.Title, found.Version, err, want)
		}
	}
}

// lost says of an error that the connection was.
func lost(err error) bool { return fault.CodeOf(err) == fault.Unavailable }

// Connections break all the while. Everybody gets an answer or an error, what was acknowledged is there, and nothing was done twice.
func TestNothingIsLostOrDoneTwiceWhenConnectionsBreak(t *testing.T) {
	url := scorestest.URL(t)
	st, _, door := meetingAt(t, url)
	library := scores.New(st, uuid.NewString)
	breaker := scorestest.Open(t, url).Pool()
	end := time.Now().Add(2 * time.Second)
	type history struct {
		id            string
		added         bool
		changed, open int
		last, next    string
	}
	histories := make([][]*history, 12)
	var running sync.WaitGroup
	for w := range histories {
		running.Go(func() {
			alice := auth.Identity{ID: "alice", Role: auth.RoleUser}
			for i := 0; time.Now().Before(end); i++ {
				s := score("alice", fmt.Sprint("0 of ", w, i))
				h := &history{id: s.ID, last: s.Title}
				histories[w] = append(histories[w], h)
				if _, err := st.Insert(t.Context(), s); err != nil {
					if !lost(err) {
						t.Errorf("inserting: %v", err)
					}
					continue
				}
				h.added = true
				for n := range 3 {
					h.next = fmt.Sprint(n+1, " of ", w, i)
					s.Version = int64(n + 1)
					s.Title = h.next
					_, err := st.Replace(t.Context(), whole(s))
					if err != nil {
						if !lost(err) {
							t.Errorf("changing: %v", err)
						}
						h.open = 1
						break
					}
					h.changed, h.last = n+1, h.next
				}
				if found, err := library.Readable(t.Context(), alice, h.id); err != nil && !lost(err) {
					t.Errorf("reading: %v", err)
				} else if err == nil && found.Title != h.last && (h.open == 0 || found.Title != h.next) {
					t.Errorf("read %q after %q was acknowledged", found.Title, h.last)
				}
			}
		})
	}
	breaks := 0
	for time.Now().Before(end) {
		var n int
		err := breaker.QueryRowContext(t.Context(), `select count(pg_terminate_backend(pid)) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and state = 'active'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		breaks += n
		time.Sleep(10 * time.Millisecond)
	}
	running.Wait()
	acknowledged := 0
	for _, h := range slices.Concat(histories...) {
		var title string
		var version, told int
		err := breaker.QueryRowContext(t.Context(), `select title, version,
			(select count(*) from cache_events where ('score:' || scores.id) = any(tags)) from scores where id = $1`, h.id).Scan(&title, &version, &told)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if h.added {
				t.Errorf("%s was acknowledged and is not there", h.id)
			}
			continue
		case err != nil:
			t.Fatal(err)
		}
		if h.added {
			acknowledged++
		}
		if changes := version - 1; changes < h.changed || changes > h.changed+h.open || told != version {
			t.Errorf("%s was changed %d times, and %d events tell of it; %d changes were acknowledged, %d not known", h.id, changes, told, h.changed, h.open)
		}
		if title != h.last && (h.open == 0 || title != h.next) {
			t.Errorf("%s has the title %q, acknowledged was %q", h.id, title, h.last)
		}
	}
	t.Logf("%d connections broken, %d scores added", breaks, acknowledged)
	if breaks == 0 || acknowledged == 0 || door.count("scores.replace_together") == 0 {
		t.Errorf("%d connections broken, %d scores added, %d statements for several changes", breaks, acknowledged, door.count("scores.replace_together"))
	}
}

func TestHowMuchGoesTogetherIsMeasured(t *testing.T) {
	st, _, door := newMeeting(t)
	s := insert(t, st, score("alice", "a"))[0]
	var reads []func()
	for range 30 {
		reads = append(reads, func() {
			if _, err := st.Find(t.Context(), s.ID); err != nil {
				t.Error(err)
			}
		})
	}
	door.meanwhile(reads...)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(st)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "database_calls_together" {
		t.Fatalf("%v, %v", families, err)
	}
	calls, statements := 0.0, uint64(0)
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == "scores.find" {
			calls, statements = m.GetHistogram().GetSampleSum(), m.GetHistogram().GetSampleCount()
		}
	}
	if calls != 30 || statements != uint64(door.count("scores.find")+door.count("scores.find_together")) {
		t.Errorf("%v calls in %d statements, want 30 in %d and %d", calls, statements, door.count("scores.find"), door.count("scores.find_together"))
	}
}

// BenchmarkTogether measures one score of a statement for several.
func BenchmarkTogether(b *testing.B) {
	st, _ := newStore(b)
	var seed []scores.Score
	for i := range 1000 {
		seed = append(seed, score("alice", fmt.Sprintf("Étude No. %d", i), visible(scores.Public)))
	}
	if _, err := st.InsertTogether(b.Context(), seed); err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("read %d", n), func(b *testing.B) {
			ids := make([]string, n)
			for i := range ids {
				ids[i] = seed[i].ID
			}
			for b.Loop() {
				if _, err := st.FindTogether(b.Context(), ids); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "us/score")
		})
		b.Run(fmt.Sprintf("add %d", n), func(b *testing.B) {
			for b.Loop() {
				all := make([]scores.Score, n)
				for i := range all {
					all[i] = score("alice", "added", visible(scores.Public))
				}
				if _, err := st.InsertTogether(b.Context(), all); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "us/score")
		})
	}
}
