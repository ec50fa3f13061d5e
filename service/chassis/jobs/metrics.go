package jobs

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counters are the metrics of a queue.
type counters struct {
	ended     *prometheus.CounterVec
	took      *prometheus.HistogramVec
	takenOver prometheus.Counter
	depths    atomic.Pointer[[]depth]
}

// depth is how many jobs of a kind are in a state, and how long the oldest of them has been due, in seconds.
type depth struct {
	kind, state string
	jobs        int64
	age         float64
}

var (
	jobsDesc = prometheus.NewDesc("jobs_queued", "Jobs in the queue of the fleet, by kind and state; discarded ones are dead.", []string{"kind", "state"}, nil)
	ageDesc  = prometheus.NewDesc("jobs_oldest_seconds", "How long the oldest job that could be done waits to be done, by kind.", []string{"kind"}, nil)
)

func newCounters() *counters {
	return &counters{
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "jobs_attempts_total", Help: "Attempts at jobs in this process, by kind and outcome: completed, retried, refused, dead, interrupted.",
		}, []string{"kind", "outcome"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "jobs_attempt_duration_seconds", Help: "Time of an attempt at a job.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"kind"}),
		takenOver: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "jobs_taken_over_total", Help: "Jobs that this process took over from processes that are gone.",
		}),
	}
}

// begin makes the series of a kind, all 0: one that appears with its first job looks as if nothing had happened to whoever asks for
// an increase.
func (c *counters) begin(kind string) {
	for _, outcome := range []string{"completed", "retried", "refused", "dead", "interrupted"} {
		c.ended.WithLabelValues(kind, outcome)
	}
	c.took.WithLabelValues(kind)
}

func (c *counters) finished(kind, outcome string, took time.Duration) {
	c.ended.WithLabelValues(kind, outcome).Inc()
	c.took.WithLabelValues(kind).Observe(took.Seconds())
}

// Describe implements prometheus.Collector.
func (q *Queue) Describe(to chan<- *prometheus.Desc) {
	q.counters.ended.Describe(to)
	q.counters.took.Describe(to)
	q.counters.takenOver.Describe(to)
	to <- jobsDesc
	to <- ageDesc
}

// Collect implements prometheus.Collector. What it says of the whole queue was measured some seconds ago.
func (q *Queue) Collect(to chan<- prometheus.Metric) {
	q.counters.ended.Collect(to)
	q.counters.took.Collect(to)
	q.counters.takenOver.Collect(to)
	found := q.counters.depths.Load()
	if found == nil {
		return
	}
	for _, d := range *found {
		to <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(d.jobs), d.kind, d.state)
		if d.state == "available" {
			to <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, max(d.age, 0), d.kind)
		}
	}
}
