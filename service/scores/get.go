package scores

import (
	"context"
	"errors"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// Get implements Service.
func (l *Library) Get(ctx context.Context, caller auth.Identity, id string) (Score, error) {
	s, err := l.repo.Find(ctx, id)
	switch {
	case errors.Is(err, ErrAbsent):
		return Score{}, notFound()
	case err != nil:
		return Score{}, err
	case !maySee(caller, s):
		return Score{}, notFound()
	}
	return s, nil
}
