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
	// A process that collects more often than that for longer than a burst, such as its start, has more headroom, up to what its caches may
	// take and do not hold, and one that collects less often has the least again.
	oftenCollected, burst, seldomCollected = 250 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second
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
	bytes uint64
	// collected is when garbage was collected last, and busy since when that follows quickly on what was before.
	collected, busy time.Time
}

// after returns the headroom after a collection, while so many bytes are set aside and not held.
func (h headroom) after(now time.Time, unused uint64) headroom {
	switch since := now.Sub(h.collected); {
	case since > seldomCollected:
		h.bytes, h.busy = leastHeadroom, now
	case since > oftenCollected:
		h.busy = now
	case now.Sub(h.busy) > burst:
		h.bytes *= 2
	}
	h.bytes = min(max(h.bytes, leastHeadroom), leastHeadroom+min(unused, mostLent))
	h.collected = now
	return h
}

// keeper keeps the headroom of the process.
type keeper struct {
	headroom
	ctx context.Context //nolint:containedctx // it ends what nobody calls
	// unused returns how many bytes are set aside and not held.
	unused func() uint64
}

// keepHeadroom has garbage collected whenever the headroom was taken, until ctx ends. GOGC in the environment overrides it; GOMEMLIMIT holds
// beside it.
func keepHeadroom(ctx context.Context, unused func() uint64) {
	if os.Getenv("GOGC") == "" {
		adjustHeadroom(&keeper{ctx: ctx, unused: unused})
	}
}

// adjustHeadroom follows what is in use after a collection, and is called again after the next one, in which the sentinel is found to be
// garbage.
func adjustHeadroom(k *keeper) {
	if k.ctx.Err() != nil {
		return
	}
	k.headroom = k.after(time.Now(), k.unused())
	samples := []metrics.Sample{{Name: liveMetric}, {Name: percentMetric}}
	metrics.Read(samples)
	// Setting it stops all goroutines for a moment, so small changes are left alone.
	want, set := gcPercentFor(samples[0].Value.Uint64(), k.bytes), samples[1].Value.Uint64()
	if math.Abs(float64(want)-float64(set)) > float64(set)/10 {
		debug.SetGCPercent(want)
	}
	sentinel := new([16]byte) // large enough not to share its memory with others
	runtime.AddCleanup(sentinel, adjustHeadroom, k)
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
