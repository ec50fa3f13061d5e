package scores

import (
	"context"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Create implements Service.
func (l *Library) Create(ctx context.Context, caller auth.Identity, c Change) (Score, error) {
	if caller.IsAnonymous() {
		return Score{}, fault.New(fault.Unauthenticated, "Creating a score needs an access token")
	}
	fields, err := l.Apply(c, nil)
	if err != nil {
		return Score{}, err
	}
	return l.repo.Insert(ctx, Score{ID: l.newID(), OwnerID: caller.ID, Fields: fields})
}
