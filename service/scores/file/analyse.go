package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/jobs"
	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/refusal"
)

// analyseTimeout is what finding out about one file may take.
const analyseTimeout = time.Minute

// Reader finds out what is in a file of the given size. A *refusal.Error says what is wrong with the file; after any other error it
// is read again later.
type Reader func(ctx context.Context, r io.ReaderAt, size int64) (Reading, error)

// Reading is what was found out about a file.
type Reading struct {
	Analysis scores.Analysis
	// Fields are those of the score's fields that follow; they fill what the owner has left open.
	Fields Findings
	// Incipit is the first bars as SVG; empty if there is nothing to show.
	Incipit []byte
}

// Findings are fields of a score that a file can tell; nil where it does not.
type Findings struct {
	Composer, Opus, KeySignature, TimeSignature, TempoMarking *string
	Instrument                                                *scores.Instrument
	Difficulty                                                *scores.Difficulty
	DifficultyLevel, DurationSeconds                          *int
}

// analyse are the arguments of the job that finds out about a version.
type analyse struct {
	VersionID string `json:"versionId"`
}

// Kind implements jobs.Args.
func (analyse) Kind() string { return "analyse" }

// result is what the task of such a job shows.
type result struct {
	ScoreID   string `json:"scoreId"`
	VersionID string `json:"versionId"`
}

// analyse is the work of the job.
func (f *Files) analyse(ctx context.Context, j *jobs.Job[analyse]) (jobs.Outcome, error) {
	if err := f.requireStorage(); err != nil {
		return jobs.Outcome{}, err
	}
	v, err := f.cfg.Repository.Find(ctx, j.Args.VersionID)
	if errors.Is(err, ErrAbsent) {
		return jobs.Outcome{}, jobs.Refuse("The file was removed before it was read", nil)
	}
	if err != nil {
		return jobs.Outcome{}, err
	}
	reading, err := f.read(ctx, v)
	if err != nil {
		return jobs.Outcome{}, err
	}
	return jobs.Outcome{
		Result: result{ScoreID: v.ScoreID, VersionID: v.ID},
		Commit: func(ctx context.Context) error {
			err := f.cfg.Repository.Complete(ctx, v, reading)
			if errors.Is(err, ErrAbsent) {
				return nil // it was removed while it was read
			}
			return err
		},
	}, nil
}

func (f *Files) read(ctx context.Context, v Version) (Reading, error) {
	reader, ok := f.cfg.Readers[v.Format]
	if !ok {
		return Reading{}, fmt.Errorf("reading a version: no reader of %s", v.Format)
	}
	content, err := f.cfg.Storage.Read(ctx, v.Sum)
	if fault.CodeOf(err) == fault.NotFound {
		return Reading{}, jobs.Refuse("The file is not in the storage any more; remove this version and upload it again", err)
	}
	if err != nil {
		return Reading{}, err
	}
	defer content.Close()
	reading, err := reader(ctx, &at{from: content}, v.Size)
	if refused, ok := errors.AsType[*refusal.Error](err); ok {
		return Reading{}, jobs.Refuse(refused.Message, err)
	}
	reading.Analysis.VersionID, reading.Analysis.Format = v.ID, string(v.Format)
	return reading, err
}

// tell is told how the job of a version goes.
func (f *Files) tell(ctx context.Context, args analyse, state jobs.State, reason string) error {
	return f.cfg.Repository.Tell(ctx, args.VersionID, state, reason)
}

// Encode is the analysis as it is kept.
func (r Reading) Encode() (scores.KeptAnalysis, error) {
	encoded, err := json.Marshal(r.Analysis)
	if err != nil {
		return nil, fmt.Errorf("encoding an analysis: %w", err)
	}
	return encoded, nil
}

// at reads an object at any place. Reading on from where the last read ended costs nothing more.
type at struct {
	mu   sync.Mutex
	from objects.Object
	pos  int64
}

// ReadAt implements io.ReaderAt.
func (a *at) ReadAt(p []byte, off int64) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if off >= a.from.Size() {
		return 0, io.EOF
	}
	if off != a.pos {
		if _, err := a.from.Seek(off, io.SeekStart); err != nil {
			return 0, err
		}
		a.pos = off
	}
	n, err := io.ReadFull(a.from, p)
	a.pos += int64(n)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
