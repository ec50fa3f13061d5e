package collection

import (
	"context"
	"errors"

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
