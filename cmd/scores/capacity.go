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
	// capacityPatience is how long the metrics wait for the database.
	capacityPatience = 100 * time.Millisecond
	// ownProbes is the connection of each pool that is kept for probes.
	ownProbes = 1
)

var (
	connectionsDesc = prometheus.NewDesc(contract.ConnectionsMetric, "Connections to the database that this process opens at most.", nil, nil)
	availableDesc   = prometheus.NewDesc(contract.ConnectionsAvailableMetric,
		"Connections that the database has for all processes of this service together.", nil, nil)
)

// capacity tells how many connections there may be. The operator asks before it starts more pods. It may be asked by many at once.
type capacity struct {
	conns    int
	ask      func(context.Context) (int64, error)
	now      func() time.Time
	patience time.Duration

	mu     sync.Mutex
	asking chan struct{} // closed when the question that is under way has been answered; nil if none is
	asked  time.Time
	known  bool
	last   int64
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

// available is what the database said last. If that was too long ago the database is asked again; its answer is waited for, but not
// for longer than patience, or a database that stands still would hide all other metrics. Until it answers, what it said last holds.
func (c *capacity) available() (n int64, ok bool) {
	patience := time.NewTimer(c.patience)
	defer patience.Stop()
	select {
	case <-c.refresh():
	case <-patience.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, c.known
}

// refresh returns a channel that is closed as soon as there is a fresh answer. At most one question is under way.
func (c *capacity) refresh() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asking != nil {
		return c.asking
	}
	answered := make(chan struct{})
	if !c.asked.IsZero() && c.now().Sub(c.asked) < capacityFreshFor {
		close(answered)
		return answered
	}
	c.asking = answered
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
		defer cancel()
		n, err := c.ask(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.last, c.known, c.asked, c.asking = n, err == nil, c.now(), nil
		close(answered)
	}()
	return answered
}
