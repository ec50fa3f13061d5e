package ratelimit

import (
	"context"
	"sync"
	"time"
)

// account is what this process holds of one key's limit. Its methods but wait and tidy only compute; they are called with mu
// held.
type account struct {
	mu sync.Mutex
	// limit is what the leases were taken under.
	limit Limit
	// units may be spent until ends, which is the end of window.
	units  int
	window int64
	ends   time.Time
	// left is what nobody had taken when last asked.
	left int
	// refused is until when nothing is to be had.
	refused time.Time
	// grown is how much the last lease was meant to be; who asks often takes more at once.
	grown int
	used  time.Time

	// asking is closed when the lease that is being asked for has come; nil if none is.
	asking  chan struct{}
	waiting int
}

func newAccount() *account { return &account{} }

// settle forgets what no longer holds and returns what has to be given back of it.
func (a *account) settle(now time.Time, limit Limit) Rest {
	a.used = now
	over := !now.Before(a.ends)
	if !over && a.limit == limit {
		return Rest{}
	}
	rest := Rest{Window: a.window, Units: a.units}
	if over {
		rest.Units = 0
		a.grown = 0
	}
	a.limit, a.units, a.left, a.ends, a.refused = limit, 0, 0, time.Time{}, time.Time{}
	return rest
}

// decide spends a unit, or refuses where it is known that there is none. Otherwise a lease must be asked for.
func (a *account) decide(now time.Time) (v Verdict, decided bool) {
	v = Verdict{Limit: a.limit.Requests, Reset: a.ends}
	switch {
	case a.units > 0:
		a.units--
		v.Allowed, v.Remaining = true, a.units+a.left
		return v, true
	case now.Before(a.refused):
		return v, true
	}
	return Verdict{}, false
}

// wants says how much to ask for: as much as is waited for, or twice as much as last time.
func (a *account) wants() (need, like int) {
	most := a.limit.lease()
	a.grown = min(max(1, 2*a.grown), most)
	return min(a.waiting+1, most), a.grown
}

// credit adds a lease that was asked for at a time.
func (a *account) credit(asked time.Time, limit Limit, lease Lease) {
	if a.window != lease.Window || a.limit != limit {
		a.units = 0 // of a window that is over
	}
	a.limit, a.window, a.ends, a.left = limit, lease.Window, asked.Add(lease.Life), lease.Left
	a.units += lease.Units
	if lease.Units == 0 {
		a.refused = asked.Add(min(askAgain, lease.Life))
	}
}

// wait waits for the lease that another request is asking for.
func (a *account) wait(ctx context.Context) error {
	asking := a.asking
	a.waiting++
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.waiting--
	}()
	select {
	case <-asking:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tidy takes out what nobody has used for a while, and reports whether the account is worth nothing any more.
func (a *account) tidy(now time.Time, unused time.Duration) (rest Rest, done bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asking != nil || a.waiting > 0 || now.Sub(a.used) < unused {
		return Rest{}, false
	}
	if now.Before(a.ends) {
		rest = Rest{Window: a.window, Units: a.units}
	}
	a.units, a.grown = 0, 0
	return rest, !now.Before(a.refused)
}

// window counts in this process alone.
type window struct {
	ends  time.Time
	taken int
}

func newWindow() *window { return &window{} }

func (w *window) isOver(now time.Time) bool { return !now.Before(w.ends) }

func (w *window) spend(now time.Time, limit Limit) Verdict {
	if w.isOver(now) {
		*w = window{ends: now.Add(limit.Window)}
	}
	v := Verdict{Limit: limit.Requests, Reset: w.ends, Allowed: w.taken < limit.Requests}
	if v.Allowed {
		w.taken++
	}
	v.Remaining = max(0, limit.Requests-w.taken)
	return v
}
