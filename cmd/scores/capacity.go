package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/api/contract"
)

const (
	// capacityFreshFor is how long the database is not asked again how many connections it has.
	capacityFreshFor = 5 * time.Second
	// ownProbes is the connection of each pool that is kept for probes.
	ownProbes = 1
)

var (
	connectionsDesc = prometheus.NewDesc(contract.ConnectionsMetric, "Connections to the database that this process opens at most.", nil, nil)
	availableDesc   = prometheus.NewDesc(contract.ConnectionsAvailableMetric,
		"Connections that the database has for all processes of this service together.", nil, nil)
)

// capacity tells how many connections there may be. The operator asks before it starts more pods.
type capacity struct {
	conns int
	ask   func(context.Context) (int64, error)
	now   func() time.Time

	mu    sync.Mutex
	asked time.Time
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
	if n, ok := c.available(); ok {
		to <- prometheus.MustNewConstMetric(availableDesc, prometheus.GaugeValue, float64(n))
	}
}

func (c *capacity) available() (n int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.asked.IsZero() || now.Sub(c.asked) >= capacityFreshFor {
		ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
		defer cancel()
		var err error
		c.last, err = c.ask(ctx)
		c.asked, c.known = now, err == nil
	}
	return c.last, c.known
}
