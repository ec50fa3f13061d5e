package interchange

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/scores"
)

const (
	// batch is how many lines are written in one transaction: many enough that its cost is shared, few enough that nobody waits for it.
	batch = 250
	// MaxLines is how many lines an import has at most. It bounds the memory for the IDs that were seen.
	MaxLines = 200_000
)

// Import reads a file and does what its lines say, one after the other: a line with the ID of a score of the caller's changes the fields that
// it gives, as Update would, any other line makes a new score, as Create would, with its ID if it gives one. A line that breaks a
// rule, or names an ID that is another's or was named before, is refused, and the others are done all the same. Each is told of once it
// is done, in their order.
//
// Lines are written in transactions of a few hundred, so an import that ends early has done the lines before, and nothing of those behind.
// It is idempotent for lines with an ID. Faults: Unauthenticated, Invalid if the file as a whole cannot be read, and those of in.
func (s *Service) Import(ctx context.Context, caller auth.Identity, format Format, in io.Reader, told func([]Line)) error {
	if err := requireCaller(caller); err != nil {
		return err
	}
	from, err := newReader(format, in)
	if err != nil {
		return err
	}
	i := importing{Service: s, owner: caller.ID, seen: map[uuid.UUID]struct{}{}}
	for count := 0; ; {
		entries, err := i.gather(from)
		if err != nil {
			return err
		}
		if count += len(entries); count > MaxLines {
			return badFile("max", fmt.Sprintf("The file must have at most %d lines; those before were imported", MaxLines), nil)
		}
		if len(entries) == 0 {
			return nil
		}
		lines, err := i.write(ctx, entries)
		if err != nil {
			return err
		}
		told(lines)
	}
}

// importing is one import.
type importing struct {
	*Service
	owner string
	seen  map[uuid.UUID]struct{}
}

// gather returns the next lines, none at the end of the file. A line whose ID was seen before is refused.
func (i *importing) gather(from reader) (entries []entry, err error) {
	for len(entries) < batch {
		e, err := from.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch {
		case e.details != nil:
		case e.id == "":
			e.id = i.newID()
		default:
			id := uuid.MustParse(e.id) // it is one
			if _, ok := i.seen[id]; ok {
				e.details = []fault.Detail{{Field: "id", Code: "repeated", Message: "is in a line before"}}
			}
			i.seen[id] = struct{}{}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// write does what the lines say in one transaction. If the database refuses a value that the rules let through, it is done in halves, until
// the line that holds the value is alone.
func (i *importing) write(ctx context.Context, entries []entry) ([]Line, error) {
	lines, err := i.attempt(ctx, entries)
	switch {
	case err == nil || !isInvalid(err):
		return lines, err
	case len(entries) == 1:
		return []Line{lineOf(entries[0], Refused, detailsOf(err))}, nil
	}
	half := len(entries) / 2
	first, err := i.write(ctx, entries[:half])
	if err != nil {
		return nil, err
	}
	second, err := i.write(ctx, entries[half:])
	return append(first, second...), err
}

func (i *importing) attempt(ctx context.Context, entries []entry) ([]Line, error) {
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.details == nil {
			ids = append(ids, e.id)
		}
	}
	broken := map[string][]fault.Detail{}
	outcomes := map[string]Outcome{}
	if len(ids) > 0 {
		var err error
		outcomes, err = i.repo.Import(ctx, i.owner, ids, func(present map[string]scores.Fields) []scores.Score {
			clear(broken)
			return i.decide(entries, present, broken)
		})
		if err != nil {
			return nil, err
		}
	}
	lines := make([]Line, len(entries))
	for n, e := range entries {
		switch details := broken[e.id]; {
		case e.details != nil:
			lines[n] = lineOf(e, Refused, e.details)
		case details != nil:
			lines[n] = lineOf(e, Refused, details)
		case outcomes[e.id] == Refused:
			lines[n] = lineOf(e, Refused, []fault.Detail{taken})
		default:
			lines[n] = lineOf(e, outcomes[e.id], nil)
		}
	}
	return lines, nil
}

// taken says of another's score nothing but that its ID is not free.
var taken = fault.Detail{Field: "id", Code: "taken", Message: "is in use; leave it out to have another one given"}

// decide returns what shall be written, and why other lines are refused, by their IDs.
func (i *importing) decide(entries []entry, present map[string]scores.Fields, broken map[string][]fault.Detail) []scores.Score {
	all := make([]scores.Score, 0, len(entries))
	for _, e := range entries {
		if e.details != nil {
			continue
		}
		var before *scores.Fields
		if fields, ok := present[e.id]; ok {
			before = &fields
		}
		fields, err := i.rules.Apply(e.change, before)
		if err != nil {
			broken[e.id] = detailsOf(err)
			continue
		}
		all = append(all, scores.Score{ID: e.id, OwnerID: i.owner, Fields: fields})
	}
	return all
}

func lineOf(e entry, outcome Outcome, details []fault.Detail) Line {
	return Line{Line: e.line, ID: e.id, Outcome: outcome, Details: details}
}

// Report tells of an import as a whole.
type Report struct {
	Counts
	// Lines are all lines, in their order.
	Lines []Line `json:"lines"`
}

// ImportAll is Import with a report.
func (s *Service) ImportAll(ctx context.Context, caller auth.Identity, format Format, in io.Reader) (Report, error) {
	report := Report{Lines: []Line{}}
	err := s.Import(ctx, caller, format, in, func(lines []Line) {
		report.add(lines)
		report.Lines = append(report.Lines, lines...)
	})
	if err == nil && len(report.Lines) == 0 {
		err = badFile("required", "The file holds no scores", nil)
	}
	return report, err
}
