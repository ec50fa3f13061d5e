package scores

import (
	"context"
	"errors"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// Get implements Service. It counts the read, unless it is the owner's own.
func (l *Library) Get(ctx context.Context, caller auth.Identity, id string) (Score, error) {
	s, err := l.Readable(ctx, caller, id)
	if err == nil && caller.ID != s.OwnerID {
		l.reads.add(s.ID, 1)
	}
	return s, err
}

// Read implements Service. Whose read it was is not known here, so the owner's own count as well.
func (l *Library) Read(id string) { l.reads.add(id, 1) }

// Readable is Get for those who need to know whether the caller may read the score; it does not count.
func (l *Library) Readable(ctx context.Context, caller auth.Identity, id string) (Score, error) {
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
