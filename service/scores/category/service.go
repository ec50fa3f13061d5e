package category

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/validation"
	"github.com/mirubato/mirubato/service/scores"
)

// Service is what can be done with categories. Every error is a fault.
type Service interface {
	// List returns the whole tree, each category followed by those below it.
	List(ctx context.Context) ([]Category, error)
	// Create adds a category. Faults: Denied unless the caller is an admin, Invalid, Conflict if name or slug are taken.
	Create(ctx context.Context, caller auth.Identity, c Change) (Category, error)
	// Update changes a category, which must be at ifVersion unless that is 0. It is idempotent with ifVersion 0. Faults:
	// Denied, NotFound, PreconditionFailed, Invalid, Conflict.
	Update(ctx context.Context, caller auth.Identity, id string, ifVersion int64, c Change) (Category, error)
	// Delete removes a category that has none below it; the scores in it remain. Faults: Denied, NotFound,
	// PreconditionFailed, Conflict.
	Delete(ctx context.Context, caller auth.Identity, id string, ifVersion int64) error
	// Of returns the categories of a score that the caller may read. Faults: NotFound.
	Of(ctx context.Context, caller auth.Identity, scoreID string) ([]Category, error)
	// Assign puts a score, which must be at ifVersion unless that is 0, into these categories and no others, which is a
	// change of the score: its version is returned. Faults: those of changing a score, and Invalid.
	Assign(ctx context.Context, caller auth.Identity, scoreID string, ifVersion int64, ids []string) (Assigned, error)
}

// Assigned is what became of a score.
type Assigned struct {
	Categories []Category
	// ScoreVersion is the version of the score.
	ScoreVersion int64
}

// ErrAbsent is what a Repository returns for a category or score that is not there, or not at the version asked for.
var ErrAbsent = errors.New("category absent")

// Repository keeps categories. Errors other than ErrAbsent are faults.
type Repository interface {
	// All returns all categories, ordered among siblings.
	All(ctx context.Context) ([]Category, error)
	// Insert adds a category, or returns ErrAbsent if there is no room for one more.
	Insert(ctx context.Context, c Category) (Category, error)
	// Replace writes the fields of a category that is at c.Version and returns it at the next one, or ErrAbsent.
	Replace(ctx context.Context, c Category) (Category, error)
	// Remove deletes a category that is at the version, or returns ErrAbsent.
	Remove(ctx context.Context, id string, version int64) error
	// Of returns the categories of a score by name.
	Of(ctx context.Context, scoreID string) ([]Category, error)
	// Assign puts a score that is at the version into these categories and returns its next version, or ErrAbsent.
	Assign(ctx context.Context, scoreID string, version int64, ids []string) (int64, error)
}

// Scores is what package scores decides.
type Scores interface {
	// Readable returns a score that the caller may read. Faults: NotFound.
	Readable(ctx context.Context, caller auth.Identity, id string) (scores.Score, error)
	// OnVersion has act change a score that the caller may change; see scores.Library.
	OnVersion(ctx context.Context, caller auth.Identity, id string, ifVersion int64, act func(scores.Score) error) error
}

// Categories implements Service. It may be used by many goroutines.
type Categories struct {
	repo   Repository
	scores Scores
	log    audit.Recorder
	newID  func() string
	rules  *validation.Validator
}

var _ Service = (*Categories)(nil)

// New returns the categories of a library. What admins do goes into the log before it is done. newID returns a random UUID in lower case.
func New(repo Repository, s Scores, log audit.Recorder, newID func() string) *Categories {
	return &Categories{repo: repo, scores: s, log: log, newID: newID, rules: validation.New()}
}

// List implements Service.
func (s *Categories) List(ctx context.Context) ([]Category, error) {
	all, err := s.repo.All(ctx)
	return inTreeOrder(all), err
}

// Create implements Service.
func (s *Categories) Create(ctx context.Context, caller auth.Identity, c Change) (Category, error) {
	if err := requireAdmin(caller); err != nil {
		return Category{}, err
	}
	all, err := s.repo.All(ctx)
	if err != nil {
		return Category{}, err
	}
	created := Category{ID: s.newID(), Fields: c.applyTo(Fields{})}
	if err := s.check(all, created); err != nil {
		return Category{}, err
	}
	err = s.record(ctx, caller, "category.create", created, func(ctx context.Context) error {
		created, err = s.repo.Insert(ctx, created)
		return err
	})
	if errors.Is(err, ErrAbsent) {
		return Category{}, fault.New(fault.Conflict, "There are too many categories; remove one first")
	}
	return created, err
}

// Update implements Service.
func (s *Categories) Update(
	ctx context.Context, caller auth.Identity, id string, ifVersion int64, c Change,
) (updated Category, err error) {
	err = s.onVersion(ctx, caller, id, ifVersion, func(all []Category, present Category) error {
		present.Fields = c.applyTo(present.Fields)
		if err := s.check(all, present); err != nil {
			return err
		}
		return s.record(ctx, caller, "category.update", present, func(ctx context.Context) error {
			updated, err = s.repo.Replace(ctx, present)
			return err
		})
	})
	return updated, err
}

// Delete implements Service.
func (s *Categories) Delete(ctx context.Context, caller auth.Identity, id string, ifVersion int64) error {
	return s.onVersion(ctx, caller, id, ifVersion, func(_ []Category, present Category) error {
		return s.record(ctx, caller, "category.delete", present, func(ctx context.Context) error {
			return s.repo.Remove(ctx, id, present.Version)
		})
	})
}

// Of implements Service.
func (s *Categories) Of(ctx context.Context, caller auth.Identity, scoreID string) ([]Category, error) {
	if _, err := s.scores.Readable(ctx, caller, scoreID); err != nil {
		return nil, err
	}
	return s.repo.Of(ctx, scoreID)
}

// Assign implements Service.
func (s *Categories) Assign(
	ctx context.Context, caller auth.Identity, scoreID string, ifVersion int64, ids []string,
) (Assigned, error) {
	if len(ids) > MaxPerScore {
		return Assigned{}, fault.InvalidInput("Validation failed",
			fault.Detail{Field: "categoryIds", Code: "max", Message: fmt.Sprintf("must have at most %d entries", MaxPerScore)})
	}
	var a Assigned
	err := s.scores.OnVersion(ctx, caller, scoreID, ifVersion, func(score scores.Score) error {
		all, err := s.repo.All(ctx)
		if err != nil {
			return err
		}
		if a.Categories, err = among(all, ids); err != nil {
			return err
		}
		a.ScoreVersion, err = s.repo.Assign(ctx, scoreID, score.Version, ids)
		if errors.Is(err, ErrAbsent) {
			return scores.ErrAbsent
		}
		return err
	})
	return a, err
}

// among returns the categories with these IDs, or an Invalid fault if one is missing.
func among(all []Category, ids []string) ([]Category, error) {
	found := []Category{}
	for _, c := range all {
		if slices.Contains(ids, c.ID) {
			found = append(found, c)
		}
	}
	for _, id := range ids {
		if !slices.ContainsFunc(found, func(c Category) bool { return c.ID == id }) {
			return nil, fault.InvalidInput("Validation failed",
				fault.Detail{Field: "categoryIds", Code: "unknown", Message: "must be IDs of categories"})
		}
	}
	return found, nil
}

func (s *Categories) record(
	ctx context.Context, caller auth.Identity, action string, c Category, act func(context.Context) error,
) error {
	return s.log.Record(ctx, audit.Event{
		Actor: caller, Action: action, Target: c.ID, Details: map[string]any{"name": c.Name, "slug": c.Slug},
	}, act)
}

func requireAdmin(caller auth.Identity) error {
	if !caller.IsAdmin() {
		return fault.New(fault.Denied, "Only admins may change categories")
	}
	return nil
}

// onVersion has act change a category on the ground of the version read; act returns ErrAbsent if that was gone by then.
func (s *Categories) onVersion(
	ctx context.Context, caller auth.Identity, id string, ifVersion int64, act func([]Category, Category) error,
) error {
	if err := requireAdmin(caller); err != nil {
		return err
	}
	all, err := s.repo.All(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(c Category) bool { return c.ID == id })
	switch {
	case i < 0:
		return fault.New(fault.NotFound, "Category not found")
	case ifVersion != 0 && ifVersion != all[i].Version:
		return fault.New(fault.PreconditionFailed, "The category has been changed since; read it again")
	}
	err = act(all, all[i])
	if errors.Is(err, ErrAbsent) {
		return fault.New(fault.Conflict, "The category is being changed by others; try again")
	}
	return err
}

// check holds the fields against the rules and the place against the tree.
func (s *Categories) check(all []Category, c Category) error {
	if err := check(s.rules, c.Fields); err != nil {
		return err
	}
	if c.ParentID == nil {
		return nil
	}
	code, message := "", ""
	if !slices.ContainsFunc(all, func(other Category) bool { return other.ID == *c.ParentID }) {
		code, message = "unknown", "must be the ID of a category"
	} else if isBelow(all, *c.ParentID, c.ID) {
		code, message = "tree", "must not be the category itself or one below it"
	}
	if code == "" {
		return nil
	}
	return fault.InvalidInput("Validation failed", fault.Detail{Field: "parentId", Code: code, Message: message})
}
