package analysis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
	"github.com/mirubato/mirubato/controllers/release"
)

// maxRuns is how many comparisons are kept. One that is dropped for another begins anew when it is asked for.
const maxRuns = 2000

// Key is a rollout: a Microservice and one of its environments.
type Key struct{ Namespace, Microservice, Environment string }

// Subject is what is compared at one step.
type Subject struct {
	Key
	// Release is what the new pods send as X-Release.
	Release string
	// Since is when the step, with its weight, began. With another one, or another Release, another comparison begins.
	Since  time.Time
	Weight int32
	Rules  v1alpha1.AnalysisSpec
	// PodNamespace is that of the pods.
	PodNamespace string
	// New and Old are the ready pods of the two releases.
	New, Old []podclient.Pod
	// Endpoints is nil for podclient.Direct.
	Endpoints podclient.Endpoints
}

func (s *Subject) endpoints() podclient.Endpoints {
	if s.Endpoints == nil {
		return podclient.Direct{}
	}
	return s.Endpoints
}

// Recorder keeps what running comparisons have counted, in memory: after a restart they begin anew, which costs time and
// never a wrong verdict. It may be used by many goroutines; it is a prometheus.Collector of what it does.
type Recorder struct {
	client *podclient.Client

	mu   sync.Mutex
	runs map[Key]*run

	readings *prometheus.CounterVec
	duration prometheus.Histogram
	running  prometheus.GaugeFunc
}

// NewRecorder returns one that has counted nothing.
func NewRecorder(client *podclient.Client) *Recorder {
	r := &Recorder{
		client: client,
		runs:   map[Key]*run{},
		readings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mirubato_analysis_readings_total", Help: "Readings of releases under analysis, by verdict.",
		}, []string{"verdict"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mirubato_analysis_reading_duration_seconds", Help: "Time that a reading of all pods took.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2},
		}),
	}
	for _, verdict := range []v1alpha1.Verdict{v1alpha1.VerdictPass, v1alpha1.VerdictFail, v1alpha1.VerdictNotEnoughData, v1alpha1.VerdictSourceDown} {
		r.readings.WithLabelValues(string(verdict)) // 0 is a value; none would hide the first one from whoever asks for an increase
	}
	r.running = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mirubato_analyses", Help: "Comparisons of releases that are kept in memory.",
	}, func() float64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return float64(len(r.runs))
	})
	return r
}

// Describe implements prometheus.Collector.
func (r *Recorder) Describe(out chan<- *prometheus.Desc) {
	r.readings.Describe(out)
	r.duration.Describe(out)
	r.running.Describe(out)
}

// Collect implements prometheus.Collector.
func (r *Recorder) Collect(out chan<- prometheus.Metric) {
	r.readings.Collect(out)
	r.duration.Collect(out)
	r.running.Collect(out)
}

// Observe returns the verdict on the time since a step began, and when to ask again. If a reading is due it is taken first,
// which takes at most two seconds, and taken is true; sample is then the evidence. Otherwise nothing is asked of anybody and
// what was said last is said again. A failure is final: it is said until another step begins.
//
// The first reading of a step only says from where to count. Whatever cannot be read is the verdict SourceDown; Observe has no
// errors.
func (r *Recorder) Observe(ctx context.Context, s Subject, now time.Time) (result release.Analysis, sample v1alpha1.AnalysisSample, taken bool) {
	run := r.run(&s, now)
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.settled(now) {
		return run.said, v1alpha1.AnalysisSample{}, false
	}
	started := time.Now()
	rules, err := Resolve(s.Rules)
	judgement := Judgement{v1alpha1.VerdictSourceDown, fmt.Sprint(err)}
	if err == nil {
		judgement = r.read(ctx, run, &s, rules, now)
	}
	r.duration.Observe(time.Since(started).Seconds())
	r.readings.WithLabelValues(string(judgement.Verdict)).Inc()
	run.readAt = now
	run.said = release.Analysis{Verdict: judgement.Verdict, Message: judgement.Message, Next: now.Add(rules.Interval)}
	return run.said, v1alpha1.AnalysisSample{
		Time: metav1.NewTime(now), Weight: s.Weight, Verdict: judgement.Verdict, Message: judgement.Message,
		CanaryRequests: int64(run.window.New.Requests), StableRequests: int64(run.window.Old.Requests),
		CanaryErrors: int64(run.window.New.Errors), StableErrors: int64(run.window.Old.Errors),
	}, true
}

// Forget drops what was counted of a rollout.
func (r *Recorder) Forget(key Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.runs, key)
}

// run returns the comparison of a subject, a new one if there is none.
func (r *Recorder) run(s *Subject, now time.Time) *run {
	r.mu.Lock()
	defer r.mu.Unlock()
	have := r.runs[s.Key]
	if have == nil || !have.since.Equal(s.Since) || have.release != s.Release {
		if have == nil && len(r.runs) >= maxRuns {
			r.dropOldest()
		}
		have = &run{since: s.Since, release: s.Release}
		r.runs[s.Key] = have
	}
	have.usedAt = now
	return have
}

func (r *Recorder) dropOldest() {
	var oldest Key
	var at time.Time
	for key, run := range r.runs {
		if at.IsZero() || run.usedAt.Before(at) {
			oldest, at = key, run.usedAt
		}
	}
	delete(r.runs, oldest)
}
