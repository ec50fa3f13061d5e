package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// headroom is how many bytes may be taken from one collection of garbage to the next. Go's own rule is as many as are in use, which
	// with full caches doubles the process. Less would be collected more often than is worth it.
	headroom = 6 << 20
	// leastGCPercent keeps a very large heap from being collected without end.
	leastGCPercent = 5
	// mostGCPercent of the least heap that Go collects, 4 MiB at 100 percent, are headroom as well; that heap grows with the percentage.
	mostGCPercent = 150
)

const (
	liveMetric    = "/gc/heap/live:bytes"
	percentMetric = "/gc/gogc:percent"
)

// keepHeadroom has garbage collected whenever headroom was taken, whatever is in use, until the process ends. GOGC in the environment overrides it;
// GOMEMLIMIT holds beside it.
func keepHeadroom() {
	if os.Getenv("GOGC") == "" {
		adjustHeadroom(0)
	}
}

// adjustHeadroom follows what is in use after a collection, and is called again after the next one, in which the sentinel is found to be
// garbage. The int is not used.
func adjustHeadroom(int) {
	samples := []metrics.Sample{{Name: liveMetric}, {Name: percentMetric}}
	metrics.Read(samples)
	// Setting it stops all goroutines for a moment, so small changes are left alone.
	want, set := gcPercentFor(samples[0].Value.Uint64()), samples[1].Value.Uint64()
	if math.Abs(float64(want)-float64(set)) > float64(set)/10 {
		debug.SetGCPercent(want)
	}
	sentinel := new([16]byte) // large enough not to share its memory with others
	runtime.AddCleanup(sentinel, adjustHeadroom, 0)
}

// gcPercentFor is by how many percent the heap may grow beyond the bytes in use.
func gcPercentFor(live uint64) int {
	if live == 0 {
		return mostGCPercent
	}
	return int(min(max(headroom*100/live, leastGCPercent), mostGCPercent))
}
