package store_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/encryption"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/note"
	"github.com/mirubato/mirubato/service/scores/store"
)

// rotation is a keyset of two keys, before and after the second becomes the primary one.
type rotation struct {
	before, after *encryption.Keys
	promoted      uint32
	// old and fresh are the texts of keysets with one of the two keys each.
	old, fresh string
}

func newRotation(t *testing.T) rotation {
	t.Helper()
	old, err := encryption.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	both, added, err := encryption.AddKey(old)
	if err != nil {
		t.Fatal(err)
	}
	promoted, err := encryption.PromoteKey(both, added)
	if err != nil {
		t.Fatal(err)
	}
	r := rotation{before: keys(t, both), after: keys(t, promoted), promoted: added, old: old}
	was, err := r.before.Primary()
	if err != nil {
		t.Fatal(err)
	}
	if r.fresh, err = encryption.DropKey(promoted, was); err != nil {
		t.Fatal(err)
	}
	return r
}

func keys(t *testing.T, text string) *encryption.Keys {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyset")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := encryption.NewKeys(secret.FromFile(path), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var alice = auth.Identity{ID: "alice", Role: auth.RoleUser}

// noted adds scores of alice with notes under a keyset, and returns the service.
func noted(t *testing.T, db *postgres.DB, k *encryption.Keys, n int) (*note.Notes, []string) {
	t.Helper()
	st := store.New(db)
	notes := note.New(store.NewNotes(db), scores.New(st, nil), k)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = insert(t, st, score("alice", "x"))[0].ID
		if _, err := notes.Put(t.Context(), alice, ids[i], 0, note.Fields{Notes: "note " + strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	return notes, ids
}

func silent(note.Progress) error { return nil }

// underOtherKeys counts the notes that are not under a key.
func underOtherKeys(t *testing.T, db *postgres.DB, key uint32) (n int) {
	t.Helper()
	if err := db.Direct("count", "select count(*) from score_notes where key_id <> $1").QueryRow(t.Context(), []any{&n}, int64(key)); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRotationIsResumedWhereItWasCutOff(t *testing.T) {
	_, db := newStore(t)
	r := newRotation(t)
	_, ids := noted(t, db, r.before, 450)
	cut := errors.New("cut off")
	p, err := note.Rotate(t.Context(), store.NewNotes(db), r.after, func(note.Progress) error { return cut })
	if !errors.Is(err, cut) || p.Done != 200 || underOtherKeys(t, db, r.promoted) != 250 {
		t.Fatalf("after the first batch: %+v, %v", p, err)
	}
	reports := 0
	p, err = note.Rotate(t.Context(), store.NewNotes(db), r.after, func(note.Progress) error { reports++; return nil })
	if err != nil || p.Done != 250 || p.Key != r.promoted || len(p.Failed) > 0 || reports != 2 {
		t.Errorf("resumed: %+v, %v, %d reports", p, err, reports)
	}
	if p, err = note.Rotate(t.Context(), store.NewNotes(db), r.after, silent); err != nil || p.Done != 0 {
		t.Errorf("with nothing left: %+v, %v", p, err)
	}
	// The key of before is no longer needed, and nothing else has changed.
	notes := note.New(store.NewNotes(db), scores.New(store.New(db), nil), keys(t, r.fresh))
	for i, id := range ids {
		got, err := notes.Get(t.Context(), alice, id)
		if err != nil || got.Notes != "note "+strconv.Itoa(i) || got.Version != 1 {
			t.Fatalf("notes %d: %+v, %v", i, got, err)
		}
	}
}

func TestTwoRotationsBesideWriters(t *testing.T) {
	_, db := newStore(t)
	r := newRotation(t)
	_, ids := noted(t, db, r.before, 300)
	// A process that has the new keyset and one that still has the one before write meanwhile.
	writers := []*note.Notes{
		note.New(store.NewNotes(db), scores.New(store.New(db), nil), r.after),
		note.New(store.NewNotes(db), scores.New(store.New(db), nil), r.before),
	}
	var writing, rotating sync.WaitGroup
	for w, notes := range writers {
		writing.Go(func() {
			for i := w; i < len(ids); i += 7 {
				if _, err := notes.Put(t.Context(), alice, ids[i], 0, note.Fields{Notes: "changed"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		rotating.Go(func() {
			p, err := note.Rotate(t.Context(), store.NewNotes(db), r.after, silent)
			if err != nil || len(p.Failed) > 0 {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	writing.Wait()
	rotating.Wait()
	// What the process with the keyset of before wrote last may be left for another run.
	if p, err := note.Rotate(t.Context(), store.NewNotes(db), r.after, silent); err != nil || underOtherKeys(t, db, r.promoted) != 0 {
		t.Errorf("%+v, %v; %d notes are left", p, err, underOtherKeys(t, db, r.promoted))
	}
	for i, id := range ids {
		want := "note " + strconv.Itoa(i)
		if i%7 < len(writers) {
			want = "changed"
		}
		if got, err := writers[0].Get(t.Context(), alice, id); err != nil || got.Notes != want {
			t.Errorf("notes %d: %q, %v; want %q", i, got.Notes, err, want)
		}
	}
}

func TestRotationLeavesAloneWhatItCannotDecrypt(t *testing.T) {
	_, db := newStore(t)
	r, other := newRotation(t), newRotation(t)
	_, foreign := noted(t, db, other.before, 1)
	noted(t, db, r.before, 3)
	p, err := note.Rotate(t.Context(), store.NewNotes(db), r.after, silent)
	if err != nil || p.Done != 3 || len(p.Failed) != 1 || p.Failed[0] != foreign[0] {
		t.Errorf("%+v, %v", p, err)
	}
	notes := note.New(store.NewNotes(db), scores.New(store.New(db), nil), other.before)
	if got, err := notes.Get(t.Context(), alice, foreign[0]); err != nil || got.Notes != "note 0" {
		t.Errorf("what was left alone: %q, %v", got.Notes, err)
	}
}
