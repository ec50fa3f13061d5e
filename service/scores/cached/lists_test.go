package cached_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/cached"
	"github.com/mirubato/mirubato/service/scores/category"
	"github.com/mirubato/mirubato/service/scores/collection"
	"github.com/mirubato/mirubato/service/scores/favorite"
	"github.com/mirubato/mirubato/service/scores/file"
	"github.com/mirubato/mirubato/service/scores/interchange"
)

// shelves shows each reader a card that names the reader, and tells readings and changes apart.
type shelves struct {
	scores.Repository
	reads, changes atomic.Int64
	// reading, if not nil, is called while cards are read, after they were found.
	reading func()
	// changing, if not nil, is called just before a change is made.
	changing func()
	// err is what changes return.
	err error
}

// change makes a change, which cards show.
func (s *shelves) change() error {
	if s.changing != nil {
		s.changing()
	}
	s.changes.Add(1)
	return s.err
}

func (s *shelves) cards(f scores.Filter) []scores.Card {
	found := []scores.Card{{ID: strings.ToValidUTF8(f.Selection.Reader, "\ufffd"), Version: s.reads.Add(1), FavoriteCount: int(s.changes.Load())}}
	if s.reading != nil {
		s.reading()
	}
	return found
}

func (s *shelves) List(_ context.Context, f scores.Filter) ([]scores.Card, int64, error) {
	return s.cards(f), 1, nil
}

func (s *shelves) Walk(_ context.Context, f scores.Filter, _ *scores.Position) ([]scores.Card, error) {
	return s.cards(f), nil
}

func (s *shelves) Search(_ context.Context, _ string, f scores.Filter) ([]scores.Card, error) {
	return s.cards(f), nil
}

// keeping returns caches, and what they hear of changes.
func keeping(t *testing.T) (cached.Caches, *cache.Validity) {
	t.Helper()
	validity := cache.NewValidity(time.Now, 0)
	made := func(name string) *cache.Cache {
		c, err := cache.New(cache.Config{
			Name: name, Settings: cache.Settings{MiB: 1, TTL: time.Hour}, Validity: validity, Now: time.Now,
			LoadTimeout: func() time.Duration { return time.Minute },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	return cached.Caches{
		Entities: made("application"), Lists: made("query"), Changed: func(_ context.Context, tags ...string) { validity.Invalidate(tags...) },
	}, validity
}

func shelved(t *testing.T) (cached.Scores, *shelves, *cache.Validity) {
	t.Helper()
	t.Helper()
	caches, validity := keeping(t)
	below := &shelves{}
	return cached.Scores{Repository: below, Caches: caches}, below, validity
}

// ways are those in which lists are asked for.
var ways = map[string]func(context.Context, cached.Scores, scores.Filter) ([]scores.Card, error){
	"list": func(ctx context.Context, s cached.Scores, f scores.Filter) ([]scores.Card, error) {
		found, _, err := s.List(ctx, f)
		return found, err
	},
	"walk": func(ctx context.Context, s cached.Scores, f scores.Filter) ([]scores.Card, error) {
		return s.Walk(ctx, f, nil)
	},
	"search": func(ctx context.Context, s cached.Scores, f scores.Filter) ([]scores.Card, error) {
		return s.Search(ctx, "w", f)
	},
}

// shown returns the card of a list, and fails unless it was read for the reader.
func shown(t *testing.T, s cached.Scores, way string, f scores.Filter) scores.Card {
	t.Helper()
	found, err := ways[way](t.Context(), s, f)
	if err != nil || len(found) != 1 || found[0].ID != strings.ToValidUTF8(f.Selection.Reader, "\ufffd") {
		t.Fatalf("%s by %+v: %+v, %v", way, f.Selection, found, err)
	}
	return found[0]
}

func of(reader string) scores.Filter {
	return scores.Filter{Selection: scores.Selection{Reader: reader}}
}

// Texts that JSON or a separator could make one of belong to readers of their own.
func TestNoReaderGetsTheListOfAnother(t *testing.T) {
	readers := []string{"", "alice", "Alice", "alice ", "bob", `"`, `\"`, "\xff", "\xfe", "\ufffd", `\xff`, "a b", `"alice" {`, "for", "é", "e\u0301"}
	for way := range ways {
		s, below, _ := shelved(t)
		first := map[string]int64{}
		for _, reader := range readers {
			first[reader] = shown(t, s, way, of(reader)).Version
		}
		for _, reader := range readers {
			if got := shown(t, s, way, of(reader)).Version; got != first[reader] {
				t.Errorf("%s by %q: shown what was read at %d, want %d", way, reader, got, first[reader])
			}
		}
		if got := below.reads.Load(); got != int64(len(readers)) {
			t.Errorf("%s: %d were read for %d readers who asked twice", way, got, len(readers))
		}
	}
}

// What differs in anything that is asked for is another list. A field that were no part of the key would show one in place of the other.
func TestEveryFieldOfAFilterIsPartOfTheKey(t *testing.T) {
	for way := range ways {
		s, below, _ := shelved(t)
		shown(t, s, way, of("alice"))
		for _, field := range reflect.VisibleFields(reflect.TypeFor[scores.Filter]()) {
			if field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[time.Time]() {
				continue
			}
			f, before := of("alice"), below.reads.Load()
			fill(t, reflect.ValueOf(&f).Elem().FieldByIndex(field.Index))
			shown(t, s, way, f)
			shown(t, s, way, f)
			if got := below.reads.Load(); got != before+1 {
				t.Errorf("%s with %s: read %d times, want once", way, field.Name, got-before)
			}
		}
	}
	s, below, _ := shelved(t)
	for _, after := range []*scores.Position{nil, {ID: "1"}, {ID: "2"}, {ID: "1", Value: new("")}, {ID: "1", Value: new("x")}} {
		before := below.reads.Load()
		for range 2 {
			if _, err := s.Walk(t.Context(), of("alice"), after); err != nil {
				t.Fatal(err)
			}
		}
		if got := below.reads.Load(); got != before+1 {
			t.Errorf("after %+v: read %d times, want once", after, got-before)
		}
	}
	for _, text := range []string{"", "a", "a b", "A"} {
		before := below.reads.Load()
		for range 2 {
			if _, err := s.Search(t.Context(), text, of("alice")); err != nil {
				t.Fatal(err)
			}
		}
		if got := below.reads.Load(); got != before+1 {
			t.Errorf("with %q: read %d times, want once", text, got-before)
		}
	}
}

// An admin who has been one no longer, or is one by now, gets what the role allows.
func TestListsOfAdminsAreNotKept(t *testing.T) {
	for way := range ways {
		s, below, _ := shelved(t)
		everything := scores.Filter{Selection: scores.Selection{Everything: true, Reader: "alice"}}
		for i, f := range []scores.Filter{everything, everything, of("alice"), everything} {
			if got := shown(t, s, way, f); got.Version != int64(i+1) {
				t.Errorf("%s by %+v: shown what was read at %d", way, f.Selection, got.Version)
			}
		}
		if got := shown(t, s, way, of("alice")); got.Version != 3 || below.reads.Load() != 4 {
			t.Errorf("%s: the list of a user was not kept: %+v", way, got)
		}
	}
}

func TestWhatATagEnds(t *testing.T) {
	for tag, want := range map[string][]string{
		"scores:visible":  {"", "alice", "bob"},
		"scores:of:alice": {"alice"},
		"scores:of:":      nil,
		"score:1":         nil,
	} {
		for way := range ways {
			s, _, validity := shelved(t)
			before := map[string]int64{}
			for _, reader := range []string{"", "alice", "bob"} {
				before[reader] = shown(t, s, way, of(reader)).Version
			}
			validity.Invalidate(tag)
			var ended []string
			for _, reader := range []string{"", "alice", "bob"} {
				if shown(t, s, way, of(reader)).Version != before[reader] {
					ended = append(ended, reader)
				}
			}
			if diff := cmp.Diff(want, ended); diff != "" {
				t.Errorf("%s, %s (-want +ended):\n%s", tag, way, diff)
			}
		}
	}
}

// The rest of a library, whose changes are made to the cards of the shelves.
type (
	favorites struct {
		favorite.Repository
		of *shelves
	}
	categories struct {
		category.Repository
		of *shelves
	}
	collections struct {
		collection.Repository
		of *shelves
	}
	files struct {
		file.Repository
		of *shelves
	}
	imports struct {
		interchange.Repository
		of *shelves
	}
)

func (s *shelves) Insert(_ context.Context, score scores.Score) (scores.Score, error) {
	return score, s.change()
}

func (s *shelves) Replace(context.Context, scores.Replacement) (scores.Score, error) {
	return scores.Score{}, s.change()
}

func (s *shelves) Remove(context.Context, string, int64) error { return s.change() }

func (s *shelves) ReplaceMany(context.Context, string, []string, scores.Change, scores.Fields) (int64, error) {
	return 1, s.change()
}

func (s *shelves) RemoveMany(context.Context, string, []string) (int64, error) { return 1, s.change() }

func (f favorites) Insert(context.Context, string, string) error { return f.of.change() }
func (f favorites) Remove(context.Context, string, string) error { return f.of.change() }

func (c categories) Replace(_ context.Context, next category.Category) (category.Category, error) {
	return next, c.of.change()
}

func (c categories) Remove(context.Context, string, int64) error { return c.of.change() }

func (c categories) Assign(context.Context, string, int64, []string) (int64, error) {
	return 1, c.of.change()
}

func (c collections) Replace(_ context.Context, next collection.Collection) (collection.Collection, error) {
	return next, c.of.change()
}

func (c collections) Remove(context.Context, string, int64) error        { return c.of.change() }
func (c collections) AddMember(context.Context, string, string) error    { return c.of.change() }
func (c collections) RemoveMember(context.Context, string, string) error { return c.of.change() }

func (c collections) ChangeMembers(context.Context, scores.Selection, string, []string, []string) (int64, int64, error) {
	return 1, 1, c.of.change()
}

func (f files) Remove(context.Context, file.Version) error { return f.of.change() }

func (f files) Complete(context.Context, file.Version, file.Reading) error { return f.of.change() }

func (i imports) Import(
	context.Context, string, []string, func(map[string]scores.Fields) []scores.Score,
) (map[string]interchange.Outcome, error) {
	return nil, i.of.change()
}

// only returns the last of what a method returns.
func only(returned ...any) error {
	err, _ := returned[len(returned)-1].(error)
	return err
}

// writers are all that changes a card, each with what it is about: a score of alice's that is private, unless they do not know.
func writers(below *shelves, caches cached.Caches) map[string]func(context.Context) error {
	s := cached.Scores{Repository: below, Caches: caches}
	f := cached.Favorites{Repository: favorites{of: below}, Caches: caches}
	c := cached.Categories{Repository: categories{of: below}, Caches: caches}
	g := cached.Collections{Repository: collections{of: below}, Caches: caches}
	v := cached.Files{Repository: files{of: below}, Caches: caches}
	i := cached.Interchange{Repository: imports{of: below}, Caches: caches}
	hers := scores.Score{ID: "1", OwnerID: "alice", Fields: scores.Fields{Visibility: scores.Private}}
	ids := []string{"1"}
	return map[string]func(context.Context) error{
		"a score is added":    func(ctx context.Context) error { return only(s.Insert(ctx, hers)) },
		"a score is replaced": func(ctx context.Context) error { return only(s.Replace(ctx, scores.Replacement{ID: "1"})) },
		"a score is removed":  func(ctx context.Context) error { return s.Remove(ctx, "1", 1) },
		"scores are replaced": func(ctx context.Context) error {
			return only(s.ReplaceMany(ctx, "alice", ids, scores.Change{}, scores.Fields{}))
		},
		"scores are removed":       func(ctx context.Context) error { return only(s.RemoveMany(ctx, "alice", ids)) },
		"a favorite is added":      func(ctx context.Context) error { return f.Insert(ctx, "bob", "1") },
		"a favorite is removed":    func(ctx context.Context) error { return f.Remove(ctx, "bob", "1") },
		"a category is renamed":    func(ctx context.Context) error { return only(c.Replace(ctx, category.Category{})) },
		"a category is removed":    func(ctx context.Context) error { return c.Remove(ctx, "1", 1) },
		"categories are assigned":  func(ctx context.Context) error { return only(c.Assign(ctx, "1", 1, ids)) },
		"a collection is replaced": func(ctx context.Context) error { return only(g.Replace(ctx, collection.Collection{})) },
		"a collection is removed":  func(ctx context.Context) error { return g.Remove(ctx, "1", 1) },
		"a score is collected":     func(ctx context.Context) error { return g.AddMember(ctx, "1", "1") },
		"a score is taken out":     func(ctx context.Context) error { return g.RemoveMember(ctx, "1", "1") },
		"members are changed":      func(ctx context.Context) error { return only(g.ChangeMembers(ctx, scores.Selection{}, "1", ids, nil)) },
		"a file is removed":        func(ctx context.Context) error { return v.Remove(ctx, file.Version{ScoreID: "1"}) },
		"a file was read":          func(ctx context.Context) error { return v.Complete(ctx, file.Version{ScoreID: "1"}, file.Reading{}) },
		"a library is imported":    func(ctx context.Context) error { return only(i.Import(ctx, "alice", ids, nil)) },
		"a public score is added": func(ctx context.Context) error {
			return only(s.Insert(ctx, scores.Score{ID: "2", OwnerID: "bob", Fields: scores.Fields{Visibility: scores.Public}}))
		},
		"an unlisted score is added": func(ctx context.Context) error {
			return only(s.Insert(ctx, scores.Score{ID: "2", OwnerID: "alice", Fields: scores.Fields{Visibility: scores.Unlisted}}))
		},
	}
}

// When a change is acknowledged the owner of the card sees it, whoever made it, and also if the list was read or being read meanwhile. It holds as
// well if it is not known whether the change was made.
func TestOwnersSeeEveryChangeOnceItIsMade(t *testing.T) {
	for name := range writers(nil, cached.Caches{}) {
		for way := range ways {
			for _, unknown := range []error{nil, errors.New("the connection was lost")} {
				s, below, _ := shelved(t)
				write := func() {
					below.err = unknown
					if err := writers(below, s.Caches)[name](t.Context()); !errors.Is(err, unknown) {
						t.Fatal(err)
					}
				}
				below.changing = func() { shown(t, s, way, of("alice")) }
				write()
				if got := shown(t, s, way, of("alice")); got.FavoriteCount != 1 {
					t.Errorf("%s: the %s is of before the change", name, way)
				}
				below.changing = nil
				write()
				below.reading = sync.OnceFunc(write) // a third time, after the cards were found
				shown(t, s, way, of("alice"))
				if got := shown(t, s, way, of("alice")); got.FavoriteCount != 3 {
					t.Errorf("%s: the %s that was read meanwhile is kept", name, way)
				}
			}
		}
	}
}

// Whoever asks for a change that is not made, as of somebody else's score, does not take from others what is kept for them.
func TestAChangeThatIsNotMadeEndsNothing(t *testing.T) {
	s, below, _ := shelved(t)
	shown(t, s, "list", of("bob"))
	below.err = scores.ErrAbsent
	if _, err := s.Replace(t.Context(), scores.Replacement{ID: "1"}); !errors.Is(err, scores.ErrAbsent) {
		t.Fatal(err)
	}
	if shown(t, s, "list", of("bob")).FavoriteCount != 0 {
		t.Error("the list was read again")
	}
}

// A private score that is added is nobody else's business.
func TestPrivateAdditionsLeaveTheListsOfOthersAlone(t *testing.T) {
	s, below, _ := shelved(t)
	for _, reader := range []string{"", "bob"} {
		shown(t, s, "list", of(reader))
	}
	if err := writers(below, s.Caches)["a score is added"](t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, reader := range []string{"", "bob"} {
		if shown(t, s, "list", of(reader)).FavoriteCount != 0 {
			t.Errorf("the list of %q was read again", reader)
		}
	}
}
