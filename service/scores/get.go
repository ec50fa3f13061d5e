package scores

import (
	"context"
	"errors"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

// Get implements Service. It counts the read, unless it is the owner's own.
func (l *Library) Get(ctx context.Context, caller auth.Identity, id string) (Score, error) {
	s, err := l.Readable(ctx, caller, id)
	if err != nil {
		return s, err
	}
	l.reads.own(s.ID, s.OwnerID)
	if caller.ID != s.OwnerID {
		l.reads.add(s.ID, 1)
	}
	return s, nil
}

// Read implements Service. An answer that is kept was made by Get before, so it is mostly known whose the score is.
func (l *Library) Read(caller auth.Identity, id string) {
	if owner, ok := l.reads.ownerOf(id); !ok || caller.ID != owner {
		l.reads.add(id, 1)
	}
}

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

// Changeable is Readable for those who need to know whether the caller may change the score as well. Faults: NotFound, Denied.
func (l *Library) Changeable(ctx context.Context, caller auth.Identity, id string) (Score, error) {
	s, err := l.Readable(ctx, caller, id)
	if err != nil {
		return Score{}, err
	}
	return s, requireChange(caller, s)
}
