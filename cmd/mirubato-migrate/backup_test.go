package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/api/contract"
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
	if !full.Verified || full.SchemaVersion != 1 || len(full.Tables) != 3 || !short.Verified || short.Name != full.Name || short.Tables != nil {
		t.Errorf("report %+v, short %+v", full, short)
	}
	assertSilentOn(t, got, env[envDatabaseURL])
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
		"no place for none":   {args: []string{"backup", "--keep", "0"}, code: contract.ExitUsage, want: "--keep"},
		"no database":         {args: []string{"backup"}, code: contract.ExitUnavailable, want: contract.EnvDatabaseURLFile},
		"no directory":        {args: []string{"backup", "--location", "/nowhere"}, env: closedPort(""), code: contract.ExitUnavailable, want: "it is not there"},
		"an unknown argument": {args: []string{"backup", "now"}, code: contract.ExitUsage, want: "now"},
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
