package cache

import (
	"hash/maphash"
	"sync/atomic"
)

const (
	// places is how many values a Front holds at most, and largestInFront how long one is in bytes at most, so it holds 2 MiB at most.
	places         = 512
	largestInFront = 4 << 10
)

// Front holds what was made of the values of a cache that were asked for last, so that what is asked for often is not copied and decoded each
// time. A key has one place, which it shares with others; who came last has it. What is held may be used as long as the value that it was
// made of may. It may be used by many goroutines.
type Front[T any] struct {
	cache  *Cache
	decode func([]byte) T
	seed   maphash.Seed
	places [places]atomic.Pointer[inFront[T]]
}

type inFront[T any] struct {
	key   string
	value Value
	made  T
}

// NewFront returns a front of the cache. What decode makes of the bytes of a value is shared, so nobody may change it.
func NewFront[T any](c *Cache, decode func([]byte) T) *Front[T] {
	return &Front[T]{cache: c, decode: decode, seed: maphash.MakeSeed()}
}

func (f *Front[T]) place(key string) *atomic.Pointer[inFront[T]] {
	return &f.places[maphash.String(f.seed, key)%places]
}

// Held returns what was made of the value under the key, and the value, if both are held and may be used as they are.
func (f *Front[T]) Held(key string) (made T, v Value, ok bool) {
	held, m := f.place(key).Load(), f.cache.memory.Load()
	// Another memory is another size, or none.
	if held == nil || held.key != key || m == nil || held.value.memory != m.number {
		return made, Value{}, false
	}
	now := f.cache.now()
	if held.value.entry.judge(now, f.cache.validity) != useNow {
		return made, Value{}, false
	}
	f.cache.counts.hits.Add(1)
	v = held.value
	v.Age = v.entry.age(now)
	return held.made, v, true
}

// Hold returns what is made of a value that Get or Peek has found under the key, and holds it if it was there.
func (f *Front[T]) Hold(key string, v Value) T {
	made := f.decode(v.Bytes)
	if v.Outcome == Hit && len(v.Bytes) <= largestInFront {
		f.place(key).Store(&inFront[T]{key: key, value: v, made: made})
	}
	return made
}
