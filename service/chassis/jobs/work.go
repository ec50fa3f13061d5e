package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
)

// endPatience is how long a process that ends still writes down how a job went.
const endPatience = 5 * time.Second

// gaveUp is what a person reads about a job whose attempts are used up: why is known to the log only.
const gaveUp = "It could not be done, although it was tried several times. The cause is on our side; try again later"

// errOvertaken is the end of a job that another process has done meanwhile.
var errOvertaken = errors.New("another process has done the job")

// worker does the jobs of one kind.
type worker[A Args] struct {
	river.WorkerDefaults[A]
	queue *Queue
	kind  Kind[A]
}

// Timeout implements river.Worker.
func (w *worker[A]) Timeout(*river.Job[A]) time.Duration { return w.kind.Timeout }

// Work implements river.Worker.
func (w *worker[A]) Work(ctx context.Context, rj *river.Job[A]) error {
	started := time.Now()
	job := &Job[A]{Args: rj.Args, TaskID: taskOf(rj.Metadata), Attempt: rj.Attempt, queue: w.queue}
	var outcome Outcome
	err := guarded(func() (err error) {
		outcome, err = w.kind.Work(ctx, job)
		return err
	})
	// How it went is written down even if the time of the attempt, or of the process, is over.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPatience)
	defer cancel()
	if err == nil {
		err = guarded(func() error { return w.complete(ending, rj, job, outcome) })
	}
	result, told := "completed", err
	if err != nil {
		result, told = w.fail(ending, rj, job, err)
	}
	w.queue.counters.finished(rj.Args.Kind(), result, time.Since(started))
	return told
}

// guarded turns a panic into an error.
func guarded(act func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return act()
}

// complete makes the effects and ends job and task in one transaction. Ending the task comes first: it waits for whoever else is
// ending it, and finds out.
func (w *worker[A]) complete(ctx context.Context, rj *river.Job[A], job *Job[A], out Outcome) error {
	result, err := encodeResult(out.Result)
	if err != nil {
		return err
	}
	err = w.queue.cfg.DB.Atomically(ctx, func(ctx context.Context) error {
		if job.TaskID != "" {
			ended, err := w.queue.tasks.complete.Exec(ctx, job.TaskID, result)
			if err != nil {
				return err
			}
			if ended == 0 {
				return errOvertaken
			}
		}
		if out.Commit != nil {
			if err := out.Commit(ctx); err != nil {
				return err
			}
		}
		return w.queue.within(ctx, "jobs.complete", func(ctx context.Context, tx sqlTx) error {
			_, err := river.JobCompleteTx[*riverdatabasesql.Driver](ctx, tx, rj)
			return err
		})
	})
	if errors.Is(err, errOvertaken) {
		return nil
	}
	return err
}

// fail decides what becomes of a job that did not go well. It returns how to count it and what to tell the queue.
func (w *worker[A]) fail(ctx context.Context, rj *river.Job[A], job *Job[A], err error) (string, error) {
	log := w.queue.cfg.Logger.With("kind", rj.Args.Kind(), "job", rj.ID, "task", job.TaskID, "attempt", rj.Attempt)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		log.InfoContext(ctx, "Refusing job", "error", err.Error())
		if terr := w.queue.failed(ctx, job.TaskID, rj.Args.Kind(), rj.EncodedArgs, refusal.Reason); terr != nil {
			return "retried", terr
		}
		return "refused", river.JobCancel(err)
	}
	if w.queue.ending() {
		return "interrupted", river.JobSnooze(0) // it is no failure, and counts as none
	}
	if rj.Attempt < rj.MaxAttempts {
		log.WarnContext(ctx, "Trying job again later", "error", err.Error())
		return "retried", err
	}
	log.ErrorContext(ctx, "Giving job up", "error", err.Error())
	if terr := w.queue.failed(ctx, job.TaskID, rj.Args.Kind(), rj.EncodedArgs, gaveUp); terr != nil {
		log.WarnContext(ctx, "Telling of a dead job", "error", terr.Error()) // settle will
	}
	return "dead", err
}

func encodeResult(result any) (*string, error) {
	if result == nil {
		return nil, nil
	}
	encoded, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encoding the result of a job: %w", err)
	}
	text := string(encoded)
	return &text, nil
}

func decodeArgs[A Args](encoded []byte) (A, error) {
	var args A
	if err := json.Unmarshal(encoded, &args); err != nil {
		return args, fmt.Errorf("reading the arguments of a job: %w", err)
	}
	return args, nil
}

// metadata is what this package writes beside the arguments of a job.
type metadata struct {
	Task string `json:"task,omitempty"`
}

func taskOf(raw []byte) string {
	var m metadata
	if json.Unmarshal(raw, &m) != nil { // it was written by the queue itself
		return ""
	}
	return m.Task
}
