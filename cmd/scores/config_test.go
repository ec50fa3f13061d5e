package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

const (
	testSecret = "a signing secret for tests, long enough"
	testURL    = "postgres://user:hunter2@db.example.com/scores?sslmode=require"
	everything = process | serving | database | tokens | notes
)

// load reads a configuration from variables and flags.
func load(t *testing.T, env map[string]string, args ...string) (Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	addFlags(flags, everything)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return loadConfig(flags, func(name string) string { return env[name] }, everything)
}

func TestDefaults(t *testing.T) {
	got, err := load(t, map[string]string{"DATABASE_URL": testURL, "JWT_SECRET": testSecret})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Environment: "local", Release: buildVersion(), LogLevel: slog.LevelInfo, APIAddr: ":8080", OpsAddr: ":9090",
		RequestTimeout: 5 * time.Second, DrainDelay: time.Second, ShutdownTimeout: 20 * time.Second,
		DatabaseURL: secret.FromValue(testURL), DatabaseConns: 10, JWTSecret: secret.FromValue(testSecret),
		FileSizeMiB: 50, FileQuotaMiB: 1024, JobWorkers: 2, JobPatience: 20 * time.Second,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(secret.Source{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFlagsOverrideVariablesOverrideDefaults(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	url, current := file("url", testURL), file("secret", testSecret)
	got, err := load(t, map[string]string{
		"ENVIRONMENT": "staging", "RELEASE": "scores-7", "LOG_LEVEL": "warn", "API_ADDR": "127.0.0.1:1", "OPS_ADDR": "127.0.0.1:2",
		"REQUEST_TIMEOUT": "2s", "DRAIN_DELAY": "0s", "SHUTDOWN_TIMEOUT": "1m", "DATABASE_MAX_CONNS": "3",
		"DATABASE_URL_FILE": "/overridden", "JWT_SECRET_FILE": current, "JWT_PREVIOUS_SECRET_FILE": filepath.Join(dir, "absent"),
		"NOTES_KEYSET_FILE": current, "JWT_ISSUER": "https://id.example.com", "JWT_AUDIENCE": "scores", "CORS_ORIGIN": "https://a.example.com, http://localhost:3000",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
		"STORAGE":                     "s3://files?region=eu", "FILE_MAX_MIB": "20", "FILE_QUOTA_MIB": "100", "JOB_WORKERS": "4", "JOB_PATIENCE": "1m",
	}, "--database-url-file", url, "--api-addr", "127.0.0.1:3")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Environment: "staging", Release: "scores-7", LogLevel: slog.LevelWarn, APIAddr: "127.0.0.1:3", OpsAddr: "127.0.0.1:2",
		RequestTimeout: 2 * time.Second, ShutdownTimeout: time.Minute, DatabaseConns: 3,
		DatabaseURL: secret.FromFile(url), JWTSecret: secret.FromFile(current),
		JWTPrevious: secret.FromFile(filepath.Join(dir, "absent")),
		NotesKeyset: secret.FromFile(current),
		Origins:     []string{"https://a.example.com", "http://localhost:3000"},
		Traces:      "http://collector:4318",
		Tokens:      auth.Policy{Issuer: "https://id.example.com", Audience: "scores"},
		Storage:     "s3://files?region=eu", FileSizeMiB: 20, FileQuotaMiB: 100, JobWorkers: 4, JobPatience: time.Minute,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(secret.Source{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEveryMistakeIsNamedAtOnce(t *testing.T) {
	_, err := load(t, map[string]string{
		"ENVIRONMENT": "two words", "RELEASE": "x\r\nSet-Cookie: a", "LOG_LEVEL": "loud", "REQUEST_TIMEOUT": "5", "DRAIN_DELAY": "-1s",
		"SHUTDOWN_TIMEOUT": "forever", "DATABASE_MAX_CONNS": "0", "CORS_ORIGIN": "example.com/x",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318", "DATABASE_URL": testURL, "DATABASE_URL_FILE": "/absent",
		"JWT_SECRET": "hunter2", "JWT_PREVIOUS_SECRET": "short",
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"ENVIRONMENT: ", "RELEASE: ", "LOG_LEVEL: ", "REQUEST_TIMEOUT: ", "DRAIN_DELAY: ", "SHUTDOWN_TIMEOUT: ", "DATABASE_MAX_CONNS: ", "CORS_ORIGIN: ", "OTEL_EXPORTER_OTLP_ENDPOINT: ",
		"DATABASE_URL_FILE and DATABASE_URL: both are set", "JWT_SECRET: has 7 bytes, but needs at least 32", "JWT_PREVIOUS_SECRET: has 5 bytes",
		"openssl rand",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows a secret:\n%v", err)
	}
}

func TestSecretsAreRequired(t *testing.T) {
	for name, tc := range map[string]struct {
		env  map[string]string
		want string
	}{
		"nothing is given":         {want: "DATABASE_URL_FILE: is required"},
		"no signing secret":        {env: map[string]string{"DATABASE_URL": testURL}, want: "JWT_SECRET_FILE: is required"},
		"a file that is not there": {env: map[string]string{"DATABASE_URL": testURL, "JWT_SECRET_FILE": "/absent"}, want: "JWT_SECRET_FILE: reading the secret file /absent: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, tc.env); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}
