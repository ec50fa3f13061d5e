package scores

import (
	"context"
	"errors"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// Update implements Service. Nearly every change is one that the caller may make, so it is made without a look at the score before, by a statement
// that says what the score must be. Why one was not made is found out afterwards.
func (l *Library) Update(
	ctx context.Context, caller auth.Identity, id string, ifVersion int64, c Change,
) (Score, error) {
	fields, invalid := l.fields(c)
	r := Replacement{ID: id, OwnerID: caller.ID, Version: ifVersion, Given: c, Fields: fields}
	if caller.IsAdmin() {
		r.OwnerID = ""
	}
	if invalid == nil && !caller.IsAnonymous() {
		if updated, err := l.repo.Replace(ctx, r); !errors.Is(err, ErrAbsent) {
			return updated, err
		}
	}
	var updated Score
	err := l.OnVersion(ctx, caller, id, ifVersion, func(s Score) (err error) {
		if invalid != nil {
			return invalid
		}
		// It was another one a moment ago.
		r.Version = s.Version
		updated, err = l.repo.Replace(ctx, r)
		return err
	})
	return updated, err
}
