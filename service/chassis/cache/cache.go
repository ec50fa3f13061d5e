package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Settings say how much a cache keeps and for how long. They may change while it is in use.
type Settings struct {
	// MiB bounds the memory of the values, in MiB; 0 turns the cache off.
	MiB int
	// TTL is how long a value is used as it is, at least a second. It is shortened by up to a tenth at random, so that what was loaded at once
	// does not end at once.
	TTL time.Duration
	// StaleWhileRevalidate is how long after that a value is used while it is loaded again.
	StaleWhileRevalidate time.Duration
	// StaleIfError is how long after TTL a value is used if what it comes from is away.
	StaleIfError time.Duration
}

// Life is how long a value is kept at most.
func (s Settings) Life() time.Duration { return s.TTL + max(s.StaleWhileRevalidate, s.StaleIfError) }

// Config says what a cache is. All fields are required.
type Config struct {
	// Name is what metrics and statistics call it.
	Name     string
	Settings Settings
	Validity *Validity
	// LoadTimeout bounds a load, which goes on when those who want its result have gone.
	LoadTimeout func() time.Duration
	Now         func() time.Time
}

// Cache keeps values by key. It may be used by many goroutines.
type Cache struct {
	name     string
	validity *Validity
	timeout  func() time.Duration
	now      func() time.Time
	flights  singleflight.Group
	counts   counts

	configuring sync.Mutex
	memories    uint64 // how many there have been
	settings    atomic.Pointer[Settings]
	memory      atomic.Pointer[memory]
}

// New returns an empty cache. Close it when it is no longer used.
func New(cfg Config) (*Cache, error) {
	c := &Cache{name: cfg.Name, validity: cfg.Validity, timeout: cfg.LoadTimeout, now: cfg.Now}
	c.settings.Store(&Settings{})
	if err := c.Configure(cfg.Settings); err != nil {
		return nil, err
	}
	return c, nil
}

// Configure changes the settings. Another size or a longer life empties the cache. What was kept before keeps its times.
func (c *Cache) Configure(next Settings) error {
	if next.MiB < 0 || next.TTL < time.Second || next.StaleWhileRevalidate < 0 || next.StaleIfError < 0 {
		return fmt.Errorf("configuring the cache %s: a size or time is out of range: %+v", c.name, next)
	}
	c.configuring.Lock()
	defer c.configuring.Unlock()
	present := c.settings.Load()
	if present.MiB != next.MiB || present.Life() != next.Life() {
		var fresh *memory
		if next.MiB > 0 {
			var err error
			if fresh, err = newMemory(next.MiB, next.Life(), &c.counts.evictions); err != nil {
				return err
			}
			c.memories++
			fresh.number = c.memories
		}
		if old := c.memory.Swap(fresh); old != nil {
			old.close()
		}
	}
	c.settings.Store(&next)
	return nil
}

// Close ends what the cache does in the background. It can still be read.
func (c *Cache) Close() {
	if m := c.memory.Load(); m != nil {
		m.close()
	}
}

// Name returns the cache's name.
func (c *Cache) Name() string { return c.name }

// Outcome is how a value was come by.
type Outcome string

// The outcomes.
const (
	// Hit: it was there.
	Hit Outcome = "HIT"
	// Miss: it was loaded.
	Miss Outcome = "MISS"
	// Stale: it was there, but out of date.
	Stale Outcome = "STALE"
	// Bypass: it was loaded without a look at the cache.
	Bypass Outcome = "BYPASS"
)

// Value is what Get found. Bytes are shared: they must not be changed.
type Value struct {
	Bytes   []byte
	Outcome Outcome
	// Age is how long ago it was loaded.
	Age time.Duration

	// entry is that of a Hit, and memory the number of the one that it was in.
	entry  entry
	memory uint64
}

// Loaded is what a load found.
type Loaded struct {
	// Bytes must not be changed afterwards.
	Bytes []byte
	// Tags are those besides the ones that it was asked for with.
	Tags []string
	// Unkept says that the value is good for those who wait for it, but not to be kept.
	Unkept bool
}

// Load finds a value. Its context has a deadline of its own, and the values of the context of the first who asked. Its error goes to all
// who wait.
type Load func(ctx context.Context) (Loaded, error)

// KeyTag is a tag that the value under the key carries besides its own, in every cache.
func KeyTag(key string) string { return "key:" + key }

// Get returns the value under the key, loading it if need be. Its tags name everything that it is made of. Errors are those of the
// load, and the end of ctx.
func (c *Cache) Get(ctx context.Context, key string, tags []string, load Load) (Value, error) {
	if wantsPresent(ctx) || c.memory.Load() == nil {
		loaded, err := load(ctx)
		note(ctx, tags, false)
		c.counts.bypasses.Add(1)
		return Value{Bytes: loaded.Bytes, Outcome: Bypass}, err
	}
	now := c.now()
	m := c.memory.Load()
	e, use := c.find(m, key, now)
	switch use {
	case useNow:
		c.counts.hits.Add(1)
		note(ctx, tags, false)
		return Value{Bytes: e.value, Outcome: Hit, Age: e.age(now), entry: e, memory: m.number}, nil
	case useMeanwhile:
		c.fly(ctx, key, tags, load) // nobody waits for it
		c.counts.stale.Add(1)
		note(ctx, tags, false)
		return Value{Bytes: e.value, Outcome: Stale, Age: e.age(now)}, nil
	case useNever, useIfAway:
	}
	loaded, err := c.join(ctx, key, tags, load)
	if err != nil && use == useIfAway && isAway(err) {
		// Somebody may have invalidated it while the load ran.
		if e.judge(now, c.validity) == useNever {
			return Value{}, err
		}
		c.counts.stale.Add(1)
		note(ctx, tags, true)
		return Value{Bytes: e.value, Outcome: Stale, Age: e.age(now)}, nil
	}
	c.counts.misses.Add(1)
	note(ctx, tags, false)
	return Value{Bytes: loaded.Bytes, Outcome: Miss}, err
}

// isAway reports whether what was asked did not answer, so that nothing better is to be had than what was known before.
func isAway(err error) bool {
	code := fault.CodeOf(err)
	return code == fault.Unavailable || code == fault.Timeout
}

// Peek returns the value under the key if it may be used as it is. A caller that then loads it by itself takes a mark
// first and keeps what it loaded with Put.
func (c *Cache) Peek(key string) (Value, bool) {
	now := c.now()
	m := c.memory.Load()
	e, use := c.find(m, key, now)
	if use != useNow {
		c.counts.misses.Add(1)
		return Value{}, false
	}
	c.counts.hits.Add(1)
	return Value{Bytes: e.value, Outcome: Hit, Age: e.age(now), entry: e, memory: m.number}, true
}

// Mark returns the present moment, for Put.
func (c *Cache) Mark() Mark { return c.validity.Mark() }

// Put keeps a value whose load began at the mark.
func (c *Cache) Put(key string, at Mark, tags []string, value []byte) {
	m := c.memory.Load()
	if m == nil || len(tags) > maxTags {
		return
	}
	s, now := c.settings.Load(), c.now()
	fresh := now.Add(s.TTL - rand.N(s.TTL/10)) //nolint:gosec // spreads load, guards nothing
	e := entry{
		stored: now.UnixMilli(), fresh: fresh.UnixMilli(),
		revalidated: fresh.Add(s.StaleWhileRevalidate).UnixMilli(), kept: fresh.Add(s.StaleIfError).UnixMilli(),
		mark: at, value: value, slots: make([]byte, 0, slotSize*(len(tags)+1)),
	}
	for _, tag := range tags {
		e.slots = c.validity.appendSlot(e.slots, tag)
	}
	e.slots = c.validity.appendSlot(e.slots, KeyTag(key))
	m.set(key, e.encode())
}

// find returns what is kept and what may be done with it.
func (c *Cache) find(m *memory, key string, now time.Time) (entry, use) {
	if m == nil {
		return entry{}, useNever
	}
	b, ok := m.get(key)
	if !ok {
		return entry{}, useNever
	}
	e, ok := decode(b)
	if !ok {
		return entry{}, useNever
	}
	return e, e.judge(now, c.validity)
}

// flight is what a load came to.
type flight struct {
	Loaded
	began Mark
}

// fly starts a load, or joins the one that runs.
func (c *Cache) fly(ctx context.Context, key string, tags []string, load Load) <-chan singleflight.Result {
	return c.flights.DoChan(key, func() (any, error) {
		began := c.validity.Mark()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout())
		defer cancel()
		loaded, err := guarded(ctx, load)
		if err == nil && !loaded.Unkept {
			c.Put(key, began, append(tags[:len(tags):len(tags)], loaded.Tags...), loaded.Bytes)
		}
		return flight{Loaded: loaded, began: began}, err
	})
}

// guarded turns a panic into an error: on the goroutine of a load nobody else would stop it from ending the process.
func guarded(ctx context.Context, load Load) (loaded Loaded, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fault.Wrap(fault.Internal, "Internal server error", fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	return load(ctx)
}

// maxJoins bounds how often somebody waits for a load that turns out to be of before a change.
const maxJoins = 3

// join loads, or waits for the load of somebody else. What that one found is good if it began after the caller came, or if nothing of
// it was invalidated since: otherwise a caller could be shown the state of before its own last change.
func (c *Cache) join(ctx context.Context, key string, tags []string, load Load) (Loaded, error) {
	came := c.validity.Mark()
	for range maxJoins {
		var res singleflight.Result
		select {
		case res = <-c.fly(ctx, key, tags, load):
		case <-ctx.Done():
			return Loaded{}, ctx.Err()
		}
		f, ok := res.Val.(flight)
		if !ok {
			return Loaded{}, errors.New("loading ended without a result")
		}
		if f.began >= came || res.Err == nil && c.stillHolds(f, key, tags) {
			return f.Loaded, res.Err
		}
	}
	return guarded(ctx, load)
}

func (c *Cache) stillHolds(f flight, key string, tags []string) bool {
	slots := c.validity.appendSlot(nil, KeyTag(key))
	for _, all := range [][]string{tags, f.Tags} {
		for _, tag := range all {
			slots = c.validity.appendSlot(slots, tag)
		}
	}
	return c.validity.holds(f.began, slots)
}
