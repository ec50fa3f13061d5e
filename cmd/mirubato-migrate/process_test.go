package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

// program is the real one, as a process of its own.
func program(t *testing.T, dir, databaseURL string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], append(args, "--dir", dir)...)
	cmd.Env = append(os.Environ(), asProgram+"=1", envDatabaseURL+"="+databaseURL)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

func openDatabase(t *testing.T, databaseURL string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func scan[T any](t *testing.T, db *sql.DB, query string) (v T) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

func await(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !scan[bool](t, db, query); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", query)
		}
	}
}

// A process is killed, or told to stop, while each statement runs; the next one finishes.
func TestAProcessIsEndedAtEachStatement(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1_create.sql", `-- +goose Up
CREATE TABLE works (id int PRIMARY KEY, title text);
INSERT INTO works SELECT n, n::text FROM generate_series(1, 100) AS n;
CREATE TABLE done (file int);
`)
	first := t.TempDir()
	if content, err := os.ReadFile(dir + "/1_create.sql"); err != nil || os.WriteFile(first+"/1_create.sql", content, 0o600) != nil {
		t.Fatal(err)
	}
	write(t, dir, "2_add.sql", "-- +goose Up\nLOCK TABLE done;\nALTER TABLE works ADD COLUMN key text;\nINSERT INTO done VALUES (2);\n")
	write(t, dir, "3_index.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE UNIQUE INDEX CONCURRENTLY works_by_title ON works (title);\n")
	write(t, dir, "4_more.sql", "-- +goose Up\nINSERT INTO done VALUES (4);\nALTER TABLE works DROP COLUMN key;\n")
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		for name, hold := range map[string]string{
			"the first statement of a file": "LOCK TABLE done IN ACCESS SHARE MODE", "the second": "SELECT FROM works",
			"an index build": "UPDATE works SET title = title WHERE id = 1", "the record": "LOCK TABLE mirubato_migration_checksums IN SHARE MODE",
		} {
			t.Run(fmt.Sprint(name, " by ", signal), func(t *testing.T) {
				url := pgserver.Database(t)
				db := openDatabase(t, url)
				if got := call(t.Context(), map[string]string{envDatabaseURL: url}, "up", "--dir", first); got.code != contract.ExitOK {
					t.Fatal(got.stderr)
				}
				tx, err := db.BeginTx(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = tx.Rollback() }()
				if _, err := tx.ExecContext(t.Context(), hold); err != nil {
					t.Fatal(err)
				}
				cmd, out := program(t, dir, url, "up", "--statement-lock-timeout", "1m")
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				await(t, db, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
					AND application_name = 'mirubato-migrate' AND wait_event_type = 'Lock')`)
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				ended, ok := errors.AsType[*exec.ExitError](cmd.Wait())
				if signal == syscall.SIGTERM && (!ok || ended.ExitCode() != contract.ExitUnavailable || !strings.Contains(out.String(), `"code":"Interrupted"`)) {
					t.Errorf("ended with %v: %s", ended, out)
				}
				if err := tx.Rollback(); err != nil {
					t.Fatal(err)
				}
				cmd, out = program(t, dir, url, "up")
				if err := cmd.Run(); err != nil {
					t.Fatalf("the next run: %v: %s", err, out)
				}
				if !scan[bool](t, db, `SELECT (SELECT count(*) = 2 AND count(DISTINCT file) = 2 FROM done) AND (SELECT count(*) = 5 FROM goose_db_version)
					AND (SELECT count(*) = 2 AND bool_and(indisvalid) FROM pg_index WHERE indrelid = 'works'::regclass)`) {
					t.Errorf("something was done twice, or not at all: %s", out)
				}
			})
		}
	}
}

func TestTwentyProcessesApplyOnce(t *testing.T) {
	dir, url := t.TempDir(), pgserver.Database(t)
	write(t, dir, "1_create.sql", "-- +goose Up\nCREATE TABLE works (id int PRIMARY KEY, title text);\nINSERT INTO works SELECT generate_series(1, 2000);\n")
	write(t, dir, "2_index.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY works_by_title ON works (title);\n")
	var running []*exec.Cmd
	var outputs []*bytes.Buffer
	for range 20 {
		cmd, out := program(t, dir, url, "up", "--advisory-lock-wait", "10m")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running, outputs = append(running, cmd), append(outputs, out)
	}
	applied := 0
	for i, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, outputs[i])
		}
		applied += strings.Count(outputs[i].String(), `"finishing migration"`)
	}
	if applied != 2 {
		t.Errorf("%d files were applied, want each of 2 once", applied)
	}
	if n := scan[int](t, openDatabase(t, url), "SELECT count(*) FROM pg_index WHERE NOT indisvalid"); n != 0 {
		t.Errorf("%d indexes are not valid", n)
	}
}
