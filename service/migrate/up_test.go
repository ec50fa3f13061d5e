package migrate

import (
	"context"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

// untimed compares reports but for durations and messages.
var untimed = cmp.Options{
	cmpopts.IgnoreFields(contract.AppliedMigration{}, "Duration"),
	cmpopts.IgnoreFields(contract.MigrationError{}, "Message"),
	cmpopts.IgnoreFields(contract.PendingMigration{}, "Checksum"),
}

func wantReport(t *testing.T, got contract.MigrationReport, want contract.MigrationReport) {
	t.Helper()
	want.ReportVersion = 1
	if diff := cmp.Diff(want, got, untimed); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestUpAppliesWhatIsPending(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	wantReport(t, mustUp(t, url, works), contract.MigrationReport{
		To: 1, Target: 1, Applied: []contract.AppliedMigration{{Version: 1, Name: "1_create_works.sql"}},
	})
	wantReport(t, mustUp(t, url, works), contract.MigrationReport{From: 1, To: 1, Target: 1})

	more := works.
		with("2_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;\nALTER TABLE works ADD COLUMN opus text;")).
		with("10_index_key.sql", noTx("CREATE INDEX CONCURRENTLY works_by_key ON works (key);"))
	wantReport(t, mustUp(t, url, more), contract.MigrationReport{
		From: 1, To: 10, Target: 10,
		Applied: []contract.AppliedMigration{{Version: 2, Name: "2_add_key.sql"}, {Version: 10, Name: "10_index_key.sql"}},
	})
	exec(t, db, "INSERT INTO works (id, key, opus) VALUES (1, 'C minor', 'Op. 13')")
	if v, err := Version(t.Context(), db); err != nil || v != 10 {
		t.Errorf("Version: %d, %v", v, err)
	}
	if n := get[int](t, db, "SELECT count(*) FROM mirubato_migration_checksums"); n != 3 {
		t.Errorf("checksums kept: %d, want 3", n)
	}
}

func TestUpWithNothingToDoWritesNothing(t *testing.T) {
	url := pgserver.Database(t)
	wantReport(t, mustUp(t, url, files{"1_drop.sql": contractUp("SELECT 1;")}), contract.MigrationReport{
		Target: 1, Held: []contract.PendingMigration{{Version: 1, Name: "1_drop.sql", Phase: "contract"}},
	})
	if n := get[int](t, open(t, url), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("tables made: %d", n)
	}
}

func TestUpFromManyProcessesAppliesOnce(t *testing.T) {
	url := pgserver.Database(t)
	f := works.
		with("2_index_title.sql", noTx("CREATE INDEX CONCURRENTLY works_by_title ON works (title);")).
		with("3_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;")).
		with("4_index_key.sql", noTx("CREATE UNIQUE INDEX CONCURRENTLY works_by_key ON works (key);"))
	var runs []<-chan result
	for range 20 {
		runs = append(runs, start(t.Context(), config(url, f)))
	}
	applied := 0
	for _, run := range runs {
		r := <-run
		if r.err != nil {
			t.Errorf("a run beside another: %v", r.err)
		}
		applied += len(r.report.Applied)
	}
	if applied != 4 {
		t.Errorf("applied %d files, want each of 4 once", applied)
	}
	if n := get[int](t, open(t, url), "SELECT count(*) FROM pg_index WHERE NOT indisvalid"); n != 0 {
		t.Errorf("%d indexes are not valid", n)
	}
}

func TestUpStopsBeforeContract(t *testing.T) {
	url := pgserver.Database(t)
	f := works.with("2_drop_title.sql", contractUp("ALTER TABLE works DROP COLUMN title;"))
	wantReport(t, mustUp(t, url, f), contract.MigrationReport{
		To: 1, Target: 2, Applied: []contract.AppliedMigration{{Version: 1, Name: "1_create_works.sql"}},
		Held: []contract.PendingMigration{{Version: 2, Name: "2_drop_title.sql", Phase: "contract"}},
	})
	report, failure := failUp(t, config(url, f.with("3_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;"))), contract.ReleaseSkipped)
	if failure.Migration != "3_add_key.sql" || report.To != 1 || report.Applied != nil {
		t.Errorf("an expand file behind a contract file: %+v, report %+v", failure, report)
	}
}

func TestUpRollsAFailingFileBack(t *testing.T) {
	url := pgserver.Database(t)
	f := works.
		with("2_twice.sql", up("CREATE TABLE composers (id int);\nCREATE TABLE works (id int);")).
		with("3_never.sql", up("CREATE TABLE never (id int);"))
	report, failure := failUp(t, config(url, f), contract.MigrationFailed)
	want := contract.MigrationError{Code: contract.MigrationFailed, Migration: "2_twice.sql", Line: 3, SQLState: "42P07"}
	if diff := cmp.Diff(want, failure.MigrationError, untimed); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if want := `relation "works" already exists`; !strings.Contains(failure.Message, want) {
		t.Errorf("message %q does not say %q", failure.Message, want)
	}
	wantReport(t, report, contract.MigrationReport{
		To: 1, Target: 3, Applied: []contract.AppliedMigration{{Version: 1, Name: "1_create_works.sql"}}, Error: &want,
	})
	if n := get[int](t, open(t, url), "SELECT count(*) FROM pg_tables WHERE tablename IN ('composers', 'never')"); n != 0 {
		t.Errorf("%d tables of the failing file and the one after it are there", n)
	}
	wantReport(t, mustUp(t, url, f.with("2_twice.sql", up("CREATE TABLE composers (id int);"))), contract.MigrationReport{
		From: 1, To: 3, Target: 3, Applied: []contract.AppliedMigration{{Version: 2, Name: "2_twice.sql"}, {Version: 3, Name: "3_never.sql"}},
	})
}

func TestUpHoldsFilesAgainstTheHistory(t *testing.T) {
	applied := works.with("2_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;"))
	for name, tc := range map[string]struct {
		then     files
		wantCode contract.MigrationErrorCode
		wantFile string
	}{
		"an edited file is refused": {
			then:     applied.with("2_add_key.sql", up("ALTER TABLE works ADD COLUMN mode text;")).with("3_more.sql", up("CREATE TABLE more (id int);")),
			wantCode: contract.HistoryChanged, wantFile: "2_add_key.sql",
		},
		"another file with the number of an applied one is refused": {
			then:     works.with("2_add_tempo.sql", up("ALTER TABLE works ADD COLUMN tempo text;")),
			wantCode: contract.HistoryChanged, wantFile: "2_add_tempo.sql",
		},
		"an applied file that is gone is refused": {
			then:     files{"2_add_key.sql": applied["2_add_key.sql"]},
			wantCode: contract.HistoryChanged, wantFile: "1_create_works.sql",
		},
		"line ends do not count as an edit": {
			then: applied.with("2_add_key.sql", strings.ReplaceAll(applied["2_add_key.sql"], "\n", "\r\n")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgserver.Database(t)
			mustUp(t, url, applied)
			report, err := Up(t.Context(), config(url, tc.then))
			if tc.wantCode == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if failure := mustFail(t, err, tc.wantCode); failure.Migration != tc.wantFile {
				t.Errorf("names %q, want %q", failure.Migration, tc.wantFile)
			}
			if report.To != 2 || report.Applied != nil {
				t.Errorf("something was applied: %+v", report)
			}
		})
	}
}

func TestUpRefusesAFileBelowTheSchema(t *testing.T) {
	url := pgserver.Database(t)
	mustUp(t, url, works.with("3_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;")))
	f := works.with("3_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;")).with("2_late.sql", up("CREATE TABLE late (id int);"))
	if _, failure := failUp(t, config(url, f), contract.InvalidMigrations); failure.Migration != "2_late.sql" {
		t.Errorf("names %q", failure.Migration)
	}
}

func TestUpOfAnOlderReleaseChangesNothing(t *testing.T) {
	url := pgserver.Database(t)
	mustUp(t, url, works.with("2_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;")))
	wantReport(t, mustUp(t, url, works), contract.MigrationReport{From: 2, To: 2, Target: 1})
}

func TestUpAdoptsWhatAnotherToolApplied(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	mustUp(t, url, works)
	exec(t, db, "DROP TABLE mirubato_migration_checksums")
	wantReport(t, mustUp(t, url, works), contract.MigrationReport{From: 1, To: 1, Target: 1})
	failUp(t, config(url, works.with("1_create_works.sql", up("CREATE TABLE works (id int);"))), contract.HistoryChanged)
}

func TestUpAppliesAgainWhatAnotherToolTookBack(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	mustUp(t, url, works)
	exec(t, db, "DROP TABLE works")
	exec(t, db, "DELETE FROM goose_db_version WHERE version_id = 1")
	if report := mustUp(t, url, works); report.To != 1 || len(report.Applied) != 1 {
		t.Errorf("report %+v", report)
	}
}

func TestAFileCannotReachTheNext(t *testing.T) {
	url := pgserver.Database(t)
	mustUp(t, url, files{
		"1_dump.sql":  up("SELECT pg_catalog.set_config('search_path', '', false);\nCREATE TABLE public.works (id int);"),
		"2_after.sql": up("ALTER TABLE works ADD COLUMN title text;"),
	})
}

func TestUpReportsWhatKeepsItFromTheDatabase(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, tc := range map[string]struct {
		change   func(u *url.URL)
		wantCode contract.MigrationErrorCode
		wantText string
	}{
		"a wrong password": {
			change:   func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "hunter2-wrong") },
			wantCode: contract.CredentialsRefused, wantText: "28P01",
		},
		"a database that does not exist": {
			change:   func(u *url.URL) { u.Path = "/nowhere" },
			wantCode: contract.CredentialsRefused, wantText: `database "nowhere" does not exist`,
		},
		"a closed port": {
			change:   func(u *url.URL) { u.Host = "127.0.0.1:1" },
			wantCode: contract.DatabaseUnreachable, wantText: "127.0.0.1:1: connection refused",
		},
		"a server that never answers": {
			change: func(u *url.URL) {
				u.Host = silent.Addr().String()
				u.RawQuery += "&connect_timeout=1"
			},
			wantCode: contract.DatabaseUnreachable, wantText: "no answer in time",
		},
		"a server without TLS": {
			change:   func(u *url.URL) { u.RawQuery = "sslmode=require" },
			wantCode: contract.DatabaseUnreachable, wantText: "sslmode=disable",
		},
		"a URL that is none": {
			change:   func(u *url.URL) { u.Host = "127.0.0.1:notaport" },
			wantCode: contract.DatabaseUnreachable, wantText: "cannot be read",
		},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(pgserver.Database(t))
			if err != nil {
				t.Fatal(err)
			}
			tc.change(u)
			report, failure := failUp(t, config(u.String(), works), tc.wantCode)
			if !strings.Contains(failure.Message, tc.wantText) {
				t.Errorf("message %q does not say %q", failure.Message, tc.wantText)
			}
			if password, _ := u.User.Password(); strings.Contains(failure.Message, password) {
				t.Errorf("message %q holds the password", failure.Message)
			}
			if report.From != -1 || report.To != -1 || report.Target != 1 || !failure.Retryable || ExitCode(failure) != contract.ExitUnavailable {
				t.Errorf("report %+v, exit %d", report, ExitCode(failure))
			}
		})
	}
}

func TestUpInterrupted(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	mustUp(t, url, works)
	release := holdTable(t, db, "works")
	defer release()
	ctx, stop := context.WithCancel(t.Context())
	f := works.with("2_add_key.sql", up("CREATE TABLE keys (id int);\nALTER TABLE works ADD COLUMN key text;"))
	run := start(ctx, config(url, f))
	awaitBlocked(t, db)
	began := time.Now()
	stop()
	r := <-run
	failure := mustFail(t, r.err, contract.Interrupted)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if r.report.To != 1 || !failure.Retryable || ExitCode(failure) != contract.ExitUnavailable {
		t.Errorf("report %+v, error %+v", r.report, failure)
	}
	release()
	if report := mustUp(t, url, f); report.From != 1 || report.To != 2 {
		t.Errorf("the next run: %+v", report)
	}
}

func TestNoDataOfARowIsReported(t *testing.T) {
	url := pgserver.Database(t)
	mustUp(t, url, works)
	exec(t, open(t, url), "INSERT INTO works VALUES (1, 'a private title')")
	f := works.with("2_number.sql", up("ALTER TABLE works ALTER COLUMN title TYPE int USING title::int;"))
	_, failure := failUp(t, config(url, f), contract.MigrationFailed)
	if strings.Contains(failure.Error(), "private title") || failure.SQLState != "22P02" {
		t.Errorf("%s (%s)", failure, failure.SQLState)
	}
}
