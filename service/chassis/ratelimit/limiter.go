// Package ratelimit bounds how many requests a client may make. It owns counting, over one process or over the fleet, who a
// client is (an account, or else an address that cannot be forged), and what an answer says of limits. How many requests there
// may be is said by the settings; which routes need a stricter limit, by the routes.
//
// A limit is N requests in a window; a window begins with the first request and the next one begins with the first request after
// its end. Over the fleet the count lies in the table rate_limits, which the migrations of the service bring. A process takes a
// lease of a few requests from there and spends it by itself, so that most requests ask no database. Taking is what counts, so
// there are never more than N in a window, whatever processes do: one that dies takes with it what is left of its lease. What is
// not spent is given back after a second. A lease ends with its window, by a clock that is read before the database was asked.
//
// While the database is away each process counts by itself, in windows of its own, and lets its part of N through: N by the number of
// processes there were when it was last heard of, at least one request. The metrics count how often.
package ratelimit

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Limit is how many requests are let through in a window.
type Limit struct {
	Requests int
	Window   time.Duration
}

// Verdict is what becomes of one request.
type Verdict struct {
	Allowed bool
	// Limit is how many requests a window has.
	Limit int
	// Remaining is how many more are let through in this window, as far as this process knows.
	Remaining int
	// Reset is when the window ends.
	Reset time.Time
	// Local says that this process alone was counted although the fleet should have been.
	Local bool
}

// lease is how many requests a process takes at once at most.
func (l Limit) lease() int { return max(minLease, l.Requests/leaseShare) }

// Key is what is counted: a limit and whom it is applied to, as a hash.
type Key [16]byte

const (
	// minLease is what the greatest lease of a small limit holds, and leaseShare which part of a large one; so much a process takes at
	// once, and so much one that dies costs.
	minLease   = 20
	leaseShare = 100
	// idle is how long a lease that nobody spends is kept.
	idle = time.Second
	// askAgain is how long a client is refused without asking whether others have given back.
	askAgain = time.Second
	// away is how long a database that failed is left alone.
	away = time.Second
	// tidyEvery is how often what is idle is looked for.
	tidyEvery = 500 * time.Millisecond
	// joinEvery is how often a process says that it is there, and present how long the others take it at its word.
	joinEvery = 5 * time.Second
	present   = 3 * joinEvery
)

// Fleet is where the processes of the fleet count together. Its methods are called by many goroutines.
type Fleet interface {
	// Take takes a lease: need requests if there are as many left, and up to like where that leaves plenty to others.
	Take(ctx context.Context, key Key, limit Limit, need, like int) (Lease, error)
	// GiveBack gives back what is left of leases. It does so at most once, or others could spend it twice.
	GiveBack(ctx context.Context, rests []Rest) error
	// Join says that this process counts, for some seconds to come, and returns how many do, itself included.
	Join(ctx context.Context) (processes int, err error)
}

// Lease is a part of a limit that one process may spend.
type Lease struct {
	// Units are the requests in it, 0 if nothing is left.
	Units int
	// Left is how many requests of the window nobody has taken.
	Left int
	// Window identifies the window among those of the key.
	Window int64
	// Life is how long the window lasts from when the lease was asked for.
	Life time.Duration
}

// Rest is what is left of a lease.
type Rest struct {
	Key    Key
	Window int64
	Units  int
}

// Observer measures the limiter. It is called by many goroutines.
type Observer interface {
	// LimitFailed is called when the fleet could not be asked.
	LimitFailed()
	// LimitDecided is called once for each limit that a request meets; name is that of the limit.
	LimitDecided(name string, v Verdict)
}

// Config says how a Limiter counts over the fleet. All fields are required.
type Config struct {
	Fleet Fleet
	// Timeout is how long the fleet is waited for.
	Timeout  time.Duration
	Observer Observer
	Logger   *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Limiter counts. It may be used by many goroutines.
type Limiter struct {
	cfg     Config
	gate    gate
	leases  table[*account]
	windows table[*window]
	// processes is how many count over the fleet, as far as is known; 0 as long as nothing is.
	processes atomic.Int64

	mu    sync.Mutex
	rests []Rest // to be given back
}

// New returns a limiter. Run it, so that it gives back what it does not use.
func New(cfg Config) *Limiter { return &Limiter{cfg: cfg} }

// spendShare counts one request of a limit of the fleet while the fleet cannot be asked: this process lets its part through.
func (l *Limiter) spendShare(key Key, limit Limit) Verdict {
	share := limit
	share.Requests = max(1, limit.Requests/max(1, int(l.processes.Load())))
	v := l.SpendLocal(key, share)
	v.Limit, v.Local = limit.Requests, true
	return v
}

// SpendLocal counts one request in this process alone.
func (l *Limiter) SpendLocal(key Key, limit Limit) Verdict {
	now := l.cfg.Now()
	var v Verdict
	l.windows.use(key, newWindow, func(w *window) { v = w.spend(now, limit) })
	return v
}

// Spend counts one request over the fleet. Its error is that of ctx, which ended while the fleet was asked.
func (l *Limiter) Spend(ctx context.Context, key Key, limit Limit) (Verdict, error) {
	var a *account
	l.leases.use(key, newAccount, func(found *account) { a = found })
	a.mu.Lock()
	defer a.mu.Unlock()
	for ctx.Err() == nil {
		now := l.cfg.Now()
		if dropped := a.settle(now, limit); dropped.Units > 0 {
			l.giveBackLater(key, dropped)
		}
		if v, decided := a.decide(now); decided {
			return v, nil
		}
		if a.asking != nil {
			if err := a.wait(ctx); err != nil {
				return Verdict{}, err
			}
			continue
		}
		if !l.gate.enter(now) {
			return l.spendShare(key, limit), nil
		}
		l.ask(ctx, key, a, limit)
	}
	return Verdict{}, ctx.Err()
}

// ask takes a lease, for the caller and those who wait. It is called, and returns, with the account locked.
func (l *Limiter) ask(ctx context.Context, key Key, a *account, limit Limit) {
	need, like := a.wants()
	asking := make(chan struct{})
	a.asking = asking
	a.mu.Unlock()
	asked := l.cfg.Now()
	// What is taken is for others too, so it does not end with the request that asks.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Timeout)
	lease, err := l.cfg.Fleet.Take(ctx, key, limit, need, like)
	cancel()
	if changed := l.gate.leave(l.cfg.Now(), err == nil); changed && err == nil {
		l.cfg.Logger.InfoContext(ctx, "Counting requests over the fleet again")
	} else if changed {
		l.cfg.Logger.WarnContext(ctx, "Counting requests in this process alone", "error", err.Error())
	}
	if err != nil {
		l.cfg.Observer.LimitFailed()
	}
	a.mu.Lock()
	a.asking = nil
	close(asking)
	if err == nil {
		a.credit(asked, limit, lease)
	}
}

// Run gives back leases that nobody spends, forgets clients that are gone, and keeps count of the processes of the fleet, until ctx ends.
func (l *Limiter) Run(ctx context.Context) {
	tidying, joining := time.NewTicker(tidyEvery), time.NewTicker(joinEvery)
	defer tidying.Stop()
	defer joining.Stop()
	l.join(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tidying.C:
			l.tidy(ctx, idle)
		case <-joining.C:
			l.join(ctx)
		}
	}
}

// join asks how many processes there are. Where that is not to be had, what was known before is the best guess.
func (l *Limiter) join(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	if n, err := l.cfg.Fleet.Join(ctx); err == nil {
		l.processes.Store(int64(n))
	} else {
		l.cfg.Logger.DebugContext(ctx, "Counting the processes of the fleet", "error", err.Error())
	}
}

// Close gives back everything. Call it when no more requests are served.
func (l *Limiter) Close(ctx context.Context) { l.tidy(ctx, 0) }

// tidy gives back what nobody has used for a while.
func (l *Limiter) tidy(ctx context.Context, unused time.Duration) {
	now := l.cfg.Now()
	l.windows.sweep(func(_ Key, w *window) bool { return w.isOver(now) })
	l.leases.sweep(func(key Key, a *account) bool {
		rest, done := a.tidy(now, unused)
		if rest.Units > 0 {
			l.giveBackLater(key, rest)
		}
		return done
	})
	l.mu.Lock()
	rests := l.rests
	l.rests = nil
	l.mu.Unlock()
	if len(rests) == 0 || !l.gate.isOpen(now) {
		return // what is not given back ends with its window
	}
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
	defer cancel()
	if err := l.cfg.Fleet.GiveBack(ctx, rests); err != nil {
		l.cfg.Logger.WarnContext(ctx, "Giving back requests", "error", err.Error())
	}
}

func (l *Limiter) giveBackLater(key Key, rest Rest) {
	rest.Key = key
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rests = append(l.rests, rest)
}

// gate leaves a fleet alone that failed, and then lets one through to try.
type gate struct {
	mu     sync.Mutex
	shut   bool
	until  time.Time
	trying bool
}

// enter reports whether the fleet may be asked; who enters leaves.
func (g *gate) enter(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.shut {
		return true
	}
	if g.trying || now.Before(g.until) {
		return false
	}
	g.trying = true
	return true
}

// leave says how it went, and reports whether that was news.
func (g *gate) leave(now time.Time, well bool) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	changed = g.shut == well
	g.shut, g.trying = !well, false
	if !well {
		g.until = now.Add(away)
	}
	return changed
}

func (g *gate) isOpen(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.shut || !now.Before(g.until)
}
