package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/migrate"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// outcome is what a caller sees of one run of the program.
type outcome struct {
	code           int
	stdout, stderr string
}

func call(ctx context.Context, env map[string]string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, func(name string) string { return env[name] }, &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// report decodes the last line of output.
func (o outcome) report(t *testing.T) contract.MigrationReport {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(o.stdout), "\n")
	return decode(t, []byte(lines[len(lines)-1]))
}

func decode(t *testing.T, line []byte) contract.MigrationReport {
	t.Helper()
	var r contract.MigrationReport
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatalf("decoding %q: %v", line, err)
	}
	return r
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUpThenStatus(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1_create_works.sql", "-- +goose Up\nCREATE TABLE works (id int);\n")
	write(t, dir, "2_drop.sql", "-- mirubato:phase contract\n-- +goose Up\nDROP TABLE works;\n")
	env := map[string]string{
		contract.EnvDatabaseURLFile: write(t, t.TempDir(), "url", pgserver.Database(t)+"\n"),
		contract.EnvMigrationsDir:   dir,
	}
	reportFile := filepath.Join(t.TempDir(), "report")
	got := call(t.Context(), env, "up", "--report", reportFile)
	if got.code != contract.ExitOK || got.stderr != "" {
		t.Fatalf("exit %d, stderr %q", got.code, got.stderr)
	}
	assertJSONLines(t, got.stdout)
	want := contract.MigrationReport{ReportVersion: 1, To: 1, Target: 2, Applied: []contract.AppliedMigration{{Version: 1, Name: "1_create_works.sql"}}}
	undated := cmpopts.IgnoreFields(contract.AppliedMigration{}, "Duration")
	if diff := cmp.Diff(want, got.report(t), undated); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	file, err := os.ReadFile(reportFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, decode(t, file), undated); diff != "" {
		t.Errorf("report in the file (-want +got):\n%s", diff)
	}
	assertStatus(t, env)
}

func assertJSONLines(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of output is not JSON: %q", line)
		}
	}
}

func assertStatus(t *testing.T, env map[string]string) {
	t.Helper()
	got := call(t.Context(), env, "status")
	for _, want := range []string{"schema version 1, files up to 2", "1_create_works.sql  expand    applied", "2_drop.sql          contract  held     -"} {
		if got.code != contract.ExitOK || !strings.Contains(got.stdout, want) {
			t.Errorf("exit %d, output does not say %q:\n%s", got.code, want, got.stdout)
		}
	}
	got = call(t.Context(), env, "status", "--format", "json")
	var status migrate.Status
	if err := json.Unmarshal([]byte(got.stdout), &status); err != nil || status.Current != 1 || len(status.Migrations) != 2 {
		t.Errorf("status %+v, error %v", status, err)
	}
}

func TestTheReportFileFitsATerminationMessage(t *testing.T) {
	dir := t.TempDir()
	for v := range 100 {
		write(t, dir, strconv.Itoa(v+1)+"_a_migration_without_much_to_do.sql", "-- +goose Up\n")
	}
	env := map[string]string{envDatabaseURL: pgserver.Database(t)}
	reportFile := filepath.Join(t.TempDir(), "report")
	got := call(t.Context(), env, "up", "--dir", dir, "--report", reportFile)
	if n := len(got.report(t).Applied); got.code != contract.ExitOK || n != 100 {
		t.Errorf("exit %d, %d applied on stdout", got.code, n)
	}
	file, err := os.ReadFile(reportFile)
	if err != nil {
		t.Fatal(err)
	}
	applied := decode(t, file).Applied
	if len(file) > contract.MaxTerminationMessage || len(applied) == 0 || applied[len(applied)-1].Version != 100 {
		t.Errorf("%d bytes, %d applied", len(file), len(applied))
	}
}

func TestExitCodes(t *testing.T) {
	works := map[string]string{"1_create_works.sql": "-- +goose Up\nCREATE TABLE works (id int);\n"}
	for name, tc := range map[string]struct {
		files      map[string]string
		env        func(databaseURL string) map[string]string
		args       []string
		stopped    bool
		wantExit   int
		wantReport contract.MigrationErrorCode // empty: none is printed
		wantText   string                      // on stderr
	}{
		"a statement that the database refuses": {
			files: map[string]string{"1_bad.sql": "-- +goose Up\nSELEC 1;\n"}, args: []string{"up"},
			wantExit: contract.ExitFailed, wantReport: contract.MigrationFailed, wantText: "1_bad.sql: applying it: syntax error",
		},
		"a file that is no migration": {
			files: map[string]string{"1_bad.sql": "SELECT 1;\n"}, args: []string{"up"},
			wantExit: contract.ExitUsage, wantReport: contract.InvalidMigrations, wantText: "1_bad.sql: line 1: it must begin with",
		},
		"an empty directory": {
			args:     []string{"up"},
			wantExit: contract.ExitUsage, wantReport: contract.InvalidMigrations, wantText: "no migrations",
		},
		"a directory that is not there": {
			files: works, args: []string{"up", "--dir", "/nowhere/at/all"},
			wantExit: contract.ExitUsage, wantReport: contract.InvalidMigrations, wantText: "/nowhere/at/all of --dir does not exist",
		},
		"a closed port": {
			files: works, args: []string{"up"},
			env:      closedPort,
			wantExit: contract.ExitUnavailable, wantReport: contract.DatabaseUnreachable, wantText: "connection refused",
		},
		"no database named": {
			files: works, args: []string{"up"},
			env:      func(string) map[string]string { return nil },
			wantExit: contract.ExitUnavailable, wantReport: contract.DatabaseUnreachable, wantText: "DATABASE_URL_FILE",
		},
		"a file of the URL that is missing": {
			files: works, args: []string{"up"},
			env:      func(string) map[string]string { return map[string]string{contract.EnvDatabaseURLFile: "/nowhere/url"} },
			wantExit: contract.ExitUnavailable, wantReport: contract.DatabaseUnreachable, wantText: "/nowhere/url",
		},
		"an order to stop": {
			files: works, args: []string{"up"}, stopped: true,
			wantExit: contract.ExitUnavailable, wantReport: contract.Interrupted, wantText: "told to stop",
		},
		"an unknown flag":    {files: works, args: []string{"up", "--dry"}, wantExit: contract.ExitUsage, wantText: "--dry"},
		"an unknown command": {files: works, args: []string{"down"}, wantExit: contract.ExitUsage, wantText: "down"},
		"an argument":        {files: works, args: []string{"up", "now"}, wantExit: contract.ExitUsage, wantText: "now"},
		"an empty lock":      {files: works, args: []string{"up", "--lock-id", ""}, wantExit: contract.ExitUsage, wantText: "--lock-id"},
		"a negative wait": {
			files: works, args: []string{"up", "--advisory-lock-wait=-1s"}, wantExit: contract.ExitUsage, wantText: "--advisory-lock-wait",
		},
		"no time for statements": {
			files: works, args: []string{"up", "--statement-lock-timeout=0s"}, wantExit: contract.ExitUsage, wantText: "--statement-lock-timeout",
		},
		"too many retries":  {files: works, args: []string{"up", "--retries=1001"}, wantExit: contract.ExitUsage, wantText: "--retries"},
		"an unknown format": {files: works, args: []string{"status", "--format", "yaml"}, wantExit: contract.ExitUsage, wantText: "--format"},
		"a status of a database that is away": {
			files: works, args: []string{"status"},
			env:      closedPort,
			wantExit: contract.ExitUnavailable, wantText: "connection refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tc.files {
				write(t, dir, name, text)
			}
			databaseURL := pgserver.Database(t)
			env := map[string]string{envDatabaseURL: databaseURL}
			if tc.env != nil {
				env = tc.env(databaseURL)
			}
			if env == nil {
				env = map[string]string{}
			}
			env[contract.EnvMigrationsDir] = dir
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			if tc.stopped {
				stop()
			}
			got := call(ctx, env, tc.args...)
			if got.code != tc.wantExit || !strings.Contains(got.stderr, tc.wantText) {
				t.Errorf("exit %d, stderr %q; want %d, %q", got.code, got.stderr, tc.wantExit, tc.wantText)
			}
			assertSilentOn(t, got, databaseURL, "secret")
			if tc.wantReport == "" {
				if got.stdout != "" {
					t.Errorf("stdout %q", got.stdout)
				}
				return
			}
			if r := got.report(t); r.Error == nil || r.Error.Code != tc.wantReport {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// assertSilentOn looks for passwords in everything that was written.
func assertSilentOn(t *testing.T, got outcome, databaseURL string, secrets ...string) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	if password, ok := u.User.Password(); ok {
		secrets = append(secrets, password)
	}
	for _, secret := range secrets {
		if strings.Contains(got.stdout+got.stderr, secret) {
			t.Errorf("the output holds the password %q: %s%s", secret, got.stdout, got.stderr)
		}
	}
}

func TestAReportThatCannotBeWrittenIsSaid(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1_create_works.sql", "-- +goose Up\nCREATE TABLE works (id int);\n")
	env := map[string]string{envDatabaseURL: pgserver.Database(t)}
	got := call(t.Context(), env, "up", "--dir", dir, "--report", filepath.Join(dir, "no", "such", "directory"))
	if got.code != contract.ExitUsage || !strings.Contains(got.stderr, "--report") || got.report(t).To != 1 {
		t.Errorf("exit %d, stderr %q", got.code, got.stderr)
	}
}

// closedPort leads to where nobody listens.
func closedPort(string) map[string]string {
	return map[string]string{envDatabaseURL: "postgres://a:secret@127.0.0.1:1/b"}
}
