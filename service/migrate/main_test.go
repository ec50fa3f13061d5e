package migrate

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// up makes the text of a migration.
func up(sql string) string { return "-- +goose Up\n" + sql + "\n" }

func contractUp(sql string) string { return "-- mirubato:phase contract\n" + up(sql) }

func noTx(sql string) string { return "-- +goose NO TRANSACTION\n" + up(sql) }

// files maps names to texts.
type files map[string]string

func (f files) fs() fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range f {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// with returns the files with one more, or another text for one.
func (f files) with(name, text string) files {
	more := files{name: text}
	for n, t := range f {
		if n != name {
			more[n] = t
		}
	}
	return more
}

var works = files{"1_create_works.sql": up("CREATE TABLE works (id bigint PRIMARY KEY, title text);")}

// watcher calls a function for log records, from the goroutine that logs them.
type watcher struct {
	slog.Handler
	see func(record slog.Record)
}

func (w watcher) Enabled(context.Context, slog.Level) bool { return true }

func (w watcher) Handle(_ context.Context, r slog.Record) error {
	w.see(r)
	return nil
}

// once calls do at the first record that begins with message.
func once(message string, do func()) *slog.Logger {
	done := false
	return slog.New(watcher{Handler: slog.DiscardHandler, see: func(r slog.Record) {
		if !done && strings.HasPrefix(r.Message, message) {
			done = true
			do()
		}
	}})
}

// config is quick in everything that waits.
func config(url string, f files) Config {
	return Config{DatabaseURL: url, Files: f.fs(), RetryPause: time.Millisecond, AdvisoryLockWait: time.Minute, StatementLockTimeout: time.Minute}
}

func mustUp(t *testing.T, url string, f files) contract.MigrationReport {
	t.Helper()
	report, err := Up(t.Context(), config(url, f))
	if err != nil {
		t.Fatalf("Up: %v", err)
	}
	return report
}

// failUp expects an error with a code.
func failUp(t *testing.T, cfg Config, want contract.MigrationErrorCode) (contract.MigrationReport, *Error) {
	t.Helper()
	report, err := Up(t.Context(), cfg)
	return report, mustFail(t, err, want)
}

func mustFail(t *testing.T, err error, want contract.MigrationErrorCode) *Error {
	t.Helper()
	failure, ok := errors.AsType[*Error](err)
	if !ok || failure.Code != want {
		t.Fatalf("got %v, want an error of code %s", err, want)
	}
	return failure
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func get[T any](t *testing.T, db *sql.DB, query string, args ...any) T {
	t.Helper()
	var v T
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// holdTable keeps everybody else off a table until release is called.
func holdTable(t *testing.T, db *sql.DB, table string) (release func()) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback() }
}

// awaitBlocked returns the server process of a run that waits for a table.
func awaitBlocked(t *testing.T, db *sql.DB) (pid int) {
	t.Helper()
	const query = `SELECT coalesce(max(pid), 0) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'mirubato-migrate' AND wait_event_type = 'Lock'`
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if pid := get[int](t, db, query); pid != 0 {
			return pid
		}
	}
	t.Fatal("no run waits for a table")
	return 0
}

// start calls Up beside the test.
func start(ctx context.Context, cfg Config) <-chan result {
	done := make(chan result, 1)
	go func() {
		report, err := Up(ctx, cfg)
		done <- result{report, err}
	}()
	return done
}

type result struct {
	report contract.MigrationReport
	err    error
}
