package cache

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

type counts struct{ hits, misses, stale, bypasses, evictions atomic.Uint64 }

// Stats are what a cache did since the process started, and what it holds.
type Stats struct {
	Name string `json:"name"`
	// Hits, Misses, Stale and Bypasses count requests by their outcome.
	Hits     uint64 `json:"hits"`
	Misses   uint64 `json:"misses"`
	Stale    uint64 `json:"stale"`
	Bypasses uint64 `json:"bypasses"`
	// HitRatio is the part of the requests that were no bypass and did not wait for a load, from 0 to 1.
	HitRatio float64 `json:"hitRatio"`
	// Evictions counts values that went because there was no more room.
	Evictions uint64 `json:"evictions"`
	// Entries are the values held, including those that may no longer be used.
	Entries int `json:"entries"`
	// Bytes is the memory taken for values, MaxBytes its bound.
	Bytes    int `json:"bytes"`
	MaxBytes int `json:"maxBytes"`
}

// Stats returns the statistics.
func (c *Cache) Stats() Stats {
	s := Stats{
		Name: c.name, Hits: c.counts.hits.Load(), Misses: c.counts.misses.Load(), Stale: c.counts.stale.Load(),
		Bypasses: c.counts.bypasses.Load(), Evictions: c.counts.evictions.Load(), MaxBytes: c.settings.Load().MiB * mebi,
	}
	if all := s.Hits + s.Misses + s.Stale; all > 0 {
		s.HitRatio = float64(s.Hits+s.Stale) / float64(all)
	}
	if m := c.memory.Load(); m != nil {
		s.Entries, s.Bytes = m.cache.Len(), m.cache.Capacity()
	}
	return s
}

var (
	requestsDesc = prometheus.NewDesc("cache_requests_total",
		"Requests to a cache, by what came of them.", []string{"cache", "outcome"}, nil)
	evictionsDesc = prometheus.NewDesc("cache_evictions_total",
		"Values that went because there was no more room.", []string{"cache"}, nil)
	entriesDesc = prometheus.NewDesc("cache_entries", "Values held.", []string{"cache"}, nil)
	bytesDesc   = prometheus.NewDesc("cache_bytes", "Memory taken for values.", []string{"cache"}, nil)
	limitDesc   = prometheus.NewDesc("cache_max_bytes", "Bound of the memory for values.", []string{"cache"}, nil)
)

// Collector measures caches, under their names.
type Collector []*Cache

var _ prometheus.Collector = Collector(nil)

// Describe implements prometheus.Collector.
func (Collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{requestsDesc, evictionsDesc, entriesDesc, bytesDesc, limitDesc} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (all Collector) Collect(to chan<- prometheus.Metric) {
	for _, c := range all {
		s := c.Stats()
		for outcome, n := range map[string]uint64{"hit": s.Hits, "miss": s.Misses, "stale": s.Stale, "bypass": s.Bypasses} {
			to <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue, float64(n), c.name, outcome)
		}
		to <- prometheus.MustNewConstMetric(evictionsDesc, prometheus.CounterValue, float64(s.Evictions), c.name)
		to <- prometheus.MustNewConstMetric(entriesDesc, prometheus.GaugeValue, float64(s.Entries), c.name)
		to <- prometheus.MustNewConstMetric(bytesDesc, prometheus.GaugeValue, float64(s.Bytes), c.name)
		to <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(s.MaxBytes), c.name)
	}
}
