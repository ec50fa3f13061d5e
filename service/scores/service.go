package scores

import (
	"context"
	"errors"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/validation"
)

// Service is what can be done with scores. Every error is a fault; besides the codes named below, any operation may
// end in Unavailable, Timeout or Internal. The caller is who asks, anonymous if that is nobody.
type Service interface {
	// Create adds a score that belongs to the caller, who is not anonymous. It is not idempotent. Faults: Unauthenticated,
	// Invalid.
	Create(ctx context.Context, caller auth.Identity, c Change) (Score, error)
	// Get returns one score. Faults: NotFound, also for a score that the caller may not see.
	Get(ctx context.Context, caller auth.Identity, id string) (Score, error)
	// Read counts a read of a public score whose answer was kept, as Get would.
	Read(caller auth.Identity, id string)
	// List returns one page of the scores that the caller may list: the caller's own and everybody's public ones, for an admin
	// all.
	List(ctx context.Context, caller auth.Identity, q ListQuery) (Page, error)
	// Walk returns the part of the same list that begins after a position, at its start if that is nil. The page of the query is
	// not used, and nothing is counted.
	Walk(ctx context.Context, caller auth.Identity, q ListQuery, after *Position) (Stretch, error)
	// Search returns the best matches among the scores that the caller may list, best first.
	Search(ctx context.Context, caller auth.Identity, q SearchQuery) ([]Card, error)
	// Recent returns the newest of the scores that the caller may list, newest first.
	Recent(ctx context.Context, caller auth.Identity, limit int) ([]Card, error)
	// Popular returns the public scores that have most favorites and reads, first those that have most.
	Popular(ctx context.Context, limit int) ([]Card, error)
	// Update changes one score, which must be at ifVersion unless that is 0. It is idempotent with ifVersion 0. Faults:
	// NotFound, Denied, PreconditionFailed, Invalid, and Conflict if others keep changing the score or whose it is.
	Update(ctx context.Context, caller auth.Identity, id string, ifVersion int64, c Change) (Score, error)
	// Delete removes one score, which must be at ifVersion unless that is 0. A second call finds nothing. Faults: NotFound,
	// Denied, PreconditionFailed, Conflict.
	Delete(ctx context.Context, caller auth.Identity, id string, ifVersion int64) error
	// UpdateMany makes the same change to those of the scores that belong to the caller, all or none of them, and returns how
	// many they were. Others are left alone without a word, since it must not show that they exist; this is so for admins as
	// well. There are 1 to MaxBatch IDs. It is idempotent. Faults: Invalid, and Conflict, after which it may be tried again.
	UpdateMany(ctx context.Context, caller auth.Identity, ids []string, c Change) (int64, error)
	// DeleteMany removes those of the scores that belong to the caller, and returns how many they were; otherwise it is like
	// UpdateMany.
	DeleteMany(ctx context.Context, caller auth.Identity, ids []string) (int64, error)
}

// ErrAbsent is what a Repository returns for a score that is not there, or not at the version asked for.
var ErrAbsent = errors.New("score absent")

// Repository keeps scores. Errors other than ErrAbsent are faults.
type Repository interface {
	// Insert adds a score and returns it with what the database decides: version and times. Inserting the same score again
	// returns the one that is there.
	Insert(ctx context.Context, s Score) (Score, error)
	// Find returns a score or ErrAbsent.
	Find(ctx context.Context, id string) (Score, error)
	// List returns one page of the cards that match and the number of all that match.
	List(ctx context.Context, f Filter) ([]Card, int64, error)
	// Walk returns the first f.Limit cards that match and follow the position, or the first of all if that is nil.
	Walk(ctx context.Context, f Filter, after *Position) ([]Card, error)
	// Search returns the f.Limit best matches of the text among the cards that match.
	Search(ctx context.Context, text string, f Filter) ([]Card, error)
	// Popular returns the most popular public cards.
	Popular(ctx context.Context, limit int) ([]Card, error)
	// AddReads adds to the number of times that scores were read, by ID. IDs of nothing are passed over.
	AddReads(ctx context.Context, counts map[string]int64) error
	// Replace writes fields of a score and returns it at its next version, or ErrAbsent, and then nothing was changed.
	Replace(ctx context.Context, r Replacement) (Score, error)
	// Remove deletes a score that is at the version, or returns ErrAbsent.
	Remove(ctx context.Context, id string, version int64) error
	// ReplaceMany writes those of the fields that the change gives to the owner's scores among the IDs, in one transaction, and
	// returns their number.
	ReplaceMany(ctx context.Context, owner string, ids []string, given Change, f Fields) (int64, error)
	// RemoveMany deletes the owner's scores among the IDs in one transaction and returns their number.
	RemoveMany(ctx context.Context, owner string, ids []string) (int64, error)
}

// Replacement is what is written of one score, all at once and only if the score is what it must be.
type Replacement struct {
	ID string
	// OwnerID is whose it must be; empty is anybody's.
	OwnerID string
	// Version is the version that it must be at; 0 is any.
	Version int64
	// Given are those of Fields that are written. The others are kept as they are then.
	Given  Change
	Fields Fields
}

// Library implements Service. It may be used by many goroutines.
type Library struct {
	repo  Repository
	newID func() string
	rules *validation.Validator
	reads reads
}

var _ Service = (*Library)(nil)

// New returns a library. newID returns a random UUID in lower case; it must not be guessable, since whoever knows the ID of an
// unlisted score may see it.
func New(repo Repository, newID func() string) *Library {
	return &Library{repo: repo, newID: newID, rules: validation.New()}
}

// maxAttempts bounds how often an operation starts over because somebody else changed the score meanwhile.
const maxAttempts = 3

// OnVersion reads a score, which the caller must be allowed to change and must be at ifVersion unless that is 0, has act decide and write on the ground of the version read, and starts over when that version was
// gone by the time of the write. act returns ErrAbsent for that.
func (l *Library) OnVersion(
	ctx context.Context, caller auth.Identity, id string, ifVersion int64, act func(Score) error,
) error {
	for range maxAttempts {
		s, err := l.repo.Find(ctx, id)
		if errors.Is(err, ErrAbsent) {
			return notFound()
		}
		if err != nil {
			return err
		}
		if err := requireChange(caller, s); err != nil {
			return err
		}
		if ifVersion != 0 && ifVersion != s.Version {
			return fault.New(fault.PreconditionFailed, "The score has been changed since; read it again")
		}
		if err := act(s); !errors.Is(err, ErrAbsent) {
			return err
		}
	}
	return fault.New(fault.Conflict, "The score is being changed by others; try again")
}
