package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/service/chassis/resilience"
)

// dependencies count what the protections of dependencies do.
type dependencies struct {
	retries  *prometheus.CounterVec
	refusals *prometheus.CounterVec
	shed     prometheus.Counter
}

func newDependencies(registry prometheus.Registerer) dependencies {
	d := dependencies{
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dependency_retries_total", Help: "Calls to a dependency that were made again.",
		}, []string{"dependency"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dependency_refusals_total", Help: "Calls to a dependency that were not made, by reason.",
		}, []string{"dependency", "reason"}),
		shed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "http_requests_shed_total", Help: "Requests refused because too many were being served.",
		}),
	}
	registry.MustRegister(d.retries, d.refusals, d.shed)
	return d
}

// CallRetried counts a call to a dependency that is made again.
func (m *Metrics) CallRetried(dependency string) {
	m.dependencies.retries.WithLabelValues(dependency).Inc()
}

// CallRefused counts a call to a dependency that is not made.
func (m *Metrics) CallRefused(dependency, reason string) {
	m.dependencies.refusals.WithLabelValues(dependency, reason).Inc()
}

// RequestShed counts a request that was refused because too many were being served.
func (m *Metrics) RequestShed() { m.dependencies.shed.Inc() }

// WatchBreaker adds the state of a breaker: one gauge for each of "closed", "half-open" and "open", 1 for the one that
// it is in; and the counters of the dependency, all 0. It panics if called twice for the same dependency.
func (m *Metrics) WatchBreaker(dependency string, state func() string) {
	for _, one := range []string{"closed", "half-open", "open"} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "dependency_breaker_state", Help: "1 for the state that the breaker of a dependency is in.",
			ConstLabels: prometheus.Labels{"dependency": dependency, "state": one},
		}, func() float64 {
			if state() == one {
				return 1
			}
			return 0
		}))
	}
	// From 0: what appears with its first event looks as if nothing had happened to whoever asks for an increase.
	m.dependencies.retries.WithLabelValues(dependency)
	for _, reason := range []string{resilience.RefusedOpen, resilience.RefusedFull, resilience.RefusedBudget} {
		m.dependencies.refusals.WithLabelValues(dependency, reason)
	}
}
