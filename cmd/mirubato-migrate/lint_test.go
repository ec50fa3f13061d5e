package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/migrate/lint"
)

func TestLintExitCodes(t *testing.T) {
	dir := t.TempDir()
	safe := write(t, dir, "1_create_works.sql", "-- +goose Up\nCREATE TABLE works (id int);\n")
	unsafe := write(t, dir, "2_drop.sql", "-- +goose Up\nDROP TABLE works;\n")
	empty := t.TempDir()
	long := write(t, t.TempDir(), "3_long.sql", "-- +goose Up\nSELECT '"+strings.Repeat("x", lint.MaxFileSize)+"';\n")
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		code int
		want string // in the output or in the error
	}{
		"nothing wrong":                {args: []string{safe}, code: contract.ExitOK, want: "1 files, 1 statements, 0 of them not analysable: 0 findings block"},
		"something blocks":             {args: []string{safe, unsafe}, code: contract.ExitFailed, want: unsafe + ":2:1: block: "},
		"a directory":                  {args: []string{dir}, code: contract.ExitFailed, want: "2 files"},
		"a file twice":                 {args: []string{dir, safe}, code: contract.ExitFailed, want: "2 files"},
		"what is applied":              {args: []string{dir, "--applied", "2"}, code: contract.ExitOK, want: "0 files"},
		"what is not":                  {args: []string{dir, "--applied", "1"}, code: contract.ExitFailed, want: "1 files"},
		"a file that is too long":      {args: []string{long}, code: contract.ExitFailed, want: "longer than 8 MiB"},
		"no file":                      {args: nil, code: contract.ExitUsage, want: "arg"},
		"a file that is not there":     {args: []string{filepath.Join(dir, "4_none.sql")}, code: contract.ExitUsage, want: "4_none.sql does not exist"},
		"a directory without files":    {args: []string{empty}, code: contract.ExitUsage, want: "has no .sql file"},
		"an unknown format":            {args: []string{safe, "--format", "xml"}, code: contract.ExitUsage, want: "--format"},
		"a negative version":           {args: []string{safe, "--applied", "-1"}, code: contract.ExitUsage, want: "--applied"},
		"two sources":                  {args: []string{safe, "--applied", "1", "--database"}, code: contract.ExitUsage, want: "exclude each other"},
		"a database that is not named": {args: []string{safe, "--database"}, code: contract.ExitUnavailable, want: contract.EnvDatabaseURLFile},
		"a database that does not answer": {
			args: []string{safe, "--database"}, env: closedPort(""), code: contract.ExitUnavailable, want: "connection refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := call(t.Context(), tc.env, append([]string{"lint"}, tc.args...)...)
			if got.code != tc.code || !strings.Contains(got.stdout+got.stderr, tc.want) {
				t.Errorf("exit %d, output %q, stderr %q; want %d and %q", got.code, got.stdout, got.stderr, tc.code, tc.want)
			}
			assertSilentOn(t, got, "postgres://", "secret")
		})
	}
}

func TestLintPrintsItsReport(t *testing.T) {
	path := write(t, t.TempDir(), "1_drop.sql", "-- +goose Up\nDROP TABLE works;\n")
	got := call(t.Context(), nil, "lint", "--format", "json", path)
	decoder := json.NewDecoder(strings.NewReader(got.stdout))
	decoder.DisallowUnknownFields()
	var report contract.LintReport
	if err := decoder.Decode(&report); err != nil {
		t.Fatal(err)
	}
	if report.Files != 1 || report.Statements != 1 || len(report.Findings) != 1 {
		t.Fatalf("report %+v", report)
	}
	f := report.Findings[0]
	if f.Message == "" || f.Fix == "" || f.Docs == "" {
		t.Errorf("finding %+v", f)
	}
	f.Message, f.Fix, f.Docs = "", "", ""
	want := contract.LintFinding{File: path, Line: 2, Column: 1, Rule: "drop-table", Gate: contract.LintCompatibility, Level: contract.LintBlock}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
	for _, format := range []string{"sarif", "github", "text"} {
		if got := call(t.Context(), nil, "lint", "--format", format, path); got.code != contract.ExitFailed || !strings.Contains(got.stdout, "drop-table") {
			t.Errorf("%s: exit %d, output %q", format, got.code, got.stdout)
		}
	}
}

func TestLintAsksTheDatabase(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1_create_works.sql", "-- +goose Up\nCREATE TABLE works (id int, title varchar(10));\n")
	env := map[string]string{envDatabaseURL: pgserver.Database(t)}
	if got := call(t.Context(), env, "up", "--dir", dir); got.code != contract.ExitOK {
		t.Fatalf("exit %d, stderr %q", got.code, got.stderr)
	}
	write(t, dir, "2_widen.sql", "-- +goose Up\nALTER TABLE works ALTER COLUMN title TYPE varchar(20);\nCREATE INDEX works_by_title ON works (title);\n")
	got := call(t.Context(), env, "lint", "--database", dir)
	if got.code != contract.ExitOK || !strings.Contains(got.stdout, "1 files, 2 statements") || !strings.Contains(got.stdout, "works has about 0 rows") {
		t.Errorf("exit %d, output %q, stderr %q", got.code, got.stdout, got.stderr)
	}
	if err := os.WriteFile(filepath.Join(dir, "1_create_works.sql"), []byte("-- +goose Up\nSELECT 1;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := call(t.Context(), env, "lint", "--database", dir); got.code != contract.ExitFailed || !strings.Contains(got.stdout, "edited-file") {
		t.Errorf("exit %d, output %q", got.code, got.stdout)
	}
}
