package backup

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/migrate"
)

func TestMain(m *testing.M) {
	if os.Getenv(envDiesAt) != "" {
		restoreAndDie()
	}
	if os.Getenv(envBackupDiesAt) != "" {
		backUpAndDie()
	}
	os.Exit(pgserver.Run(m))
}

// everything has what is easily lost on the way: types whose text depends on settings, tables without keys or columns,
// partitions, generated columns, names that want quotes, large objects, other owners.
const everything = `
CREATE SCHEMA "Odd ""Schema";
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE "Odd ""Schema"."every_column" (every_column int, "content" text);
INSERT INTO "Odd ""Schema"."every_column" VALUES (1, 'a'), (1, 'a'), (NULL, NULL);
CREATE TABLE kinds (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, f float8, r float4, j json, jb jsonb, b bytea, texts text[], m mood,
	t timestamptz, i interval, c money, x xml, u uuid DEFAULT gen_random_uuid(), doubled float8 GENERATED ALWAYS AS (f * 2) STORED);
INSERT INTO kinds (f, r, j, jb, b, texts, m, t, i, c, x)
	SELECT n / 3.0, n / 7.0, '{"b": 1, "a": [2]}', '{"b": 1}', sha256(n::text::bytea), ARRAY['x', NULL, 'ü,"'], 'happy', now(), '1 day 2 s', 12.5, '<a/>'
	FROM generate_series(1, 500) AS n;
ALTER TABLE kinds DROP COLUMN r;
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE parts (at date NOT NULL, text text) PARTITION BY RANGE (at);
CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE parts_new PARTITION OF parts DEFAULT;
INSERT INTO parts VALUES ('2025-01-01', 'old'), ('2026-06-01', 'new');
CREATE TABLE base (id int);
CREATE TABLE derived (more text) INHERITS (base);
INSERT INTO derived VALUES (1, 'm');
CREATE VIEW happy AS SELECT id FROM kinds WHERE m = 'happy';
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM kinds;
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
CREATE SEQUENCE numbers INCREMENT 5 START 100;
SELECT nextval('numbers'), nextval('numbers');
SELECT lo_from_bytea(0, 'a large object');
`

func fill(ctx context.Context, databaseURL string) error {
	db, err := sql.Open("postgres", databaseURL)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, everything)
	return errors.Join(err, db.Close())
}

func config(t testing.TB, databaseURL string) Config {
	t.Helper()
	return Config{DatabaseURL: databaseURL, Location: t.TempDir(), Scratch: t.TempDir(), Keep: DefaultKeep, Log: slog.New(slog.DiscardHandler)}
}

func mustExec(t testing.TB, databaseURL, text string) {
	t.Helper()
	db, err := sql.Open("postgres", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.WithoutCancel(t.Context()), text); err != nil { // clean-ups call it too
		t.Fatal(err)
	}
}

func mustFail(t *testing.T, err error, code contract.MigrationErrorCode, text string) {
	t.Helper()
	failure, ok := errors.AsType[*migrate.Error](err)
	if !ok || failure.Code != code || !strings.Contains(failure.Message, text) {
		t.Errorf("got %v, want an error of code %s that says %q", err, code, text)
	}
}

func assertEmpty(t *testing.T, directories ...string) {
	t.Helper()
	for _, dir := range directories {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			t.Errorf("%s was left", entry.Name())
		}
	}
}

func TestBackupWithProof(t *testing.T) {
	everywhere(t, func(t *testing.T, place place) {
		t.Helper()
		cfg := config(t, pgserver.Filled(t, "everything", fill))
		cfg.Location = place.location
		report, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		assertProof(t, report)
		listed, err := List(t.Context(), cfg.Location)
		if err != nil {
			t.Fatal(err)
		}
		kept := report
		kept.Finished = listed[0].Finished
		if diff := cmp.Diff([]contract.BackupReport{kept}, listed); diff != "" {
			t.Errorf("manifest (-report +listed):\n%s", diff)
		}
		place.assertFiles(t, report.Name+"/dump", report.Name+"/manifest.json")
		assertEmpty(t, cfg.Scratch)
		restoring := restoreOf(t, cfg, report.Name)
		if restored, err := Restore(t.Context(), restoring); err != nil || restored.Rows != 508 {
			t.Errorf("restored %+v, %v", restored, err)
		}
		assertDatabases(t, restoring, "NEW")
	})
}

func assertProof(t *testing.T, report contract.BackupReport) {
	t.Helper()
	rows := map[string]int64{}
	for _, table := range report.Tables {
		rows[table.Name] = table.Rows
	}
	want := map[string]int64{
		`"Odd ""Schema".every_column`: 3, "public.kinds": 500, "public.nothing": 1, "public.parts_old": 1, "public.parts_new": 1,
		"public.base": 0, "public.derived": 1, largeObjects: 1,
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
	if !report.Verified || report.Size == 0 || report.LSN == "" || report.Snapshot == "" || report.SystemIdentifier == "" || report.Fingerprint == "" || report.Rows != 508 {
		t.Errorf("report %+v", report)
	}
}

func TestWritersGoOnMeanwhile(t *testing.T) {
	cfg := config(t, pgserver.Filled(t, "everything", fill))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		db, err := sql.Open("postgres", cfg.DatabaseURL)
		for err == nil && ctx.Err() == nil {
			_, err = db.ExecContext(context.WithoutCancel(ctx), "INSERT INTO kinds (f) VALUES (random()); SELECT nextval('numbers')")
		}
		done <- errors.Join(err, db.Close())
	}()
	report, err := Run(t.Context(), cfg)
	stop()
	if writeErr := <-done; err != nil || writeErr != nil || !report.Verified {
		t.Errorf("verified %v, error %v, of the writer %v", report.Verified, err, writeErr)
	}
}

func TestDamagedDumpsAreCaught(t *testing.T) {
	databaseURL := pgserver.Filled(t, "everything", fill)
	without := pgserver.Filled(t, "everything", fill)
	mustExec(t, without, "DROP TABLE nothing")
	changed := pgserver.Filled(t, "everything", fill)
	mustExec(t, changed, `UPDATE "Odd ""Schema".every_column SET content = 'b' WHERE content = 'a'`)
	fewer := pgserver.Filled(t, "everything", fill)
	mustExec(t, fewer, "DELETE FROM kinds WHERE id = 1")
	noView := pgserver.Filled(t, "everything", fill)
	mustExec(t, noView, "DROP VIEW happy")
	moved := pgserver.Filled(t, "everything", fill)
	mustExec(t, moved, "SELECT setval('numbers', 1000)")
	foreign := func(other string) func(t *testing.T, dump []byte) []byte {
		return func(t *testing.T, _ []byte) []byte {
			t.Helper()
			r := newRun(t, config(t, other))
			if _, err := r.dump(t.Context()); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(dumpOf(t, r))
			if err != nil {
				t.Fatal(err)
			}
			return content
		}
	}
	for name, tc := range map[string]struct {
		damage func(t *testing.T, dump []byte) []byte
		want   string // what is said when the checksum is made to fit
	}{
		"empty":            {func(*testing.T, []byte) []byte { return nil }, "restoring the dump: pg_restore: input file is too short"},
		"truncated":        {func(_ *testing.T, dump []byte) []byte { return dump[:len(dump)*6/10] }, "restoring the dump: pg_restore: "},
		"without its end":  {func(_ *testing.T, dump []byte) []byte { return dump[:len(dump)-40] }, "restoring the dump: pg_restore: "},
		"one bit flipped":  {func(_ *testing.T, dump []byte) []byte { dump[len(dump)*8/10] ^= 4; return dump }, "restoring the dump: pg_restore: "},
		"a table missing":  {foreign(without), "public.nothing is missing in the copy"},
		"another value":    {foreign(changed), `"Odd ""Schema".every_column has other values in the copy`},
		"a row missing":    {foreign(fewer), "public.kinds has 500 rows in the database and 499 in the copy"},
		"a view missing":   {foreign(noView), "the schemas differ: the database has"},
		"a sequence moved": {foreign(moved), "the sequence public.numbers stands at 1000 in the copy and at 105 in the database"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t, config(t, databaseURL))
			database, err := r.dump(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			path := dumpOf(t, r)
			dump, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := tc.damage(t, dump)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if name == "one bit flipped" {
				mustFail(t, r.verify(t.Context(), database), contract.BackupDiffers, "the dump is damaged")
			}
			sum := sha256.Sum256(damaged)
			r.report.Files[0].SHA256 = hex.EncodeToString(sum[:])
			failure, ok := errors.AsType[*migrate.Error](r.verify(t.Context(), database))
			if !ok || !strings.Contains(failure.Message, tc.want) {
				t.Errorf("without the checksum: %v, want %q", failure, tc.want)
			}
		})
	}
}

// newRun is a run as it is before its dump.
func newRun(t *testing.T, cfg Config) *run {
	t.Helper()
	access, err := migrate.ParseAccess(cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Config: cfg, access: access, report: NewReport(nil), storage: directory{cfg.Location}}
	if r.draft, err = r.storage.begin(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.draft.discard(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return r
}

// dumpOf is the file of a dump in a directory.
func dumpOf(t *testing.T, r *run) string {
	t.Helper()
	d, ok := r.draft.(*directoryDraft)
	if !ok {
		t.Fatalf("the draft is a %T", r.draft)
	}
	return filepath.Join(d.path(), dumpFile)
}

func TestRefusals(t *testing.T) {
	asReader := func(t *testing.T, databaseURL string) string {
		t.Helper()
		role := "reader_" + strings.ToLower(t.Name()[len("TestRefusals/"):][:4])
		mustExec(t, databaseURL, "CREATE ROLE "+role+" LOGIN PASSWORD 'reads'")
		t.Cleanup(func() { mustExec(t, databaseURL, "DROP ROLE "+role) })
		u, err := url.Parse(databaseURL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword(role, "reads")
		return u.String()
	}
	for name, tc := range map[string]struct {
		change func(t *testing.T, cfg *Config)
		code   contract.MigrationErrorCode
		want   string
	}{
		"no right to read": {func(t *testing.T, cfg *Config) {
			t.Helper()
			cfg.DatabaseURL = asReader(t, cfg.DatabaseURL)
		}, contract.BackupFailed, "grant the role reader_no_r SELECT"},
		"full volume": {func(t *testing.T, cfg *Config) {
			t.Helper()
			if err := syscall.Mount("tmpfs", cfg.Location, "tmpfs", 0, "size=16k"); err != nil {
				t.Skipf("mounting a small file system takes root: %v", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(cfg.Location, 0); err != nil {
					t.Error(err)
				}
			})
		}, contract.StorageUnavailable, "it is full: make the volume larger"},
		"no such directory": {func(_ *testing.T, cfg *Config) { cfg.Location += "/nowhere" }, contract.StorageUnavailable, "it is not there"},
		"no scratch":        {func(_ *testing.T, cfg *Config) { cfg.Scratch += "/nowhere" }, contract.StorageUnavailable, "--scratch"},
		"nobody listens":    {func(_ *testing.T, cfg *Config) { cfg.DatabaseURL = "postgres://a:secret@127.0.0.1:1/b" }, contract.DatabaseUnreachable, "refused"},
		"a wrong password":  {func(_ *testing.T, cfg *Config) { cfg.DatabaseURL = strings.Replace(cfg.DatabaseURL, "@", "x@", 1) }, contract.CredentialsRefused, "password"},
		"no such database": {func(_ *testing.T, cfg *Config) {
			cfg.DatabaseURL = strings.Replace(cfg.DatabaseURL, "/test_", "/none_", 1)
		}, contract.CredentialsRefused, "none_"},
		"tools not installed": {func(t *testing.T, _ *Config) {
			t.Helper()
			t.Setenv("PATH", t.TempDir())
		}, contract.BackupFailed, "pg_dump is not installed"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, pgserver.Filled(t, "everything", fill))
			location := cfg.Location
			tc.change(t, &cfg)
			report, err := Run(t.Context(), cfg)
			mustFail(t, err, tc.code, tc.want)
			if report.Verified || report.Name != "" || report.Error == nil {
				t.Errorf("report %+v", report)
			}
			assertEmpty(t, location)
		})
	}
}

func TestCheckVersions(t *testing.T) {
	mustFail(t, checkVersions("17.2", 17, "15.18", 15), contract.ServerTooNew, "use a migrate image built with PostgreSQL 17 or newer")
	if err := checkVersions("15.18", 15, "15.3", 15); err != nil {
		t.Error(err)
	}
}

func TestToldToStop(t *testing.T) {
	for _, at := range []string{"reading the database", "dumping the database", "restoring the dump", "comparing the copy"} {
		t.Run(at, func(t *testing.T) {
			everywhere(t, func(t *testing.T, place place) {
				t.Helper()
				cfg := config(t, pgserver.Filled(t, "everything", fill))
				cfg.Location = place.location
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				cfg.Log = slog.New(stopper{Handler: slog.DiscardHandler, at: at, stop: stop})
				_, err := Run(ctx, cfg)
				mustFail(t, err, contract.Interrupted, "told to stop")
				place.assertFiles(t)
				assertEmpty(t, cfg.Scratch)
			})
		})
	}
}

// stopper calls stop at a log record.
type stopper struct {
	slog.Handler
	at   string
	stop func()
}

func (s stopper) Enabled(context.Context, slog.Level) bool { return true }

func (s stopper) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, s.at) {
		s.stop()
	}
	return nil
}
