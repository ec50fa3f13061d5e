// Package interchange takes a caller's scores out of the library as a file, and back in. It owns the two forms of the file, JSON Lines
// and CSV, and what a line does to the library. What a score is and which rules it obeys is known to package scores, which is asked
// for each line; categories, collections, favorites and notes are not part of the file.
package interchange

import (
	"context"
	"errors"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/scores"
)

// Format is a form of the file.
type Format string

// The formats.
const (
	// JSONL holds a JSON object in each line.
	JSONL Format = "jsonl"
	// CSV is a table with a head, as spreadsheets read and write it.
	CSV Format = "csv"
)

// Outcome says what a line did.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	// Refused: nothing; the details say why.
	Refused Outcome = "refused"
)

// Line tells of one line of an import.
type Line struct {
	// Line is where it begins in the file, from 1.
	Line int `json:"line"`
	// ID is that of the score; empty if it was refused before one was known.
	ID      string  `json:"id,omitempty"`
	Outcome Outcome `json:"outcome"`
	// Details say why it was refused.
	Details []fault.Detail `json:"details,omitempty"`
}

// Counts are how many lines had which outcome.
type Counts struct {
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	Refused   int `json:"refused"`
}

func (c *Counts) add(lines []Line) {
	for _, l := range lines {
		switch l.Outcome {
		case Created:
			c.Created++
		case Updated:
			c.Updated++
		case Unchanged:
			c.Unchanged++
		case Refused:
			c.Refused++
		}
	}
}

// Repository reads and writes many scores of one owner. Its errors are faults.
type Repository interface {
	// Export reads the owner's scores, the oldest first, as they all were at one moment: it calls begin with their number, then
	// page with a bounded number of them until there are no more. It returns the error of either.
	Export(ctx context.Context, owner string, begin func(total int64) error, page func([]scores.Score) error) error
	// Import calls decide with the owner's scores among the IDs, and writes the scores that it returns, all in one transaction. decide
	// may be called again. The outcome of a score whose ID belongs to somebody else is Refused, and that score is as it was. No ID may
	// be returned twice. An Invalid fault says that the database cannot hold one of the scores.
	Import(ctx context.Context, owner string, ids []string, decide func(present map[string]scores.Fields) []scores.Score) (map[string]Outcome, error)
}

// Rules decide what a change makes of a score. scores.Library does.
type Rules interface {
	// Apply returns what the change makes of present, or of a new score if that is nil. Its fault is Invalid.
	Apply(c scores.Change, present *scores.Fields) (scores.Fields, error)
}

// Service takes libraries out and in. It may be used by many goroutines.
type Service struct {
	repo  Repository
	rules Rules
	newID func() string
	// exports has a place for each export that may run at once.
	exports chan struct{}
}

// maxExports is how many exports run at once in a process, since each holds a connection to the database while its client reads.
const maxExports = 2

// New returns a service. newID returns a random UUID in lower case.
func New(repo Repository, rules Rules, newID func() string) *Service {
	return &Service{repo: repo, rules: rules, newID: newID, exports: make(chan struct{}, maxExports)}
}

func requireCaller(caller auth.Identity) error {
	if caller.IsAnonymous() {
		return fault.New(fault.Unauthenticated, "Only a library that has an owner goes out and in: send an access token")
	}
	return nil
}

// isInvalid reports whether the database refused a value.
func isInvalid(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && f.Code == fault.Invalid
}
