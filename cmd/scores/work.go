package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/jobs"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

const (
	// queueConns are the connections of the queue beyond one for each of its workers: for a long job, to look for work, to lead, and to
	// end jobs.
	queueConns = 4
	// queuePatience bounds a statement of the queue itself.
	queuePatience = 10 * time.Second
	// sweepEvery is how often what has expired is removed. Each pass removes a bounded number of rows.
	sweepEvery = time.Minute
)

// openQueue returns a queue without kinds, and a function that closes what it works with: call it when the queue no longer runs.
func openQueue(cfg Config, db *postgres.DB, metrics *telemetry.Metrics, logger *slog.Logger) (*jobs.Queue, func(), error) {
	own, err := postgres.Open(postgres.Config{
		URL: cfg.DatabaseURL, ApplicationName: serviceName + " jobs", MaxConns: cfg.JobWorkers + queueConns, Observer: metrics,
		StatementTimeout: queuePatience,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", contract.EnvDatabaseURLFile, err)
	}
	metrics.WatchPool("jobs", own.Pool())
	queue, err := jobs.New(jobs.Config{
		DB: db, Pool: own.Pool(), Workers: cfg.JobWorkers, Patience: cfg.JobPatience, StopTimeout: cfg.ShutdownTimeout, Logger: logger,
	})
	if err != nil {
		return nil, nil, errors.Join(err, own.Close())
	}
	metrics.Register(queue)
	return queue, func() {
		if err := own.Close(); err != nil {
			logger.Warn("Closing", "error", err.Error())
		}
	}, nil
}

// runQueue has jobs done until ctx ends or the function is called, which returns when those have ended that were being done.
func runQueue(ctx context.Context, queue *jobs.Queue) (stop func()) {
	working, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		queue.Run(working)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// sweepTables are the arguments of the job that removes what has expired.
type sweepTables struct{}

// Kind implements jobs.Args.
func (sweepTables) Kind() string { return "sweep_tables" }

// sweepByQueue has what has expired removed by whichever process is free, once in a while.
func sweepByQueue(queue *jobs.Queue, passes map[string]func(context.Context) error) {
	jobs.Register(queue, jobs.Kind[sweepTables]{
		Every: sweepEvery, Attempts: 1, // the next one comes soon
		Work: func(ctx context.Context, _ *jobs.Job[sweepTables]) (jobs.Outcome, error) {
			return jobs.Outcome{}, sweep(ctx, passes)
		},
	})
}

// sweep makes every pass, whatever became of the others.
func sweep(ctx context.Context, passes map[string]func(context.Context) error) error {
	var failed []error
	for name, pass := range passes {
		if err := pass(ctx); err != nil {
			failed = append(failed, fmt.Errorf("sweeping %s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}
