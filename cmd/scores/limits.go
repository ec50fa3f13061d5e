package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/ratelimit"
	"github.com/mirubato/mirubato/service/chassis/resilience"
	live "github.com/mirubato/mirubato/service/chassis/settings"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

const (
	// limitConns are the connections over which requests are counted. They are few, since each is used for a moment, and apart
	// from the others, so that counting never waits for requests that are being served.
	limitConns = 2
	// limitPatience is how long a request waits to be counted over the fleet.
	limitPatience = 2 * time.Second
)

// limits bound how many requests a client may make.
type limits struct {
	*ratelimit.Guard
	fleet *ratelimit.Postgres
}

// newLimits returns limits that follow the settings, and a function that gives back what this process has not used. Call it when no
// more requests are served.
func newLimits(
	ctx context.Context, cfg Config, current *live.Live, pulse *resilience.Pulse, metrics *telemetry.Metrics, logger *slog.Logger,
) (limits, func(), error) {
	db, err := postgres.Open(postgres.Config{
		URL: cfg.DatabaseURL, ApplicationName: serviceName + " limits", MaxConns: limitConns, Observer: metrics, Logger: logger,
		StatementTimeout: limitPatience, Reads: pulse, Writes: pulse,
	})
	if err != nil {
		return limits{}, nil, fmt.Errorf("%s: %w", contract.EnvDatabaseURLFile, err)
	}
	metrics.WatchPool("limits", db.Pool())
	fleet := ratelimit.NewPostgres(db)
	limiter := ratelimit.New(ratelimit.Config{
		Fleet: fleet, Timeout: limitPatience, Observer: metrics, Logger: logger, Now: time.Now,
	})
	guard := ratelimit.NewGuard(limiter)
	current.Subscribe(guard.Apply)
	go limiter.Run(ctx)
	return limits{Guard: guard, fleet: fleet}, func() {
		limiter.Close(context.WithoutCancel(ctx))
		if err := db.Close(); err != nil {
			logger.Warn("Closing", "error", err.Error())
		}
	}, nil
}
