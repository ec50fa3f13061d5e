package telemetry

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/service/chassis/ratelimit"
)

// limitCounters count what the rate limits decide.
type limitCounters struct {
	decisions *prometheus.CounterVec
	local     prometheus.Counter
	failures  prometheus.Counter

	mu sync.RWMutex
	// bound spares each decision the look-up of its labels. Names of limits are few.
	bound map[limitKey]prometheus.Counter
}

type limitKey struct {
	name    string
	allowed bool
}

func newLimitCounters(registry *prometheus.Registry) *limitCounters {
	c := &limitCounters{
		bound: map[limitKey]prometheus.Counter{},
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
	m.limits.bind(limitKey{name: name, allowed: v.Allowed}).Inc()
	if v.Local {
		m.limits.local.Inc()
	}
}

func (c *limitCounters) bind(key limitKey) prometheus.Counter {
	c.mu.RLock()
	counter, ok := c.bound[key]
	c.mu.RUnlock()
	if ok {
		return counter
	}
	decision := "refused"
	if key.allowed {
		decision = "allowed"
	}
	counter = c.decisions.WithLabelValues(key.name, decision)
	c.mu.Lock()
	c.bound[key] = counter
	c.mu.Unlock()
	return counter
}

// LimitFailed implements ratelimit.Observer.
func (m *Metrics) LimitFailed() { m.limits.failures.Inc() }
