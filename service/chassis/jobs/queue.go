package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivertype"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/postgres"
)

// Config says where jobs are kept and how many are done at once. All fields are required.
type Config struct {
	// DB is where jobs are asked for and end.
	DB *postgres.DB
	// Pool is what the queue itself works with, apart from DB, so that looking for work never waits for requests. It needs a
	// connection for each of Workers and four more.
	Pool *sql.DB
	// Workers is how many jobs this process does at once, and one long one.
	Workers int
	// Patience is how long a process may be silent before its jobs are taken over by others.
	Patience time.Duration
	// StopTimeout is how long jobs may go on when the process ends; then they are interrupted, and done later.
	StopTimeout time.Duration
	Logger      *slog.Logger
}

const (
	// pollEvery is how long a job waits at most before a process that has a worker free sees it.
	pollEvery = 500 * time.Millisecond
	// pollLongEvery is the same for long jobs, to which a second is nothing.
	pollLongEvery = time.Second
	// longJobs is the library's queue of them.
	longJobs = "long"
	// cooldown is the least time between two looks for work. Workers that have just become free wait for it.
	cooldown = 10 * time.Millisecond
	// rescueAfter is when the library itself takes a job for abandoned; it never comes to that while Run is.
	rescueAfter = DefaultTimeout + 30*time.Second
	// startAgain is how long Run waits before it tries to start while the database is away or its schema too old.
	startAgain = time.Second
	// keepCompleted is how long the rows of jobs stay that went well.
	keepCompleted = time.Hour
	// keepDead is how long those stay that did not, for an admin to see.
	keepDead = 30 * 24 * time.Hour
)

type sqlTx = *sql.Tx

// Queue takes jobs and has them done. It may be used by many goroutines.
type Queue struct {
	cfg      Config
	id       string
	client   *river.Client[*sql.Tx]
	workers  *river.Workers
	kinds    map[string]kind
	tasks    taskStatements
	fleet    fleetStatements
	counters *counters
	stopping atomic.Bool
}

// New returns a queue without kinds. Nothing is done before Run; jobs may be asked for.
func New(cfg Config) (*Queue, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	q := &Queue{
		cfg: cfg, id: host + "_" + uuid.NewString(), workers: river.NewWorkers(), kinds: map[string]kind{},
		tasks: newTaskStatements(cfg.DB), fleet: newFleetStatements(cfg.DB), counters: newCounters(),
	}
	q.client, err = river.NewClient(riverdatabasesql.New(cfg.Pool), &river.Config{
		ID: q.id, Workers: q.workers, Queues: map[string]river.QueueConfig{
			river.QueueDefault: {MaxWorkers: cfg.Workers},
			longJobs:           {MaxWorkers: 1, FetchPollInterval: pollLongEvery},
		},
		PollOnly: true, FetchPollInterval: pollEvery, FetchCooldown: cooldown,
		JobTimeout: DefaultTimeout, RescueStuckJobsAfter: rescueAfter, MaxAttempts: DefaultAttempts, RetryPolicy: backoff{},
		CompletedJobRetentionPeriod: keepCompleted, CancelledJobRetentionPeriod: keepDead, DiscardedJobRetentionPeriod: keepDead,
		SoftStopTimeout: cfg.StopTimeout, Logger: slog.New(quiet{cfg.Logger.Handler()}),
		ReindexerIndexNames: []string{}, // the role of the service owns no index
	})
	if err != nil {
		return nil, fmt.Errorf("making the queue: %w", err)
	}
	return q, nil
}

// quiet shows of the library's log what is worth a warning: what it says of failed jobs, workers say themselves.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h quiet) Handle(ctx context.Context, r slog.Record) error { return h.Handler.Handle(ctx, r) }

// backoff is when a job is tried again: after about 1, 4, 16 and 64 seconds and so on, an hour at most.
type backoff struct{}

const longestBackoff = time.Hour

// NextRetry implements river.ClientRetryPolicy.
func (backoff) NextRetry(job *rivertype.JobRow) time.Time {
	wait := time.Second
	for range min(max(len(job.Errors), 0), 6) {
		wait *= 4
	}
	wait = min(wait, longestBackoff)
	return time.Now().UTC().Add(wait*3/4 + rand.N(wait/2)) //nolint:gosec // spreads load, guards nothing
}

// Order says for whom a job is done.
type Order struct {
	// Owner may watch the task; empty makes no task.
	Owner string
	// About is the path of what the job is about, for whoever watches the task; at most 255 characters.
	About string
	// Unique returns the job that is there, if one of the kind with equal Args has not ended.
	Unique bool
}

// Enqueue asks for a job, in the transaction of ctx if it has one. It returns the task, or the zero Task if there is none. Faults:
// Unavailable, Timeout, Internal.
func (q *Queue) Enqueue(ctx context.Context, args Args, o Order) (Task, error) {
	k, err := q.kindOf(args.Kind())
	if err != nil {
		return Task{}, err
	}
	task := Task{Kind: args.Kind(), About: o.About}
	if o.Owner != "" {
		task.ID = uuid.NewString()
	}
	err = q.cfg.DB.Atomically(ctx, func(ctx context.Context) error {
		row, isNew, err := q.insert(ctx, args, insertOptions(k, o, task.ID))
		if err != nil {
			return err
		}
		if !isNew {
			task, err = q.taskOfJob(ctx, row.ID)
			return err
		}
		if task.ID == "" {
			return nil
		}
		return q.tasks.insertFor(ctx, &task, o.Owner, row.ID)
	})
	return task, err
}

func insertOptions(k kind, o Order, taskID string) *river.InsertOpts {
	opts := &river.InsertOpts{MaxAttempts: k.attempts}
	if k.long {
		opts.Queue = longJobs
	}
	if taskID != "" {
		encoded, err := json.Marshal(metadata{Task: taskID})
		if err != nil {
			panic(err) // a struct of one string
		}
		opts.Metadata = encoded
	}
	if o.Unique {
		opts.UniqueOpts = river.UniqueOpts{ByArgs: true, ByState: unfinished}
	}
	return opts
}

// unfinished are the states of jobs that have not ended.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable,
	rivertype.JobStateScheduled,
}

func (q *Queue) insert(ctx context.Context, args Args, opts *river.InsertOpts) (row *rivertype.JobRow, isNew bool, err error) {
	err = q.within(ctx, "jobs.insert", func(ctx context.Context, tx sqlTx) error {
		res, err := q.client.InsertTx(ctx, tx, args, opts)
		if err == nil {
			row, isNew = res.Job, !res.UniqueSkippedAsDuplicate
		}
		return err
	})
	return row, isNew, err
}

// within lets the library work in the transaction of ctx.
func (q *Queue) within(ctx context.Context, name string, do func(context.Context, sqlTx) error) error {
	return q.cfg.DB.Within(ctx, name, do)
}

func (q *Queue) ending() bool { return q.stopping.Load() }

// Run has jobs done until ctx ends, and then lets those finish that are being done. The database may be away at any time.
func (q *Queue) Run(ctx context.Context) {
	if err := q.addPeriodic(); err != nil {
		q.cfg.Logger.ErrorContext(ctx, "Planning periodic jobs", "error", err.Error())
	}
	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		q.watchFleet(working)
	}()
	if q.start(ctx, working) {
		<-ctx.Done()
		q.stopping.Store(true)
		stopping, cancel := context.WithTimeout(working, q.cfg.StopTimeout+endPatience)
		defer cancel()
		if err := q.client.Stop(stopping); err != nil {
			q.cfg.Logger.Warn("Stopping jobs", "error", err.Error())
		}
	}
	stopWorking()
	<-watched
	q.leaveFleet() //nolint:contextcheck // the context has ended; leaving has a bound of its own
}

// start starts the library, as often as it takes, and reports whether it did before ctx ended.
func (q *Queue) start(ctx, working context.Context) bool {
	for {
		err := q.client.Start(working)
		if err == nil {
			return true
		}
		q.cfg.Logger.DebugContext(ctx, "Starting jobs", "error", err.Error())
		select {
		case <-ctx.Done():
			return false
		case <-time.After(startAgain):
		}
	}
}

// addPeriodic plans the kinds that are done by themselves. Whichever process leads makes the jobs; each is unique, lest they pile up
// while nobody does them.
func (q *Queue) addPeriodic() error {
	for _, k := range q.kinds {
		if k.every == 0 {
			continue
		}
		_, err := q.client.PeriodicJobs().AddSafely(river.NewPeriodicJob(
			river.PeriodicInterval(k.every),
			func() (river.JobArgs, *river.InsertOpts) { return k.zero, insertOptions(k, Order{Unique: true}, "") },
			&river.PeriodicJobOpts{RunOnStart: false},
		))
		if err != nil {
			return fmt.Errorf("planning %s: %w", k.zero.Kind(), err)
		}
	}
	return nil
}

// translated makes a fault of what the library returns outside a transaction.
func translated(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rivertype.ErrNotFound):
		return fault.New(fault.NotFound, "Job not found")
	case errors.Is(err, rivertype.ErrJobRunning):
		return fault.New(fault.Conflict, "The job is being done at the moment")
	}
	return err
}
