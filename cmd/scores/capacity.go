package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/api/contract"
)

const (
	// capacityEvery is how often the database is asked how many connections it has.
	capacityEvery = 5 * time.Second
	// ownProbes is the connection of each pool that is kept for probes.
	ownProbes = 1
)

var (
	connectionsDesc = prometheus.NewDesc(contract.ConnectionsMetric, "Connections to the database that this process opens at most.", nil, nil)
	availableDesc   = prometheus.NewDesc(contract.ConnectionsAvailableMetric,
		"Connections that the database has for all processes of this service together.", nil, nil)
)

// capacity tells how many connections there may be. The operator asks before it starts more pods. The database is asked beforehand, all the
// time, and not when the metrics are: one that stands still would hide all the others. It may be asked by many at once.
type capacity struct {
	conns int
	ask   func(context.Context) (int64, error)

	mu    sync.Mutex
	known bool
	last  int64
}

// connectionsOf is how many connections a process opens at most: for requests, to count limits, for the news of changes
// and for jobs.
func connectionsOf(cfg Config) int {
	return cfg.DatabaseConns + ownProbes + limitConns + feedConns + ownListener + cfg.JobWorkers + queueConns
}

// Describe implements prometheus.Collector.
func (c *capacity) Describe(to chan<- *prometheus.Desc) {
	to <- connectionsDesc
	to <- availableDesc
}

// Collect implements prometheus.Collector.
func (c *capacity) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(c.conns))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known { // what is not known is not told
		to <- prometheus.MustNewConstMetric(availableDesc, prometheus.GaugeValue, float64(c.last))
	}
}

// run asks again and again until ctx ends.
func (c *capacity) run(ctx context.Context) {
	ticker := time.NewTicker(capacityEvery)
	defer ticker.Stop()
	for {
		c.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (c *capacity) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	n, err := c.ask(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.known = n, err == nil
}
