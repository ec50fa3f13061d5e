package rehearsal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/migrate/backup"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

func files(texts ...string) fstest.MapFS {
	all := fstest.MapFS{}
	for i, text := range texts {
		all[string(rune('1'+i))+"_step.sql"] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

const (
	first = "-- +goose Up\nCREATE TABLE works (id int PRIMARY KEY, title text);\nINSERT INTO works VALUES (1, 'a'), (2, NULL);\n"
	add   = "-- +goose Up\nALTER TABLE works ADD COLUMN key text;\nALTER TABLE works ALTER COLUMN id TYPE bigint;\n"
	index = "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY works_by_key ON works (key);\n"
	drop  = "-- mirubato:phase contract\n-- +goose Up\nDROP TABLE works;\n"
	// strict fails on the rows only, in either phase.
	strict         = "-- +goose Up\nALTER TABLE works ALTER COLUMN title SET NOT NULL;\n"
	strictContract = "-- mirubato:phase contract\n-- +goose Up\n-- Every title is known by now.\nALTER TABLE works ALTER COLUMN title SET NOT NULL;\n"
	untitle        = "-- mirubato:phase contract\n-- +goose Up\nALTER TABLE works DROP COLUMN title;\n"
)

// prepared is a database to which the first file has been applied.
func prepared(t *testing.T) string {
	t.Helper()
	url := pgserver.Database(t)
	if _, err := migrate.Up(t.Context(), migrate.Config{DatabaseURL: url, Files: files(first), LockID: "music/scores"}); err != nil {
		t.Fatal(err)
	}
	return url
}

func config(t *testing.T, url string, f fstest.MapFS) Config {
	t.Helper()
	return Config{DatabaseURL: url, Mode: contract.RehearsalOnSchema, Scratch: t.TempDir(), Files: f, Log: slog.New(slog.DiscardHandler)}
}

// onData makes a backup and rehearses on that.
func onData(t *testing.T, cfg Config) Config {
	t.Helper()
	cfg.Mode, cfg.Location = contract.RehearsalOnData, t.TempDir()
	made, err := backup.Run(t.Context(), backup.Config{
		DatabaseURL: cfg.DatabaseURL, Location: cfg.Location, Scratch: cfg.Scratch, Keep: 1, Log: cfg.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Backup = made.Name
	return cfg
}

func fingerprintOf(t *testing.T, url string) string {
	t.Helper()
	got, err := fingerprint(t.Context(), url, ofDatabase)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRehearsal(t *testing.T) {
	for _, mode := range []contract.RehearsalMode{contract.RehearsalOnSchema, contract.RehearsalOnData} {
		t.Run(string(mode), func(t *testing.T) {
			url := prepared(t)
			cfg := config(t, url, files(first, add, index, drop))
			if mode == contract.RehearsalOnData {
				cfg = onData(t, cfg)
			}
			before := fingerprintOf(t, url)
			report, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if fingerprintOf(t, url) != before {
				t.Error("the database was changed")
			}
			const exclusive = "AccessExclusiveLock"
			want := []contract.RehearsedStatement{
				{Migration: "2_step.sql", Statement: "ALTER TABLE works ADD COLUMN key text;", Locks: []contract.RehearsedLock{{Relation: "public.works", Mode: exclusive}}},
				{
					Migration: "2_step.sql", Statement: "ALTER TABLE works ALTER COLUMN id TYPE bigint;",
					Locks:    []contract.RehearsedLock{{Relation: "public.works", Mode: "ShareLock"}, {Relation: "public.works_pkey", Mode: exclusive}},
					Rewrites: []string{"public.works", "public.works_pkey"},
				},
				{Migration: "3_step.sql", Statement: "CREATE INDEX CONCURRENTLY works_by_key ON works (key);"},
			}
			if diff := cmp.Diff(want, report.Statements, cmpopts.IgnoreFields(contract.RehearsedStatement{}, "Duration")); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
			if !report.Passed || report.From != 1 || report.To != 3 || len(report.Files) != 2 || report.FingerprintBefore != before || report.DatabaseFingerprint != before {
				t.Errorf("report %+v", report)
			}
			if report.Phase != "expand" || report.Files[0].Phase != "expand" {
				t.Errorf("rehearsed phase %s, files %+v", report.Phase, report.Files)
			}
			assertAdmits(t, report, url, cfg.Files.(fstest.MapFS))
		})
	}
}

// assertAdmits applies for good what was rehearsed, and arrives where the rehearsal did.
func assertAdmits(t *testing.T, report contract.RehearsalReport, url string, f fstest.MapFS) {
	t.Helper()
	if admitted, reason := report.Admits(fingerprintOf(t, url), report.Files); !admitted {
		t.Errorf("not admitted: %s", reason)
	}
	if _, err := migrate.Up(t.Context(), migrate.Config{DatabaseURL: url, Files: f, Phase: migrate.Phase(report.Phase), LockID: "music/scores"}); err != nil {
		t.Fatal(err)
	}
	after := fingerprintOf(t, url)
	if after != report.FingerprintAfter {
		t.Error("the migrations have led elsewhere than in the rehearsal")
	}
	if admitted, _ := report.Admits(after, nil); admitted {
		t.Error("a rehearsal is admitted for another schema")
	}
}

func TestWhatOnlyTheRowsRefuse(t *testing.T) {
	url := prepared(t)
	cfg := config(t, url, files(first, strict))
	if report, err := Run(t.Context(), cfg); err != nil || !report.Passed {
		t.Errorf("on the schema: passed %v, error %v", report.Passed, err)
	}
	report, err := Run(t.Context(), onData(t, cfg))
	failure, ok := errors.AsType[*migrate.Error](err)
	if !ok || failure.Code != contract.MigrationFailed || failure.Migration != "2_step.sql" || report.Passed || report.Error == nil {
		t.Errorf("on the rows: report %+v, error %v", report, err)
	}
	if len(report.Statements) != 1 {
		t.Errorf("the statement that failed is not told: %+v", report.Statements)
	}
}

// lasting is a database that pods have run on, so that contract files are held there, with all expand files applied.
func lasting(t *testing.T, f fstest.MapFS) string {
	t.Helper()
	url := prepared(t)
	if _, err := migrate.Up(t.Context(), migrate.Config{DatabaseURL: url, Files: f, LockID: "music/scores"}); err != nil {
		t.Fatal(err)
	}
	return url
}

func TestRehearsalOfWhatIsRemoved(t *testing.T) {
	for _, mode := range []contract.RehearsalMode{contract.RehearsalOnSchema, contract.RehearsalOnData} {
		t.Run(string(mode), func(t *testing.T) {
			all := files(first, add, untitle, drop)
			url := lasting(t, all)
			cfg := config(t, url, all)
			cfg.Phase = migrate.Contract
			if mode == contract.RehearsalOnData {
				cfg = onData(t, cfg)
			}
			before := fingerprintOf(t, url)
			report, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if fingerprintOf(t, url) != before {
				t.Error("the database was changed")
			}
			var did []string
			for _, s := range report.Statements {
				did = append(did, s.Statement)
			}
			if diff := cmp.Diff([]string{"ALTER TABLE works DROP COLUMN title;", "DROP TABLE works;"}, did); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
			if !report.Passed || report.Phase != "contract" || report.From != 2 || report.To != 4 || report.FingerprintBefore != before {
				t.Errorf("report %+v", report)
			}
			for _, f := range report.Files {
				if f.Phase != "contract" {
					t.Errorf("%s is told to be of phase %s", f.Name, f.Phase)
				}
			}
			assertAdmits(t, report, url, all)
		})
	}
}

// What the rows refuse is found on the copy, by its line, and the database is as it was.
func TestARemovalThatOnlyTheRowsRefuse(t *testing.T) {
	all := files(first, add, strictContract)
	url := lasting(t, all)
	cfg := config(t, url, all)
	cfg.Phase = migrate.Contract
	if report, err := Run(t.Context(), cfg); err != nil || !report.Passed {
		t.Errorf("on the schema: passed %v, error %v", report.Passed, err)
	}
	before := fingerprintOf(t, url)
	report, err := Run(t.Context(), onData(t, cfg))
	failure, ok := errors.AsType[*migrate.Error](err)
	if !ok || failure.Code != contract.MigrationFailed || failure.Migration != "3_step.sql" || failure.Line != 4 || report.Passed || report.Error == nil {
		t.Errorf("on the rows: report %+v, error %v", report, err)
	}
	status, err := migrate.ReadStatus(t.Context(), migrate.Config{DatabaseURL: url, Files: all})
	if err != nil || status.Current != 2 || fingerprintOf(t, url) != before {
		t.Errorf("the database was changed: %+v, %v", status, err)
	}
}

// titled fills a column in a backfill, which the removal of its NULLs waits for.
func titled() fstest.MapFS {
	all := files(first, "-- mirubato:phase contract\n-- mirubato:after-backfill titles\n-- +goose Up\nALTER TABLE works ALTER COLUMN title SET NOT NULL;\n")
	all["titles.backfill.sql"] = &fstest.MapFile{Data: []byte(
		"-- mirubato:after 1\n-- mirubato:over works (id)\nUPDATE works SET title = '?' FROM batch WHERE works.id = batch.id AND title IS NULL;\n")}
	return all
}

// A rehearsal is refused for what `up` is refused for, in the same words.
func TestRefusedAsUpWouldBe(t *testing.T) {
	for name, tc := range map[string]struct {
		mode  contract.RehearsalMode
		files fstest.MapFS
		want  contract.MigrationErrorCode
	}{
		"a backfill is not done":       {contract.RehearsalOnSchema, titled(), contract.BackfillPending},
		"nor is it in a backup":        {contract.RehearsalOnData, titled(), contract.BackfillPending},
		"an expand file comes first":   {contract.RehearsalOnSchema, files(first, add, drop), contract.ReleaseSkipped},
		"an applied file was edited":   {contract.RehearsalOnSchema, files(first+"-- edited\n", drop), contract.HistoryChanged},
		"a file is none that may run":  {contract.RehearsalOnSchema, files(first, "-- mirubato:phase contract\n-- +goose Up\nBEGIN;\n"), contract.InvalidMigrations},
		"an expand file skips another": {contract.RehearsalOnSchema, files(first, drop, add), ""}, // what lies behind it is left for a run of its phase
	} {
		t.Run(name, func(t *testing.T) {
			url := prepared(t)
			cfg := config(t, url, tc.files)
			cfg.Phase = migrate.Contract
			if tc.mode == contract.RehearsalOnData {
				cfg = onData(t, cfg)
			}
			report, err := Run(t.Context(), cfg)
			_, want := migrate.Up(t.Context(), migrate.Config{DatabaseURL: url, Files: tc.files, Phase: migrate.Contract, LockID: "music/scores"})
			if tc.want == "" {
				if err != nil || want != nil || len(report.Files) != 1 {
					t.Errorf("report %+v, error %v; up: %v", report, err, want)
				}
				return
			}
			tried, _ := errors.AsType[*migrate.Error](err)
			run, _ := errors.AsType[*migrate.Error](want)
			if tried == nil || run == nil || tried.Code != tc.want || run.Code != tc.want || tried.Message != run.Message || tried.Migration != run.Migration {
				t.Errorf("the rehearsal says %v, up says %v, want %s", err, want, tc.want)
			}
		})
	}
}

// A backfill that is done is done on the copy as well, although a copy of the schema has no rows.
func TestABackfillThatIsDoneIsKnownOnTheCopy(t *testing.T) {
	all, url := titled(), prepared(t)
	if report, err := migrate.Backfill(t.Context(), migrate.Config{DatabaseURL: url, Files: all, LockID: "music/scores"}); err != nil || !report.Done {
		t.Fatalf("report %+v, error %v", report, err)
	}
	cfg := config(t, url, all)
	cfg.Phase = migrate.Contract
	for mode, cfg := range map[string]Config{"on the schema": cfg, "on the rows": onData(t, cfg)} {
		if report, err := Run(t.Context(), cfg); err != nil || !report.Passed || len(report.Files) != 1 {
			t.Errorf("%s: report %+v, error %v", mode, report, err)
		}
	}
}

// A backup is as old as it is: that the database was changed since is told.
func TestADatabaseThatWasChangedAfterItsBackup(t *testing.T) {
	all := files(first, add, untitle)
	url := lasting(t, all)
	cfg := config(t, url, all)
	cfg.Phase = migrate.Contract
	cfg = onData(t, cfg)
	before := fingerprintOf(t, url)
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE works ADD COLUMN by_hand int"); err != nil {
		t.Fatal(err)
	}
	report, err := Run(t.Context(), cfg)
	if err != nil || report.FingerprintBefore != before || report.DatabaseFingerprint != fingerprintOf(t, url) || report.DatabaseFingerprint == before {
		t.Errorf("report %+v, error %v", report, err)
	}
}

func TestNothingIsLeft(t *testing.T) {
	cfg := config(t, prepared(t), files(first, add))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := Run(ctx, cfg)
	if failure, ok := errors.AsType[*migrate.Error](err); !ok || failure.Code != contract.Interrupted {
		t.Errorf("error %v", err)
	}
	cfg.Mode, cfg.Location, cfg.Backup = contract.RehearsalOnData, t.TempDir(), "../../etc"
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "no name of a backup") {
		t.Errorf("error %v", err)
	}
	left, err := os.ReadDir(cfg.Scratch)
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, error %v", left, err)
	}
}

func TestADatabaseWithoutRecord(t *testing.T) {
	url := pgserver.Database(t)
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// No release has ever run on it, so the contract file between the others is applied with them.
	report, err := Run(t.Context(), config(t, url, files(first, untitle, "-- +goose Up\nALTER TABLE works ADD COLUMN name text;\n")))
	if err != nil || !report.Passed || report.From != 0 || report.To != 3 || len(report.Files) != 3 || report.Files[1].Phase != "contract" {
		t.Fatalf("report %+v, error %v", report, err)
	}
	if admitted, reason := report.Admits(fingerprintOf(t, url), report.Files); !admitted {
		t.Errorf("not admitted: %s", reason)
	}
}

func TestFitReport(t *testing.T) {
	report := NewReport(contract.RehearsalOnSchema, migrate.Expand, migrate.NewError(contract.MigrationFailed, strings.Repeat("ü", 3000)))
	for i := range 100 {
		report.Statements = append(report.Statements, contract.RehearsedStatement{Statement: strings.Repeat("x", 100), Duration: time.Duration(i)})
	}
	line, err := FitReport(report, contract.MaxTerminationMessage)
	if err != nil {
		t.Fatal(err)
	}
	var short contract.RehearsalReport
	if err := json.Unmarshal(line, &short); err != nil || len(line) > contract.MaxTerminationMessage {
		t.Errorf("%d bytes, error %v", len(line), err)
	}
	if len(short.Statements)+short.StatementsLeftOut != 100 {
		t.Errorf("%d statements and %d left out", len(short.Statements), short.StatementsLeftOut)
	}
}
