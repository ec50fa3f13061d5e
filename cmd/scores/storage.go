package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/mirubato/mirubato/service/chassis/blob"
	"github.com/mirubato/mirubato/service/chassis/health"
	"github.com/mirubato/mirubato/service/chassis/jobs"
	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/resilience"
	live "github.com/mirubato/mirubato/service/chassis/settings"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

const (
	// storageName is the upstream as which the storage is protected by the settings.
	storageName = "storage"
	// movingPatience is how long one call of the storage may take that moves a file.
	movingPatience = 10 * time.Minute
	// sweepFilesEvery is how often files are removed to which nobody refers.
	sweepFilesEvery = time.Hour
	// sweepFilesTimeout is what one such sweep may take.
	sweepFilesTimeout = 30 * time.Minute
)

// openStorage returns where files are kept, nil if nobody said where, and a function that closes it. The storage may be away: the
// service then starts, and is degraded.
func openStorage(
	ctx context.Context, cfg Config, db *postgres.DB, current *live.Live, reporter *health.Reporter, metrics *telemetry.Metrics,
	logger *slog.Logger,
) (*blob.Store, func(), error) {
	if cfg.Storage == "" {
		return nil, func() {}, nil
	}
	bucket, err := objects.Open(ctx, cfg.Storage, objects.Once)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", envStorage, err)
	}
	shield := storageShield(current, metrics, logger)
	reporter.Register(breakerCheck(shield))
	store := blob.New(blob.Config{
		Bucket: bucket, DB: db, Protection: shield, Referrers: referrers(),
	})
	reporter.Register(health.Check{Name: "storage", Optional: true, Run: func(ctx context.Context) error {
		if err := store.Check(ctx); err != nil {
			return health.Problem("the storage of files does not answer", err)
		}
		return nil
	}})
	return store, func() {
		if err := bucket.Close(); err != nil {
			logger.Warn("Closing", "error", err.Error())
		}
	}, nil
}

// referrers are what refers to contents of the storage.
func referrers() []blob.Column {
	return []blob.Column{{Table: "score_versions", Name: "sha256"}, {Table: "score_imports", Name: "sha256"}}
}

// storageShield protects the storage as the settings want it, except that an attempt may last as long as a file moves: how fast it
// does is up to the client.
func storageShield(current *live.Live, metrics *telemetry.Metrics, logger *slog.Logger) *resilience.Shield {
	protection := func() (p resilience.Policy, l resilience.Limits) {
		r := current.Current().Resilience
		s := r.UpstreamOf(storageName)
		p = resilience.PolicyOf(s, *r.RetryBudget)
		p.Timeout = movingPatience
		return p, resilience.LimitsOf(*s.Bulkhead, int(*s.Bulkhead.Concurrency))
	}
	s := resilience.New(resilience.Config{
		Dependency: storageName, Judge: blob.Judge, Observer: metrics, Logger: logger,
		Bulkhead: resilience.NewBulkhead(func() resilience.Limits { _, l := protection(); return l }),
		Policy:   func() resilience.Policy { p, _ := protection(); return p },
	})
	metrics.WatchBreaker(storageName, func() string { return string(s.State()) })
	return s
}

// sweepFiles are the arguments of the job that removes files to which nobody refers.
type sweepFiles struct{}

// Kind implements jobs.Args.
func (sweepFiles) Kind() string { return "sweep_files" }

// sweepFilesByQueue has such files removed by whichever process is free.
func sweepFilesByQueue(queue *jobs.Queue, store *blob.Store, logger *slog.Logger) {
	jobs.Register(queue, jobs.Kind[sweepFiles]{
		Long: true, Every: sweepFilesEvery, Timeout: sweepFilesTimeout,
		Work: func(ctx context.Context, _ *jobs.Job[sweepFiles]) (jobs.Outcome, error) {
			if store == nil {
				return jobs.Outcome{}, nil
			}
			swept, err := store.Sweep(ctx, blob.Grace)
			if swept != (blob.Swept{}) {
				logger.InfoContext(ctx, "Sweeping files", "contents", swept.Contents, "strays", swept.Strays)
			}
			return jobs.Outcome{}, err
		},
	})
}
