// Package observability_test holds alerts, dashboards and their documentation to what the programs really serve: it starts the operator
// on a real API server and the service on a real PostgreSQL, lets something happen, and reads their metrics.
package observability_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard()) // failures are told by the tests
	os.Exit(pgserver.Run(m))
}

// patience is a generous bound on what takes seconds on an idle machine.
const patience = 3 * time.Minute

// scrapes are taken once for all tests.
var scrapes struct {
	operator, service sync.Once
	operatorText      string
	ofOperator        map[string]*dto.MetricFamily
	ofService         map[string]*dto.MetricFamily
}

// build compiles a program of this module.
func build(t testing.TB, name string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", out, "../../cmd/"+name).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, text)
	}
	return out
}

// start runs a program until the test ends, and returns its log line by line.
func start(t testing.TB, program string, env []string, args ...string) <-chan string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 4096)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			select {
			case lines <- scanner.Text():
			default: // nobody reads any more
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return lines
}

// logged waits for a line with that message.
func logged(t testing.TB, lines <-chan string, message string) map[string]any {
	t.Helper()
	var last string
	for line := range lines {
		event := map[string]any{}
		if err := json.Unmarshal([]byte(line), &event); err == nil && event["msg"] == message {
			return event
		}
		last = line
	}
	t.Fatalf("the log ended without %q: %s", message, last)
	return nil
}

// get returns the body of an answer, or why there is none.
func get(ctx context.Context, url string, header http.Header) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Header = header
	res, err := (&http.Client{Timeout: patience}).Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// eventually asks again and again until holds says nothing.
func eventually(t testing.TB, holds func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func parse(text string) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(strings.NewReader(text))
}

// lacking says which of the metrics are not there yet.
func lacking(families map[string]*dto.MetricFamily, names ...string) error {
	for _, name := range names {
		if families[name] == nil {
			return fmt.Errorf("%s is not served", name)
		}
	}
	return nil
}

// freePort returns an address on the loopback that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
