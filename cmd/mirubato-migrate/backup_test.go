package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/objects/s3server"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestBackupReports(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report")
	env := map[string]string{
		envDatabaseURL: pgserver.Database(t), contract.EnvBackupDir: t.TempDir(), contract.EnvScratchDir: t.TempDir(),
	}
	call(t.Context(), env, "up", "--dir", migrationsOf(t))
	got := call(t.Context(), env, "backup", "--report", file)
	if got.code != contract.ExitOK || got.stderr != "" {
		t.Fatalf("exit %d, stderr %q", got.code, got.stderr)
	}
	assertJSONLines(t, got.stdout)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	var full, short contract.BackupReport
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &full); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &short); err != nil {
		t.Fatal(err)
	}
	if !full.Verified || full.SchemaVersion != 1 || len(full.Tables) != 5 || !short.Verified || short.Name != full.Name || short.Tables != nil {
		t.Errorf("report %+v, short %+v", full, short)
	}
	assertSilentOn(t, got, env[envDatabaseURL])
	assertListed(t, env, full)
}

// assertListed lists, and refuses to restore over the database itself.
func assertListed(t *testing.T, env map[string]string, made contract.BackupReport) {
	t.Helper()
	if got := call(t.Context(), env, "backups"); got.code != contract.ExitOK || !strings.Contains(got.stdout, made.Name) {
		t.Errorf("exit %d, output %q", got.code, got.stdout)
	}
	got := call(t.Context(), env, "backups", "--format", "json")
	var listed []contract.BackupReport
	if err := json.Unmarshal([]byte(got.stdout), &listed); err != nil || len(listed) != 1 || listed[0].Fingerprint != made.Fingerprint {
		t.Errorf("listed %+v, error %v", listed, err)
	}
	got = call(t.Context(), env, "restore", made.Name, "--database", made.Database)
	if got.code != contract.ExitUsage || !strings.Contains(got.stderr, "is there already") {
		t.Errorf("exit %d, stderr %q", got.code, got.stderr)
	}
}

func migrationsOf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "1_create_works.sql", "-- +goose Up\nCREATE TABLE works (id int);\n")
	return dir
}

func TestBackupExitCodes(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		code int
		want string
	}{
		"no place for none":           {args: []string{"backup", "--keep", "0"}, code: contract.ExitUsage, want: "--keep"},
		"no database":                 {args: []string{"backup"}, code: contract.ExitUnavailable, want: contract.EnvDatabaseURLFile},
		"no directory":                {args: []string{"backup", "--location", "/nowhere"}, env: closedPort(""), code: contract.ExitUnavailable, want: "it is not there"},
		"restoring into no database":  {args: []string{"restore", "a"}, code: contract.ExitUsage, want: "--database"},
		"restoring nothing":           {args: []string{"restore", "--database", "b"}, code: contract.ExitUsage, want: "arg"},
		"listing nothing":             {args: []string{"backups", "--location", "/nowhere"}, code: contract.ExitUnavailable, want: "it is not there"},
		"rehearsing without a backup": {args: []string{"rehearse", "--mode", "Data"}, code: contract.ExitUsage, want: "--backup"},
		"rehearsing on what is not":   {args: []string{"rehearse", "--mode", "Rows"}, code: contract.ExitUsage, want: "--mode"},
		"rehearsing no phase":         {args: []string{"rehearse", "--phase", "shrink"}, code: contract.ExitUsage, want: "--phase"},
		"a backup for no rows":        {args: []string{"rehearse", "--backup", "a"}, code: contract.ExitUsage, want: "--backup"},
		"an unknown argument":         {args: []string{"backup", "now"}, code: contract.ExitUsage, want: "now"},
	} {
		t.Run(name, func(t *testing.T) {
			got := call(t.Context(), tc.env, tc.args...)
			if got.code != tc.code || !strings.Contains(got.stderr, tc.want) {
				t.Errorf("exit %d, stderr %q; want %d, %q", got.code, got.stderr, tc.code, tc.want)
			}
			assertSilentOn(t, got, "postgres://", "secret")
		})
	}
}

func TestRehearse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report")
	env := map[string]string{envDatabaseURL: pgserver.Database(t), contract.EnvScratchDir: t.TempDir(), contract.EnvMigrationsDir: migrationsOf(t)}
	got := call(t.Context(), env, "rehearse", "--report", file)
	if got.code != contract.ExitOK || got.stderr != "" {
		t.Fatalf("exit %d, stderr %q", got.code, got.stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report contract.RehearsalReport
	if err := json.Unmarshal(text, &report); err != nil || !report.Passed || report.To != 1 || len(report.Statements) != 1 {
		t.Errorf("report %+v, error %v", report, err)
	}
	assertSilentOn(t, got, env[envDatabaseURL])
	// The file was not applied for good, so of phase contract there is nothing to try before it is.
	got = call(t.Context(), env, "rehearse", "--phase", "contract")
	var refused contract.RehearsalReport
	if err := json.Unmarshal([]byte(lastLine(got.stdout)), &refused); err != nil || got.code != contract.ExitFailed ||
		refused.Phase != "contract" || refused.Error == nil || refused.Error.Code != contract.ReleaseSkipped {
		t.Errorf("exit %d, report %+v, error %v", got.code, refused, err)
	}
}

func TestRestoreReports(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report")
	env := map[string]string{
		envDatabaseURL: pgserver.Database(t), contract.EnvBackupDir: t.TempDir(), contract.EnvScratchDir: t.TempDir(),
	}
	call(t.Context(), env, "up", "--dir", migrationsOf(t))
	var made contract.BackupReport
	if err := json.Unmarshal([]byte(lastLine(call(t.Context(), env, "backup").stdout)), &made); err != nil {
		t.Fatal(err)
	}
	database := made.Database + "_again"
	t.Cleanup(func() { dropDatabase(t, env[envDatabaseURL], database) })
	got := call(t.Context(), env, "restore", made.Name, "--database", database, "--report", file)
	if got.code != contract.ExitOK || got.stderr != "" {
		t.Fatalf("exit %d, stderr %q", got.code, got.stderr)
	}
	assertJSONLines(t, got.stdout)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{lastLine(got.stdout), string(text)} {
		var report contract.RestoreReport
		if err := json.Unmarshal([]byte(line), &report); err != nil || !report.Restored || report.Rows != made.Rows || report.SchemaVersion != 1 {
			t.Errorf("report %+v, error %v", report, err)
		}
	}
	assertSilentOn(t, got, env[envDatabaseURL])
	got = call(t.Context(), env, "restore", made.Name, "--database", strings.Repeat("x", 51))
	if got.code != contract.ExitUsage || !strings.Contains(got.stderr, "1 to 50 bytes") {
		t.Errorf("exit %d, stderr %q", got.code, got.stderr)
	}
}

func TestBackupsInABucket(t *testing.T) {
	server := s3server.Start(t)
	env := map[string]string{
		envDatabaseURL: pgserver.Database(t), contract.EnvBackupDir: server.URL() + "&prefix=production/", contract.EnvScratchDir: t.TempDir(),
		contract.EnvMigrationsDir: migrationsOf(t),
	}
	var made contract.BackupReport
	if err := json.Unmarshal([]byte(lastLine(call(t.Context(), env, "backup").stdout)), &made); err != nil {
		t.Fatal(err)
	}
	if !made.Verified || made.Location != env[contract.EnvBackupDir] {
		t.Errorf("report %+v", made)
	}
	assertListed(t, env, made)
	database := made.Database + "_again"
	t.Cleanup(func() { dropDatabase(t, env[envDatabaseURL], database) })
	for _, args := range [][]string{{"rehearse", "--mode", "Data", "--backup", made.Name}, {"restore", made.Name, "--database", database}} {
		got := call(t.Context(), env, args...)
		if got.code != contract.ExitOK || got.stderr != "" {
			t.Errorf("%v: exit %d, stderr %q", args, got.code, got.stderr)
		}
		assertSilentOn(t, got, env[envDatabaseURL], server.Env()[1][1])
	}
	got := call(t.Context(), env, "backups", "--location", strings.Replace(server.URL(), "s3://files", "s3://nothing", 1))
	if got.code != contract.ExitUnavailable || !strings.Contains(got.stderr, "it does not exist: make it") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("exit %d, stderr %q", got.code, got.stderr)
	}
}

func dropDatabase(t *testing.T, databaseURL, name string) {
	t.Helper()
	db, err := sql.Open("postgres", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.WithoutCancel(t.Context()), "DROP DATABASE IF EXISTS "+name); err != nil {
		t.Error(err)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
