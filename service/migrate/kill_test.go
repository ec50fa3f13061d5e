package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

// gated are migrations that can be stopped at each statement, and at the writing of each record. A counter shows what was done twice.
var gated = files{
	"1_create.sql": up(`CREATE TABLE works (id int PRIMARY KEY, title text);
INSERT INTO works SELECT n, n::text FROM generate_series(1, 100) AS n;
CREATE TABLE gates (id int PRIMARY KEY);
INSERT INTO gates SELECT generate_series(1, 10);
CREATE TABLE done (file int);
CREATE FUNCTION gate(n int) RETURNS void LANGUAGE sql AS 'SELECT FROM public.gates WHERE id = n FOR UPDATE';
-- +goose StatementBegin
CREATE FUNCTION record_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM gate(5 + new.version_id::int); RETURN new; END $$;
-- +goose StatementEnd
CREATE TRIGGER record_gate BEFORE INSERT ON mirubato_migration_checksums FOR EACH ROW WHEN (new.version_id > 1) EXECUTE FUNCTION record_gate();`),
	"2_add.sql":   up("SELECT gate(1);\nALTER TABLE works ADD COLUMN key text;\nSELECT gate(2);\nINSERT INTO done VALUES (2);\nSELECT gate(3);"),
	"3_index.sql": noTx("CREATE UNIQUE INDEX CONCURRENTLY works_by_title ON works (title);"),
	"4_more.sql":  up("INSERT INTO done VALUES (4);\nSELECT gate(4);\nALTER TABLE works DROP COLUMN IF EXISTS nothing;"),
}

// gates are where a run is stopped: in a file, at a record (5 and the version), or, as 0, in the index build.
var gates = []int{1, 2, 3, 7, 0, 8, 4, 9}

// stopAt holds a run up at a gate until release is called.
func stopAt(t *testing.T, db *sql.DB, gate int) (release func()) {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	hold := fmt.Sprintf("SELECT FROM gates WHERE id = %d FOR UPDATE", gate)
	if gate == 0 { // a build waits for older transactions that have written to the table
		hold = "UPDATE works SET title = title WHERE id = 1"
	}
	if _, err := tx.ExecContext(t.Context(), hold); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback() }
}

func prepareGates(ctx context.Context, url string) error {
	_, err := Up(ctx, config(url, files{"1_create.sql": gated["1_create.sql"]}))
	return err
}

// finishes makes sure that the next run does what is left, and that nothing was done twice.
func finishes(t *testing.T, url string, db *sql.DB) {
	t.Helper()
	if report := mustUp(t, url, gated); report.To != 4 || report.InvalidIndexes != nil {
		t.Errorf("the next run: %+v", report)
	}
	const all = `SELECT (SELECT count(*) FROM done) = 2 AND (SELECT count(DISTINCT file) FROM done) = 2
		AND (SELECT count(*) FROM goose_db_version) = 5 AND (SELECT count(*) FROM mirubato_migration_checksums) = 4
		AND (SELECT count(*) = 2 AND bool_and(indisvalid) FROM pg_index WHERE indrelid = 'works'::regclass)`
	if !get[bool](t, db, all) {
		t.Error("something was done twice, or not at all")
	}
}

func TestAConnectionIsCutAtEachStatement(t *testing.T) {
	for _, gate := range gates {
		t.Run(fmt.Sprint("gate ", gate), func(t *testing.T) {
			url := pgserver.Filled(t, "gates", prepareGates)
			db := open(t, url)
			release := stopAt(t, db, gate)
			run := start(t.Context(), config(url, gated))
			exec(t, db, "SELECT pg_terminate_backend($1, 10000)", awaitBlocked(t, db))
			release()
			if r := <-run; mustFail(t, r.err, contract.DatabaseUnreachable) == nil || r.report.To < 1 {
				t.Errorf("report %+v", r.report)
			}
			finishes(t, url, db)
		})
	}
}

func TestARunIsToldToStop(t *testing.T) {
	for _, gate := range []int{2, 0, 8} { // in a file, in the build, and before its record
		t.Run(fmt.Sprint("gate ", gate), func(t *testing.T) {
			url := pgserver.Filled(t, "gates", prepareGates)
			db := open(t, url)
			release := stopAt(t, db, gate)
			ctx, stop := context.WithCancel(t.Context())
			run := start(ctx, config(url, gated))
			awaitBlocked(t, db)
			stop()
			r := <-run
			mustFail(t, r.err, contract.Interrupted)
			release()
			for deadline := time.Now().Add(30 * time.Second); get[int](t, db, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") > 0; {
				if time.Now().After(deadline) {
					t.Fatal("the lock was not given up")
				}
				time.Sleep(5 * time.Millisecond)
			}
			finishes(t, url, db)
		})
	}
}

func TestTheServerIsRestartedAtEachStatement(t *testing.T) {
	dir := t.TempDir()
	startServer := func() *pgserver.Server {
		t.Helper()
		server, err := pgserver.Start(t.Context(), pgserver.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	server := startServer()
	defer func() {
		if err := server.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for _, gate := range gates {
		name := fmt.Sprint("gate_", gate)
		if err := server.EnsureDatabase(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := prepareGates(t.Context(), server.URL(name)); err != nil {
			t.Fatal(err)
		}
		db := open(t, server.URL(name))
		release := stopAt(t, db, gate)
		run := start(t.Context(), config(server.URL(name), gated))
		awaitBlocked(t, db)
		if err := server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := <-run
		mustFail(t, r.err, contract.DatabaseUnreachable)
		release()
		server = startServer()
		finishes(t, server.URL(name), open(t, server.URL(name)))
	}
}
