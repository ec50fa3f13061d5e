package analysis

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
)

// pods are servers on loopback that answer for pods, by name and port.
type pods map[string]string

func (p pods) BaseURL(pod podclient.Pod, port int) (string, error) {
	if url, ok := p[fmt.Sprintf("%s:%d", pod.Name, port)]; ok {
		return url, nil
	}
	return "", podclient.ErrNoAddress
}

// pod answers with what was counted, and with more after each synthetic request.
type pod struct {
	mu                 sync.Mutex
	good, bad          int
	extra              string
	handler            http.HandlerFunc // instead of the metrics
	synthetic, scrapes int
}

func (p *pod) answer(good, bad int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good, p.bad = p.good+good, p.bad+bad
}

// handle answers for the metrics from now on; nil answers with them.
func (p *pod) handle(handler http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handler = handler
}

func (p *pod) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.good, p.bad = 0, 0
}

func (p *pod) metrics(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	handler := p.handler
	p.mu.Unlock()
	if handler != nil {
		handler(w, r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scrapes++
	fmt.Fprintf(w, "# TYPE http_requests_total counter\n")
	fmt.Fprintf(w, "http_requests_total{status=\"200\"} %d\nhttp_requests_total{status=\"503\"} %d\n", p.good, p.bad)
	fmt.Fprintf(w, "http_requests_total{status=\"503\",route=\"/readyz\"} 1000\n%s", p.extra)
}

func (p *pod) api(_ http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/api/songs" && r.Header.Get("X-Synthetic") != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.synthetic++
		p.good++
	}
}

// world is two releases, a recorder and a clock.
type world struct {
	*testing.T

	recorder *Recorder
	subject  Subject
	pods     map[string]*pod
	now      time.Time
}

func newWorld(t *testing.T, newer, older []string) *world {
	t.Helper()
	w := &world{T: t, recorder: NewRecorder(podclient.New()), pods: map[string]*pod{}, now: time.Unix(1000, 0)}
	at := pods{}
	w.subject = Subject{
		Key: Key{"apps", "songs", "staging"}, Release: "1.0-abc", Since: w.now, Weight: 20, PodNamespace: "songs-staging", Endpoints: at,
		Rules: v1alpha1.AnalysisSpec{Interval: &metav1.Duration{Duration: time.Second}},
	}
	add := func(names []string) (list []podclient.Pod) {
		for _, name := range names {
			p := &pod{}
			w.pods[name] = p
			operations, api := httptest.NewServer(http.HandlerFunc(p.metrics)), httptest.NewServer(http.HandlerFunc(p.api))
			t.Cleanup(operations.Close)
			t.Cleanup(api.Close)
			at[fmt.Sprintf("%s:%d", name, contract.OperationsPort)] = operations.URL
			at[fmt.Sprintf("%s:%d", name, contract.APIPort)] = api.URL
			list = append(list, podclient.Pod{Name: name, UID: "uid-" + name, IP: "10.0.0.1"})
		}
		return list
	}
	w.subject.New, w.subject.Old = add(newer), add(older)
	return w
}

// observe looks a second later, and wants a verdict and a part of its message.
func (w *world) observe(want v1alpha1.Verdict, message string) v1alpha1.AnalysisSample {
	w.Helper()
	w.now = w.now.Add(time.Second)
	got, sample, taken := w.recorder.Observe(w.Context(), w.subject, w.now)
	if got.Verdict != want || !strings.Contains(got.Message, message) {
		w.Errorf("got %s: %s\nwant %s: %s", got.Verdict, got.Message, want, message)
	}
	if taken && (sample.Verdict != got.Verdict || sample.Message != got.Message || !sample.Time.Time.Equal(w.now) || sample.Weight != 20) {
		w.Errorf("the sample is %+v", sample)
	}
	return sample
}

func TestAGoodReleasePasses(t *testing.T) {
	w := newWorld(t, []string{"new"}, []string{"old-1", "old-2"})
	w.pods["old-1"].answer(100, 100)
	w.pods["new"].answer(7, 7) // before the step began: of no account
	w.observe(v1alpha1.VerdictNotEnoughData, "0 of the 50 requests that it takes to pass")
	w.pods["new"].answer(30, 0)
	w.pods["old-1"].answer(60, 0)
	w.observe(v1alpha1.VerdictNotEnoughData, "30 of the 50 requests that it takes to pass")
	w.pods["new"].answer(30, 0)
	w.pods["old-2"].answer(60, 1)
	sample := w.observe(v1alpha1.VerdictPass, "errors 0 of 60 (0 %), the others 1 of 121 (0.826 %)")
	if sample.CanaryRequests != 60 || sample.StableRequests != 121 || sample.CanaryErrors != 0 || sample.StableErrors != 1 {
		t.Errorf("the sample is %+v", sample)
	}
}

func TestABadReleaseFailsForGood(t *testing.T) {
	w := newWorld(t, []string{"new"}, []string{"old"})
	w.observe(v1alpha1.VerdictNotEnoughData, "")
	w.pods["new"].answer(15, 5)
	w.pods["old"].answer(80, 0)
	w.observe(v1alpha1.VerdictNotEnoughData, "errors 5 of 20 (25 %), the others 0 of 80 (0 %), not certain yet")
	w.pods["new"].answer(15, 5)
	w.pods["old"].answer(80, 0)
	w.observe(v1alpha1.VerdictFail, "errors 10 of 40 (25 %), the others 0 of 160 (0 %)")
	scrapes := w.pods["new"].scrapes
	w.pods["new"].answer(1000, 0)
	w.observe(v1alpha1.VerdictFail, "errors 10 of 40")
	if w.pods["new"].scrapes != scrapes {
		t.Error("read after the verdict was final")
	}
}

func TestReadingsAreTakenWhenTheyAreDue(t *testing.T) {
	w := newWorld(t, []string{"new"}, []string{"old"})
	first, _, taken := w.recorder.Observe(t.Context(), w.subject, w.now)
	if !taken || !first.Next.Equal(w.now.Add(time.Second)) {
		t.Errorf("got %+v, %v", first, taken)
	}
	again, _, taken := w.recorder.Observe(t.Context(), w.subject, w.now.Add(999*time.Millisecond))
	if taken || again != first {
		t.Errorf("too early: got %+v, %v", again, taken)
	}
	if _, _, taken = w.recorder.Observe(t.Context(), w.subject, w.now.Add(time.Second)); !taken {
		t.Error("not taken when due")
	}
	if _, _, taken = w.recorder.Observe(t.Context(), w.subject, w.now.Add(-time.Hour)); !taken {
		t.Error("not taken after the clock was set back")
	}
}

func TestAnotherStepBeginsAnew(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"another step":           func(w *world) { w.subject.Since = w.now },
		"another release":        func(w *world) { w.subject.Release = "1.1-def" },
		"forgotten":              func(w *world) { w.recorder.Forget(w.subject.Key) },
		"the operator restarted": func(w *world) { w.recorder = NewRecorder(podclient.New()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, []string{"new"}, []string{"old"})
			w.observe(v1alpha1.VerdictNotEnoughData, "")
			w.pods["new"].answer(20, 30)
			w.pods["old"].answer(200, 0)
			w.observe(v1alpha1.VerdictFail, "30 of 50")
			change(w)
			w.observe(v1alpha1.VerdictNotEnoughData, "0 of the 50 requests that it takes to pass")
			w.pods["new"].answer(60, 0)
			w.pods["old"].answer(60, 0)
			w.observe(v1alpha1.VerdictPass, "errors 0 of 60")
		})
	}
}

func TestPodsComeAndGo(t *testing.T) {
	w := newWorld(t, []string{"new-1", "new-2"}, []string{"old"})
	both := w.subject.New
	w.subject.New = both[:1]
	w.pods["new-2"].answer(100, 100)
	w.observe(v1alpha1.VerdictNotEnoughData, "")
	w.subject.New = both
	w.pods["new-1"].answer(10, 0)
	w.observe(v1alpha1.VerdictNotEnoughData, "10 of the 50") // the second pod's past does not count
	w.pods["new-2"].answer(10, 0)
	w.subject.New = both[1:]
	w.observe(v1alpha1.VerdictNotEnoughData, "20 of the 50") // what the first had counted remains
	w.pods["new-2"].restart()
	w.pods["new-2"].answer(35, 0)
	w.pods["old"].answer(100, 0)
	w.observe(v1alpha1.VerdictPass, "errors 0 of 55 (0 %), the others 0 of 100") // counters that fall began anew
}

func TestASourceThatIsDownIsNoFailure(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		message string
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "/metrics is answered with 500"},
		"a page":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hello</html>\n") }, "no Prometheus text format"},
		"half a line": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `http_requests_total{status="2`)
		}, "no Prometheus text format"},
		"a broken answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"a redirect":      {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/else", http.StatusFound) }, "/metrics is answered with 302"},
		"far too much":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxExposition+1)) }, "larger than"},
		"no status": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "# TYPE http_requests_total counter\nhttp_requests_total 5\n")
		}, "lacks the label status"},
		"not a number": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "# TYPE http_requests_total counter\nhttp_requests_total{status=\"200\"} NaN\n")
		}, "has the value NaN"},
		"no counter": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "# TYPE http_requests_total gauge\nhttp_requests_total{status=\"200\"} 5\n")
		}, "is no counter"},
		"it hangs": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}, "is not answered within 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, side := range []string{"new", "old"} {
				w := newWorld(t, []string{"new"}, []string{"old"})
				w.observe(v1alpha1.VerdictNotEnoughData, "")
				w.pods["new"].answer(60, 0)
				w.pods["old"].answer(60, 0)
				w.pods[side].handle(tc.handler)
				w.observe(v1alpha1.VerdictSourceDown, tc.message)
				w.pods[side].handle(nil)
				w.observe(v1alpha1.VerdictPass, "errors 0 of 60 (0 %), the others 0 of 60 (0 %)") // nothing was lost
			}
		})
	}
}

func TestOneOfSeveralPodsMayBeUnreadable(t *testing.T) {
	w := newWorld(t, []string{"new-1", "new-2"}, []string{"old"})
	w.observe(v1alpha1.VerdictNotEnoughData, "")
	w.pods["new-1"].answer(60, 0)
	w.pods["new-2"].answer(60, 0)
	w.pods["old"].answer(60, 0)
	w.pods["new-2"].handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	w.observe(v1alpha1.VerdictPass, "errors 0 of 60")
	w.pods["new-2"].handle(nil)
	w.observe(v1alpha1.VerdictPass, "errors 0 of 120")
}

func TestAPodWithoutAddressAndNoPods(t *testing.T) {
	w := newWorld(t, []string{"new"}, nil)
	w.subject.Endpoints = podclient.Direct{}
	w.subject.New[0].IP = ""
	w.observe(v1alpha1.VerdictSourceDown, "pod new: the pod has no address yet")
	w.subject.New = nil
	w.observe(v1alpha1.VerdictNotEnoughData, "0 of the 50")
}

func TestBadRulesAreNamed(t *testing.T) {
	w := newWorld(t, []string{"new"}, []string{"old"})
	w.subject.Rules.ErrorRatio = &v1alpha1.RatioRule{MaxPercent: "many"}
	w.observe(v1alpha1.VerdictSourceDown, `analysis.errorRatio.maxPercent is "many", which is no number`)
}

func TestMetricsOfThePods(t *testing.T) {
	w := newWorld(t, []string{"new-1", "new-2"}, []string{"old"})
	set := func(one, two string) { w.pods["new-1"].extra, w.pods["new-2"].extra = one, two }
	w.subject.Rules.MinSamples = new(int32(0))
	w.subject.Rules.Metrics = []v1alpha1.MetricRule{{Name: "queue", Metric: "queue_length", Max: "10"}}
	w.observe(v1alpha1.VerdictNotEnoughData, "queue is not known, at most 10 accepted")
	set("queue_length 5\n", "queue_length 8\n")
	w.observe(v1alpha1.VerdictPass, "queue 6.5, at most 10 accepted")
	set("queue_length 20\n", "queue_length NaN\n")
	w.observe(v1alpha1.VerdictNotEnoughData, "queue 20, at most 10 accepted, not certain yet")
	set("queue_length 5\n", "")
	w.observe(v1alpha1.VerdictPass, "queue 5,")
	set("queue_length{x=\"1\"} 15\nqueue_length{x=\"2\"} 15\n", "")
	w.observe(v1alpha1.VerdictNotEnoughData, "queue 30,")
	w.observe(v1alpha1.VerdictNotEnoughData, "queue 30,")
	w.observe(v1alpha1.VerdictFail, "queue 30, at most 10 accepted")
}

func TestCountersOfThePods(t *testing.T) {
	w := newWorld(t, []string{"new-1", "new-2"}, []string{"old"})
	set := func(one, two int) {
		for name, value := range map[string]int{"new-1": one, "new-2": two} {
			w.pods[name].extra = fmt.Sprintf("# TYPE panics_total counter\npanics_total %d\n", value)
		}
	}
	w.subject.Rules.MinSamples = new(int32(0))
	w.subject.Rules.Metrics = []v1alpha1.MetricRule{{Name: "panics", Metric: "panics_total", Min: "0", Max: "2.5"}}
	set(1000, 50)
	w.observe(v1alpha1.VerdictNotEnoughData, "panics is not known")
	set(1003, 51)
	w.observe(v1alpha1.VerdictNotEnoughData, "panics 4, at least 0 and at most 2.5 accepted")
	set(0, 51) // started again
	w.observe(v1alpha1.VerdictPass, "panics 2,")
}

func TestSyntheticTraffic(t *testing.T) {
	w := newWorld(t, []string{"new-1", "new-2"}, []string{"old"})
	w.subject.Rules.SyntheticTraffic = &v1alpha1.SyntheticTraffic{Path: "/api/songs", RequestsPerInterval: new(int32(30))}
	w.observe(v1alpha1.VerdictNotEnoughData, "0 of the 50")
	w.observe(v1alpha1.VerdictNotEnoughData, "30 of the 50")
	w.observe(v1alpha1.VerdictPass, "errors 0 of 60 (0 %), the others 0 of 60 (0 %)")
	w.observe(v1alpha1.VerdictPass, "errors 0 of 60 (0 %), the others 0 of 60 (0 %)")
	if a, b, c := w.pods["new-1"].synthetic, w.pods["new-2"].synthetic, w.pods["old"].synthetic; a != 30 || b != 30 || c != 60 {
		t.Errorf("sent %d, %d and %d", a, b, c)
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	w := newWorld(t, nil, nil)
	for i := range maxRuns + 10 {
		w.subject.Microservice = fmt.Sprint("songs-", i)
		w.now = w.now.Add(time.Millisecond)
		w.recorder.Observe(t.Context(), w.subject, w.now)
	}
	if got := len(w.recorder.runs); got != maxRuns {
		t.Errorf("%d comparisons are kept", got)
	}
	if w.recorder.runs[Key{"apps", "songs-9", "staging"}] != nil || w.recorder.runs[Key{"apps", "songs-10", "staging"}] == nil {
		t.Error("it was not the oldest that were dropped")
	}
}

func TestOfManyPodsSomeAreRead(t *testing.T) {
	many := make([]podclient.Pod, 50)
	for i := range many {
		many[i].Name = fmt.Sprintf("pod-%02d", 49-i)
	}
	got := sample(many)
	if len(got) != maxPods || got[0].Name != "pod-00" || got[19].Name != "pod-19" || many[0].Name != "pod-49" {
		t.Errorf("got %v", got)
	}
}

func TestRecorderFromManyGoroutines(t *testing.T) {
	w := newWorld(t, []string{"new"}, []string{"old"})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(w.recorder)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 10 {
				s := w.subject
				s.Environment = fmt.Sprint(i % 2)
				w.recorder.Observe(t.Context(), s, w.now.Add(time.Duration(j)*time.Second))
				if j == 5 {
					w.recorder.Forget(s.Key)
				}
			}
		})
	}
	all.Wait()
	got, err := registry.Gather()
	if err != nil || len(got) != 3 {
		t.Errorf("%d metrics: %v, %v", len(got), got, err)
	}
}
