package migrate

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestWhoIsWaitedForIsNamed(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	mustUp(t, url, works)
	db.SetMaxOpenConns(1)
	pid := get[int](t, db, "SELECT pg_backend_pid()")
	release := holdTable(t, db, "works")
	defer release()
	cfg := config(url, works.with("2_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;")))
	cfg.StatementLockTimeout, cfg.Retries = 3*time.Second, -1 // it is looked at four times a second
	_, failure := failUp(t, cfg, contract.LockNotAcquired)
	if want := fmt.Sprintf("it waited for server process %d, idle in transaction, in a transaction for ", pid); !strings.Contains(failure.Message, want) {
		t.Errorf("message %q does not say %q", failure.Message, want)
	}
}

func TestProgressOfAnIndexBuildIsLogged(t *testing.T) {
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
	var progress string
	cfg.Log = slog.New(watcher{Handler: slog.DiscardHandler, see: func(r slog.Record) {
		if r.Message != "applying migration still" || progress != "" {
			return
		}
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == "progress" {
				progress = a.Value.String()
			}
			return true
		})
		_ = tx.Rollback() // now the build may go on
	}})
	if report, err := Up(t.Context(), cfg); err != nil || report.To != 2 {
		t.Fatalf("report %+v, error %v", report, err)
	}
	if want := "waiting for writers before build, 0 of 1 sessions"; progress != want {
		t.Errorf("progress %q, want %q", progress, want)
	}
}

func TestBuildProgress(t *testing.T) {
	for want, p := range map[string]buildProgress{
		"initializing": {phase: "initializing"},
		"building index: scanning table, 4 of 9 blocks":    {phase: "building index: scanning table", blocks: 4, ofBlocks: 9},
		"building index: sorting live tuples, 7 of 8 rows": {phase: "building index: sorting live tuples", blocks: 9, ofBlocks: 9, tuples: 7, ofTuples: 8},
	} {
		if got := p.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
