package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/chassis/health"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/resilience"
	live "github.com/mirubato/mirubato/service/chassis/settings"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

// protections keep the service answering while its database does not, and while too much is asked of it.
type protections struct {
	reads, writes *resilience.Shield
	shedding      *resilience.Shedding
	pulse         *resilience.Pulse
}

// newProtections returns protections that follow the settings. There are as many connections to the database as conns.
func newProtections(
	current *live.Live, conns int, metrics *telemetry.Metrics, logger *slog.Logger,
) protections {
	pulse := resilience.NewPulse("database", postgres.Judge, logger)
	// Reads and writes share the pool, so they share the bulkhead before it as well.
	bulkhead := resilience.NewBulkhead(func() resilience.Limits {
		return resilience.LimitsOf(*current.Current().Resilience.Database.Bulkhead, conns)
	})
	shield := func(dependency string) *resilience.Shield {
		s := resilience.New(resilience.Config{
			Dependency: dependency, Bulkhead: bulkhead, Judge: postgres.Judge, Observer: metrics, Logger: logger, Pulse: pulse,
			Policy: func() resilience.Policy {
				r := current.Current().Resilience
				policy := resilience.PolicyOf(*r.Database, *r.RetryBudget)
				policy.Timeout = attemptTimeout(r)
				return policy
			},
		})
		metrics.WatchBreaker(dependency, func() string { return string(s.State()) })
		return s
	}
	return protections{
		pulse: pulse, reads: shield("database reads"), writes: shield("database writes"),
		shedding: resilience.NewShedding(
			func() int { return int(*current.Current().Resilience.Shedding.MaxInFlight) }, metrics.RequestShed),
	}
}

// report adds the breakers to the health report.
func (p protections) report(to *health.Reporter) {
	to.Register(breakerCheck(p.reads))
	to.Register(breakerCheck(p.writes))
}

// breakerCheck reports a breaker that is not closed. The service is degraded then, but no less ready: whether it can
// serve is what the other checks find out, and they are let through.
func breakerCheck(s *resilience.Shield) health.Check {
	return health.Check{Name: s.Dependency() + " breaker", Optional: true, Run: func(context.Context) error {
		if state := s.State(); state != resilience.Closed {
			return health.Problem("the breaker is "+string(state), nil)
		}
		return nil
	}}
}

// attemptTimeout is what one statement may take. It ends before its request does, so that it is the database that is
// found to be slow and not the client that is found to be gone.
func attemptTimeout(r *settings.Resilience) time.Duration {
	return min(r.Database.Timeout.Std(), r.RequestTimeout.Std()*9/10)
}

// statementTimeout is when the server gives a statement up by itself, which spares the connection.
func statementTimeout(r *settings.Resilience) time.Duration { return attemptTimeout(r) * 9 / 10 }

// requestTimeout is what a request may take now.
func requestTimeout(current *live.Live) func() time.Duration {
	return func() time.Duration { return current.Current().Resilience.RequestTimeout.Std() }
}
