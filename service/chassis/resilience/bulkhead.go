package resilience

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// ErrFull is the cause of a refusal by a Bulkhead.
var ErrFull = errors.New("as many calls as may be made at once are being made")

// Limits are the values of a Bulkhead.
type Limits struct {
	// Concurrency is how many calls are made at once, at least 1.
	Concurrency int
	// Wait is how long a call waits for its turn before it is refused; 0 is not at all. A call whose deadline is earlier
	// waits until then.
	Wait time.Duration
}

// Bulkhead bounds how many calls are made at once. Several Shields may share one. It may be used by many goroutines.
type Bulkhead struct {
	limits func() Limits

	mu      sync.Mutex
	current atomic.Pointer[slots]
}

// NewBulkhead returns a bulkhead whose limits are read for each call. When the number of calls changes, those that are
// being made are not counted among the new number, so for a moment there may be more.
func NewBulkhead(limits func() Limits) *Bulkhead { return &Bulkhead{limits: limits} }

type slots struct {
	*semaphore.Weighted
	size int
}

func (s *slots) leave() { s.Release(1) }

func (b *Bulkhead) ofSize(size int) *slots {
	if s := b.current.Load(); s != nil && s.size == size {
		return s
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.current.Load(); s != nil && s.size == size {
		return s
	}
	s := &slots{Weighted: semaphore.NewWeighted(int64(size)), size: size}
	b.current.Store(s)
	return s
}

// enter returns the slots of which the caller holds one and must leave it. The error is ErrFull, or the context's when
// that has ended.
func (b *Bulkhead) enter(ctx context.Context) (*slots, error) {
	limits := b.limits()
	s := b.ofSize(max(limits.Concurrency, 1))
	if s.TryAcquire(1) {
		return s, nil
	}
	if limits.Wait <= 0 {
		return nil, ErrFull
	}
	waiting, cancel := context.WithTimeout(ctx, limits.Wait)
	defer cancel()
	if s.Acquire(waiting, 1) == nil {
		return s, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, ErrFull
}
