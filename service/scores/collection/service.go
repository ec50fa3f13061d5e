package collection

import (
	"context"
	"errors"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/validation"
	"github.com/mirubato/mirubato/service/scores"
)

// Service is what can be done with collections. Every error is a fault. For a collection that the caller may not read it is
// NotFound, for what the caller may not do with another Denied.
type Service interface {
	// List returns one page of the collections that are the caller's own, shared with the caller or public, for an admin of
	// all; the newest first. owner, unless empty, narrows it to those of one owner.
	List(ctx context.Context, caller auth.Identity, owner string, page, limit int) (Page, error)
	// Featured returns the featured collections that are public, the latest featured first, at most limit.
	Featured(ctx context.Context, limit int) ([]Collection, error)
	// Create adds a collection that belongs to the caller. Faults: Invalid, Conflict for a second default one.
	Create(ctx context.Context, caller auth.Identity, n New) (Collection, error)
	// Get returns a collection.
	Get(ctx context.Context, caller auth.Identity, id string) (Collection, error)
	// Update changes a collection, which must be at ifVersion unless that is 0. Faults: PreconditionFailed, Invalid, Conflict.
	Update(ctx context.Context, caller auth.Identity, id string, ifVersion int64, c Change) (Collection, error)
	// Delete removes a collection, not its scores. Faults: PreconditionFailed, Conflict.
	Delete(ctx context.Context, caller auth.Identity, id string, ifVersion int64) error
	// Members returns one page of the scores that the caller may see there, the latest added first: public ones, the caller's
	// own, and unlisted ones of the collection's owner, who shows them that way.
	Members(ctx context.Context, caller auth.Identity, id string, page, limit int) (scores.Page, error)
	// Add puts a score that the caller may read into the collection. It is idempotent. Faults: Conflict if it is full.
	Add(ctx context.Context, caller auth.Identity, id, scoreID string) error
	// Remove takes a score out, whether it was there or not.
	Remove(ctx context.Context, caller auth.Identity, id, scoreID string) error
	// Batch takes scores out and puts others in, all or none; together they are 1 to scores.MaxBatch, and no ID is in both. IDs
	// that are not in the collection, and of scores that the caller may not read, are passed over. It is idempotent but for
	// the numbers. Faults: Invalid, Conflict if the collection would be over-full.
	Batch(ctx context.Context, caller auth.Identity, id string, add, remove []string) (Batched, error)
	// Shares returns with whom the collection is shared.
	Shares(ctx context.Context, caller auth.Identity, id string) ([]string, error)
	// Share lets a user read the collection. It is idempotent. Faults: Conflict if there are too many.
	Share(ctx context.Context, caller auth.Identity, id, userID string) error
	// Unshare ends that, whether it was so or not.
	Unshare(ctx context.Context, caller auth.Identity, id, userID string) error
	// Feature sets whether the collection is featured.
	Feature(ctx context.Context, caller auth.Identity, id string, featured bool) error
}

// Page is one page of a list.
type Page struct {
	Collections []Collection
	// Total is the number of collections on all pages.
	Total int64
}

// ErrAbsent is what a Repository returns for a collection that is not there, not at the version asked for, or full.
var ErrAbsent = errors.New("collection absent")

// Repository keeps collections. Errors other than ErrAbsent are faults.
type Repository interface {
	List(ctx context.Context, s scores.Selection, owner string, page, limit int) ([]Collection, int64, error)
	Featured(ctx context.Context, limit int) ([]Collection, error)
	Insert(ctx context.Context, c Collection) (Collection, error)
	// Find returns a collection and whether it is shared with the user, or ErrAbsent.
	Find(ctx context.Context, id, userID string) (c Collection, shared bool, err error)
	// Replace writes the fields of a collection that is at c.Version and returns it at the next one, or ErrAbsent.
	Replace(ctx context.Context, c Collection) (Collection, error)
	// Remove deletes a collection that is at the version, or returns ErrAbsent.
	Remove(ctx context.Context, id string, version int64) error
	Members(ctx context.Context, s scores.Selection, c Collection, page, limit int) ([]scores.Card, int64, error)
	// AddMember returns ErrAbsent if collection or score are gone, or the collection is full.
	AddMember(ctx context.Context, id, scoreID string) error
	RemoveMember(ctx context.Context, id, scoreID string) error
	// ChangeMembers takes scores out and puts in those of the others that may be read, and returns how many each were. It
	// returns ErrAbsent, and does nothing, if the collection is gone or would be over-full.
	ChangeMembers(ctx context.Context, s scores.Selection, id string, add, remove []string) (added, removed int64, err error)
	Shares(ctx context.Context, id string) ([]string, error)
	// Share returns ErrAbsent if the collection is gone or shared with too many.
	Share(ctx context.Context, id, userID string) error
	Unshare(ctx context.Context, id, userID string) error
	Feature(ctx context.Context, id string, featured bool) error
}

// Reader finds scores for those who may read them.
type Reader interface {
	// Readable returns a score that the caller may read. Faults: NotFound.
	Readable(ctx context.Context, caller auth.Identity, id string) (scores.Score, error)
}

// Collections implements Service. It may be used by many goroutines.
type Collections struct {
	repo   Repository
	reader Reader
	log    audit.Recorder
	newID  func() string
	rules  *validation.Validator
}

var _ Service = (*Collections)(nil)

// NewService returns the collections of everybody. What admins feature goes into the log before it is done. newID returns a
// random UUID in lower case; it must not be guessable, since whoever knows the ID of an unlisted collection may see it.
func NewService(repo Repository, reader Reader, log audit.Recorder, newID func() string) *Collections {
	return &Collections{repo: repo, reader: reader, log: log, newID: newID, rules: validation.New()}
}

// find returns a collection and what the caller may do with it. One that is absent permits nothing.
func (s *Collections) find(ctx context.Context, caller auth.Identity, id string) (Collection, permissions, error) {
	c, shared, err := s.repo.Find(ctx, id, caller.ID)
	if errors.Is(err, ErrAbsent) {
		return c, permissions{}, nil
	}
	return c, permissionsOf(caller, c, shared && !caller.IsAnonymous()), err
}

// onVersion has act change a collection that the caller may change in this way.
func (s *Collections) onVersion(ctx context.Context, caller auth.Identity, id string, ifVersion int64,
	allowed func(permissions) bool, act func(Collection) error,
) error {
	c, may, err := s.find(ctx, caller, id)
	if err != nil {
		return err
	}
	if err := may.require(allowed(may), "change"); err != nil {
		return err
	}
	if ifVersion != 0 && ifVersion != c.Version {
		return fault.New(fault.PreconditionFailed, "The collection has been changed since; read it again")
	}
	err = act(c)
	if errors.Is(err, ErrAbsent) {
		return fault.New(fault.Conflict, "The collection is being changed by others; try again")
	}
	return err
}

// List implements Service.
func (s *Collections) List(ctx context.Context, caller auth.Identity, owner string, page, limit int) (Page, error) {
	found, total, err := s.repo.List(ctx, scores.SelectionFor(caller), owner, page, limit)
	return Page{Collections: found, Total: total}, err
}

// Featured implements Service.
func (s *Collections) Featured(ctx context.Context, limit int) ([]Collection, error) {
	return s.repo.Featured(ctx, limit)
}

// Create implements Service.
func (s *Collections) Create(ctx context.Context, caller auth.Identity, n New) (Collection, error) {
	c := Collection{ID: s.newID(), OwnerID: caller.ID, IsDefault: n.IsDefault}
	c.Fields = n.applyTo(Fields{Visibility: scores.Private})
	if err := check(s.rules, c.Fields); err != nil {
		return Collection{}, err
	}
	return s.repo.Insert(ctx, c)
}

// Get implements Service.
func (s *Collections) Get(ctx context.Context, caller auth.Identity, id string) (Collection, error) {
	c, may, err := s.find(ctx, caller, id)
	if err == nil {
		err = may.require(may.read, "read")
	}
	if err != nil {
		return Collection{}, err
	}
	return c, nil
}

// Update implements Service.
func (s *Collections) Update(
	ctx context.Context, caller auth.Identity, id string, ifVersion int64, change Change,
) (updated Collection, err error) {
	mayWrite := func(p permissions) bool { return p.write }
	err = s.onVersion(ctx, caller, id, ifVersion, mayWrite, func(c Collection) error {
		c.Fields = change.applyTo(c.Fields)
		if err := check(s.rules, c.Fields); err != nil {
			return err
		}
		updated, err = s.repo.Replace(ctx, c)
		return err
	})
	return updated, err
}

// Delete implements Service.
func (s *Collections) Delete(ctx context.Context, caller auth.Identity, id string, ifVersion int64) error {
	mayRemove := func(p permissions) bool { return p.remove }
	return s.onVersion(ctx, caller, id, ifVersion, mayRemove, func(c Collection) error {
		return s.repo.Remove(ctx, id, c.Version)
	})
}

// Feature implements Service.
func (s *Collections) Feature(ctx context.Context, caller auth.Identity, id string, featured bool) error {
	_, may, err := s.find(ctx, caller, id)
	if err != nil {
		return err
	}
	if err := may.require(may.feature, "feature"); err != nil {
		return err
	}
	event := audit.Event{Actor: caller, Action: "collection.feature", Target: id, Details: map[string]any{"featured": featured}}
	return s.log.Record(ctx, event, func(ctx context.Context) error { return s.repo.Feature(ctx, id, featured) })
}
