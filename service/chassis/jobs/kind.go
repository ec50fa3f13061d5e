package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
)

// Args are what the jobs of a kind are about. They are kept as JSON, and must stay readable for as long as jobs may wait.
type Args interface {
	// Kind names the kind: 1 to 64 lower-case letters, digits, hyphens and underscores. It does not change.
	Kind() string
}

// Defaults of a Kind.
const (
	// DefaultTimeout is what one attempt may take.
	DefaultTimeout = 30 * time.Second
	// DefaultAttempts is the first attempt and three more.
	DefaultAttempts = 4
)

// Kind says how jobs are done.
type Kind[A Args] struct {
	// Work does a job. Its context ends with the time of the attempt, and when the process ends. An error means that it is tried
	// again, unless it is one of Refuse.
	Work func(ctx context.Context, j *Job[A]) (Outcome, error)
	// Tell hears, in the transaction of the change, that a job with a task has failed for good (Failed, with the reason) or is to be
	// tried anew after that (Pending); nil if nobody needs to know. It must bear to hear the same again.
	Tell func(ctx context.Context, args A, state State, reason string) error
	// Timeout is what one attempt may take; 0 is DefaultTimeout.
	Timeout time.Duration
	// Attempts is how often a job is tried; 0 is DefaultAttempts.
	Attempts int
	// Every makes a job with the zero Args that often, one for all processes; 0 is never.
	Every time.Duration
}

// Job is one job while it is being done.
type Job[A Args] struct {
	Args A
	// TaskID is the task of the job, empty if it has none.
	TaskID string
	// Attempt counts from 1.
	Attempt int

	queue *Queue
	told  time.Time
}

// progressEvery bounds how often progress is written down.
const progressEvery = time.Second

// Progress says how much of the job is done, 0 to 100 in a hundred. It is shown to whoever watches the task, and may be lost.
func (j *Job[A]) Progress(ctx context.Context, percent int) {
	if j.TaskID == "" || time.Since(j.told) < progressEvery {
		return
	}
	j.told = time.Now()
	if _, err := j.queue.tasks.progress.Exec(ctx, j.TaskID, min(max(percent, 0), 100)); err != nil {
		j.queue.cfg.Logger.DebugContext(ctx, "Telling progress", "task", j.TaskID, "error", err.Error())
	}
}

// Outcome is what a job that went well leaves.
type Outcome struct {
	// Result is shown in the task, as JSON; nil is nothing.
	Result any
	// Commit makes the effects of the job. They happen with the end of the job or not at all; nil is none. It may use ctx for
	// statements of the queue's DB, and for nothing that takes long.
	Commit func(ctx context.Context) error
}

// Refusal is a failure that trying again would not change.
type Refusal struct {
	// Reason is for the person who asked for the job: what is wrong, and what to do about it.
	Reason string
	cause  error
}

// Refuse returns a Refusal. The cause may be nil; it goes to the log and never to the person.
func Refuse(reason string, cause error) error { return &Refusal{Reason: reason, cause: cause} }

func (r *Refusal) Error() string {
	if r.cause == nil {
		return r.Reason
	}
	return r.Reason + ": " + r.cause.Error()
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.cause }

// kind is a Kind without its type.
type kind struct {
	attempts int
	every    time.Duration
	zero     Args
	// tell hears of the state of a job by its encoded Args.
	tell func(ctx context.Context, args []byte, state State, reason string) error
}

// Register adds a kind to the queue. It panics on one that is there already. Call it before Run.
func Register[A Args](q *Queue, k Kind[A]) {
	var zero A
	if k.Timeout == 0 {
		k.Timeout = DefaultTimeout
	}
	if k.Attempts == 0 {
		k.Attempts = DefaultAttempts
	}
	q.counters.begin(zero.Kind())
	q.kinds[zero.Kind()] = kind{
		attempts: k.Attempts, every: k.Every, zero: zero,
		tell: func(ctx context.Context, encoded []byte, state State, reason string) error {
			if k.Tell == nil {
				return nil
			}
			args, err := decodeArgs[A](encoded)
			if err != nil {
				return err
			}
			return k.Tell(ctx, args, state, reason)
		},
	}
	river.AddWorker(q.workers, &worker[A]{queue: q, kind: k})
}

// errUnknown is why nothing can be done about a job of a kind that only another release knows.
var errUnknown = errors.New("nobody has registered the kind")

func (q *Queue) kindOf(name string) (kind, error) {
	k, ok := q.kinds[name]
	if !ok {
		return kind{}, fmt.Errorf("%w %s", errUnknown, name)
	}
	return k, nil
}
