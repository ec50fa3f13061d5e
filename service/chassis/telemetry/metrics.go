// Package telemetry owns how a service is seen from outside: its metrics and the set-up of its log. What is measured
// is told to it through the small interfaces of the packages that do the work; it never asks them.
package telemetry

import (
	"database/sql"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Info is what identifies a process in metrics and log.
type Info struct {
	Service     string
	Version     string
	Environment string
	Release     string
}

// Metrics are the metrics of one process. It may be used by many goroutines.
type Metrics struct {
	registry *prometheus.Registry

	inFlight  prometheus.Gauge
	requests  *requests
	synthetic *requests
	queries   *prometheus.HistogramVec
	failures  *prometheus.CounterVec
	settings  settingsGauges
	limits    *limitCounters

	dependencies dependencies
}

// NewMetrics returns the metrics of a process, with those of the Go runtime and of the process itself.
func NewMetrics(info Info) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_requests_in_flight", Help: "Requests being served now.",
		}),
		queries: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "database_query_duration_seconds", Help: "Time of a database query, waiting for a connection included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"query"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "database_errors_total", Help: "Database queries that failed, by query and error code.",
		}, []string{"query", "code"}),
	}
	service := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "service_info", Help: "Always 1; the labels say what runs here.",
		ConstLabels: prometheus.Labels{
			"service": info.Service, "version": info.Version, "environment": info.Environment, "release": info.Release,
		},
	})
	service.Set(1)
	m.settings = newSettingsGauges(m.registry)
	m.limits = newLimitCounters(m.registry)
	m.requests = newRequests(m.registry, contract.RequestsMetric, contract.RequestDurationMetric, "")
	m.synthetic = newRequests(m.registry, contract.SyntheticRequestsMetric, contract.SyntheticDurationMetric, " Only those that the operator made.")
	m.registry.MustRegister(service, m.inFlight, m.queries, m.failures,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.dependencies = newDependencies(m.registry)
	return m
}

// WatchPool adds the statistics of a connection pool. It panics if called twice with the same name.
func (m *Metrics) WatchPool(name string, pool *sql.DB) {
	m.registry.MustRegister(collectors.NewDBStatsCollector(pool, name))
}

// Register adds metrics that are gathered when they are asked for. It panics if they are there already.
func (m *Metrics) Register(c prometheus.Collector) { m.registry.MustRegister(c) }

// Handler serves the metrics in the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// ObserveQuery measures a database query. Finding no row is no failure.
func (m *Metrics) ObserveQuery(query string, took time.Duration, err error) {
	m.queries.WithLabelValues(query).Observe(took.Seconds())
	if err != nil {
		m.failures.WithLabelValues(query, string(fault.CodeOf(err))).Inc()
	}
}
