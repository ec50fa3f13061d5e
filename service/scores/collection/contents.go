package collection

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/scores"
)

// Members implements Service.
func (s *Collections) Members(ctx context.Context, caller auth.Identity, id string, page, limit int) (scores.Page, error) {
	c, err := s.Get(ctx, caller, id)
	if err != nil {
		return scores.Page{}, err
	}
	found, total, err := s.repo.Members(ctx, scores.SelectionFor(caller), c, page, limit)
	return scores.Page{Cards: found, Total: total}, err
}

// requireWrite returns nil if the caller may change what is in the collection.
func (s *Collections) requireWrite(ctx context.Context, caller auth.Identity, id string) error {
	_, may, err := s.find(ctx, caller, id)
	if err != nil {
		return err
	}
	return may.require(may.write, "change")
}

// Add implements Service.
func (s *Collections) Add(ctx context.Context, caller auth.Identity, id, scoreID string) error {
	if err := s.requireWrite(ctx, caller, id); err != nil {
		return err
	}
	if _, err := s.reader.Readable(ctx, caller, scoreID); err != nil {
		return err
	}
	err := s.repo.AddMember(ctx, id, scoreID)
	if errors.Is(err, ErrAbsent) {
		return fault.New(fault.Conflict, "The collection is full, or something was removed meanwhile")
	}
	return err
}

// Remove implements Service.
func (s *Collections) Remove(ctx context.Context, caller auth.Identity, id, scoreID string) error {
	if err := s.requireWrite(ctx, caller, id); err != nil {
		return err
	}
	return s.repo.RemoveMember(ctx, id, scoreID)
}

// Batched is what a batch did.
type Batched struct {
	// Added is how many scores were put in that were not there.
	Added int64 `json:"added"`
	// Removed is how many scores were taken out.
	Removed int64 `json:"removed"`
}

// Batch implements Service.
func (s *Collections) Batch(
	ctx context.Context, caller auth.Identity, id string, add, remove []string,
) (b Batched, err error) {
	if err := checkBatch(add, remove); err != nil {
		return b, err
	}
	if err := s.requireWrite(ctx, caller, id); err != nil {
		return b, err
	}
	b.Added, b.Removed, err = s.repo.ChangeMembers(ctx, scores.SelectionFor(caller), id, add, remove)
	if errors.Is(err, ErrAbsent) {
		return b, fault.New(fault.Conflict, "The collection would be over-full, or was removed meanwhile")
	}
	return b, err
}

func checkBatch(add, remove []string) error {
	refuse := func(message, field, code, detail string) error {
		return fault.InvalidInput(message, fault.Detail{Field: field, Code: code, Message: detail})
	}
	switch n := len(add) + len(remove); {
	case n == 0:
		return refuse("Validation failed", "add", "required", "must hold at least one ID, or remove must")
	case n > scores.MaxBatch:
		return refuse(fmt.Sprintf("Cannot change more than %d scores at once", scores.MaxBatch), "add", "max",
			fmt.Sprintf("must have at most %d entries together with remove", scores.MaxBatch))
	}
	for _, id := range add {
		if slices.Contains(remove, id) {
			return refuse("Validation failed", "remove", "repeated", "must not hold an ID that add holds")
		}
	}
	return nil
}

// requireShare returns nil if the caller may decide who else reads the collection.
func (s *Collections) requireShare(ctx context.Context, caller auth.Identity, id string) error {
	_, may, err := s.find(ctx, caller, id)
	if err != nil {
		return err
	}
	return may.require(may.share, "share")
}

// Shares implements Service.
func (s *Collections) Shares(ctx context.Context, caller auth.Identity, id string) ([]string, error) {
	if err := s.requireShare(ctx, caller, id); err != nil {
		return nil, err
	}
	return s.repo.Shares(ctx, id)
}

// Share implements Service.
func (s *Collections) Share(ctx context.Context, caller auth.Identity, id, userID string) error {
	if err := s.requireShare(ctx, caller, id); err != nil {
		return err
	}
	err := s.repo.Share(ctx, id, userID)
	if errors.Is(err, ErrAbsent) {
		return fault.New(fault.Conflict, "The collection is shared with too many, or was removed meanwhile")
	}
	return err
}

// Unshare implements Service.
func (s *Collections) Unshare(ctx context.Context, caller auth.Identity, id, userID string) error {
	if err := s.requireShare(ctx, caller, id); err != nil {
		return err
	}
	return s.repo.Unshare(ctx, id, userID)
}
