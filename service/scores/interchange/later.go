package interchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/jobs"
)

const (
	// importTimeout is what one attempt at an import may take. The next one goes on where it ended.
	importTimeout = 30 * time.Minute
	// importAttempts outlast a database that is away for an hour, or a few processes that are killed.
	importAttempts = 8
	// sweepEvery is how often it is looked for imports that failed long ago.
	sweepEvery = time.Hour
	// keepImports is how long those stay that failed for good, for an admin to have them tried again.
	keepImports = 30 * 24 * time.Hour
)

// maxWaiting is how many bytes the files of one owner have together that are not imported yet: they do not count against the quota.
const maxWaiting = 4 * MaxFile

// Kept is an import whose file is kept to be done later.
type Kept struct {
	// ID is a UUID in lower case.
	ID      string
	OwnerID string
	Format  Format
	// Size of the file in bytes.
	Size int64
	Sum  blob.Sum
	// Done is how many of its lines are, those that are empty not counted.
	Done int
	// Counts are what those did.
	Counts Counts
}

// ErrAbsent is what Imports return for an import that is not there.
var ErrAbsent = errors.New("import absent")

// Imports keep imports that are done later. Errors other than ErrAbsent are faults. All methods take part in the transaction of ctx.
type Imports interface {
	// Atomically calls do in a transaction.
	Atomically(ctx context.Context, do func(context.Context) error) error
	// Insert adds an import.
	Insert(ctx context.Context, k Kept) error
	// LockWaiting returns how many bytes the imports of an owner have, of which nobody adds others before the transaction ends.
	LockWaiting(ctx context.Context, owner string) (int64, error)
	// Find returns an import, or ErrAbsent.
	Find(ctx context.Context, id string) (Kept, error)
	// Lock returns how many lines are done, which nobody else changes before the transaction ends; or ErrAbsent.
	Lock(ctx context.Context, id string) (done int, err error)
	// Advance counts lines as done, and keeps those that are refused.
	Advance(ctx context.Context, id string, did Counts, refused []Line) error
	// Refused returns the lines that were kept, in their order.
	Refused(ctx context.Context, id string) ([]Line, error)
	// Remove removes an import, if it is there.
	Remove(ctx context.Context, id string) error
	// Sweep removes imports that were taken longer ago, at most a thousand.
	Sweep(ctx context.Context, age time.Duration) error
}

// LaterConfig says how imports are done later. All fields are required, except that Storage may be nil: then none are taken.
type LaterConfig struct {
	Service *Service
	Imports Imports
	Storage blob.Storage
	Queue   *jobs.Queue
}

// Later does imports after they were taken, each line once in effect. It may be used by many goroutines.
type Later struct{ cfg LaterConfig }

// NewLater returns one, and registers with the queue how imports are done.
func NewLater(cfg LaterConfig) *Later {
	l := &Later{cfg: cfg}
	jobs.Register(cfg.Queue, jobs.Kind[importFile]{Work: l.work, Timeout: importTimeout, Attempts: importAttempts})
	jobs.Register(cfg.Queue, jobs.Kind[sweepImports]{Work: l.sweep, Every: sweepEvery})
	return l
}

// importFile are the arguments of the job.
type importFile struct {
	ImportID string `json:"importId"`
}

// Kind implements jobs.Args.
func (importFile) Kind() string { return "import_scores" }

// sweepImports are the arguments of the job that removes imports that failed long ago.
type sweepImports struct{}

// Kind implements jobs.Args.
func (sweepImports) Kind() string { return "sweep_imports" }

func (l *Later) sweep(ctx context.Context, _ *jobs.Job[sweepImports]) (jobs.Outcome, error) {
	return jobs.Outcome{}, l.cfg.Imports.Sweep(ctx, keepImports)
}

// Taken is a file that was taken to be imported.
type Taken struct {
	Format Format `json:"format" enum:"jsonl,csv"`
	// Size in bytes.
	Size int64 `json:"size"`
}

// takes reports whether files can be kept.
func (l *Later) takes() bool { return l != nil && l.cfg.Storage != nil }

// Take keeps a file, which begins with head, and has it imported. It is not idempotent. Faults: Unauthenticated, Invalid if the file
// cannot be read from its beginning, TooLarge, Conflict while too much of the caller's waits, Unavailable, and those of in.
func (l *Later) Take(ctx context.Context, caller auth.Identity, format Format, head []byte, in io.Reader) (Taken, jobs.Task, error) {
	if err := requireCaller(caller); err != nil {
		return Taken{}, jobs.Task{}, err
	}
	if _, err := newReader(format, bytes.NewReader(head)); err != nil {
		return Taken{}, jobs.Task{}, err
	}
	tooLarge := fault.New(fault.TooLarge, fmt.Sprintf("The file must not be larger than %d MiB", MaxFile>>20))
	content, err := l.cfg.Storage.Receive(ctx, in, MaxFile, tooLarge)
	if err != nil {
		return Taken{}, jobs.Task{}, err
	}
	defer l.cfg.Storage.Forget(ctx, content)
	if err := l.cfg.Storage.Keep(ctx, content); err != nil {
		return Taken{}, jobs.Task{}, err
	}
	kept := Kept{ID: l.cfg.Service.newID(), OwnerID: caller.ID, Format: format, Size: content.Size, Sum: content.SHA256}
	var task jobs.Task
	err = l.cfg.Imports.Atomically(ctx, func(ctx context.Context) (err error) {
		if err := l.cfg.Storage.Claim(ctx, kept.Sum); err != nil {
			return err
		}
		waiting, err := l.cfg.Imports.LockWaiting(ctx, caller.ID)
		if err != nil {
			return err
		}
		if waiting+kept.Size > maxWaiting {
			return fault.New(fault.Conflict, fmt.Sprintf("Files of %d MiB together may wait to be imported; send it again when a task is done", maxWaiting>>20))
		}
		if err := l.cfg.Imports.Insert(ctx, kept); err != nil {
			return err
		}
		task, err = l.cfg.Queue.Enqueue(ctx, importFile{ImportID: kept.ID}, jobs.Order{Owner: caller.ID, About: importPath})
		return err
	})
	return Taken{Format: format, Size: content.Size}, task, err
}

// work is the work of the job.
func (l *Later) work(ctx context.Context, j *jobs.Job[importFile]) (jobs.Outcome, error) {
	if !l.takes() {
		return jobs.Outcome{}, fault.New(fault.Unavailable, "Files are not set up here")
	}
	kept, err := l.cfg.Imports.Find(ctx, j.Args.ImportID)
	if errors.Is(err, ErrAbsent) {
		return jobs.Outcome{}, jobs.Refuse("The file is not kept any more; send it again", nil)
	}
	if err != nil {
		return jobs.Outcome{}, err
	}
	content, err := l.cfg.Storage.Read(ctx, kept.Sum)
	if err == nil {
		defer content.Close()
		err = l.run(ctx, kept, content, func(percent int) { j.Progress(ctx, percent) })
	}
	if code := fault.CodeOf(err); code == fault.Invalid || code == fault.NotFound {
		return jobs.Outcome{}, l.refuse(ctx, kept, err)
	}
	if err != nil {
		return jobs.Outcome{}, err
	}
	report, err := l.report(ctx, kept.ID)
	return jobs.Outcome{
		Result: report,
		Commit: func(ctx context.Context) error { return l.cfg.Imports.Remove(ctx, kept.ID) },
	}, err
}

// refuse gives up an import that no other attempt would bring further, and its file.
func (l *Later) refuse(ctx context.Context, kept Kept, err error) error {
	reason := "The file is not in the storage any more; send it again"
	if details := detailsOf(err); isInvalid(err) && len(details) > 0 {
		reason = details[0].Message
	}
	if rerr := l.cfg.Imports.Remove(ctx, kept.ID); rerr != nil {
		return rerr
	}
	return jobs.Refuse(reason, err)
}

// report tells of an import that was done.
func (l *Later) report(ctx context.Context, id string) (Report, error) {
	kept, err := l.cfg.Imports.Find(ctx, id)
	if errors.Is(err, ErrAbsent) {
		return Report{}, fault.New(fault.Conflict, "Another process has done the import")
	}
	if err != nil {
		return Report{}, err
	}
	lines, err := l.cfg.Imports.Refused(ctx, id)
	if lines == nil {
		lines = []Line{}
	}
	return Report{Counts: kept.Counts, Lines: lines}, err
}

// run does the lines of a file that are not done, and tells how much is.
func (l *Later) run(ctx context.Context, kept Kept, content io.Reader, progress func(percent int)) error {
	counted := &counter{from: content}
	from, err := newReader(kept.Format, counted)
	if err != nil {
		return err
	}
	r := resumed{kept: kept, imports: l.cfg.Imports}
	i := importing{Service: l.cfg.Service, owner: kept.OwnerID, seen: map[uuid.UUID]struct{}{}, each: r.each}
	err = i.all(ctx, from, func(ctx context.Context, read int, entries []entry) error {
		for len(entries) > 0 {
			if before := r.kept.Done - (read - len(entries)); before > 0 {
				entries = entries[min(before, len(entries)):] // an attempt before, or another process, has done them
				continue
			}
			lines, err := i.write(ctx, entries)
			if err != nil && !errors.Is(err, errOvertaken) {
				return err
			}
			entries = entries[len(lines):]
		}
		progress(int(counted.read * 100 / kept.Size))
		return nil
	})
	if err == nil && r.kept.Done == 0 {
		err = noScores()
	}
	return err
}

// errOvertaken says that another process has done lines meanwhile.
var errOvertaken = errors.New("another process does the import")

// resumed is an import that goes on where it ended.
type resumed struct {
	kept    Kept
	imports Imports
}

// each writes lines and notes that they are done, both or neither.
func (r *resumed) each(ctx context.Context, write func(context.Context) ([]Line, error)) (lines []Line, err error) {
	done := r.kept.Done
	err = r.imports.Atomically(ctx, func(ctx context.Context) error {
		if done, err = r.imports.Lock(ctx, r.kept.ID); err != nil {
			return err
		}
		if done != r.kept.Done {
			return errOvertaken
		}
		if lines, err = write(ctx); err != nil {
			return err
		}
		var did Counts
		did.add(lines)
		return r.imports.Advance(ctx, r.kept.ID, did, r.worthKeeping(lines))
	})
	if errors.Is(err, errOvertaken) {
		r.kept.Done = done
	}
	if err != nil {
		return nil, err
	}
	r.kept.Done += len(lines)
	r.kept.Counts.add(lines)
	return lines, nil
}

// worthKeeping are the first lines of a file that are refused.
func (r *resumed) worthKeeping(lines []Line) (refused []Line) {
	for _, line := range lines {
		if line.Outcome == Refused && r.kept.Counts.Refused+len(refused) < maxReported {
			refused = append(refused, storable(line))
		}
	}
	return refused
}

// storable is a line without what PostgreSQL cannot hold, which names of fields may have.
func storable(line Line) Line {
	details := make([]fault.Detail, len(line.Details))
	for n, d := range line.Details {
		d.Field, d.Message = strings.ReplaceAll(d.Field, "\x00", "\uFFFD"), strings.ReplaceAll(d.Message, "\x00", "\uFFFD")
		details[n] = d
	}
	line.Details = details
	return line
}

// counter counts what is read.
type counter struct {
	from io.Reader
	read int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.read += int64(n)
	return n, err
}
