package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/lib/pq" // the driver for runSQL

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/scores/migrations"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// raceEnabled says that the detector of races looks on, which makes a process several times as large and slow.
var raceEnabled bool

func runSQL(t testing.TB, url, text string) {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatal(err)
	}
}

// command is the service as a process of its own.
func command(t testing.TB, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append([]string{"SCORES_TEST_PROCESS=1", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	return cmd
}

// running is a service that listens, with the lines it logs.
type running struct {
	cmd      *exec.Cmd
	api, ops string
	events   <-chan map[string]string
}

func startProcess(t testing.TB, env ...string) *running {
	t.Helper()
	env = append([]string{contract.EnvSettingsDir + "=" + roomy(t)}, env...)
	cmd := command(t, append(env, "API_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0", "JWT_SECRET="+testSecret), "serve")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &running{cmd: cmd, events: eventsOf(out)}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line := p.logged(t, "Serving")
	p.api, p.ops = "http://"+line["api"], "http://"+line["operations"]
	return p
}

// eventsOf reads a log to its end, lest the service wait for somebody to read it, and hands on the lines that are not
// about a request, with their texts.
func eventsOf(log io.Reader) <-chan map[string]string {
	events := make(chan map[string]string, 64)
	go func() {
		defer close(events)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			var raw map[string]any
			if err := json.Unmarshal(lines.Bytes(), &raw); err != nil {
				raw = map[string]any{"msg": lines.Text()}
			}
			if raw["msg"] == "Serving request" {
				continue
			}
			event := map[string]string{}
			for key, value := range raw {
				if text, ok := value.(string); ok {
					event[key] = text
				}
			}
			events <- event
		}
	}()
	return events
}

// logged waits for the message and returns its line.
func (p *running) logged(t testing.TB, message string) map[string]string {
	t.Helper()
	for event := range p.events {
		if event["msg"] == message {
			return event
		}
	}
	t.Fatalf("the log ended without %q", message)
	return nil
}

func status(ctx context.Context, url string) (int, bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, false, err
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Close, err
}

func TestTerminationDrains(t *testing.T) {
	p := startProcess(t, "DATABASE_URL="+scorestest.URL(t), "DRAIN_DELAY=10s") // long enough for a busy machine to ask
	if got, _, err := status(t.Context(), p.ops+"/readyz"); err != nil || got != 200 {
		t.Fatalf("before: %d, %v", got, err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.logged(t, "Draining")
	if got, _, err := status(t.Context(), p.ops+"/readyz"); err != nil || got != 503 {
		t.Errorf("readiness while draining: %d, %v, want 503", got, err)
	}
	if got, closed, err := status(t.Context(), p.api+"/api/scores"); err != nil || got != 200 || !closed {
		t.Errorf("a request while draining: %d, closing %t, %v; want it served", got, closed, err)
	}
	p.logged(t, "Stopped")
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("exit: %v, want 0", err)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := startProcess(t, "DATABASE_URL="+pgserver.Database(t), "DRAIN_DELAY=1m")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.logged(t, "Draining")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case err := <-ended:
		if p.cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("exit: %v, want 1", err)
		}
	case <-time.After(patience):
		t.Error("the process goes on draining")
	}
}

func TestBadConfigurationEndsTheProcess(t *testing.T) {
	for name, tc := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"serve without anything":           {args: []string{"serve"}, want: "DATABASE_URL_FILE: is required"},
		"migrate without a database":       {args: []string{"migrate", "up"}, want: "DATABASE_URL_FILE: is required"},
		"migrate without a server":         {env: []string{"DATABASE_URL=postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable"}, args: []string{"migrate", "up"}, want: "migrating: "},
		"token with a short secret":        {env: []string{"JWT_SECRET=short"}, args: []string{"token", "--user", "alice"}, want: "JWT_SECRET: has 5 bytes"},
		"token without a user":             {env: []string{"JWT_SECRET=" + testSecret}, args: []string{"token"}, want: `"user" not set`},
		"token with an unknown role":       {env: []string{"JWT_SECRET=" + testSecret}, args: []string{"token", "--user", "a", "--role", "king"}, want: `"king"`},
		"a database URL that cannot be":    {env: []string{"DATABASE_URL=postgres://u:hunter2@x:y:z/%zz", "JWT_SECRET=" + testSecret}, args: []string{"serve"}, want: "cannot be understood"},
		"migrations exported to nowhere":   {args: []string{"migrations", "export"}, want: "accepts 1 arg"},
		"migrations exported under a file": {args: []string{"migrations", "export", os.Args[0] + "/x"}, want: "exporting migrations"},
		"a command that does not exist":    {args: []string{"dance"}, want: `unknown command "dance"`},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			cmd := command(t, tc.env, tc.args...)
			cmd.Stderr = &stderr
			if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("exit: %v, want 1", err)
			}
			if got := stderr.String(); !strings.Contains(got, tc.want) || strings.Contains(got, "hunter2") {
				t.Errorf("stderr %q, want %q and no secret", got, tc.want)
			}
		})
	}
}

func TestTokenPrintsNothingElse(t *testing.T) {
	out, err := command(t, []string{"JWT_SECRET=" + testSecret}, "token", "--user", "alice", "--role", "teacher", "--ttl", "1m").Output()
	if err != nil {
		t.Fatal(err)
	}
	if token := string(out); strings.Count(token, ".") != 2 || strings.Count(token, "\n") != 1 || strings.Contains(token, " ") {
		t.Errorf("printed %q, want one token and a line break", token)
	}
}

func TestExportMigrations(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "place")
	for range 2 {
		if out, err := command(t, nil, "migrations", "export", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	embedded, err := migrations.Files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, entry := range embedded {
		want = append(want, entry.Name())
	}
	for _, entry := range written {
		exported, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if entry.Name() == contract.MinimumSchemaFile {
			if want := strconv.FormatInt(migrations.MinimumVersion, 10) + "\n"; string(exported) != want {
				t.Errorf("%s has %q, want %q", entry.Name(), exported, want)
			}
			continue
		}
		got = append(got, entry.Name())
		original, err := migrations.Files.ReadFile(entry.Name())
		if err != nil || !bytes.Equal(exported, original) {
			t.Errorf("%s differs, %v", entry.Name(), err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
