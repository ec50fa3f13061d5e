package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/test/results"
)

// memoryScores is how many scores TestMemoryStaysWithinTheCaches reads; 40000 fill the caches, and record its figures.
var memoryScores = flag.Int("memory.scores", 2000, "scores that TestMemoryStaysWithinTheCaches reads")

func TestGCPercent(t *testing.T) {
	for name, tc := range map[string]struct {
		live, headroom uint64
		want           int
	}{
		"before the first collection": {0, leastHeadroom, 150},
		"next to nothing":             {1 << 20, leastHeadroom, 150},
		"a service at rest":           {10 << 20, leastHeadroom, 60},
		"full caches":                 {100 << 20, leastHeadroom, 6},
		"more than that":              {200 << 20, leastHeadroom, 5},
		"much to do, empty caches":    {10 << 20, 48 << 20, 480},
		"next to nothing, much to do": {1 << 20, 48 << 20, 1200},
	} {
		if got := gcPercentFor(tc.live, tc.headroom); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestHeadroomIsWhatCachesDoNotHold(t *testing.T) {
	const mib = 1 << 20
	// collections are as many, so far from each other, while so much is not held.
	type collections struct {
		many   int
		apart  time.Duration
		unused uint64
	}
	busy := collections{100, 50 * time.Millisecond, 48 * mib}
	for name, tc := range map[string]struct {
		all  []collections
		want uint64
	}{
		"the first":                      {[]collections{{1, 0, 48 * mib}}, 6},
		"at rest":                        {[]collections{{10, 2 * time.Minute, 48 * mib}}, 6},
		"the start of a process":         {[]collections{{20, 20 * time.Millisecond, 48 * mib}}, 6},
		"now and then much to do":        {[]collections{{20, 20 * time.Millisecond, 48 * mib}, {1, time.Second, 48 * mib}, {20, 20 * time.Millisecond, 48 * mib}}, 6},
		"much to do":                     {[]collections{busy}, 24},
		"much to do with less of it":     {[]collections{busy, {10, time.Second, 48 * mib}}, 24},
		"at rest again":                  {[]collections{busy, {1, 3 * time.Second, 48 * mib}}, 6},
		"much to do, and full caches":    {[]collections{{100, 50 * time.Millisecond, 0}}, 6},
		"much to do, and caches fill":    {[]collections{busy, {1, 50 * time.Millisecond, 4 * mib}}, 10},
		"much to do, and caches are off": {[]collections{busy, {1, 50 * time.Millisecond, 0}}, 6},
	} {
		var h headroom
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, c := range tc.all {
			for range c.many {
				now = now.Add(c.apart)
				h = h.after(now, c.unused)
			}
		}
		if h.bytes != tc.want*mib {
			t.Errorf("%s: %d MiB, want %d", name, h.bytes/mib, tc.want)
		}
	}
}

func TestHeadroomFollowsWhatIsInUse(t *testing.T) {
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	t.Setenv("GOGC", "")
	keepHeadroom(t.Context(), func() uint64 { return 0 })
	percent := func() uint64 {
		sample := []metrics.Sample{{Name: percentMetric}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	held := make([]byte, 100<<20)
	eventually(t, "a large heap grows by little", func() bool { runtime.GC(); return percent() <= 20 })
	runtime.KeepAlive(held) // and from here on no more
	eventually(t, "a small heap grows by more", func() bool { runtime.GC(); return percent() > 20 })
}

// filling are settings under which each cache holds 16 MiB.
const filling = roomyLimits + `cache:
  edge: {sizeMiB: 16, ttl: 1h}
  application: {sizeMiB: 16, ttl: 1h}
  query: {sizeMiB: 16, ttl: 1h}
`

// Caches are filled by reading, with answers, single scores and lists, by clients that do not pause. What the process holds then is what its
// caches may hold, and little beside.
func TestMemoryStaysWithinTheCaches(t *testing.T) {
	url := scorestest.URL(t)
	runSQL(t, url, fmt.Sprintf(`insert into scores (id, owner_id, title, description, tags, metadata, visibility)
		select ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'alice', 'Étude No. ' || n, repeat('long ', 200), array['study'], '{}', 'public'
		from generate_series(1, %d) n`, *memoryScores))
	g := generations(t.TempDir())
	g.put(t, 1, filling)
	process := startProcess(t, "DATABASE_URL="+url, contract.EnvSettingsDir+"="+string(g))
	pid := process.cmd.Process.Pid
	readAll(t, process.api, *memoryScores)
	held, limit := cacheBytes(t, process.ops)
	beside := memory(t, pid, "VmHWM") - limit
	t.Logf("caches of %.1f MB hold %.1f MB, and the process held %.1f MB beside them", limit, held, beside)
	if full := held > limit*3/4; full && !raceEnabled {
		results.Record(t, results.Figure{
			Name: "memory beside full caches, under load", Value: beside, Unit: "MB", Bound: "< 60",
			Command: "go test ./cmd/scores -run TestMemoryStaysWithinTheCaches -memory.scores 40000 -v",
		})
	} else if *memoryScores >= 40000 && !full {
		t.Errorf("the caches hold %.1f MB of %.1f: they are not full", held, limit)
	}
	// The detector of races keeps several bytes for each one.
	if beside > 100 && !raceEnabled {
		t.Errorf("%.1f MB beside the caches", beside)
	}
}

// readAll reads so many scores twice, and pages of lists in between.
func readAll(t *testing.T, api string, scores int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	var next atomic.Int64
	var reading sync.WaitGroup
	for range 16 {
		reading.Go(func() {
			for n := int(next.Add(1)); n <= 2*scores; n = int(next.Add(1)) {
				path := fmt.Sprintf("/api/scores/00000000-0000-4000-8000-%012x", 1+n%scores)
				if n%40 == 0 {
					path = fmt.Sprintf("/api/scores?limit=%d&page=%d", 51+n/40%50, 1+n/2000%(scores/200))
				}
				if err := read(t.Context(), client, api+path, io.Discard); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	reading.Wait()
}

func read(ctx context.Context, client *http.Client, url string, to io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(to, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	return nil
}

// cacheBytes are what all caches of a process hold, and may hold, in MB.
func cacheBytes(t *testing.T, ops string) (held, limit float64) {
	t.Helper()
	var text bytes.Buffer
	if err := read(t.Context(), http.DefaultClient, ops+contract.MetricsPath, &text); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, err := strconv.ParseFloat(number, 64)
		switch {
		case err != nil: // a comment
		case strings.HasPrefix(name, "cache_bytes{"):
			held += value / 1e6
		case strings.HasPrefix(name, "cache_max_bytes{"):
			limit += value / 1e6
		}
	}
	if limit == 0 {
		t.Fatal("the metrics do not tell of caches")
	}
	return held, limit
}
