package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"time"

	"github.com/lib/pq"
	"github.com/riverqueue/river/rivertype"

	"github.com/mirubato/mirubato/service/chassis/audit"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/postgres"
)

// Standing is how a job is, in the words of those who look after the queue.
type Standing string

// The standings.
const (
	// Waiting: for its turn, or for another attempt.
	Waiting Standing = "waiting"
	// Working: it is being done.
	Working Standing = "working"
	// Done: it went well; such jobs are shown for an hour.
	Done Standing = "done"
	// Refused: it failed in a way that another attempt would not change, or an admin canceled it.
	Refused Standing = "refused"
	// Dead: its attempts are used up.
	Dead Standing = "dead"
)

// statesOf are the states of the library that a standing stands for.
func statesOf(s Standing) []string {
	switch s {
	case Waiting:
		return []string{"available", "scheduled", "retryable", "pending"}
	case Working:
		return []string{"running"}
	case Done:
		return []string{"completed"}
	case Refused:
		return []string{"cancelled"}
	case Dead:
		return []string{"discarded"}
	}
	return nil
}

func standingOf(state string) Standing {
	switch rivertype.JobState(state) {
	case rivertype.JobStateRunning:
		return Working
	case rivertype.JobStateCompleted:
		return Done
	case rivertype.JobStateCancelled:
		return Refused
	case rivertype.JobStateDiscarded:
		return Dead
	case rivertype.JobStateAvailable, rivertype.JobStateScheduled, rivertype.JobStateRetryable, rivertype.JobStatePending:
	}
	return Waiting
}

// Row is a job as an admin sees it.
type Row struct {
	ID       int64    `json:"id"`
	Kind     string   `json:"kind"`
	Standing Standing `json:"standing" enum:"waiting,working,done,refused,dead"`
	// Args are what the job is about.
	Args json.RawMessage `json:"args"`
	// TaskID is the task of the job, absent if it has none.
	TaskID      string `json:"taskId,omitempty"`
	Attempts    int    `json:"attempts"`
	MaxAttempts int    `json:"maxAttempts"`
	// Error is why the last attempt failed.
	Error     string    `json:"error,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	// DueAt is when it is, or was, to be done.
	DueAt      time.Time  `json:"dueAt"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
}

const (
	rowColumns = `select id, kind, state::text, args, coalesce(metadata->>'task', ''), attempt, max_attempts,
		coalesce(errors[cardinality(errors)]->>'error', ''), created_at, scheduled_at, finalized_at from river_job `

	listRows = rowColumns + `where state = any($1::river_job_state[]) order by id desc limit $2 offset $3`

	findRow = rowColumns + `where id = $1`

	countRows = `select count(*) from river_job where state = any($1::river_job_state[])`
)

// Administration lets admins see jobs and have them tried again or not. It may be used by many goroutines.
type Administration struct {
	queue             *Queue
	log               audit.Recorder
	list, find, count *postgres.Statement
}

// NewAdministration returns the administration of a queue. What admins do goes into the log.
func NewAdministration(q *Queue, log audit.Recorder) *Administration {
	return &Administration{
		queue: q, log: log,
		list:  q.cfg.DB.Prepared("jobs.list", listRows),
		find:  q.cfg.DB.Prepared("jobs.find", findRow),
		count: q.cfg.DB.Prepared("jobs.count", countRows),
	}
}

// List returns one page, counted from 1, of the jobs of a standing, the newest first, and how many there are.
func (a *Administration) List(ctx context.Context, s Standing, page, limit int) ([]Row, int64, error) {
	var found []Row
	states := pq.Array(statesOf(s))
	err := a.list.Query(ctx, func(rows *sql.Rows) error {
		r, err := scanRow(rows)
		found = append(found, r)
		return err
	}, states, limit, (page-1)*limit)
	if err != nil {
		return nil, 0, err
	}
	var total int64
	err = a.count.QueryRow(ctx, []any{&total}, states)
	return found, total, err
}

func scanRow(rows *sql.Rows) (Row, error) {
	var r Row
	var state string
	var args []byte
	err := rows.Scan(&r.ID, &r.Kind, &state, &args, &r.TaskID, &r.Attempts, &r.MaxAttempts, &r.Error, &r.CreatedAt, &r.DueAt, &r.FinishedAt)
	r.Standing, r.Args, r.CreatedAt, r.DueAt = standingOf(state), args, r.CreatedAt.UTC(), r.DueAt.UTC()
	if r.FinishedAt != nil {
		utc := r.FinishedAt.UTC()
		r.FinishedAt = &utc
	}
	return r, err
}

func (a *Administration) get(ctx context.Context, id int64) (Row, error) {
	var found []Row
	err := a.find.Query(ctx, func(rows *sql.Rows) error {
		r, err := scanRow(rows)
		found = append(found, r)
		return err
	}, id)
	if err == nil && len(found) == 0 {
		return Row{}, fault.New(fault.NotFound, "Job not found")
	}
	if err != nil {
		return Row{}, err
	}
	return found[0], nil
}

// Retry has a job tried again that was refused or is dead. It is idempotent. Faults: NotFound, Conflict for one that was done or is
// being done.
func (a *Administration) Retry(ctx context.Context, caller auth.Identity, id int64) (Row, error) {
	return a.change(ctx, caller, "job.retry", id, func(ctx context.Context, r Row) error {
		switch r.Standing {
		case Done, Working:
			return fault.New(fault.Conflict, "The job was done or is being done; only one that failed can be tried again")
		case Waiting:
			return nil
		case Refused, Dead:
		}
		err := a.queue.within(ctx, "jobs.retry", func(ctx context.Context, tx sqlTx) error {
			_, err := a.queue.client.JobRetryTx(ctx, tx, id)
			return translated(err)
		})
		if err != nil {
			return err
		}
		return a.queue.revived(ctx, r)
	})
}

// Cancel keeps a job from being tried again; one that is being done is interrupted soon. It is idempotent. Faults: NotFound,
// Conflict for one that has ended otherwise.
func (a *Administration) Cancel(ctx context.Context, caller auth.Identity, id int64) (Row, error) {
	return a.change(ctx, caller, "job.cancel", id, func(ctx context.Context, r Row) error {
		switch r.Standing {
		case Done, Dead:
			return fault.New(fault.Conflict, "The job has ended")
		case Refused:
			return nil
		case Waiting, Working:
		}
		err := a.queue.within(ctx, "jobs.cancel", func(ctx context.Context, tx sqlTx) error {
			_, err := a.queue.client.JobCancelTx(ctx, tx, id)
			return translated(err)
		})
		if err != nil || r.Standing == Working {
			return err // whoever does it tells how it ended, or settle does
		}
		return a.queue.failed(ctx, r.TaskID, r.Kind, r.Args, "It was canceled by an administrator")
	})
}

// change records the act and does it on the ground of the job as it is, and returns the job as it is then.
func (a *Administration) change(
	ctx context.Context, caller auth.Identity, action string, id int64, act func(context.Context, Row) error,
) (after Row, err error) {
	before, err := a.get(ctx, id)
	if err != nil {
		return Row{}, err
	}
	event := audit.Event{Actor: caller, Action: action, Target: strconv.FormatInt(id, 10), Details: map[string]any{"kind": before.Kind}}
	err = a.log.Record(ctx, event, func(ctx context.Context) error {
		if err := act(ctx, before); err != nil {
			return err
		}
		after, err = a.get(ctx, id)
		return err
	})
	return after, err
}

// revived makes the task of a job that is tried again wait, and tells the kind.
func (q *Queue) revived(ctx context.Context, r Row) error {
	k, err := q.kindOf(r.Kind)
	if err != nil || r.TaskID == "" {
		return err
	}
	revived, err := q.tasks.revive.Exec(ctx, r.TaskID)
	if err != nil || revived == 0 {
		return err
	}
	return k.tell(ctx, r.Args, Pending, "")
}
