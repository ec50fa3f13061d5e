package backup

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/migrate"
)

// backedUp is a backup of a database that holds everything, and how to restore it into a database of its own, which is dropped when the
// test ends.
func backedUp(t *testing.T) (RestoreConfig, contract.BackupReport) {
	t.Helper()
	cfg := config(t, pgserver.Filled(t, "everything", fill))
	made, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return restoreOf(t, cfg, made.Name), made
}

func restoreOf(t *testing.T, cfg Config, name string) RestoreConfig {
	t.Helper()
	u, err := url.Parse(cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	out := RestoreConfig{
		DatabaseURL: cfg.DatabaseURL, Location: cfg.Location, Name: name, Database: strings.TrimPrefix(u.Path, "/") + "_restored",
		Log: slog.New(slog.DiscardHandler),
	}
	t.Cleanup(func() {
		mustExec(t, cfg.DatabaseURL, "DROP DATABASE IF EXISTS "+out.Database)
		mustExec(t, cfg.DatabaseURL, "DROP DATABASE IF EXISTS "+out.Database+unproven)
	})
	return out
}

// aCopy is the same restore of a copy of the backup, which a test may damage.
func aCopy(t *testing.T, cfg RestoreConfig) RestoreConfig {
	t.Helper()
	location := t.TempDir()
	if err := os.CopyFS(location, os.DirFS(cfg.Location)); err != nil {
		t.Fatal(err)
	}
	cfg.Location = location
	return cfg
}

// databasesOf are those of a restore that are there.
func databasesOf(t *testing.T, cfg RestoreConfig) (there []string) {
	t.Helper()
	db, err := sql.Open("postgres", cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, name := range []string{cfg.Database, cfg.Database + unproven} {
		var exists bool
		if err := db.QueryRowContext(t.Context(), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
			t.Fatal(err)
		}
		if exists {
			there = append(there, strings.Replace(name, cfg.Database, "NEW", 1))
		}
	}
	return there
}

func assertDatabases(t *testing.T, cfg RestoreConfig, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, databasesOf(t, cfg)); diff != "" {
		t.Errorf("databases (-want +got):\n%s", diff)
	}
}

func TestRestoreIntoANewDatabase(t *testing.T) {
	cfg, made := backedUp(t)
	report, err := Restore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := contract.RestoreReport{
		ReportVersion: contract.RestoreReportVersion, Backup: made.Name, Database: cfg.Database, Restored: true, Taken: made.Started,
		Started: report.Started, Finished: report.Finished, Size: made.Size, TableCount: made.TableCount, Rows: 508, Fingerprint: made.Fingerprint,
	}
	if diff := cmp.Diff(want, report); diff != "" || !report.Finished.After(report.Started) {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	access, err := migrate.ParseAccess(cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readContent(t.Context(), access.WithDatabase(cfg.Database))
	if differ := tableDifferences(made.Tables, got.tables); err != nil || len(differ) > 0 {
		t.Errorf("differences %v, error %v", differ, err)
	}
	again, err := Restore(t.Context(), cfg)
	mustFail(t, err, contract.TargetExists, cfg.Database+" is there already")
	if again.Restored || again.Error == nil {
		t.Errorf("report %+v", again)
	}
	assertDatabases(t, cfg, "NEW")
}

func TestDamagedDumpsAreNotRestored(t *testing.T) {
	whole, _ := backedUp(t)
	for name, tc := range map[string]struct {
		damage func(dump []byte) []byte
		want   string // what is said when the checksum is made to fit
	}{
		"empty":            {func([]byte) []byte { return nil }, "input file is too short"},
		"truncated":        {func(dump []byte) []byte { return dump[:len(dump)*6/10] }, "restoring the dump"},
		"without its end":  {func(dump []byte) []byte { return dump[:len(dump)-40] }, "restoring the dump"},
		"one bit flipped":  {func(dump []byte) []byte { dump[len(dump)*8/10] ^= 4; return dump }, "restoring the dump"},
		"one bit at start": {func(dump []byte) []byte { dump[0] ^= 1; return dump }, "restoring the dump"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := aCopy(t, whole)
			path := filepath.Join(cfg.Location, cfg.Name, dumpFile)
			dump, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := tc.damage(dump)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			var told []string
			cfg.Log = slog.New(teller{Handler: slog.DiscardHandler, told: &told})
			_, err = Restore(t.Context(), cfg)
			mustFail(t, err, contract.BackupDiffers, "the dump is damaged")
			if diff := cmp.Diff([]string{"checking the dump"}, told); diff != "" {
				t.Errorf("something was made before the damage was found (-want +got):\n%s", diff)
			}
			sum := sha256.Sum256(damaged)
			editManifest(t, cfg, func(m *contract.BackupReport) { m.Files[0].SHA256 = hex.EncodeToString(sum[:]) })
			_, err = Restore(t.Context(), cfg)
			if failure, ok := errors.AsType[*migrate.Error](err); !ok || !strings.Contains(failure.Message, tc.want) {
				t.Errorf("without the checksum: %v, want %q", err, tc.want)
			}
			assertDatabases(t, cfg)
		})
	}
}

func TestHalvesAreNotRestored(t *testing.T) {
	whole, _ := backedUp(t)
	for name, tc := range map[string]struct {
		damage func(t *testing.T, cfg RestoreConfig, dir string)
		want   string
	}{
		"no dump": {func(t *testing.T, _ RestoreConfig, dir string) {
			t.Helper()
			if err := os.Remove(filepath.Join(dir, dumpFile)); err != nil {
				t.Fatal(err)
			}
		}, "has lost its dump"},
		"half a manifest": {func(t *testing.T, _ RestoreConfig, dir string) {
			t.Helper()
			if err := os.Truncate(filepath.Join(dir, manifestFile), 100); err != nil {
				t.Fatal(err)
			}
		}, "is damaged"},
		"rows that were not in it": {func(t *testing.T, cfg RestoreConfig, _ string) {
			t.Helper()
			editManifest(t, cfg, func(m *contract.BackupReport) { m.Tables[0].Rows++ })
		}, "rows in the database and"},
		"other values": {func(t *testing.T, cfg RestoreConfig, _ string) {
			t.Helper()
			editManifest(t, cfg, func(m *contract.BackupReport) { m.Tables[0].Hash = "0:0" })
		}, "has other values in the copy"},
		"another schema": {func(t *testing.T, cfg RestoreConfig, _ string) {
			t.Helper()
			editManifest(t, cfg, func(m *contract.BackupReport) { m.Fingerprint = "00" })
		}, "the schema has the fingerprint"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := aCopy(t, whole)
			tc.damage(t, cfg, filepath.Join(cfg.Location, cfg.Name))
			_, err := Restore(t.Context(), cfg)
			mustFail(t, err, contract.BackupDiffers, tc.want)
			assertDatabases(t, cfg)
		})
	}
	t.Run("no backup", func(t *testing.T) {
		cfg := whole
		cfg.Name = "20260101T000000Z-aaaaaaaa"
		_, err := Restore(t.Context(), cfg)
		mustFail(t, err, contract.BackupFailed, "there is no backup")
	})
}

func editManifest(t *testing.T, cfg RestoreConfig, edit func(*contract.BackupReport)) {
	t.Helper()
	path := filepath.Join(cfg.Location, cfg.Name, manifestFile)
	text, err := os.ReadFile(path)
	var manifest contract.BackupReport
	if err := errors.Join(err, json.Unmarshal(text, &manifest)); err != nil {
		t.Fatal(err)
	}
	edit(&manifest)
	text, err = json.Marshal(manifest)
	if err := errors.Join(err, os.WriteFile(path, text, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestRestoreToldToStopLeavesNothing(t *testing.T) {
	cfg, _ := backedUp(t)
	for _, at := range []string{"checking the dump", "making a database", "restoring the dump", "comparing the database", "giving the database"} {
		t.Run(at, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			cfg.Log = slog.New(stopper{Handler: slog.DiscardHandler, at: at, stop: stop})
			_, err := Restore(ctx, cfg)
			mustFail(t, err, contract.Interrupted, "told to stop")
			assertDatabases(t, cfg)
		})
	}
}

// Variables that make the test binary a restore that is killed.
const (
	envDiesAt = "RESTORE_DIES_AT"
	envDiesOf = "RESTORE_DIES_OF"
)

// restoreAndDie is what the test binary does instead of testing: it restores, and kills itself when the log comes to a line.
func restoreAndDie() {
	var cfg RestoreConfig
	if err := json.Unmarshal([]byte(os.Getenv(envDiesOf)), &cfg); err != nil {
		panic(err)
	}
	cfg.Log = slog.New(stopper{Handler: slog.DiscardHandler, at: os.Getenv(envDiesAt), stop: func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}})
	_, err := Restore(context.Background(), cfg)
	panic(fmt.Sprintf("it was not killed: %v", err))
}

func TestRestoreThatWasKilledIsDoneAgain(t *testing.T) {
	cfg, _ := backedUp(t)
	for _, at := range []string{"restoring the dump", "comparing the database"} {
		t.Run(at, func(t *testing.T) {
			killed := cfg
			killed.Log = nil
			encoded, err := json.Marshal(killed)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), envDiesAt+"="+at, envDiesOf+"="+string(encoded))
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("%v: %s", err, out)
			}
			assertDatabases(t, cfg, "NEW"+unproven)
			report := restoreWhenLetGo(t, cfg)
			if !report.Restored || report.Removed != cfg.Database+unproven {
				t.Errorf("report %+v", report)
			}
			assertDatabases(t, cfg, "NEW")
			mustExec(t, cfg.DatabaseURL, "DROP DATABASE "+cfg.Database)
		})
	}
}

// restoreWhenLetGo restores as soon as the server has noticed that the process is gone which was at work.
func restoreWhenLetGo(t *testing.T, cfg RestoreConfig) contract.RestoreReport {
	t.Helper()
	for {
		report, err := Restore(t.Context(), cfg)
		if failure, ok := errors.AsType[*migrate.Error](err); ok && failure.Code == contract.LockNotAcquired {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
}

func TestRestoreLeavesAloneWhatItHasNotMade(t *testing.T) {
	cfg, _ := backedUp(t)
	half := cfg.Database + unproven
	mustExec(t, cfg.DatabaseURL, "CREATE DATABASE "+half)
	_, err := Restore(t.Context(), cfg)
	mustFail(t, err, contract.TargetExists, half+" is there already, and no restore is known to have made it")
	assertDatabases(t, cfg, "NEW"+unproven)

	mustExec(t, cfg.DatabaseURL, "COMMENT ON DATABASE "+half+" IS '"+mark+"another'")
	access, err := migrate.ParseAccess(cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	atWork, err := access.WithDatabase(half).Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := atWork.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = Restore(t.Context(), cfg)
	mustFail(t, err, contract.LockNotAcquired, "another restore into "+cfg.Database+" is at work")
	assertDatabases(t, cfg, "NEW"+unproven)
	if err := atWork.Close(); err != nil {
		t.Fatal(err)
	}
	if report := restoreWhenLetGo(t, cfg); report.Removed != half {
		t.Errorf("report %+v", report)
	}
}

func TestRestoreKeepsTheEncoding(t *testing.T) {
	server := pgserver.Database(t)
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/") + "_latin1"
	mustExec(t, server, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
	t.Cleanup(func() { mustExec(t, server, "DROP DATABASE "+name) })
	u.Path = "/" + name
	mustExec(t, u.String(), "CREATE TABLE works (title text); INSERT INTO works VALUES ('Étude')")
	cfg := config(t, u.String())
	made, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), restoreOf(t, cfg, made.Name)); err != nil {
		t.Error(err)
	}
}

func TestRestoreTakesTheRightToMakeDatabases(t *testing.T) {
	cfg, _ := backedUp(t)
	mustExec(t, cfg.DatabaseURL, "CREATE ROLE makes_none LOGIN PASSWORD 'secret'")
	u, err := url.Parse(cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	owner := cfg.DatabaseURL
	t.Cleanup(func() { mustExec(t, owner, "DROP ROLE makes_none") })
	u.User = url.UserPassword("makes_none", "secret")
	cfg.DatabaseURL = u.String()
	_, err = Restore(t.Context(), cfg)
	mustFail(t, err, contract.BackupFailed, "the role makes_none may not make databases")
	assertDatabases(t, cfg)
}

// teller keeps the messages of a log.
type teller struct {
	slog.Handler
	told *[]string
}

func (l teller) Enabled(context.Context, slog.Level) bool { return true }

func (l teller) Handle(_ context.Context, r slog.Record) error {
	*l.told = append(*l.told, r.Message)
	return nil
}

func TestProgressIsToldByTenths(t *testing.T) {
	var told []int64
	p := &progress{in: strings.NewReader(strings.Repeat("x", 1000)), size: 1000, tell: func(percent int64) { told = append(told, percent) }}
	for _, n := range []int{50, 49, 1, 300, 600} {
		if _, err := p.Read(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]int64{0, 10, 40, 100}, told); diff != "" {
		t.Errorf("percent (-want +got):\n%s", diff)
	}
}
