package watchdog

import (
	"context"
	"errors"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const patience = time.Minute

// bench is a Watchdog with everything around it in the test's hands.
type bench struct {
	watchdog *Watchdog
	now      time.Time
	depth    int
	// begun receives a value when a reconcile is under way.
	begun chan struct{}
	// release ends the reconciles that are under way, one for each value.
	release chan error
	// ended receives what each of them returned.
	ended chan error
}

func newBench() *bench {
	b := &bench{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), begun: make(chan struct{}), release: make(chan error), ended: make(chan error)}
	inner := reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) {
		b.begun <- struct{}{}
		return reconcile.Result{}, <-b.release
	})
	b.watchdog = New(inner, func() int { return b.depth }, patience, func() time.Time { return b.now })
	return b
}

// begin starts a reconcile and returns when it is under way.
func (b *bench) begin(t testing.TB) {
	t.Helper()
	go func() {
		_, err := b.watchdog.Reconcile(t.Context(), reconcile.Request{})
		b.ended <- err
	}()
	<-b.begun
}

func (b *bench) end() {
	b.release <- nil
	<-b.ended
}

func (b *bench) pass(d time.Duration) { b.now = b.now.Add(d) }

func (b *bench) expect(t testing.TB, healthy bool, when string) {
	t.Helper()
	if err := b.watchdog.Check(nil); (err == nil) != healthy {
		t.Errorf("%s: healthy = %t, want %t (%v)", when, err == nil, healthy, err)
	}
}

func TestAnIdleControllerIsHealthyForEver(t *testing.T) {
	b := newBench()
	b.expect(t, true, "at the start")
	b.pass(24 * time.Hour)
	b.expect(t, true, "after a day without work")
}

func TestAReconcileThatNeverEndsIsNoticed(t *testing.T) {
	b := newBench()
	b.pass(time.Hour)
	b.begin(t)
	b.expect(t, true, "when it has just begun")
	b.pass(patience)
	b.expect(t, true, "at the end of the patience")
	b.pass(time.Second)
	b.expect(t, false, "after the patience")
	b.end()
	b.expect(t, true, "when it has ended after all")
}

func TestAQueueThatNobodyWorksOffIsNoticed(t *testing.T) {
	b := newBench()
	b.pass(time.Hour)
	b.depth = 3
	b.expect(t, true, "when the queue is first seen")
	b.pass(patience + time.Second)
	b.expect(t, false, "after the patience")
	b.depth = 0
	b.expect(t, true, "when the queue is empty")
	b.depth = 1
	b.expect(t, true, "when new work has come, which has not waited yet")
}

func TestALongQueueIsHealthyWhileItMoves(t *testing.T) {
	b := newBench()
	b.depth = 100
	for range 10 {
		b.begin(t)
		b.pass(patience - time.Second)
		b.expect(t, true, "while one is under way")
		b.end()
		b.pass(2 * time.Second)
		b.expect(t, true, "between two")
	}
}

func TestOneWorkerThatMovesIsEnough(t *testing.T) {
	b := newBench()
	b.begin(t)
	for range 3 {
		b.pass(patience - time.Second)
		b.begin(t)
		b.end()
		b.expect(t, true, "while another worker ends what it begins")
	}
	b.pass(patience + time.Second)
	b.expect(t, false, "when nothing moves any more")
	b.end()
	b.expect(t, true, "when nothing is under way any more")
}

func TestWorkAfterARestInWhichNobodyAskedIsHealthy(t *testing.T) {
	b := newBench()
	b.begin(t)
	b.end()
	b.pass(time.Hour)
	b.begin(t)
	b.expect(t, true, "at the first question after an hour")
	b.end()
}

func TestReconcilePassesThrough(t *testing.T) {
	wanted := errors.New("wanted")
	inner := reconcile.Func(func(_ context.Context, req reconcile.Request) (reconcile.Result, error) {
		if req.Name != "scores" {
			t.Errorf("request = %v", req)
		}
		return reconcile.Result{RequeueAfter: time.Second}, wanted
	})
	w := New(inner, func() int { return 0 }, patience, time.Now)
	request := reconcile.Request{}
	request.Name = "scores"
	result, err := w.Reconcile(t.Context(), request)
	if result.RequeueAfter != time.Second || !errors.Is(err, wanted) {
		t.Errorf("result = %v, err = %v", result, err)
	}
}

func TestAPanicCountsAsAnEnd(t *testing.T) {
	inner := reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) { panic("no") })
	w := New(inner, func() int { return 0 }, patience, time.Now)
	func() {
		defer func() { _ = recover() }()
		_, _ = w.Reconcile(t.Context(), reconcile.Request{})
	}()
	if w.running != 0 {
		t.Errorf("%d reconciles are under way after a panic", w.running)
	}
}
