//go:build scale

package scale

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	appsv1 "k8s.io/api/apps/v1"
)

// operator is the real program.
type operator struct {
	t           *testing.T
	program     string
	environment []string
	output      *os.File
	process     *exec.Cmd
	// metrics asks the process for what it tells of itself.
	metrics *http.Request
}

// newOperator builds the program. Its settings are those with which config/manager has it run, memory limit included, but for the
// election, which is no work of its own and would write to its Lease.
func newOperator(ctx context.Context, t *testing.T, kubeconfig []byte) *operator {
	t.Helper()
	dir := t.TempDir()
	o := &operator{t: t, program: filepath.Join(dir, "operator")}
	if output, err := exec.CommandContext(ctx, "go", "build", "-o", o.program, filepath.Join(root, "cmd", "operator")).CombinedOutput(); err != nil {
		t.Fatalf("building the operator: %v\n%s", err, output)
	}
	config := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(config, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	deployment := &appsv1.Deployment{}
	(&world{t: t}).read(deployment, "config", "manager", "deployment.yaml")
	for _, variable := range deployment.Spec.Template.Spec.Containers[0].Env {
		o.environment = append(o.environment, variable.Name+"="+variable.Value)
	}
	o.environment = append(o.environment, "KUBECONFIG="+config, "LEADER_ELECTION=false")
	if *concurrency > 0 {
		o.environment = append(o.environment, fmt.Sprintf("CONCURRENCY=%d", *concurrency))
	}
	if *maxRollouts > 0 {
		o.environment = append(o.environment, fmt.Sprintf("MAX_ROLLOUTS=%d", *maxRollouts))
	}
	var err error
	if o.output, err = os.Create(filepath.Join(dir, "output")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		o.stop()
		o.tellProblems()
		_ = o.output.Close()
	})
	return o
}

// start starts a process.
func (o *operator) start(ctx context.Context) {
	o.t.Helper()
	address := "127.0.0.1:" + freePort(ctx, o.t)
	var err error
	if o.metrics, err = http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil); err != nil {
		o.t.Fatal(err)
	}
	o.process = exec.CommandContext(ctx, o.program, "--metrics-address="+address, "--probe-address=127.0.0.1:"+freePort(ctx, o.t))
	o.process.Env = append(os.Environ(), o.environment...)
	o.process.Stdout, o.process.Stderr = o.output, o.output
	if err := o.process.Start(); err != nil {
		o.t.Fatal(err)
	}
}

// stop ends the process, and returns when it has ended.
func (o *operator) stop() {
	if o.process == nil {
		return
	}
	_ = o.process.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	_ = o.process.Wait()
	o.process = nil
}

// tellProblems shows the last of what the program has said that is no ordinary line.
func (o *operator) tellProblems() {
	const shown = 20
	content, err := os.ReadFile(o.output.Name())
	if err != nil {
		o.t.Error(err)
		return
	}
	problems := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(content)), "\n"), func(line string) bool { return strings.Contains(line, `"level":"INFO"`) })
	for _, line := range problems[max(0, len(problems)-shown):] {
		o.t.Logf("of %d lines that the operator said: %s", len(problems), line)
	}
}

// memoryOf reads a line of the process's status, in MB. Those of memory are in units of 1024 bytes, whatever they say.
func (o *operator) memoryOf(field string) float64 {
	o.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.process.Process.Pid))
	if err != nil {
		o.t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err != nil {
				o.t.Fatal(err)
			}
			return n * 1024 / 1e6
		}
	}
	o.t.Fatalf("the process has no %s: it has ended", field)
	return 0
}

// memory and peakMemory are what is resident, and was at most since the process began.
func (o *operator) memory() float64     { return o.memoryOf("VmRSS") }
func (o *operator) peakMemory() float64 { return o.memoryOf("VmHWM") }

func (o *operator) usage() string {
	m := o.scrape()
	return fmt.Sprintf("%.0f MB resident, %.0f MB heap, %.1f s of processor time, %d passes, %.0f writes, %.0f reads",
		o.memory(), m.value("go_memstats_heap_inuse_bytes")/1e6, m.value("process_cpu_seconds_total"), m.passes().count, m.requests(true), m.requests(false))
}

// metrics are what the program tells of itself.
type metrics map[string]*dto.MetricFamily

// scrape waits until the program answers, which it does a moment after it was started.
func (o *operator) scrape() metrics {
	o.t.Helper()
	var failed error
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		var out metrics
		if out, failed = o.ask(); failed == nil {
			return out
		}
	}
	o.t.Fatalf("the operator tells no metrics: %v", failed)
	return nil
}

func (o *operator) ask() (metrics, error) {
	client := &http.Client{Timeout: time.Minute}
	response, err := client.Do(o.metrics)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(response.Body)
}

// value is the sum of a metric's series; 0 where there is none yet.
func (m metrics) value(name string) (sum float64) {
	for _, series := range m[name].GetMetric() {
		sum += series.GetCounter().GetValue() + series.GetGauge().GetValue()
	}
	return sum
}

// requests to the API server since the process began, those that write or those that do not.
func (m metrics) requests(writing bool) (sum float64) {
	for _, series := range m["rest_client_requests_total"].GetMetric() {
		if (labelOf(series, "method") != http.MethodGet) == writing {
			sum += series.GetCounter().GetValue()
		}
	}
	return sum
}

func labelOf(series *dto.Metric, name string) string {
	for _, label := range series.GetLabel() {
		if label.GetName() == name {
			return label.GetValue()
		}
	}
	return ""
}

func (o *operator) writes() float64 { return o.scrape().requests(true) }
func (o *operator) reads() float64  { return o.scrape().requests(false) }
func (o *operator) cpu() float64    { return o.scrape().value("process_cpu_seconds_total") }
func (o *operator) passes() passes  { return o.scrape().passes() }

// untilQuiet returns once nothing is queued and nothing was begun or written for a while.
func (o *operator) untilQuiet() {
	o.t.Helper()
	const look, quiet = time.Second, 5
	last, since := "", 0
	for until := time.Now().Add(notInTime); time.Now().Before(until); time.Sleep(look) {
		m := o.scrape()
		now := fmt.Sprint(m.passes().count, m.requests(true))
		if since++; now != last || m.value("workqueue_depth") > 0 {
			last, since = now, 0
		}
		if since >= quiet {
			return
		}
	}
	o.t.Fatal("the operator does not come to rest")
}

// passes are those of the controller, by how long they took at most, in seconds.
type passes struct {
	count   int
	sum     float64
	buckets map[float64]int
}

func (m metrics) passes() passes {
	out := passes{buckets: map[float64]int{}}
	for _, series := range m["controller_runtime_reconcile_time_seconds"].GetMetric() {
		histogram := series.GetHistogram()
		out.count += int(histogram.GetSampleCount())
		out.sum += histogram.GetSampleSum()
		for _, bucket := range histogram.GetBucket() {
			out.buckets[bucket.GetUpperBound()] += int(bucket.GetCumulativeCount())
		}
	}
	return out
}

func (p passes) since(before passes) passes {
	out := passes{count: p.count - before.count, sum: p.sum - before.sum, buckets: map[float64]int{}}
	for bound, n := range p.buckets {
		out.buckets[bound] = n - before.buckets[bound]
	}
	return out
}

// within is the share of those that took no longer than that, which must be the bound of a bucket.
func (p passes) within(seconds float64) float64 {
	return float64(p.buckets[seconds]) / float64(p.count)
}

// String tells how many took how long, up to where all are told.
func (p passes) String() string {
	var out []string
	for _, bound := range slices.Sorted(maps.Keys(p.buckets)) {
		out = append(out, fmt.Sprintf("%d within %.0f ms", p.buckets[bound], 1000*bound))
		if p.buckets[bound] == p.count {
			break
		}
	}
	return strings.Join(out, ", ")
}

func freePort(ctx context.Context, t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
