package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Buckets in seconds. A step lasts a second or, while it waits for a person, a week.
var (
	stepBuckets        = []float64{1, 5, 15, 60, 300, 900, 3600, 14400, 86400, 604800}
	migrationBuckets   = []float64{.01, .05, .25, 1, 5, 30, 120, 600, 3600}
	acknowledgeBuckets = []float64{.1, .25, .5, 1, 2, 5, 15, 60, 300}
	leadBuckets        = []float64{60, 300, 1800, 3600, 14400, 86400, 604800, 2592000}
	restoreBuckets     = []float64{5, 15, 60, 300, 900, 3600, 14400, 86400}
)

// lasting are the steps that take time: those after which another one comes.
var lasting = []v1alpha1.Step{
	v1alpha1.StepAdmit, v1alpha1.StepCheck, v1alpha1.StepBackUp, v1alpha1.StepRehearse, v1alpha1.StepExpand, v1alpha1.StepCanary,
	v1alpha1.StepPromote, v1alpha1.StepSoak, v1alpha1.StepRollBack,
}

// final are those at which a release stays.
var final = []v1alpha1.Step{v1alpha1.StepVerified, v1alpha1.StepRejected, v1alpha1.StepSuperseded}

// The phases of migrations.
const (
	phaseExpand   = "expand"
	phaseContract = "contract"
)

// events are what is counted when it happens.
type events struct {
	steps       *prometheus.CounterVec
	stepTime    *prometheus.HistogramVec
	rejections  *prometheus.CounterVec
	migrations  *prometheus.HistogramVec
	backups     *prometheus.HistogramVec
	acknowledge *prometheus.HistogramVec
	lead        prometheus.Histogram
	restore     prometheus.Histogram
	errors      *prometheus.CounterVec
	writes      *prometheus.CounterVec
}

func newEvents() events {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	e := events{
		steps: counter("mirubato_steps_total", "Times that a release has come to a step, by environment.", "environment", "step"),
		stepTime: histogram("mirubato_step_duration_seconds",
			"Time that a release has spent in a step before it came to the next one, by environment.", stepBuckets, "environment", "step"),
		rejections: counter("mirubato_rejections_total", "Releases that have failed, by environment, step and reason.", "environment", "step", "reason"),
		migrations: histogram("mirubato_migration_duration_seconds",
			"Time that a migration took, waiting for locks included, by environment and phase.", migrationBuckets, "environment", "phase"),
		backups: histogram("mirubato_backup_duration_seconds",
			"Time from the snapshot of a backup until it was proved and stored, or somebody else had made it, by environment.", stepBuckets, "environment"),
		acknowledge: histogram("mirubato_settings_acknowledgement_seconds",
			"Time from telling a ready pod its settings until it said that it runs with them, by environment.", acknowledgeBuckets, "environment"),
		lead: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mirubato_lead_time_seconds", Help: "Time from the cut of a release until the last environment had verified it.", Buckets: leadBuckets,
		}),
		restore: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mirubato_restore_time_seconds", Help: "Time from a failure in the last environment until it ran a verified release again.", Buckets: restoreBuckets,
		}),
		errors: counter("mirubato_reconcile_errors_total", "Passes that ended with an error, by reason.", "reason"),
		writes: counter("mirubato_api_writes_total", "Requests to the API server that change something, by resource, verb and outcome.", "resource", "verb", "outcome"),
	}
	for _, reason := range reasons {
		e.errors.WithLabelValues(reason)
	}
	return e
}

func (e *events) all() []prometheus.Collector {
	return []prometheus.Collector{
		e.steps, e.stepTime, e.rejections, e.migrations, e.backups, e.acknowledge, e.lead, e.restore, e.errors, e.writes,
	}
}

func (e *events) describe(out chan<- *prometheus.Desc) {
	for _, c := range e.all() {
		c.Describe(out)
	}
}

func (e *events) collect(out chan<- prometheus.Metric) {
	for _, c := range e.all() {
		c.Collect(out)
	}
}

// prepare makes the series of an environment, all 0: what appears with its first event looks as if nothing had happened to whoever
// asks for an increase.
func (e *events) prepare(environment string) {
	for _, step := range lasting {
		e.steps.WithLabelValues(environment, string(step))
		e.stepTime.WithLabelValues(environment, string(step))
	}
	for _, step := range final {
		e.steps.WithLabelValues(environment, string(step))
	}
	for _, phase := range []string{phaseExpand, phaseContract} {
		e.migrations.WithLabelValues(environment, phase)
	}
	e.backups.WithLabelValues(environment)
	e.acknowledge.WithLabelValues(environment)
}

// count adds what has happened to a release in an environment, which is measured under a name.
func (e *events) count(environment string, h happened) {
	for _, step := range h.steps {
		e.steps.WithLabelValues(environment, string(step)).Inc()
	}
	for _, stay := range h.stays {
		e.stepTime.WithLabelValues(environment, string(stay.step)).Observe(stay.took.Seconds())
	}
	if h.rejection != nil {
		e.rejections.WithLabelValues(environment, string(h.rejection.Step), string(h.rejection.Reason)).Inc()
	}
	for phase, durations := range h.migrations {
		for _, took := range durations {
			e.migrations.WithLabelValues(environment, phase).Observe(took.Seconds())
		}
	}
	for _, took := range h.backups {
		e.backups.WithLabelValues(environment).Observe(took.Seconds())
	}
}

// atLeastZero makes up for a clock that was set back between two times.
func atLeastZero(d time.Duration) time.Duration { return max(0, d) }
