package cache

import (
	"context"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/allegro/bigcache/v3"
)

const (
	mebi = 1 << 20
	// maxShards is how many parts a cache has at most. Each part has a lock and at least one MiB.
	maxShards = 64
	// largest is the part of a shard that one value may take, as a divisor: one that does not fit would empty the whole shard
	// (allegro/bigcache issue 239).
	largest = 4
	// sweepEvery is how often what is too old is removed; the library's clock counts seconds.
	sweepEvery = time.Second
	// The first size of a shard is the product of these in bytes.
	firstEntries, firstEntrySize = 10, 1024
)

// memory keeps bytes by key, and the oldest go when there is no more room. The library below removes by age alone and returns what is
// too old until it has swept, so the entries say themselves how long they are good for.
type memory struct {
	// number is another one for each memory of a cache.
	number  uint64
	cache   *bigcache.BigCache
	maxSize int
	stop    context.CancelFunc
}

// newMemory returns a memory of so many MiB, at least 1, in which entries live that long at most, at least a second.
func newMemory(mib int, life time.Duration, evictions *atomic.Uint64) (*memory, error) {
	shards := min(maxShards, 1<<(bits.Len(uint(mib))-1))
	ctx, stop := context.WithCancel(context.Background())
	cfg := bigcache.Config{
		Shards: shards, LifeWindow: life, CleanWindow: sweepEvery, HardMaxCacheSize: mib,
		MaxEntriesInWindow: shards * firstEntries, MaxEntrySize: firstEntrySize,
		OnRemoveWithReason: func(string, []byte, bigcache.RemoveReason) { evictions.Add(1) },
	}.OnRemoveFilterSet(bigcache.NoSpace)
	made, err := bigcache.New(ctx, cfg)
	if err != nil {
		stop()
		return nil, fmt.Errorf("making a cache of %d MiB: %w", mib, err)
	}
	return &memory{cache: made, maxSize: mib * mebi / shards / largest, stop: stop}, nil
}

// get returns a copy of what is kept.
func (m *memory) get(key string) ([]byte, bool) {
	found, err := m.cache.Get(key)
	return found, err == nil
}

// set keeps b unless it is too large.
func (m *memory) set(key string, b []byte) {
	if len(key)+len(b) <= m.maxSize {
		// The only error is a value that is larger than a shard.
		_ = m.cache.Set(key, b)
	}
}

// close ends the sweeping; what is kept can still be read.
func (m *memory) close() { m.stop() }
