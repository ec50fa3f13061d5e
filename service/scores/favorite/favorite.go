// Package favorite owns the scores that a caller has marked as favorites: the rules and the HTTP of it. Who may read a score is
// decided by package scores.
package favorite

import (
	"context"
	"errors"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/scores"
)

// Service is what can be done with favorites. The caller is never anonymous and deals with the caller's own only. A
// favorite whose score the caller may no longer read is kept but does not show. Errors are faults.
type Service interface {
	// List returns one page of the favorites, the latest first.
	List(ctx context.Context, caller auth.Identity, page, limit int) (scores.Page, error)
	// Add makes the score a favorite. It is idempotent. Faults: NotFound, also for a score that the caller may not see.
	Add(ctx context.Context, caller auth.Identity, scoreID string) error
	// Remove makes the score no favorite, whether it was one or not. It is idempotent.
	Remove(ctx context.Context, caller auth.Identity, scoreID string) error
	// Check says which of the 1 to scores.MaxBatch scores are favorites. Faults: Invalid.
	Check(ctx context.Context, caller auth.Identity, scoreIDs []string) (map[string]bool, error)
}

// ErrAbsent is what a Repository returns for a score that is not there.
var ErrAbsent = errors.New("score absent")

// Repository keeps favorites. Errors other than ErrAbsent are faults.
type Repository interface {
	// List returns one page of the reader's favorites that the reader may read by ID, and the number of all of these.
	List(ctx context.Context, s scores.Selection, page, limit int) ([]scores.Card, int64, error)
	// Insert adds a favorite if it is not there. It returns ErrAbsent if there is no such score.
	Insert(ctx context.Context, userID, scoreID string) error
	// Remove deletes a favorite if it is there.
	Remove(ctx context.Context, userID, scoreID string) error
	// Among returns those of the IDs that List would show.
	Among(ctx context.Context, s scores.Selection, scoreIDs []string) ([]string, error)
}

// Reader finds scores for those who may read them.
type Reader interface {
	// Readable returns a score that the caller may read. Faults: NotFound.
	Readable(ctx context.Context, caller auth.Identity, id string) (scores.Score, error)
}

// Favorites implements Service. It may be used by many goroutines.
type Favorites struct {
	repo   Repository
	reader Reader
}

var _ Service = (*Favorites)(nil)

// New returns the favorites of everybody.
func New(repo Repository, reader Reader) *Favorites { return &Favorites{repo: repo, reader: reader} }

// List implements Service.
func (f *Favorites) List(ctx context.Context, caller auth.Identity, page, limit int) (scores.Page, error) {
	found, total, err := f.repo.List(ctx, scores.SelectionFor(caller), page, limit)
	return scores.Page{Cards: found, Total: total}, err
}

// Add implements Service.
func (f *Favorites) Add(ctx context.Context, caller auth.Identity, scoreID string) error {
	if _, err := f.reader.Readable(ctx, caller, scoreID); err != nil {
		return err
	}
	err := f.repo.Insert(ctx, caller.ID, scoreID)
	if errors.Is(err, ErrAbsent) {
		return fault.New(fault.NotFound, "Score not found")
	}
	return err
}

// Remove implements Service.
func (f *Favorites) Remove(ctx context.Context, caller auth.Identity, scoreID string) error {
	return f.repo.Remove(ctx, caller.ID, scoreID)
}

// Check implements Service.
func (f *Favorites) Check(ctx context.Context, caller auth.Identity, scoreIDs []string) (map[string]bool, error) {
	if err := scores.CheckBatch("check", scoreIDs); err != nil {
		return nil, err
	}
	found, err := f.repo.Among(ctx, scores.SelectionFor(caller), scoreIDs)
	if err != nil {
		return nil, err
	}
	checked := make(map[string]bool, len(scoreIDs))
	for _, id := range scoreIDs {
		checked[id] = false
	}
	for _, id := range found {
		checked[id] = true
	}
	return checked, nil
}
