package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/postgres"
)

// State is how a task is.
type State string

// The states of a task.
const (
	// Pending: it waits for its turn, or for another attempt.
	Pending State = "pending"
	// Running: it is being done.
	Running State = "running"
	// Completed: it went well.
	Completed State = "completed"
	// Failed: it did not, and is not tried again; the reason says why.
	Failed State = "failed"
)

// Task is a job as the one sees it who asked for it.
type Task struct {
	// ID is a UUID that nobody can guess.
	ID   string `json:"id"`
	Kind string `json:"kind"`
	// About is the path of what the job is about.
	About string `json:"about,omitempty"`
	State State  `json:"state"`
	// Progress is how much is done, in a hundred.
	Progress int `json:"progress"`
	// Attempts is how often it was tried so far.
	Attempts int `json:"attempts"`
	// Reason says, in one sentence for a person, why it failed.
	Reason string `json:"reason,omitempty"`
	// Result is what came out of it, if the kind has something to show.
	Result     json.RawMessage `json:"result,omitempty"`
	CreatedAt  time.Time       `json:"createdAt"`
	UpdatedAt  time.Time       `json:"updatedAt"`
	FinishedAt *time.Time      `json:"finishedAt,omitempty"`

	owner string
}

const (
	insertTask = `insert into tasks (id, kind, owner_id, about, job_id) values ($1, $2, $3, $4, $5)
	returning created_at, updated_at`

	findTask = `select t.id, t.kind, t.owner_id, t.about, t.state, t.progress, coalesce(t.reason, ''), t.result, t.created_at,
		t.updated_at, t.finished_at, coalesce(j.state = 'running', false), coalesce(j.attempt, 0)
	from tasks t left join river_job j on j.id = t.job_id `

	progressOfTask = `update tasks set progress = $2, updated_at = now() where id = $1 and finished_at is null`

	completeTask = `update tasks set state = 'completed', progress = 100, reason = null, result = $2::jsonb, updated_at = now(),
		finished_at = now()
	where id = $1 and finished_at is null`

	failTask = `update tasks set state = 'failed', reason = $2, updated_at = now(), finished_at = now()
	where id = $1 and finished_at is null`

	reviveTask = `update tasks set state = 'pending', progress = 0, reason = null, updated_at = now(), finished_at = null
	where id = $1 and state = 'failed'`

	// Jobs that are not there any more, or ended without the task's being told, because the process was killed at its last attempt.
	lostTasks = `select t.id, t.kind, coalesce(j.args::text, '{}') from tasks t left join river_job j on j.id = t.job_id
	where t.finished_at is null and t.created_at < now() - interval '1 minute'
		and (j.id is null or j.state in ('discarded', 'cancelled'))
	order by t.created_at limit 100`

	sweepTasks = `delete from tasks where id in (select id from tasks
		where finished_at < now() - $1::bigint * interval '1 second' order by finished_at limit 1000)`
)

type taskStatements struct {
	insert, find, ofJob, progress, complete, fail, revive, lost, sweep *postgres.Statement
}

func newTaskStatements(db *postgres.DB) taskStatements {
	return taskStatements{
		insert:   db.Prepared("tasks.insert", insertTask),
		find:     db.Prepared("tasks.find", findTask+`where t.id = $1`),
		ofJob:    db.Prepared("tasks.of_job", findTask+`where t.job_id = $1`),
		progress: db.Prepared("tasks.progress", progressOfTask, postgres.Repeatable),
		complete: db.Prepared("tasks.complete", completeTask),
		fail:     db.Prepared("tasks.fail", failTask),
		revive:   db.Prepared("tasks.revive", reviveTask),
		lost:     db.Prepared("tasks.lost", lostTasks),
		sweep:    db.Prepared("tasks.sweep", sweepTasks, postgres.Repeatable),
	}
}

func (s taskStatements) insertFor(ctx context.Context, t *Task, owner string, jobID int64) error {
	t.State, t.owner = Pending, owner
	err := s.insert.QueryRow(ctx, []any{&t.CreatedAt, &t.UpdatedAt}, t.ID, t.Kind, owner, t.About, jobID)
	t.CreatedAt, t.UpdatedAt = t.CreatedAt.UTC(), t.UpdatedAt.UTC()
	return err
}

// read returns the task that the statement finds, or ErrNoRows.
func read(ctx context.Context, s *postgres.Statement, by any) (Task, error) {
	var t Task
	var result []byte
	var running bool
	err := s.QueryRow(ctx, []any{
		&t.ID, &t.Kind, &t.owner, &t.About, &t.State, &t.Progress, &t.Reason, &result, &t.CreatedAt, &t.UpdatedAt, &t.FinishedAt,
		&running, &t.Attempts,
	}, by)
	if err != nil {
		return Task{}, err
	}
	if running && t.State == Pending {
		t.State = Running
	}
	t.Result, t.CreatedAt, t.UpdatedAt = result, t.CreatedAt.UTC(), t.UpdatedAt.UTC()
	if t.FinishedAt != nil {
		utc := t.FinishedAt.UTC()
		t.FinishedAt = &utc
	}
	return t, nil
}

// taskOfJob returns the task of a job, the zero Task if it has none.
func (q *Queue) taskOfJob(ctx context.Context, jobID int64) (Task, error) {
	t, err := read(ctx, q.tasks.ofJob, jobID)
	if errors.Is(err, postgres.ErrNoRows) {
		return Task{}, nil
	}
	return t, err
}

// Task returns a task for its owner or an admin. Faults: NotFound, also for one that is another's.
func (q *Queue) Task(ctx context.Context, caller auth.Identity, id string) (Task, error) {
	t, err := read(ctx, q.tasks.find, id)
	switch {
	case errors.Is(err, postgres.ErrNoRows), err == nil && t.owner != caller.ID && !caller.IsAdmin():
		return Task{}, fault.New(fault.NotFound, "Task not found")
	}
	return t, err
}

// failed ends a task badly and tells the kind. A job without a task has nobody to tell.
func (q *Queue) failed(ctx context.Context, taskID, kindName string, args []byte, reason string) error {
	k, err := q.kindOf(kindName)
	if err != nil || taskID == "" {
		return err
	}
	return q.cfg.DB.Atomically(ctx, func(ctx context.Context) error {
		ended, err := q.tasks.fail.Exec(ctx, taskID, reason)
		if err != nil || ended == 0 {
			return err
		}
		return k.tell(ctx, args, Failed, reason)
	})
}

// lostTask is a task whose job ended without its being told.
type lostTask struct {
	id, kind string
	args     []byte
}

// settle ends the tasks whose jobs have ended without them.
func (q *Queue) settle(ctx context.Context) error {
	var lost []lostTask
	err := q.tasks.lost.Query(ctx, func(rows *sql.Rows) error {
		var l lostTask
		err := rows.Scan(&l.id, &l.kind, &l.args)
		lost = append(lost, l)
		return err
	})
	for _, l := range lost {
		if _, unknown := q.kindOf(l.kind); unknown != nil {
			continue // a process of the other release will
		}
		if ferr := q.failed(ctx, l.id, l.kind, l.args, gaveUp); ferr != nil {
			err = errors.Join(err, ferr)
		}
	}
	return err
}

// keepTasks is how long tasks stay that have ended.
const keepTasks = 30 * 24 * time.Hour

// SweepTasks removes tasks that ended long ago, at most a thousand.
func (q *Queue) SweepTasks(ctx context.Context) error {
	_, err := q.tasks.sweep.Exec(ctx, int64(keepTasks/time.Second))
	return err
}
