package migrate

import (
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestLockKeyIsStable(t *testing.T) {
	// Another value would let an old and a new release of the program run at once.
	if got, want := lockKey("mirubato"), int64(-8040229651212876900); got != want {
		t.Errorf("key %d, want %d", got, want)
	}
}

func TestAnotherRunKeepsTheLock(t *testing.T) {
	url := pgserver.Database(t)
	target, err := parseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	other, err := acquire(t.Context(), target, DefaultLockID, -1, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer other.release(t.Context())

	cfg := config(url, works)
	for name, wait := range map[string]time.Duration{"not waiting": -1, "waiting a little": 30 * time.Millisecond} {
		cfg.AdvisoryLockWait = wait
		report, failure := failUp(t, cfg, contract.LockNotAcquired)
		if !failure.Retryable || ExitCode(failure) != contract.ExitUnavailable || report.To != -1 {
			t.Errorf("%s: report %+v", name, report)
		}
		if want := `application "mirubato-migrate"`; !strings.Contains(failure.Message, want) {
			t.Errorf("%s: message %q does not say who has it", name, failure.Message)
		}
	}
	cfg.LockID = "another"
	if _, err := Up(t.Context(), cfg); err != nil {
		t.Errorf("a run with another lock: %v", err)
	}
}

func TestALockInAnotherSessionIsNoLock(t *testing.T) {
	target, err := parseTarget(pgserver.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	l, err := acquire(t.Context(), target, DefaultLockID, -1, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer l.release(t.Context())
	if err := l.verify(t.Context()); err != nil {
		t.Errorf("our own: %v", err)
	}
	// A pooler answers from whatever session is free.
	other, err := l.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	pooled := *l
	pooled.conn = other
	if failure := mustFail(t, pooled.verify(t.Context()), contract.LockNotAcquired); !strings.Contains(failure.Message, "pooler") {
		t.Errorf("message %q", failure.Message)
	}
}

func TestALostLockStopsTheRun(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	cfg := config(url, works.with("2_more.sql", up("CREATE TABLE more (id int);")))
	cfg.Log = once("finishing", func() {
		if !get[bool](t, db, "SELECT bool_and(pg_terminate_backend(pid, 10000)) FROM pg_locks WHERE locktype = 'advisory'") {
			t.Error("the session with the lock did not end")
		}
	})
	report, _ := failUp(t, cfg, contract.DatabaseUnreachable)
	if report.To != 1 || len(report.Applied) != 1 {
		t.Errorf("report %+v", report)
	}
	if report := mustUp(t, url, works.with("2_more.sql", up("CREATE TABLE more (id int);"))); report.To != 2 {
		t.Errorf("the next run: %+v", report)
	}
}

func TestAFileThatWaitsTooLongIsTriedAgain(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	mustUp(t, url, works)
	release := holdTable(t, db, "works")
	cfg := config(url, works.with("2_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;")))
	cfg.StatementLockTimeout = 10 * time.Millisecond
	cfg.Retries = 1000
	cfg.Log = once("retrying", release)
	report, err := Up(t.Context(), cfg)
	if err != nil || report.To != 2 {
		t.Errorf("report %+v, error %v", report, err)
	}
}

func TestRetriesEnd(t *testing.T) {
	url := pgserver.Database(t)
	mustUp(t, url, works)
	defer holdTable(t, open(t, url), "works")()
	cfg := config(url, works.with("2_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;")))
	cfg.StatementLockTimeout = time.Millisecond
	cfg.Retries = 2
	report, failure := failUp(t, cfg, contract.LockNotAcquired)
	if failure.SQLState != "55P03" || failure.Migration != "2_add_key.sql" || report.To != 1 {
		t.Errorf("error %+v, report %+v", failure, report)
	}
}

func TestAKilledSessionIsResumed(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	mustUp(t, url, works)
	release := holdTable(t, db, "works")
	defer release()
	f := works.with("2_add_key.sql", up("CREATE TABLE keys (id int);\nALTER TABLE works ADD COLUMN key text;"))
	run := start(t.Context(), config(url, f))
	exec(t, db, "SELECT pg_terminate_backend($1)", awaitBlocked(t, db))
	r := <-run
	mustFail(t, r.err, contract.DatabaseUnreachable)
	if r.report.From != 1 || r.report.To != 1 {
		t.Errorf("report %+v", r.report)
	}
	release()
	if report := mustUp(t, url, f); report.From != 1 || report.To != 2 {
		t.Errorf("the next run: %+v", report)
	}
}

func TestAnInvalidIndexIsNamedAndReplaced(t *testing.T) {
	for name, create := range map[string]string{
		"a plain name":   "CREATE UNIQUE INDEX CONCURRENTLY works_title ON works (title);",
		"if not exists":  "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS works_title ON ONLY public.works USING btree (title);",
		"a quoted name":  `CREATE UNIQUE INDEX CONCURRENTLY "Works ""Title""" ON "public"."works" (title);`,
		"capital letter": "create unique index concurrently Works_Title on WORKS (title);",
	} {
		t.Run(name, func(t *testing.T) {
			url := pgserver.Database(t)
			db := open(t, url)
			mustUp(t, url, works)
			exec(t, db, "INSERT INTO works VALUES (1, 'Lágrima'), (2, 'Lágrima')")
			f := works.with("2_unique_title.sql", noTx(create))
			for range 2 {
				_, failure := failUp(t, config(url, f), contract.MigrationFailed)
				if want := `it left the invalid index "public".`; !strings.Contains(failure.Message, want) || failure.SQLState != "23505" {
					t.Fatalf("message %q (%s) does not say %q", failure.Message, failure.SQLState, want)
				}
			}
			exec(t, db, "DELETE FROM works WHERE id = 2")
			mustUp(t, url, f)
			const valid = "SELECT count(*) FROM pg_index WHERE indrelid = 'works'::regclass AND indisvalid AND NOT indisprimary"
			if n := get[int](t, db, valid); n != 1 {
				t.Errorf("valid indexes: %d", n)
			}
		})
	}
}

// An index build waits for older transactions however long they take; the limit of transactional files would cancel it.
func TestABuildBesideATransactionIsNotCancelled(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	mustUp(t, url, works)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "INSERT INTO works VALUES (1, 'Recuerdos')"); err != nil {
		t.Fatal(err)
	}
	cfg := config(url, works.with("2_index.sql", noTx("CREATE INDEX CONCURRENTLY works_title ON works (title);")))
	cfg.StatementLockTimeout = time.Millisecond
	cfg.Retries = -1
	run := start(t.Context(), cfg)
	awaitBlocked(t, db)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if r := <-run; r.err != nil || r.report.To != 2 {
		t.Errorf("report %+v, error %v", r.report, r.err)
	}
}
