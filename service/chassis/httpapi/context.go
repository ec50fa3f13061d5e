package httpapi

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirubato/mirubato/service/chassis/timing"
)

// requestContext is the context of a request. It ends when the client goes away, at the deadline, and when the request was served, like one of
// context.WithDeadline, but begins to watch for that only once somebody waits for it: a timer costs as much as an answer that is kept
// in memory, which nobody waits for (BenchmarkRequestContext).
type requestContext struct {
	client   context.Context
	deadline time.Time
	record   *Record
	parts    *timing.Parts
	attached atomic.Pointer[attachment]

	mu      sync.Mutex // for those who begin to wait
	waiting atomic.Pointer[waiting]
	served  atomic.Bool
}

// waiting is the context of those who wait.
type waiting struct {
	context.Context
	cancel context.CancelFunc
}

// attachment is a value that a layer has attached, and those before it.
type attachment struct {
	key, value any
	before     *attachment
}

// Attach returns the request with a value under the key in its context. It spares the copy of the request that http.Request.WithContext makes
// where nobody has put a context around that of the request yet; layers outside find the value as well then.
func Attach(r *http.Request, key, value any) *http.Request {
	c, ok := r.Context().(*requestContext)
	if !ok {
		return r.WithContext(context.WithValue(r.Context(), key, value))
	}
	for {
		// Whoever was given the context may look for a value at the same time, on another goroutine.
		before := c.attached.Load()
		if c.attached.CompareAndSwap(before, &attachment{key: key, value: value, before: before}) {
			return r
		}
	}
}

// Deadline implements context.Context.
func (c *requestContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *requestContext) Done() <-chan struct{} { return c.wait().Done() }

// Err implements context.Context.
func (c *requestContext) Err() error {
	if c.waiting.Load() == nil && !c.served.Load() && c.client.Err() == nil && time.Now().Before(c.deadline) {
		return nil
	}
	return c.wait().Err() // so that it says the same from now on
}

// Value implements context.Context.
func (c *requestContext) Value(key any) any {
	switch key.(type) {
	case recordKey:
		return c.record
	case timing.Key:
		return c.parts
	}
	for a := c.attached.Load(); a != nil; a = a.before {
		if a.key == key {
			return a.value
		}
	}
	if w := c.waiting.Load(); w != nil {
		return w.Value(key) // by which package context finds that it can end those below without a goroutine
	}
	return c.client.Value(key)
}

// wait returns what ends with the request.
func (c *requestContext) wait() context.Context {
	if w := c.waiting.Load(); w != nil {
		return w
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.waiting.Load(); w != nil {
		return w
	}
	w := &waiting{}
	w.Context, w.cancel = context.WithDeadline(c.client, c.deadline)
	if c.served.Load() {
		w.cancel()
	}
	c.waiting.Store(w)
	return w
}

// end says that the request was served.
func (c *requestContext) end() {
	c.mu.Lock()
	c.served.Store(true)
	w := c.waiting.Load()
	c.mu.Unlock()
	if w != nil {
		w.cancel()
	}
}
