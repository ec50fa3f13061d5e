package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
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

	"github.com/mirubato/mirubato/api/settings"
)

// freePorts returns the first of n ports in a row that nobody uses.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range 50 {
		l, err := net.Listen("tcp", loopback+":0")
		if err != nil {
			t.Fatal(err)
		}
		first := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		c := config{Port: first, OpsPort: first + n/2, Pods: n / 2}
		if first+n < 65535 && c.checkPorts(t.Context()) == nil {
			return first
		}
	}
	t.Fatal("no free ports in a row")
	return 0
}

// running is one call of run beside the test.
type running struct {
	stop context.CancelFunc
	done chan error
	out  *bytes.Buffer
	env  map[string]string
}

func startRun(t *testing.T, cfg config) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{stop: stop, done: make(chan error, 1), out: &bytes.Buffer{}}
	go func() { r.done <- run(ctx, cfg, r.out) }()
	t.Cleanup(stop)
	path := filepath.Join(cfg.Local, "dev.env")
	for {
		if _, err := os.Stat(path); err == nil {
			break
		}
		select {
		case err := <-r.done:
			t.Fatalf("run ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	r.env = source(t, path)
	return r
}

// source lets a shell read the file, as a user does.
func source(t *testing.T, path string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `set -a; . "$1"; exec env`, "sh", path)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[name] = value
	}
	return env
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("run does not end")
		return nil
	}
}

// ask returns the status and the decoded body of one request.
func ask(t *testing.T, method, url, token, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(content, &answer); err != nil {
		t.Fatalf("%s %s: %v in %s", method, url, err, content)
	}
	return resp.StatusCode, answer
}

func total(t *testing.T, api, token string) float64 {
	t.Helper()
	status, answer := ask(t, http.MethodGet, api+"/api/scores", token, "")
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	return answer["pagination"].(map[string]any)["total"].(float64)
}

func TestServeStopAndServeAgain(t *testing.T) {
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	port := freePorts(t, 4)
	cfg := config{Root: root, Local: t.TempDir(), Port: port, OpsPort: port + 2, Pods: 2}

	first := startRun(t, cfg)
	assertServes(t, first.env)
	assertSettingsAreLive(t, cfg.Local, first.env["APIS"])
	if err := run(t.Context(), cfg, io.Discard); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Errorf("a second run: %v", err)
	}
	first.stop()
	if err := first.wait(t); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	assertNothingLeft(t, cfg.Local)

	second := startRun(t, cfg)
	if n := total(t, second.env["API"], first.env["TOKEN_ADMIN"]); n != 25 {
		t.Errorf("%v works after a restart, want 25", n)
	}
	if second.env["JWT_SECRET"] != first.env["JWT_SECRET"] {
		t.Error("the secret has changed")
	}
	if err := syscall.Kill(readPID(t, filepath.Join(cfg.Local, "dev", "scores-2.pid")), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	want := "instance 2 at " + cfg.addresses()[1].api() + " has ended"
	if err := second.wait(t); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"msg":"Serving"`) {
		t.Errorf("after an instance was killed: %v", err)
	}
}

// assertServes looks for the catalogue in both instances, and adds one score of alice.
func assertServes(t *testing.T, env map[string]string) {
	t.Helper()
	apis, opses := strings.Fields(env["APIS"]), strings.Fields(env["OPSES"])
	if len(apis) != 2 || apis[0] != env["API"] || len(opses) != 2 || opses[0] != env["OPS"] {
		t.Fatalf("addresses: %v, %v", apis, opses)
	}
	for _, api := range apis {
		if n := total(t, api, ""); n != 24 {
			t.Errorf("%s lists %v works", api, n)
		}
	}
	status, created := ask(t, http.MethodPost, apis[0]+"/api/scores", env["TOKEN_ALICE"], `{"title": "Mazurka in A minor"}`)
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, created)
	}
	id := created["data"].(map[string]any)["id"].(string)
	for who, want := range map[string]int{"TOKEN_ALICE": 200, "TOKEN_BOB": 404, "TOKEN_ADMIN": 200} {
		if status, answer := ask(t, http.MethodGet, apis[1]+"/api/scores/"+id, env[who], ""); status != want {
			t.Errorf("%s gets %d %v, want %d", who, status, answer, want)
		}
	}
}

// assertSettingsAreLive edits the settings and looks for the change in every instance.
func assertSettingsAreLive(t *testing.T, local, apis string) {
	t.Helper()
	edited := filepath.Join(local, "settings", "1.yaml")
	if err := os.WriteFile(edited, []byte("rateLimits: {default: {requests: 77, window: 1m}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for api := range strings.FieldsSeq(apis) {
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api+"/api/categories", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.Header.Get("X-RateLimit-Limit") == "77" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s has not taken the settings: %v", api, resp.Header)
			}
		}
	}
}

func TestTheFileOfSettings(t *testing.T) {
	h := &home{local: t.TempDir()}
	edited, err := h.makeSettings()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(edited)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := settings.Decode(text); err != nil || s != (settings.Settings{}) {
		t.Errorf("the comments say %+v, %v", s, err)
	}
	fields := strings.ReplaceAll(strings.TrimPrefix(string(text), settingsHead), "# ", "")
	s, err := settings.Decode([]byte(fields))
	if err != nil {
		t.Fatalf("%v in\n%s", err, fields)
	}
	if diff := cmp.Diff(settings.Default(), s); diff != "" {
		t.Errorf("without the comment signs (-default +got):\n%s", diff)
	}
	if err := os.WriteFile(edited, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.makeSettings(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(edited); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v after a second run", text, err)
	}
}

func assertNothingLeft(t *testing.T, local string) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(local, "dev", "*.pid")); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if _, err := os.Stat(filepath.Join(local, "dev.env")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("dev.env is still there: %v", err)
	}
}

func readPID(t *testing.T, path string) int {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestLeftoversAreStoppedButNobodyElse(t *testing.T) {
	h, err := openHome(t.TempDir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.program(), content, 0o700); err != nil {
		t.Fatal(err)
	}
	start := func(program string, number int) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, "600")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(h.pidFile(number), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	ours, stranger := start(h.program(), 1), start(sleep, 2)
	ended := make(chan error, 1)
	go func() { ended <- ours.Wait() }()
	if err := h.stopLeftovers(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("our own process ended by itself")
	}
	if err := stranger.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a stranger was stopped: %v", err)
	}
	_ = stranger.Process.Kill()
	_ = stranger.Wait()
	if left, _ := filepath.Glob(h.path("*.pid")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

func TestLoadConfig(t *testing.T) {
	for name, tc := range map[string]struct {
		env     map[string]string
		want    config
		wantErr string
	}{
		"nothing said":             {want: config{Port: 8080, OpsPort: 9090, Pods: 1}},
		"everything said":          {env: map[string]string{"PORT": "3000", "OPS_PORT": "4000", "PODS": "3"}, want: config{Port: 3000, OpsPort: 4000, Pods: 3}},
		"ports side by side":       {env: map[string]string{"PORT": "3000", "OPS_PORT": "3002", "PODS": "2"}, want: config{Port: 3000, OpsPort: 3002, Pods: 2}},
		"ports on each other":      {env: map[string]string{"PORT": "3000", "OPS_PORT": "3001", "PODS": "2"}, wantErr: "too near"},
		"a word for a port":        {env: map[string]string{"PORT": "http"}, wantErr: `PORT is "http"`},
		"no instances":             {env: map[string]string{"PODS": "0"}, wantErr: `PODS is "0": it must be a number from 1 to 16`},
		"ports beyond the last":    {env: map[string]string{"OPS_PORT": "65535", "PODS": "2"}, wantErr: "would need port 65536"},
		"two things wrong at once": {env: map[string]string{"PODS": "many", "OPS_PORT": "-1"}, wantErr: "OPS_PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := loadConfig(func(name string) string { return tc.env[name] })
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("error %v does not say %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got.Root, got.Local = "", ""
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

func TestATakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	err = config{Port: 0, OpsPort: port, Pods: 1}.checkPorts(t.Context())
	if err == nil || !strings.Contains(err.Error(), "port "+strconv.Itoa(port)) || !strings.Contains(err.Error(), "make dev OPS_PORT=") {
		t.Errorf("got %v", err)
	}
}

func TestQuote(t *testing.T) {
	const text = `it's $HOME "and" \ more`
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quote(text)).Output()
	if err != nil || string(out) != text {
		t.Errorf("a shell reads %q, %v", out, err)
	}
}
