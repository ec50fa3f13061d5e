// Package file owns the files of scores, which are their versions: who may add, read and remove them, of which formats they are, how
// much an owner may keep, and that what a file tells about its score is found out. It knows nothing of where files lie, how jobs
// are done and how files are read; blob, jobs, musicxml and pdf do.
package file

import (
	"context"
	"errors"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/jobs"
	"github.com/mirubato/mirubato/service/scores"
)

// Version is one file of a score. It never changes, but for what is found out about it.
type Version struct {
	// ID is a UUID in lower case.
	ID      string `json:"id"`
	ScoreID string `json:"scoreId"`
	// Number counts the files of the score, from 1; that of a file that was removed is not given again to another, unless it was the last.
	Number    int    `json:"number"`
	Format    Format `json:"format" enum:"musicxml,mxl,pdf"`
	MediaType string `json:"mediaType"`
	// FileName is what the file was called where it came from.
	FileName string `json:"fileName"`
	// Size in bytes.
	Size int64 `json:"size"`
	// SHA256 of the content, in hexadecimal.
	SHA256 string `json:"sha256"`
	// State says whether it was found out what is in the file.
	State jobs.State `json:"state" enum:"pending,completed,failed"`
	// Reason says, in one sentence for a person, why that failed.
	Reason string `json:"reason,omitempty"`
	// TaskID is the task that finds it out.
	TaskID string `json:"taskId,omitempty"`
	// Analysis is what is in the file.
	Analysis   scores.KeptAnalysis `json:"analysis"`
	CreatedAt  time.Time           `json:"createdAt"`
	AnalysedAt *time.Time          `json:"analysedAt,omitempty"`

	// Sum is SHA256.
	Sum blob.Sum `json:"-"`
	// OwnerID is the owner of the score.
	OwnerID string `json:"-"`
}

// Usage is what an owner has in the storage.
type Usage struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Quota is how many bytes there may be.
	Quota int64 `json:"quota"`
}

// ErrAbsent is what a Repository returns for what is not there.
var ErrAbsent = errors.New("file absent")

// Repository keeps versions. Errors other than ErrAbsent are faults. Methods that change something take part in the transaction of
// ctx.
type Repository interface {
	// Atomically calls do in a transaction.
	Atomically(ctx context.Context, do func(context.Context) error) error
	// Usage returns what the owner has.
	Usage(ctx context.Context, owner string) (Usage, error)
	// LockUsage is Usage in a transaction, until whose end nobody else adds to it.
	LockUsage(ctx context.Context, owner string) (Usage, error)
	// Insert adds a version and returns it with number and time, and true; or the one that is there of the same score and content, and
	// false. It returns ErrAbsent if the score is gone.
	Insert(ctx context.Context, v Version) (Version, bool, error)
	// Assign notes the task of a version.
	Assign(ctx context.Context, id, taskID string) error
	// List returns the versions of a score, the newest first.
	List(ctx context.Context, scoreID string) ([]Version, error)
	// Find returns a version or ErrAbsent.
	Find(ctx context.Context, id string) (Version, error)
	// Remove deletes a version, and gives the score what is known of the newest that is left; or returns ErrAbsent.
	Remove(ctx context.Context, v Version) error
	// Tell writes how finding out about a version stands, unless it was found out.
	Tell(ctx context.Context, id string, state jobs.State, reason string) error
	// Complete writes what was found out about a version, and gives it to the score if no newer file has been read.
	Complete(ctx context.Context, v Version, r Reading) error
	// Incipit returns the first bars of the newest file that has some, and the sum of its content, or ErrAbsent.
	Incipit(ctx context.Context, scoreID string) ([]byte, blob.Sum, error)
}

// Scores finds scores for callers.
type Scores interface {
	// Readable returns a score that the caller may read. Faults: NotFound.
	Readable(ctx context.Context, caller auth.Identity, id string) (scores.Score, error)
	// Changeable returns a score that the caller may change. Faults: NotFound, Denied.
	Changeable(ctx context.Context, caller auth.Identity, id string) (scores.Score, error)
}

// Signer signs links.
type Signer interface {
	// Sign returns a signature of the message for a purpose.
	Sign(purpose string, message []byte) []byte
	// Signed reports whether the signature is one.
	Signed(purpose string, message, signature []byte) bool
}

// Config says how files are kept. All fields are required, except that Storage may be nil: then there are no files.
type Config struct {
	Repository Repository
	Scores     Scores
	Storage    blob.Storage
	Queue      *jobs.Queue
	Signer     Signer
	// Readers find out what is in files; only formats that have one are taken.
	Readers map[Format]Reader
	// MaxSize is how many bytes a file may have.
	MaxSize int64
	// Quota is how many bytes the files of an owner may have together.
	Quota int64
	// NewID returns a random UUID in lower case.
	NewID func() string
	// Now is the clock.
	Now func() time.Time
}

// Files are the files of all scores. It may be used by many goroutines.
type Files struct{ cfg Config }

// New returns the files, and registers with the queue how they are read.
func New(cfg Config) *Files {
	f := &Files{cfg: cfg}
	jobs.Register(cfg.Queue, jobs.Kind[analyse]{Work: f.analyse, Tell: f.tell, Timeout: analyseTimeout})
	return f
}

// List returns the versions of a score that the caller may read, the newest first. Faults: NotFound.
func (f *Files) List(ctx context.Context, caller auth.Identity, scoreID string) ([]Version, error) {
	if _, err := f.cfg.Scores.Readable(ctx, caller, scoreID); err != nil {
		return nil, err
	}
	return f.cfg.Repository.List(ctx, scoreID)
}

// Get returns a version of a score that the caller may read. Faults: NotFound.
func (f *Files) Get(ctx context.Context, caller auth.Identity, scoreID, id string) (Version, error) {
	v, _, err := f.readable(ctx, caller, scoreID, id)
	return v, err
}

func (f *Files) readable(ctx context.Context, caller auth.Identity, scoreID, id string) (Version, scores.Score, error) {
	s, err := f.cfg.Scores.Readable(ctx, caller, scoreID)
	if err != nil {
		return Version{}, s, err
	}
	v, err := f.find(ctx, scoreID, id)
	return v, s, err
}

func (f *Files) find(ctx context.Context, scoreID, id string) (Version, error) {
	v, err := f.cfg.Repository.Find(ctx, id)
	if errors.Is(err, ErrAbsent) || err == nil && v.ScoreID != scoreID {
		return Version{}, fault.New(fault.NotFound, "The score has no such version")
	}
	return v, err
}

// Remove deletes a version of a score that the caller may change. Its content goes when nobody else has it. A second call finds
// nothing. Faults: NotFound, Denied.
func (f *Files) Remove(ctx context.Context, caller auth.Identity, scoreID, id string) error {
	if _, err := f.cfg.Scores.Changeable(ctx, caller, scoreID); err != nil {
		return err
	}
	v, err := f.find(ctx, scoreID, id)
	if err != nil {
		return err
	}
	err = f.cfg.Repository.Remove(ctx, v)
	if errors.Is(err, ErrAbsent) {
		return fault.New(fault.NotFound, "The score has no such version")
	}
	return err
}

// Usage returns what the caller's scores have in the storage.
func (f *Files) Usage(ctx context.Context, caller auth.Identity) (Usage, error) {
	u, err := f.cfg.Repository.Usage(ctx, caller.ID)
	u.Quota = f.cfg.Quota
	return u, err
}

// Incipit returns the first bars of a score that the caller may read, as SVG, the sum of the file that they are from, and the score.
// Faults: NotFound, also if there are none.
func (f *Files) Incipit(ctx context.Context, caller auth.Identity, scoreID string) ([]byte, blob.Sum, scores.Score, error) {
	s, err := f.cfg.Scores.Readable(ctx, caller, scoreID)
	if err != nil {
		return nil, blob.Sum{}, s, err
	}
	svg, sum, err := f.cfg.Repository.Incipit(ctx, scoreID)
	if errors.Is(err, ErrAbsent) {
		err = fault.New(fault.NotFound, "No file of the score shows its first bars")
	}
	return svg, sum, s, err
}

// requireStorage returns nil if there is somewhere to keep files.
func (f *Files) requireStorage() error {
	if f.cfg.Storage == nil {
		return fault.New(fault.Unavailable, "Files are not set up here")
	}
	return nil
}
