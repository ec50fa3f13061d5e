package main

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/mirubato/mirubato/service/chassis/cache"
)

const (
	// leastHeadroom is how many bytes may be taken from one collection of garbage to the next at least. Go's own rule is as many as are in use,
	// which with full caches doubles the process. Less would be collected more often than is worth it.
	leastHeadroom = 6 << 20
	// A process that collects more often than that has more headroom, up to what its caches may take and do not hold, and one that collects
	// less often has the least again.
	oftenCollected, seldomCollected = 250 * time.Millisecond, 2 * time.Second
	// mostLent is how many bytes of that it has at most: memory that is always another is slow.
	mostLent = 18 << 20
	// leastGCPercent keeps a very large heap from being collected without end.
	leastGCPercent = 5
	// mostGCPercent of the least heap that Go collects, 4 MiB at 100 percent, are the least headroom as well; that heap grows with the percentage.
	mostGCPercent = 150
)

const (
	liveMetric    = "/gc/heap/live:bytes"
	percentMetric = "/gc/gogc:percent"
)

// headroom is what may be taken from one collection of garbage to the next, whatever is in use.
type headroom struct {
	ctx context.Context //nolint:containedctx // it ends what nobody calls
	// unused returns how many bytes are set aside and not held.
	unused    func() uint64
	bytes     uint64
	collected time.Time
}

// keepHeadroom has garbage collected whenever the headroom was taken, until ctx ends. GOGC in the environment overrides it; GOMEMLIMIT holds
// beside it.
func keepHeadroom(ctx context.Context, unused func() uint64) {
	if os.Getenv("GOGC") == "" {
		adjustHeadroom(&headroom{ctx: ctx, unused: unused, bytes: leastHeadroom})
	}
}

// adjustHeadroom follows what is in use after a collection, and is called again after the next one, in which the sentinel is found to be
// garbage.
func adjustHeadroom(h *headroom) {
	if h.ctx.Err() != nil {
		return
	}
	now := time.Now()
	if !h.collected.IsZero() {
		h.bytes = nextHeadroom(h.bytes, now.Sub(h.collected), h.unused())
	}
	h.collected = now
	samples := []metrics.Sample{{Name: liveMetric}, {Name: percentMetric}}
	metrics.Read(samples)
	// Setting it stops all goroutines for a moment, so small changes are left alone.
	want, set := gcPercentFor(samples[0].Value.Uint64(), h.bytes), samples[1].Value.Uint64()
	if math.Abs(float64(want)-float64(set)) > float64(set)/10 {
		debug.SetGCPercent(want)
	}
	sentinel := new([16]byte) // large enough not to share its memory with others
	runtime.AddCleanup(sentinel, adjustHeadroom, h)
}

// nextHeadroom is the headroom after a collection, so long after the one before, while so many bytes are set aside and not held.
func nextHeadroom(present uint64, since time.Duration, unused uint64) uint64 {
	switch {
	case since < oftenCollected:
		present *= 2
	case since > seldomCollected:
		present = leastHeadroom
	}
	return min(max(present, leastHeadroom), leastHeadroom+min(unused, mostLent))
}

// gcPercentFor is by how many percent the heap may grow beyond the bytes in use.
func gcPercentFor(live, headroom uint64) int {
	most := mostGCPercent * headroom / leastHeadroom
	if live == 0 {
		return int(most) //nolint:gosec // a percentage
	}
	return int(min(max(headroom*100/live, leastGCPercent), most)) //nolint:gosec // a percentage
}

// unusedBytes are those that the caches may hold and do not.
func unusedBytes(caches cache.Collector) (unused uint64) {
	for _, c := range caches {
		if s := c.Stats(); s.MaxBytes > s.Bytes {
			unused += uint64(s.MaxBytes - s.Bytes) //nolint:gosec // it is positive
		}
	}
	return unused
}
