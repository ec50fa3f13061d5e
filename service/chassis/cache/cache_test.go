package cache_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/chassis/fault"
)

// clock is a time that tests move.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

var settings = cache.Settings{MiB: 1, TTL: time.Minute, StaleWhileRevalidate: 30 * time.Second, StaleIfError: time.Hour}

func newCache(t testing.TB, s cache.Settings, v *cache.Validity, now func() time.Time) *cache.Cache {
	t.Helper()
	c, err := cache.New(cache.Config{Name: "test", Settings: s, Validity: v, LoadTimeout: func() time.Duration { return 10 * time.Second }, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// always is a load that finds the text.
func always(text string) cache.Load {
	return func(context.Context) (cache.Loaded, error) { return cache.Loaded{Bytes: []byte(text)}, nil }
}

func failing(err error) cache.Load {
	return func(context.Context) (cache.Loaded, error) { return cache.Loaded{}, err }
}

var errAway = fault.New(fault.Unavailable, "away")

// get returns the outcome and the value, or the code of the error.
func get(t testing.TB, c *cache.Cache, key string, load cache.Load) string {
	t.Helper()
	v, err := c.Get(t.Context(), key, []string{"tag"}, load)
	if err != nil {
		return string(fault.CodeOf(err))
	}
	return string(v.Outcome) + " " + string(v.Bytes)
}

func TestAgesOfAValue(t *testing.T) {
	for name, tc := range map[string]struct {
		after      time.Duration
		happens    func(*cache.Validity)
		load       cache.Load
		want, next string
	}{
		"fresh":                         {after: 50 * time.Second, load: always("new"), want: "HIT old", next: "HIT old"},
		"a little old":                  {after: 70 * time.Second, load: always("new"), want: "STALE old"},
		"too old":                       {after: 10 * time.Minute, load: always("new"), want: "MISS new", next: "HIT new"},
		"too old and nobody to ask":     {after: 10 * time.Minute, load: failing(errAway), want: "STALE old", next: "STALE old"},
		"too old and slow to ask":       {after: 10 * time.Minute, load: failing(context.DeadlineExceeded), want: "STALE old", next: "STALE old"},
		"too old and gone":              {after: 10 * time.Minute, load: failing(fault.New(fault.NotFound, "gone")), want: "NOT_FOUND", next: "NOT_FOUND"},
		"too old for bad times":         {after: 2 * time.Hour, load: failing(errAway), want: "SERVICE_ERROR", next: "SERVICE_ERROR"},
		"invalidated":                   {happens: func(v *cache.Validity) { v.Invalidate("tag") }, load: always("new"), want: "MISS new", next: "HIT new"},
		"invalidated, nobody to ask":    {happens: func(v *cache.Validity) { v.Invalidate("tag") }, load: failing(errAway), want: "SERVICE_ERROR", next: "SERVICE_ERROR"},
		"another tag invalidated":       {happens: func(v *cache.Validity) { v.Invalidate("other") }, load: always("new"), want: "HIT old", next: "HIT old"},
		"its key invalidated":           {happens: func(v *cache.Validity) { v.Invalidate(cache.KeyTag("key")) }, load: always("new"), want: "MISS new", next: "HIT new"},
		"purged":                        {happens: (*cache.Validity).Purge, load: failing(errAway), want: "SERVICE_ERROR", next: "SERVICE_ERROR"},
		"in doubt":                      {happens: (*cache.Validity).Doubt, load: always("new"), want: "MISS new", next: "HIT new"},
		"in doubt, nobody to ask":       {happens: (*cache.Validity).Doubt, load: failing(errAway), want: "STALE old", next: "STALE old"},
		"a defect is no reason to hide": {after: 10 * time.Minute, load: failing(errors.New("x")), want: "INTERNAL_ERROR", next: "INTERNAL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			at := newClock()
			v := cache.NewValidity(at.now, 0)
			c := newCache(t, settings, v, at.now)
			if got := get(t, c, "key", always("old")); got != "MISS old" {
				t.Fatal(got)
			}
			at.advance(tc.after)
			if tc.happens != nil {
				tc.happens(v)
			}
			if got := get(t, c, "key", tc.load); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			if tc.next == "" { // it is loaded behind the answer, at some time
				eventually(t, func() bool { return get(t, c, "key", tc.load) == "HIT new" })
				return
			}
			if got := get(t, c, "key", tc.load); got != tc.next {
				t.Errorf("then %s, want %s", got, tc.next)
			}
		})
	}
}

// eventually waits until it is so.
func eventually(t testing.TB, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to be so")
		}
	}
}

// Silence of the others puts everything in doubt, and their voice ends that.
func TestDoubtWithoutNews(t *testing.T) {
	at := newClock()
	v := cache.NewValidity(at.now, 3*time.Second)
	c := newCache(t, settings, v, at.now)
	if got := get(t, c, "key", always("1")); got != "MISS 1" || !v.Doubtful() {
		t.Error("before the first news:", got)
	}
	v.Confirm(at.now())
	v.Doubt() // whoever starts to listen knows nothing of before
	for _, step := range []struct {
		after time.Duration
		load  cache.Load
		want  string
	}{
		{load: always("2"), want: "MISS 2"},
		{after: 2 * time.Second, load: always("3"), want: "HIT 2"},
		{after: 2 * time.Second, load: failing(errAway), want: "STALE 2"},
		{load: always("4"), want: "MISS 4"},
		{load: always("5"), want: "MISS 5"},
	} {
		at.advance(step.after)
		if got := get(t, c, "key", step.load); got != step.want {
			t.Errorf("%s, want %s", got, step.want)
		}
	}
	v.Confirm(at.now())
	if got := get(t, c, "key", always("6")); got != "HIT 5" {
		t.Error("after news:", got)
	}
}

// A load that began before a change never becomes a value after it.
func TestLoadOfBeforeAChangeIsNotKept(t *testing.T) {
	v := cache.NewValidity(time.Now, 0)
	c := newCache(t, settings, v, time.Now)
	got := get(t, c, "key", func(context.Context) (cache.Loaded, error) {
		v.Invalidate("tag") // a writer commits after the row was read
		return cache.Loaded{Bytes: []byte("old")}, nil
	})
	if got != "MISS old" {
		t.Error(got)
	}
	if got := get(t, c, "key", always("new")); got != "MISS new" {
		t.Error(got)
	}
}

// Whoever comes after a change does not get what a load of before it finds, even if that load still runs.
func TestNobodyJoinsALoadOfBeforeTheirChange(t *testing.T) {
	v := cache.NewValidity(time.Now, 0)
	c := newCache(t, settings, v, time.Now)
	reading, end := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		got := get(t, c, "key", func(context.Context) (cache.Loaded, error) {
			close(reading)
			<-end
			return cache.Loaded{Bytes: []byte("old")}, nil
		})
		if got != "MISS old" {
			t.Error("the first:", got)
		}
	})
	<-reading
	v.Invalidate("tag")
	wg.Go(func() {
		if got := get(t, c, "key", always("new")); got != "MISS new" {
			t.Error("the second:", got)
		}
	})
	close(end)
	wg.Wait()
}

func TestManyWhoWantTheSameCauseOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := cache.NewValidity(time.Now, 0)
		c := newCache(t, settings, v, time.Now)
		var loads atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				value, err := c.Get(t.Context(), "key", nil, func(context.Context) (cache.Loaded, error) {
					loads.Add(1)
					time.Sleep(time.Second) // it passes once all wait
					return cache.Loaded{Bytes: []byte("x")}, nil
				})
				if err != nil || string(value.Bytes) != "x" {
					t.Error(value, err)
				}
			})
		}
		wg.Wait()
		if n := loads.Load(); n != 1 {
			t.Errorf("%d loads, want 1", n)
		}
	})
}

func TestALoadOutlivesWhoeverStartedIt(t *testing.T) {
	v := cache.NewValidity(time.Now, 0)
	c := newCache(t, settings, v, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan struct{})
	_, err := c.Get(ctx, "key", nil, func(ctx context.Context) (cache.Loaded, error) {
		cancel()
		<-end
		return cache.Loaded{Bytes: []byte("x")}, ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(end)
	eventually(t, func() bool { return strings.HasSuffix(get(t, c, "key", failing(errAway)), " x") })
}

func TestAPanicOfALoadIsAnError(t *testing.T) {
	c := newCache(t, settings, cache.NewValidity(time.Now, 0), time.Now)
	got := get(t, c, "key", func(context.Context) (cache.Loaded, error) { panic("oh") })
	if got != string(fault.Internal) {
		t.Error(got)
	}
}

func TestPresentReadsNoCache(t *testing.T) {
	c := newCache(t, settings, cache.NewValidity(time.Now, 0), time.Now)
	get(t, c, "key", always("old"))
	v, err := c.Get(cache.Present(t.Context()), "key", nil, always("new"))
	if err != nil || v.Outcome != cache.Bypass || string(v.Bytes) != "new" {
		t.Error(v, err)
	}
}

func TestUsageTellsWhatWasRead(t *testing.T) {
	at := newClock()
	v := cache.NewValidity(at.now, 0)
	c := newCache(t, settings, v, at.now)
	read := func(load cache.Load, keys ...string) (tags []string, stale bool) {
		ctx, usage := cache.Gather(t.Context())
		for _, key := range keys {
			if _, err := c.Get(ctx, key, []string{"of " + key, "all"}, load); err != nil {
				t.Fatal(err)
			}
		}
		return usage.Tags(), usage.Stale()
	}
	for range 2 { // loaded, and from the cache
		tags, stale := read(always("x"), "a", "b")
		if diff := cmp.Diff([]string{"of a", "all", "of b"}, tags); diff != "" || stale {
			t.Errorf("stale %v (-want +got):\n%s", stale, diff)
		}
	}
	at.advance(10 * time.Minute)
	if _, stale := read(failing(errAway), "a"); !stale {
		t.Error("what is out of date is not told")
	}
}

// A value that is too large empties nothing (allegro/bigcache issue 239), and there is never more than the bound.
func TestBounds(t *testing.T) {
	c := newCache(t, settings, cache.NewValidity(time.Now, 0), time.Now)
	get(t, c, "small", always("x"))
	get(t, c, "large", always(strings.Repeat("x", 300<<10)))
	if got := get(t, c, "small", always("y")); got != "HIT x" {
		t.Error(got)
	}
	for i := range 1000 {
		get(t, c, strconv.Itoa(i), always(strings.Repeat("x", 10<<10)))
	}
	s := c.Stats()
	if s.Bytes > s.MaxBytes || s.MaxBytes != 1<<20 || s.Evictions < 800 || s.Entries < 50 {
		t.Errorf("%+v", s)
	}
}

func TestSettingsChangeWhileInUse(t *testing.T) {
	at := newClock()
	c := newCache(t, settings, cache.NewValidity(at.now, 0), at.now)
	get(t, c, "key", always("old"))
	change := func(edit func(*cache.Settings)) error {
		next := settings
		edit(&next)
		return c.Configure(next)
	}
	for name, edit := range map[string]func(*cache.Settings){
		"negative size": func(s *cache.Settings) { s.MiB = -1 }, "no time": func(s *cache.Settings) { s.TTL = 0 },
		"negative stale time": func(s *cache.Settings) { s.StaleIfError = -1 },
	} {
		if err := change(edit); err == nil {
			t.Error("taken:", name)
		}
	}
	if got := get(t, c, "key", always("new")); got != "HIT old" {
		t.Error("after settings that were refused:", got)
	}
	if err := change(func(s *cache.Settings) { s.MiB = 8 }); err != nil {
		t.Fatal(err)
	}
	if got := get(t, c, "key", always("new")); got != "MISS new" || c.Stats().MaxBytes != 8<<20 {
		t.Error("after another size:", got, c.Stats())
	}
	if err := change(func(s *cache.Settings) { s.MiB = 0 }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := get(t, c, "key", always("newer")); got != "BYPASS newer" {
			t.Error("turned off:", got)
		}
	}
}

// card is a value of more than one kind.
type card struct {
	Name string    `json:"name"`
	Tags []string  `json:"tags"`
	At   time.Time `json:"at"`
}

func TestReadOfAType(t *testing.T) {
	c := newCache(t, settings, cache.NewValidity(time.Now, 0), time.Now)
	want := card{Name: "x", Tags: []string{"a", "b"}, At: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)}
	for range 3 {
		got, err := cache.Read(t.Context(), c, "key", nil, func(context.Context) (card, error) {
			loaded := want
			loaded.Tags = []string{"a", "b"}
			return loaded, nil
		})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		got.Tags[0] = "changed" // it belongs to the caller
	}
	if _, err := cache.Read(t.Context(), c, "other", nil, func(context.Context) (card, error) { return card{}, errAway }); !errors.Is(err, errAway) {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	c := newCache(t, settings, cache.NewValidity(time.Now, 0), time.Now)
	get(t, c, "key", always("x"))
	get(t, c, "key", always("x"))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(cache.Collector{c})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	delete(got, "cache_bytes test")
	want := map[string]float64{
		"cache_requests_total test hit": 1, "cache_requests_total test miss": 1, "cache_requests_total test stale": 0,
		"cache_requests_total test bypass": 0, "cache_evictions_total test": 0, "cache_entries test": 1, "cache_max_bytes test": 1 << 20,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Many read and write at random; whoever reads after a write was acknowledged sees it, or a later one, also from a front.
func TestNoReadIsOlderThanAnAcknowledgedWrite(t *testing.T) {
	type load = func(context.Context) (int64, error)
	for name, reading := range map[string]func(*cache.Cache) func(key string, load load) (int64, error){
		"the cache": func(c *cache.Cache) func(string, load) (int64, error) {
			return func(key string, load load) (int64, error) {
				return cache.Read(t.Context(), c, key, []string{key}, load)
			}
		},
		"its front": func(c *cache.Cache) func(string, load) (int64, error) {
			f := cache.NewFront(c, func(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) })
			return func(key string, load load) (int64, error) {
				if n, _, ok := f.Held(key); ok {
					return n, nil
				}
				found, err := c.Get(t.Context(), key, []string{key}, func(ctx context.Context) (cache.Loaded, error) {
					n, err := load(ctx)
					return cache.Loaded{Bytes: binary.LittleEndian.AppendUint64(nil, uint64(n))}, err
				})
				return f.Hold(key, found), err
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := cache.NewValidity(time.Now, 0)
			c := newCache(t, cache.Settings{MiB: 1, TTL: time.Second}, v, time.Now)
			read := reading(c)
			const rows = 5
			var database, acknowledged [rows]atomic.Int64
			var wg sync.WaitGroup
			for worker := range 8 {
				random := rand.New(rand.NewPCG(uint64(worker), 1))
				wg.Go(func() {
					for range 3000 {
						row := random.IntN(rows)
						key := fmt.Sprint("row ", row)
						if random.IntN(10) == 0 {
							n := database[row].Add(1)
							v.Invalidate(key)
							for seen := acknowledged[row].Load(); seen < n && !acknowledged[row].CompareAndSwap(seen, n); {
								seen = acknowledged[row].Load()
							}
							continue
						}
						least := acknowledged[row].Load()
						got, err := read(key, func(context.Context) (int64, error) { return database[row].Load(), nil })
						if err != nil || got < least {
							t.Errorf("read %d (%v) after %d was acknowledged", got, err, least)
						}
					}
				})
			}
			wg.Wait()
			if s := c.Stats(); s.Hits == 0 || s.Misses == 0 {
				t.Errorf("the test tried nothing: %+v", s)
			}
		})
	}
}

func BenchmarkGetHit(b *testing.B) {
	c := newCache(b, settings, cache.NewValidity(time.Now, 0), time.Now)
	load := always(strings.Repeat("x", 1000))
	tags := []string{"tag"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Get(b.Context(), "key", tags, load); err != nil {
			b.Fatal(err)
		}
	}
}
