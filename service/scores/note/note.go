// Package note owns the private notes of scores: what the owner of a score writes for nobody else, admins included. It keeps
// them encrypted, for that score and that owner, so that neither a copy of the database nor a row that was moved shows them.
// Notes are in no list, search, log or audit entry.
package note

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/encryption"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/validation"
	"github.com/mirubato/mirubato/service/scores"
)

// Fields are what the owner decides.
type Fields struct {
	Notes string `json:"notes" validate:"required,max=20000,lines"`
}

// Note is the notes of one score.
type Note struct {
	Fields
	// Version counts the changes, from 1 and anew after a removal.
	Version   int64     `json:"version"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Service is what can be done with the notes of a score. Every error is a fault: NotFound for a score that the caller may not
// see, Denied for one that is not the caller's, Unavailable without a keyset or while this process lacks the key, and
// PreconditionFailed if the notes are not at ifVersion, unless that is 0.
type Service interface {
	// Get returns the notes. Faults: NotFound also if there are none.
	Get(ctx context.Context, caller auth.Identity, scoreID string) (Note, error)
	// Put writes the notes over those that are there. It is idempotent but for the version. Faults: Invalid.
	Put(ctx context.Context, caller auth.Identity, scoreID string, ifVersion int64, f Fields) (Note, error)
	// Remove deletes the notes, whether there are some or not.
	Remove(ctx context.Context, caller auth.Identity, scoreID string, ifVersion int64) error
}

// ErrAbsent is what a Repository returns for notes that are not there, or not at the version asked for.
var ErrAbsent = errors.New("notes absent")

// Row is the notes of a score as they are kept.
type Row struct {
	ScoreID string
	// OwnerID is the owner of the score.
	OwnerID   string
	Sealed    encryption.Sealed
	Version   int64
	UpdatedAt time.Time
}

// place is what the ciphertext is bound to. The ID of a score always has the same length, so no two pairs make the same.
func (r Row) place() []byte { return []byte("scores.notes " + r.ScoreID + " " + r.OwnerID) }

// Repository keeps notes as ciphertexts. Errors other than ErrAbsent are faults.
type Repository interface {
	// Find returns the notes of a score or ErrAbsent.
	Find(ctx context.Context, scoreID string) (Row, error)
	// Put writes the notes over those that are there, which must be at ifVersion unless that is 0, and returns the version and
	// time; or ErrAbsent, also if the score is gone.
	Put(ctx context.Context, r Row, ifVersion int64) (Row, error)
	// Remove deletes the notes that are at ifVersion, or at any for 0, and reports whether there were some.
	Remove(ctx context.Context, scoreID string, ifVersion int64) (bool, error)
}

// Reader finds scores for those who may read them.
type Reader interface {
	// Readable returns a score that the caller may read. Faults: NotFound.
	Readable(ctx context.Context, caller auth.Identity, id string) (scores.Score, error)
}

// Notes implements Service. It may be used by many goroutines.
type Notes struct {
	repo   Repository
	reader Reader
	keys   *encryption.Keys
	rules  *validation.Validator
}

var _ Service = (*Notes)(nil)

// New returns the notes of everybody.
func New(repo Repository, reader Reader, keys *encryption.Keys) *Notes {
	return &Notes{repo: repo, reader: reader, keys: keys, rules: validation.New()}
}

// require returns nil if the caller may deal with the notes of the score, and this process can.
func (n *Notes) require(ctx context.Context, caller auth.Identity, scoreID string) error {
	s, err := n.reader.Readable(ctx, caller, scoreID)
	if err != nil {
		return err
	}
	if caller.ID != s.OwnerID {
		return fault.New(fault.Denied, "Only the owner of a score has notes on it")
	}
	if !n.keys.Given() {
		return fault.New(fault.Unavailable, "Private notes are not set up here")
	}
	return nil
}

// Get implements Service.
func (n *Notes) Get(ctx context.Context, caller auth.Identity, scoreID string) (Note, error) {
	if err := n.require(ctx, caller, scoreID); err != nil {
		return Note{}, err
	}
	row, err := n.repo.Find(ctx, scoreID)
	if errors.Is(err, ErrAbsent) {
		return Note{}, fault.New(fault.NotFound, "There are no notes on this score")
	}
	if err != nil {
		return Note{}, err
	}
	row.OwnerID = caller.ID
	text, err := n.keys.Open(row.Sealed, row.place())
	if errors.Is(err, encryption.ErrUnknownKey) {
		return Note{}, fault.Wrap(fault.Unavailable, "The key of these notes is not here at the moment", err)
	}
	if err != nil {
		return Note{}, fault.Wrap(fault.Internal, "Reading notes", err)
	}
	return Note{Fields: Fields{Notes: string(text)}, Version: row.Version, UpdatedAt: row.UpdatedAt}, nil
}

// Put implements Service.
func (n *Notes) Put(
	ctx context.Context, caller auth.Identity, scoreID string, ifVersion int64, f Fields,
) (Note, error) {
	if err := n.require(ctx, caller, scoreID); err != nil {
		return Note{}, err
	}
	f.Notes = strings.TrimSpace(f.Notes)
	if details := n.rules.Check(f); len(details) > 0 {
		return Note{}, fault.InvalidInput("Validation failed", details...)
	}
	row := Row{ScoreID: scoreID, OwnerID: caller.ID}
	var err error
	if row.Sealed, err = n.keys.Seal([]byte(f.Notes), row.place()); err != nil {
		return Note{}, err
	}
	row, err = n.repo.Put(ctx, row, ifVersion)
	switch {
	case errors.Is(err, ErrAbsent) && ifVersion != 0:
		return Note{}, changed()
	case errors.Is(err, ErrAbsent):
		return Note{}, fault.New(fault.NotFound, "Score not found")
	case err != nil:
		return Note{}, err
	}
	return Note{Fields: f, Version: row.Version, UpdatedAt: row.UpdatedAt}, nil
}

// Remove implements Service.
func (n *Notes) Remove(ctx context.Context, caller auth.Identity, scoreID string, ifVersion int64) error {
	if err := n.require(ctx, caller, scoreID); err != nil {
		return err
	}
	removed, err := n.repo.Remove(ctx, scoreID, ifVersion)
	if err == nil && !removed && ifVersion != 0 {
		return changed()
	}
	return err
}

func changed() error {
	return fault.New(fault.PreconditionFailed, "The notes have been changed since; read them again")
}
