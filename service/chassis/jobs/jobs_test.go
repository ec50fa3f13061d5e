package jobs_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/jobs"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// patience is how long a test waits for something that takes moments.
const patience = 30 * time.Second

var alice = auth.Identity{ID: "alice", Role: auth.RoleUser}

// sums adds numbers; it is the work of these tests.
type sums struct {
	A int `json:"a"`
	B int `json:"b"`
}

func (sums) Kind() string { return "sums" }

func newQueue(t *testing.T, db *postgres.DB, change func(*jobs.Config)) *jobs.Queue {
	t.Helper()
	cfg := jobs.Config{
		DB: db, Pool: db.Pool(), Workers: 2, Patience: 2 * time.Second, StopTimeout: 5 * time.Second,
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	q, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// run has the jobs of a queue done until the test ends or the function is called.
func run(t *testing.T, q *jobs.Queue) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		q.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// await waits until the task of alice is in the state.
func await(t *testing.T, q *jobs.Queue, id string, want jobs.State) jobs.Task {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		task, err := q.Task(t.Context(), alice, id)
		if err != nil {
			t.Fatal(err)
		}
		if task.State == want {
			return task
		}
		if time.Now().After(deadline) {
			t.Fatalf("the task stays %s (%q), want %s", task.State, task.Reason, want)
		}
	}
}

func enqueued(t *testing.T, q *jobs.Queue, args jobs.Args, o jobs.Order) jobs.Task {
	t.Helper()
	task, err := q.Enqueue(t.Context(), args, o)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func TestJobIsDoneAndItsTaskTellsTheResult(t *testing.T) {
	db := scorestest.Open(t, scorestest.URL(t))
	q := newQueue(t, db, nil)
	jobs.Register(q, jobs.Kind[sums]{Work: func(_ context.Context, j *jobs.Job[sums]) (jobs.Outcome, error) {
		return jobs.Outcome{Result: map[string]int{"sum": j.Args.A + j.Args.B}}, nil
	}})
	task := enqueued(t, q, sums{A: 2, B: 3}, jobs.Order{Owner: "alice", About: "/api/x"})
	if task.State != jobs.Pending || task.About != "/api/x" {
		t.Errorf("enqueued: %+v", task)
	}
	run(t, q)
	ended := await(t, q, task.ID, jobs.Completed)
	if string(ended.Result) != `{"sum": 5}` || ended.Progress != 100 || ended.FinishedAt == nil || ended.Attempts != 1 {
		t.Errorf("ended: %+v %s", ended, ended.Result)
	}
	for who, caller := range map[string]auth.Identity{"a stranger": {ID: "bob", Role: auth.RoleTeacher}, "nobody": {}} {
		if _, err := q.Task(t.Context(), caller, task.ID); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("%s sees the task: %v", who, err)
		}
	}
	if _, err := q.Task(t.Context(), auth.Identity{ID: "root", Role: auth.RoleAdmin}, task.ID); err != nil {
		t.Errorf("an admin does not see it: %v", err)
	}
}

func TestJobIsAskedForInTheTransaction(t *testing.T) {
	db := scorestest.Open(t, scorestest.URL(t))
	q := newQueue(t, db, nil)
	jobs.Register(q, jobs.Kind[sums]{Work: func(context.Context, *jobs.Job[sums]) (jobs.Outcome, error) { return jobs.Outcome{}, nil }})
	undone := errors.New("undone")
	var id string
	err := db.Atomically(t.Context(), func(ctx context.Context) error {
		task, err := q.Enqueue(ctx, sums{}, jobs.Order{Owner: "alice"})
		id = task.ID
		return errors.Join(undone, err)
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
	if _, err := q.Task(t.Context(), alice, id); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("the task of a transaction that was undone: %v", err)
	}
	if n := count(t, db, `select count(*) from river_job`); n != 0 {
		t.Errorf("%d jobs are left of it", n)
	}
}

func count(t *testing.T, db *postgres.DB, text string) int {
	t.Helper()
	var n int
	if err := db.Pool().QueryRowContext(t.Context(), text).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRefusedJobIsNotTriedAgainAndTellsWhy(t *testing.T) {
	db := scorestest.Open(t, scorestest.URL(t))
	q := newQueue(t, db, nil)
	var attempts atomic.Int32
	told := make(chan string, 4)
	jobs.Register(q, jobs.Kind[sums]{
		Work: func(context.Context, *jobs.Job[sums]) (jobs.Outcome, error) {
			attempts.Add(1)
			return jobs.Outcome{}, jobs.Refuse("The numbers are too large; send smaller ones", errors.New("secret cause"))
		},
		Tell: func(_ context.Context, _ sums, s jobs.State, reason string) error {
			told <- string(s) + ": " + reason
			return nil
		},
	})
	run(t, q)
	task := enqueued(t, q, sums{A: 1}, jobs.Order{Owner: "alice"})
	ended := await(t, q, task.ID, jobs.Failed)
	if ended.Reason != "The numbers are too large; send smaller ones" {
		t.Errorf("reason %q", ended.Reason)
	}
	if got := <-told; got != "failed: The numbers are too large; send smaller ones" {
		t.Errorf("told %q", got)
	}
	if n := attempts.Load(); n != 1 {
		t.Errorf("%d attempts, want 1", n)
	}
}

func TestEffectsHappenWithTheEndOfTheJobOrNotAtAll(t *testing.T) {
	db := scorestest.Open(t, scorestest.URL(t))
	if _, err := db.Pool().ExecContext(t.Context(), `create table effects (n int)`); err != nil {
		t.Fatal(err)
	}
	effect := db.Direct("effect", `insert into effects values (1)`)
	q := newQueue(t, db, nil)
	jobs.Register(q, jobs.Kind[sums]{Work: func(_ context.Context, j *jobs.Job[sums]) (jobs.Outcome, error) {
		return jobs.Outcome{Commit: func(ctx context.Context) error {
			if _, err := effect.Exec(ctx); err != nil {
				return err
			}
			if j.Attempt == 1 {
				panic("half-way") // as if the process were killed before the commit
			}
			return nil
		}}, nil
	}})
	run(t, q)
	task := enqueued(t, q, sums{}, jobs.Order{Owner: "alice"})
	ended := await(t, q, task.ID, jobs.Completed)
	if n := count(t, db, `select count(*) from effects`); n != 1 || ended.Attempts != 2 {
		t.Errorf("%d effects after %d attempts, want 1 after 2", n, ended.Attempts)
	}
}

func TestUniqueJobIsThereOnce(t *testing.T) {
	db := scorestest.Open(t, scorestest.URL(t))
	q := newQueue(t, db, nil)
	jobs.Register(q, jobs.Kind[sums]{Work: func(context.Context, *jobs.Job[sums]) (jobs.Outcome, error) { return jobs.Outcome{}, nil }})
	first := enqueued(t, q, sums{A: 1}, jobs.Order{Owner: "alice", Unique: true})
	second := enqueued(t, q, sums{A: 1}, jobs.Order{Owner: "alice", Unique: true})
	other := enqueued(t, q, sums{A: 2}, jobs.Order{Owner: "alice", Unique: true})
	if first.ID != second.ID || other.ID == first.ID {
		t.Errorf("tasks %s %s %s, want the first two the same", first.ID, second.ID, other.ID)
	}
	run(t, q)
	await(t, q, first.ID, jobs.Completed)
	if again := enqueued(t, q, sums{A: 1}, jobs.Order{Owner: "alice", Unique: true}); again.ID == first.ID {
		t.Error("a job that has ended keeps the next one away")
	}
}
