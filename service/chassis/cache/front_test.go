package cache_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/cache"
)

// newFront returns a front, and how often it has decoded.
func newFront(c *cache.Cache) (*cache.Front[string], *atomic.Int64) {
	var decoded atomic.Int64
	return cache.NewFront(c, func(b []byte) string {
		decoded.Add(1)
		return "made of " + string(b)
	}), &decoded
}

// held is what a front holds under the key, with the outcome and the age in seconds of the value; empty if it holds nothing.
func held(f *cache.Front[string], key string) string {
	made, v, ok := f.Held(key)
	if !ok {
		return ""
	}
	return fmt.Sprint(made, ", ", v.Outcome, " ", int(v.Age.Seconds()))
}

// hold has a cache find the value under the key, and the front hold it.
func hold(t *testing.T, f *cache.Front[string], c *cache.Cache, key, text string) string {
	t.Helper()
	v, err := c.Get(t.Context(), key, []string{"tag"}, always(text))
	if err != nil {
		t.Fatal(err)
	}
	return f.Hold(key, v)
}

func TestAFrontHoldsWhatMayBeUsed(t *testing.T) {
	const there = "made of x, HIT 7"
	for name, tc := range map[string]struct {
		then func(t *testing.T, c *cache.Cache, v *cache.Validity, at *clock)
		want string
	}{
		"as it is":              {then: func(*testing.T, *cache.Cache, *cache.Validity, *clock) {}, want: there},
		"another tag ends":      {then: func(_ *testing.T, _ *cache.Cache, v *cache.Validity, _ *clock) { v.Invalidate("other") }, want: there},
		"its tag ends":          {then: func(_ *testing.T, _ *cache.Cache, v *cache.Validity, _ *clock) { v.Invalidate("tag") }},
		"its key is purged":     {then: func(_ *testing.T, _ *cache.Cache, v *cache.Validity, _ *clock) { v.Invalidate(cache.KeyTag("key")) }},
		"everything is purged":  {then: func(_ *testing.T, _ *cache.Cache, v *cache.Validity, _ *clock) { v.Purge() }},
		"changes may be missed": {then: func(_ *testing.T, _ *cache.Cache, v *cache.Validity, _ *clock) { v.Doubt() }},
		"nothing is heard":      {then: func(_ *testing.T, _ *cache.Cache, _ *cache.Validity, at *clock) { at.advance(20 * time.Second) }},
		"it is too old": {then: func(_ *testing.T, _ *cache.Cache, v *cache.Validity, at *clock) {
			at.advance(time.Minute)
			v.Confirm(at.now())
		}},
		"the cache is turned off":  {then: configured(func(s *cache.Settings) { s.MiB = 0 })},
		"the cache has a new size": {then: configured(func(s *cache.Settings) { s.MiB = 2 })},
		"what comes lives shorter": {then: configured(func(s *cache.Settings) { s.TTL, s.StaleIfError = time.Second, s.Life()-time.Second }), want: there},
	} {
		t.Run(name, func(t *testing.T) {
			at := newClock()
			v := cache.NewValidity(at.now, 10*time.Second)
			v.Confirm(at.now())
			c := newCache(t, settings, v, at.now)
			f, _ := newFront(c)
			hold(t, f, c, "key", "x")
			hold(t, f, c, "key", "y")
			at.advance(7 * time.Second)
			tc.then(t, c, v, at)
			if got := held(f, "key"); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func configured(change func(*cache.Settings)) func(*testing.T, *cache.Cache, *cache.Validity, *clock) {
	return func(t *testing.T, c *cache.Cache, _ *cache.Validity, _ *clock) {
		t.Helper()
		next := settings
		change(&next)
		if err := c.Configure(next); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFrontHoldsWhatWasThere(t *testing.T) {
	c := newCache(t, settings, cache.NewValidity(time.Now, 0), time.Now)
	f, decoded := newFront(c)
	if got := hold(t, f, c, "key", "x"); got != "made of x" || held(f, "key") != "" {
		t.Errorf("%q; what was just loaded is held: %q", got, held(f, "key"))
	}
	if v, ok := c.Peek("key"); !ok || f.Hold("key", v) != "made of x" {
		t.Error("what was found is not made")
	}
	before, hits := decoded.Load(), c.Stats().Hits
	for range 10 {
		if got := held(f, "key"); got != "made of x, HIT 0" {
			t.Fatal(got)
		}
	}
	if decoded.Load() != before || c.Stats().Hits != hits+10 {
		t.Errorf("decoded %d times more; %d hits more, want 0 and 10", decoded.Load()-before, c.Stats().Hits-hits)
	}
	if held(f, "other") != "" {
		t.Error("a key has what belongs to another one")
	}
	large := strings.Repeat("x", 5000)
	hold(t, f, c, "large", large)
	if got := hold(t, f, c, "large", ""); got != "made of "+large || held(f, "large") != "" {
		t.Error("what is large is held")
	}
}

// Keys that share a place never get what belongs to another one.
func TestPlacesOfAFrontAreShared(t *testing.T) {
	c := newCache(t, settings, cache.NewValidity(time.Now, 0), time.Now)
	f, _ := newFront(c)
	const keys = 2000
	for range 2 {
		for i := range keys {
			hold(t, f, c, strconv.Itoa(i), strconv.Itoa(i))
		}
	}
	there := 0
	for i := range keys {
		switch got := held(f, strconv.Itoa(i)); got {
		case fmt.Sprintf("made of %d, HIT 0", i):
			there++
		case "":
		default:
			t.Fatalf("%d: %s", i, got)
		}
	}
	if there == 0 || there > 512 {
		t.Errorf("%d values are held, want 1 to 512", there)
	}
}
