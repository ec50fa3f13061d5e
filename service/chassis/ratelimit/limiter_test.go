package ratelimit

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is moved by hand.
type clock struct{ nanos atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// board is a Fleet in memory that hands out as the table does.
type board struct {
	mu     sync.Mutex
	clock  *clock
	rows   map[Key]*row
	failed error
	takes  int
	// processes is how many there are.
	processes int
}

type row struct {
	ends  time.Time
	taken int
}

func newBoard(c *clock) *board { return &board{clock: c, rows: map[Key]*row{}} }

// Take implements Fleet.
func (b *board) Take(_ context.Context, key Key, limit Limit, need, like int) (Lease, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.takes++
	if b.failed != nil {
		return Lease{}, b.failed
	}
	now := b.clock.now()
	r, ok := b.rows[key]
	if !ok || !now.Before(r.ends) {
		r = &row{ends: now.Add(limit.Window)}
		b.rows[key] = r
	}
	left := limit.Requests - r.taken
	units := max(0, min(left, max(need, min(like, left/10))))
	r.taken += units
	return Lease{Units: units, Left: max(0, limit.Requests-r.taken), Window: r.ends.UnixMicro(), Life: r.ends.Sub(now)}, nil
}

// GiveBack implements Fleet.
func (b *board) GiveBack(_ context.Context, rests []Rest) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rest := range rests {
		if r, ok := b.rows[rest.Key]; ok && r.ends.UnixMicro() == rest.Window {
			r.taken -= rest.Units
		}
	}
	return b.failed
}

// Join implements Fleet.
func (b *board) Join(context.Context) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.processes, b.failed
}

func (b *board) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = err
}

func (b *board) taken(key Key) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, ok := b.rows[key]; ok {
		return r.taken
	}
	return 0
}

func (b *board) asked() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.takes
}

// tally is an Observer.
type tally struct{ failed, local, decided atomic.Int64 }

func (t *tally) LimitFailed() { t.failed.Add(1) }

func (t *tally) LimitDecided(_ string, v Verdict) {
	t.decided.Add(1)
	if v.Local {
		t.local.Add(1)
	}
}

func newTestLimiter(c *clock, fleet Fleet) *Limiter {
	return New(Config{Fleet: fleet, Timeout: time.Minute, Observer: &tally{}, Logger: slog.New(slog.DiscardHandler), Now: c.now})
}

func spend(t testing.TB, l *Limiter, key Key, limit Limit) Verdict {
	t.Helper()
	v, err := l.Spend(t.Context(), key, limit)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// spendAll spends until refused and returns how often it was let through.
func spendAll(t testing.TB, l *Limiter, key Key, limit Limit) int {
	t.Helper()
	for n := 0; ; n++ {
		if !spend(t, l, key, limit).Allowed {
			return n
		}
	}
}

var alice, bob = Key{1}, Key{2}

func TestOneProcess(t *testing.T) {
	c := newClock()
	l := newTestLimiter(c, newBoard(c))
	limit := Limit{Requests: 100, Window: time.Minute}
	began := c.now()
	first := spend(t, l, alice, limit)
	if want := (Verdict{Allowed: true, Limit: 100, Remaining: 99, Reset: began.Add(time.Minute)}); first != want {
		t.Errorf("%+v, want %+v", first, want)
	}
	for want := 98; want >= 0; want-- {
		if v := spend(t, l, alice, limit); !v.Allowed || v.Remaining != want {
			t.Fatalf("%+v, want %d remaining", v, want)
		}
	}
	if v := spend(t, l, alice, limit); v.Allowed || v.Remaining != 0 || v.Reset != began.Add(time.Minute) {
		t.Errorf("%+v", v)
	}
	if !spend(t, l, bob, limit).Allowed {
		t.Error("another client is refused")
	}
	c.advance(time.Minute - 1)
	if spend(t, l, alice, limit).Allowed {
		t.Error("let through before the window ended")
	}
	c.advance(1)
	if n := spendAll(t, l, alice, limit); n != 100 {
		t.Errorf("%d in the next window", n)
	}
}

func TestOftenAskingTakesMoreAtOnce(t *testing.T) {
	c := newClock()
	b := newBoard(c)
	l := newTestLimiter(c, b)
	spendAll(t, l, alice, Limit{Requests: 1000, Window: time.Minute})
	if n := b.asked(); n > 120 {
		t.Errorf("the fleet was asked %d times for 1000 requests", n)
	}
}

// A large limit is asked for in large parts, a small one is not.
func TestLeasesFollowTheLimit(t *testing.T) {
	for requests, want := range map[int]int{1: 20, 60: 20, 2000: 20, 10_000: 100, 1_000_000: 10_000} {
		if got := (Limit{Requests: requests}).lease(); got != want {
			t.Errorf("%d requests: a lease holds %d, want %d", requests, got, want)
		}
	}
	c := newClock()
	b := newBoard(c)
	limit := Limit{Requests: 100_000, Window: time.Minute}
	if n := spendAll(t, newTestLimiter(c, b), alice, limit); n != limit.Requests {
		t.Errorf("%d of %d are let through", n, limit.Requests)
	}
	if n := b.asked(); n > 1000 {
		t.Errorf("the fleet was asked %d times for %d requests", n, limit.Requests)
	}
}

func TestWhoIsRefusedDoesNotReachTheFleet(t *testing.T) {
	c := newClock()
	b := newBoard(c)
	l := newTestLimiter(c, b)
	limit := Limit{Requests: 1, Window: time.Minute}
	spendAll(t, l, alice, limit)
	before := b.asked()
	for range 1000 {
		spend(t, l, alice, limit)
	}
	if b.asked() != before {
		t.Errorf("the fleet was asked %d times more", b.asked()-before)
	}
	c.advance(askAgain)
	spend(t, l, alice, limit)
	if b.asked() != before+1 {
		t.Error("the fleet was not asked again after a while")
	}
}

func TestWhatIsNotSpentComesBack(t *testing.T) {
	c := newClock()
	b := newBoard(c)
	one, two := newTestLimiter(c, b), newTestLimiter(c, b)
	limit := Limit{Requests: 200, Window: time.Hour}
	for range 20 {
		spend(t, one, alice, limit)
	}
	held := b.taken(alice) - 20
	if held == 0 {
		t.Fatal("no lease is ahead of what was spent: the test proves nothing")
	}
	if n := spendAll(t, two, alice, limit); n != 180-held {
		t.Errorf("the other process got %d while %d are held", n, held)
	}
	c.advance(idle)
	one.tidy(t.Context(), idle)
	two.tidy(t.Context(), idle)
	if n := spendAll(t, two, alice, limit); n != held {
		t.Errorf("%d came back, want %d", n, held)
	}
}

func TestClosingGivesEverythingBack(t *testing.T) {
	c := newClock()
	b := newBoard(c)
	l := newTestLimiter(c, b)
	for range 20 {
		spend(t, l, alice, Limit{Requests: 1000, Window: time.Hour})
	}
	l.Close(t.Context())
	if b.taken(alice) != 20 {
		t.Errorf("%d are taken after 20 requests", b.taken(alice))
	}
}

func TestLimitsChangeAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		spent    int
		next     Limit
		more     int
		tidiedUp int // what is taken in the end
	}{
		"raised":                     {30, Limit{Requests: 500, Window: time.Hour}, 470, 500},
		"lowered":                    {30, Limit{Requests: 50, Window: time.Hour}, 20, 50},
		"lowered to less than spent": {30, Limit{Requests: 10, Window: time.Hour}, 0, 30},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			b := newBoard(c)
			l := newTestLimiter(c, b)
			for range tc.spent {
				spend(t, l, alice, Limit{Requests: 400, Window: time.Hour})
			}
			got := 0
			for range 5 { // what was dropped on the way comes back in between
				got += spendAll(t, l, alice, tc.next)
				c.advance(askAgain)
				l.tidy(t.Context(), idle)
			}
			if got != tc.more || b.taken(alice) != tc.tidiedUp {
				t.Errorf("%d more let through, %d taken; want %d and %d", got, b.taken(alice), tc.more, tc.tidiedUp)
			}
		})
	}
}

func TestWithoutTheFleetEachCountsByItself(t *testing.T) {
	c := newClock()
	b := newBoard(c)
	one, two := newTestLimiter(c, b), newTestLimiter(c, b)
	limit := Limit{Requests: 10, Window: time.Hour}
	b.fail(errors.New("away"))
	for _, l := range []*Limiter{one, two} {
		before := b.asked()
		for i := range 15 {
			if v := spend(t, l, alice, limit); v.Allowed != (i < 10) || !v.Local {
				t.Errorf("request %d: %+v", i, v)
			}
		}
		if n := b.asked() - before; n != 1 {
			t.Errorf("the fleet was asked %d times while it is away", n)
		}
	}
	b.fail(nil)
	if v := spend(t, one, bob, limit); !v.Local {
		t.Error("the fleet is asked before it was left alone for a while")
	}
	c.advance(away)
	if v := spend(t, one, bob, limit); v.Local || !v.Allowed {
		t.Errorf("%+v after the fleet came back", v)
	}
}

func TestWithoutTheFleetEachLetsItsPartThrough(t *testing.T) {
	for name, tc := range map[string]struct{ processes, want int }{
		"alone":                    {1, 10},
		"one of four":              {4, 2},
		"one of more than it has":  {20, 1},
		"nobody has been heard of": {0, 10},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			b := newBoard(c)
			b.processes = tc.processes
			l := newTestLimiter(c, b)
			l.join(t.Context())
			b.fail(errors.New("away"))
			l.join(t.Context()) // what was known before still counts
			limit := Limit{Requests: 10, Window: time.Hour}
			if v := spend(t, l, alice, limit); v.Limit != 10 || !v.Local || !v.Allowed || v.Remaining != tc.want-1 {
				t.Errorf("%+v, want one of %d of a limit of 10", v, tc.want)
			}
			if n := 1 + spendAll(t, l, alice, limit); n != tc.want {
				t.Errorf("%d let through, want %d", n, tc.want)
			}
		})
	}
}

// blocked is a Fleet that answers when told to.
type blocked struct {
	*board
	entered, answer chan struct{}
}

func (b *blocked) Take(ctx context.Context, key Key, limit Limit, need, like int) (Lease, error) {
	b.entered <- struct{}{}
	<-b.answer
	return b.board.Take(ctx, key, limit, need, like)
}

func TestWhoWaitsForALeaseMayGiveUp(t *testing.T) {
	c := newClock()
	b := &blocked{board: newBoard(c), entered: make(chan struct{}, 10), answer: make(chan struct{})}
	l := newTestLimiter(c, b)
	limit := Limit{Requests: 5, Window: time.Hour}
	asker := make(chan Verdict, 1)
	go func() {
		v, _ := l.Spend(context.Background(), alice, limit)
		asker <- v
	}()
	<-b.entered
	ctx, cancel := context.WithCancel(t.Context())
	waiter := make(chan error, 1)
	go func() {
		_, err := l.Spend(ctx, alice, limit)
		waiter <- err
	}()
	cancel()
	if err := <-waiter; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(b.answer)
	if v := <-asker; !v.Allowed {
		t.Errorf("%+v", v)
	}
}

// TestNeverMoreThanTheLimit plays random histories: processes that come, die, give back and lose the fleet's answer, while limits change
// and time passes. In no window is more let through than the greatest limit that held in it.
func TestNeverMoreThanTheLimit(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 7)) // a history that can be played again
		c := newClock()
		b := newBoard(c)
		pods := make([]*Limiter, 1+random.IntN(4))
		for i := range pods {
			pods[i] = newTestLimiter(c, b)
		}
		limit := Limit{Requests: 1 + random.IntN(150), Window: time.Minute}
		greatest, passed := map[int64]int{}, map[int64]int{}
		for range 2000 {
			pod := random.IntN(len(pods))
			switch random.IntN(100) {
			case 0:
				pods[pod] = newTestLimiter(c, b) // killed with all that it held
			case 1:
				limit.Requests = 1 + random.IntN(150)
			case 2, 3:
				pods[pod].tidy(t.Context(), time.Duration(random.Int64N(int64(2*idle))))
			case 4, 5, 6:
				c.advance(time.Duration(random.Int64N(int64(5 * time.Second))))
			default:
				v := spend(t, pods[pod], alice, limit)
				window := v.Reset.UnixMicro()
				greatest[window] = max(greatest[window], limit.Requests)
				if v.Allowed {
					passed[window]++
				}
				if passed[window] > greatest[window] {
					t.Fatalf("seed %d: %d passed where %d are allowed", seed, passed[window], greatest[window])
				}
				if v.Local || v.Remaining < 0 || v.Remaining >= v.Limit && v.Allowed {
					t.Fatalf("seed %d: %+v", seed, v)
				}
			}
		}
	}
}

func TestManyGoroutinesGetExactlyTheLimit(t *testing.T) {
	c := newClock()
	b := newBoard(c)
	limit := Limit{Requests: 300, Window: time.Hour}
	var allowed atomic.Int64
	var clients sync.WaitGroup
	for range 3 {
		l := newTestLimiter(c, b)
		for range 400 {
			clients.Go(func() {
				if v, err := l.Spend(t.Context(), alice, limit); err == nil && v.Allowed {
					allowed.Add(1)
				}
			})
		}
	}
	clients.Wait()
	if allowed.Load() != 300 {
		t.Errorf("%d let through", allowed.Load())
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var tab table[*window]
	for i := range 3 * shards * maxKeys {
		tab.use(Key{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)}, newWindow, func(*window) {})
	}
	n := 0
	tab.sweep(func(Key, *window) bool { n++; return true })
	if n > shards*maxKeys {
		t.Errorf("%d keys are remembered", n)
	}
	tab.sweep(func(Key, *window) bool { t.Error("a swept key is still there"); return true })
}
