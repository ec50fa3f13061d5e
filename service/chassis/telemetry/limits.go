package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/service/chassis/ratelimit"
)

// limitCounters count what the rate limits decide.
type limitCounters struct {
	decisions *prometheus.CounterVec
	local     prometheus.Counter
	failures  prometheus.Counter
}

func newLimitCounters(registry *prometheus.Registry) limitCounters {
	c := limitCounters{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ratelimit_decisions_total", Help: "Requests that met a rate limit, by limit and what was decided.",
		}, []string{"limit", "decision"}),
		local: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ratelimit_fallbacks_total", Help: "Decisions taken in this process alone although the fleet should have been counted.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ratelimit_failures_total", Help: "Times that the fleet could not be asked.",
		}),
	}
	registry.MustRegister(c.decisions, c.local, c.failures)
	return c
}

// LimitDecided implements ratelimit.Observer.
func (m *Metrics) LimitDecided(name string, v ratelimit.Verdict) {
	decision := "refused"
	if v.Allowed {
		decision = "allowed"
	}
	m.limits.decisions.WithLabelValues(name, decision).Inc()
	if v.Local {
		m.limits.local.Inc()
	}
}

// LimitFailed implements ratelimit.Observer.
func (m *Metrics) LimitFailed() { m.limits.failures.Inc() }
