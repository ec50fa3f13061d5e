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
	return i.all(ctx, from, func(ctx context.Context, _ int, entries []entry) error {
		lines, err := i.write(ctx, entries)
		if err == nil {
			told(lines)
		}
		return err
	})
}

// importing is one import.
type importing struct {
	*Service
	owner string
	seen  map[uuid.UUID]struct{}
	// each is asked to write the lines of a transaction; nil if they are just written.
	each func(ctx context.Context, write func(context.Context) ([]Line, error)) ([]Line, error)
}

// all reads the lines to the end of the file, and hands them on by a few hundred, with how many were read up to them.
func (i *importing) all(ctx context.Context, from reader, do func(ctx context.Context, read int, entries []entry) error) error {
	for read := 0; ; {
		entries, err := i.gather(from)
		if err != nil {
			return err
		}
		if read += len(entries); read > MaxLines {
			return badFile("max", fmt.Sprintf("The file must have at most %d lines; those before were imported", MaxLines), nil)
		}
		if len(entries) == 0 {
			return nil
		}
		if err := do(ctx, read, entries); err != nil {
			return err
		}
	}
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

// write does what the lines say in one transaction, and returns those that are done, all of them unless there is an error. If the database refuses a value that the rules let through, it is done in halves, until
// the line that holds the value is alone.
func (i *importing) write(ctx context.Context, entries []entry) ([]Line, error) {
	lines, err := i.transact(ctx, func(ctx context.Context) ([]Line, error) { return i.attempt(ctx, entries) })
	switch {
	case err == nil || !isInvalid(err):
		return lines, err
	case len(entries) == 1:
		refused := []Line{lineOf(entries[0], Refused, detailsOf(err))}
		return i.transact(ctx, func(context.Context) ([]Line, error) { return refused, nil })
	}
	half := len(entries) / 2
	first, err := i.write(ctx, entries[:half])
	if err != nil {
		return first, err
	}
	second, err := i.write(ctx, entries[half:])
	return append(first, second...), err
}

func (i *importing) transact(ctx context.Context, write func(context.Context) ([]Line, error)) ([]Line, error) {
	if i.each == nil {
		return write(ctx)
	}
	return i.each(ctx, write)
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
	// Lines are all lines, in their order. Of a large file they are those that were refused, the first thousand at most.
	Lines []Line `json:"lines"`
}

// maxReported is how many lines a report holds that holds not all.
const maxReported = 1000

// Every lets a report hold all lines.
func Every([]Line, Line) bool { return true }

// OnlyRefused lets a report hold the first lines that were refused.
func OnlyRefused(before []Line, next Line) bool {
	return next.Outcome == Refused && len(before) < maxReported
}

// ImportAll is Import with a report, which holds the lines that belong into it after those before.
func (s *Service) ImportAll(
	ctx context.Context, caller auth.Identity, format Format, in io.Reader, belongs func(before []Line, next Line) bool,
) (Report, error) {
	report := Report{Lines: []Line{}}
	err := s.Import(ctx, caller, format, in, func(lines []Line) {
		report.add(lines)
		for _, line := range lines {
			if belongs(report.Lines, line) {
				report.Lines = append(report.Lines, line)
			}
		}
	})
	if err == nil && report.Counts == (Counts{}) {
		err = noScores()
	}
	return report, err
}

func noScores() error { return badFile("required", "The file holds no scores", nil) }
