package scores_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/optional"
	"github.com/mirubato/mirubato/service/scores"
)

var (
	alice = auth.Identity{ID: "alice", Role: auth.RoleUser}
	bob   = auth.Identity{ID: "bob", Role: auth.RoleUser}
	admin = auth.Identity{ID: "root", Role: auth.RoleAdmin}
)

// shelf is a repository of one score that others change behind the library's back.
type shelf struct {
	score     *scores.Score
	intruders int   // how often the score changes just before it is written
	err       error // what every call returns, if not nil
	looks     int   // how often it was looked for
	filter    scores.Filter
	counted   map[string]int64

	uncountable error // what counting reads returns
}

func (s *shelf) Insert(_ context.Context, score scores.Score) (scores.Score, error) {
	score.Version = 1
	s.score = &score
	return score, s.err
}

func (s *shelf) Find(_ context.Context, id string) (scores.Score, error) {
	s.looks++
	if s.err != nil {
		return scores.Score{}, s.err
	}
	if s.score == nil || s.score.ID != id {
		return scores.Score{}, scores.ErrAbsent
	}
	return *s.score, nil
}

func (s *shelf) List(_ context.Context, f scores.Filter) ([]scores.Card, int64, error) {
	s.filter = f
	return nil, 0, s.err
}

func (s *shelf) Walk(_ context.Context, f scores.Filter, _ *scores.Position) ([]scores.Card, error) {
	s.filter = f
	return nil, s.err
}

func (s *shelf) Search(_ context.Context, _ string, f scores.Filter) ([]scores.Card, error) {
	s.filter = f
	return nil, s.err
}

func (s *shelf) at(version int64) bool {
	if s.intruders > 0 {
		s.intruders--
		s.score.Version++
		s.score.Opus = new("changed by another")
	}
	return s.score != nil && (version == 0 || s.score.Version == version)
}

func (s *shelf) Replace(_ context.Context, r scores.Replacement) (scores.Score, error) {
	if s.err != nil {
		return scores.Score{}, s.err
	}
	if !s.at(r.Version) || (r.OwnerID != "" && r.OwnerID != s.score.OwnerID) {
		return scores.Score{}, scores.ErrAbsent
	}
	fields, err := scores.New(s, nil).Apply(r.Given, &s.score.Fields)
	if err != nil {
		return scores.Score{}, err
	}
	s.score.Fields = fields
	s.score.Version++
	return *s.score, nil
}

func (s *shelf) Remove(_ context.Context, _ string, version int64) error {
	if !s.at(version) {
		return scores.ErrAbsent
	}
	s.score = nil
	return nil
}

func (s *shelf) ReplaceMany(context.Context, string, []string, scores.Change, scores.Fields) (int64, error) {
	return 0, s.err
}

func (s *shelf) RemoveMany(context.Context, string, []string) (int64, error) { return 0, s.err }

func (s *shelf) Popular(context.Context, int) ([]scores.Card, error) { return nil, s.err }

func (s *shelf) AddReads(_ context.Context, counts map[string]int64) error {
	if s.uncountable != nil {
		return s.uncountable
	}
	s.counted = counts
	return nil
}

const id = "0b6d1f9e-8a3e-4d61-9f5a-0d7d0c9a5b11"

func holding(visibility scores.Visibility) *shelf {
	return &shelf{score: &scores.Score{
		ID: id, OwnerID: "alice", Version: 4,
		Fields: scores.Fields{Title: "Prelude", Status: scores.Active, Visibility: visibility},
	}}
}

func TestUpdateAndDelete(t *testing.T) {
	title := scores.Change{Title: optional.Of("Fugue")}
	for name, tc := range map[string]struct {
		shelf     *shelf
		caller    auth.Identity
		id        string
		ifVersion int64
		change    scores.Change
		updated   fault.Code
		deleted   fault.Code
	}{
		"the owner may":                                {shelf: holding(scores.Private), caller: alice, change: title},
		"an admin may":                                 {shelf: holding(scores.Private), caller: admin, change: title},
		"another finds nothing":                        {shelf: holding(scores.Private), caller: bob, change: title, updated: fault.NotFound, deleted: fault.NotFound},
		"nobody may not with a public one":             {shelf: holding(scores.Public), change: title, updated: fault.Denied, deleted: fault.Denied},
		"another may not with a public one":            {shelf: holding(scores.Public), caller: bob, change: title, updated: fault.Denied, deleted: fault.Denied},
		"what is absent is not found":                  {shelf: &shelf{}, caller: alice, change: title, updated: fault.NotFound, deleted: fault.NotFound},
		"the right version may":                        {shelf: holding(scores.Private), caller: alice, ifVersion: 4, change: title},
		"an old version may not":                       {shelf: holding(scores.Private), caller: alice, ifVersion: 3, change: title, updated: fault.PreconditionFailed, deleted: fault.PreconditionFailed},
		"who may not see learns nothing of versions":   {shelf: holding(scores.Private), caller: bob, ifVersion: 3, change: title, updated: fault.NotFound, deleted: fault.NotFound},
		"a broken rule is told":                        {shelf: holding(scores.Private), caller: alice, change: scores.Change{Title: optional.Of("")}, updated: fault.Invalid},
		"who may not change learns nothing of rules":   {shelf: holding(scores.Private), caller: bob, change: scores.Change{Title: optional.Of("")}, updated: fault.NotFound, deleted: fault.NotFound},
		"a change in between is taken in":              {shelf: &shelf{score: holding(scores.Private).score, intruders: 2}, caller: alice, change: title},
		"a version gone in between fails":              {shelf: &shelf{score: holding(scores.Private).score, intruders: 1}, caller: alice, ifVersion: 4, change: title, updated: fault.PreconditionFailed, deleted: fault.PreconditionFailed},
		"endless changes in between are given up":      {shelf: &shelf{score: holding(scores.Private).score, intruders: 99}, caller: alice, change: title, deleted: fault.Conflict},
		"an error of the repository is handed through": {shelf: &shelf{err: fault.New(fault.Unavailable, "away")}, caller: alice, change: title, updated: fault.Unavailable, deleted: fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			checkUpdate(t, tc.shelf.copied(), tc.caller, tc.ifVersion, tc.change, tc.updated)
			s := tc.shelf.copied()
			err := scores.New(s, nil).Delete(t.Context(), tc.caller, id, tc.ifVersion)
			if code := fault.CodeOf(err); code != tc.deleted || (code == "" && s.score != nil) {
				t.Errorf("delete: %q (%v), want %q", code, err, tc.deleted)
			}
		})
	}
}

// copied returns a shelf of its own with the same content.
func (s *shelf) copied() *shelf {
	c := *s
	if c.score != nil {
		score := *c.score
		c.score = &score
	}
	return &c
}

// checkUpdate wants the code, and of a success that it took and took nothing away.
func checkUpdate(t *testing.T, s *shelf, caller auth.Identity, ifVersion int64, c scores.Change, want fault.Code) {
	t.Helper()
	intruded := s.intruders > 0
	got, err := scores.New(s, nil).Update(t.Context(), caller, id, ifVersion, c)
	if code := fault.CodeOf(err); code != want {
		t.Errorf("update: %q (%v), want %q", code, err, want)
	}
	if want != "" {
		if s.score != nil && s.score.Title != "Prelude" {
			t.Error("it was changed all the same")
		}
		return
	}
	if s.looks > 0 {
		t.Errorf("it was looked at %d times before it was changed", s.looks)
	}
	if got.Title != "Fugue" || got.Version <= 4 {
		t.Errorf("update returned %q at version %d", got.Title, got.Version)
	}
	if intruded && got.Opus == nil {
		t.Error("the change of another was lost")
	}
}

func TestCreate(t *testing.T) {
	s := &shelf{}
	library := scores.New(s, func() string { return id })
	got, err := library.Create(t.Context(), alice, scores.Change{Title: optional.Of(" Prelude ")})
	if err != nil {
		t.Fatal(err)
	}
	want := scores.Score{ID: id, OwnerID: "alice", Version: 1, Fields: scores.Fields{
		Title: "Prelude", Tags: []string{}, Metadata: []byte("{}"), Status: scores.Active, Visibility: scores.Private,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := library.Create(t.Context(), auth.Identity{}, scores.Change{Title: optional.Of("x")}); fault.CodeOf(err) != fault.Unauthenticated {
		t.Errorf("an anonymous caller: %v, want unauthenticated", err)
	}
	if _, err := library.Create(t.Context(), alice, scores.Change{}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("without a title: %v, want invalid", err)
	}
}

func TestGet(t *testing.T) {
	for name, tc := range map[string]struct {
		shelf  *shelf
		caller auth.Identity
		want   fault.Code
	}{
		"the owner sees a private score": {shelf: holding(scores.Private), caller: alice},
		"others do not":                  {shelf: holding(scores.Private), caller: bob, want: fault.NotFound},
		"anybody sees an unlisted one":   {shelf: holding(scores.Unlisted)},
		"an absent one is not found":     {shelf: &shelf{}, caller: alice, want: fault.NotFound},
		"an error is handed through":     {shelf: &shelf{err: fault.New(fault.Timeout, "slow")}, caller: alice, want: fault.Timeout},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := scores.New(tc.shelf, nil).Get(t.Context(), tc.caller, id)
			if code := fault.CodeOf(err); code != tc.want {
				t.Errorf("%q (%v), want %q", code, err, tc.want)
			}
		})
	}
}

func TestListSelectsWhatTheCallerMayList(t *testing.T) {
	for name, tc := range map[string]struct {
		caller auth.Identity
		want   scores.Selection
	}{
		"an anonymous caller gets public scores": {},
		"a user gets the user's own, too":        {caller: alice, want: scores.Selection{Reader: "alice"}},
		"an admin gets everybody's scores":       {caller: admin, want: scores.Selection{Everything: true, Reader: "root"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{}
			if _, err := scores.New(s, nil).List(t.Context(), tc.caller, scores.ListQuery{Page: 1, Limit: 5}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, s.filter.Selection); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := scores.New(&shelf{err: errors.New("boom")}, nil).List(t.Context(), alice, scores.ListQuery{}); err == nil {
		t.Error("an error of the repository is lost")
	}
}
