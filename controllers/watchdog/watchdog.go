// Package watchdog notices a controller that has stopped working although its process lives: work is queued or under way
// and none of it has been begun or finished for long. It owns that judgement and nothing else; the liveness probe asks it.
//
// An idle controller is healthy however long it has been idle, which is why the time of the last reconcile alone would
// not do.
package watchdog

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Watchdog wraps a reconciler and watches it. It is safe for concurrent use.
type Watchdog struct {
	inner reconcile.Reconciler
	// depth returns how many requests wait in the queue.
	depth func() int
	now   func() time.Time
	// patience is how long queued or running work may go without any of it being begun or finished.
	patience time.Duration

	mu       sync.Mutex
	running  int
	progress time.Time
	idle     bool
}

// New returns a Watchdog over inner. depth tells the length of its queue.
func New(inner reconcile.Reconciler, depth func() int, patience time.Duration, now func() time.Time) *Watchdog {
	return &Watchdog{inner: inner, depth: depth, now: now, patience: patience, progress: now(), idle: true}
}

// Reconcile calls the wrapped reconciler.
func (w *Watchdog) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	w.started()
	defer w.finished()
	return w.inner.Reconcile(ctx, req)
}

func (w *Watchdog) started() {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A request that was taken from the queue is progress as well; and work that starts after a long rest has not been held
	// up yet, even if nobody asked in between.
	w.progress, w.idle = w.now(), false
	w.running++
}

func (w *Watchdog) finished() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running--
	w.progress = w.now()
}

// Check fails if there is work and none of it has been begun or finished for longer than the patience. It is a
// healthz.Checker.
func (w *Watchdog) Check(*http.Request) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	queued := w.depth()
	if w.running == 0 && queued == 0 {
		w.idle = true
		return nil
	}
	if w.idle {
		w.progress, w.idle = w.now(), false
	}
	if stuck := w.now().Sub(w.progress); stuck > w.patience {
		return fmt.Errorf("no reconcile has begun or finished for %s, with %d under way and %d queued", stuck.Round(time.Second), w.running, queued)
	}
	return nil
}
