package resilience_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/resilience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is an error that says what it tells.
type told resilience.Outcome

func (told) Error() string { return "told" }

func judge(err error) resilience.Outcome {
	if o, ok := errors.AsType[told](err); ok {
		return resilience.Outcome(o)
	}
	return resilience.Failed
}

// counts is an Observer.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) CallRetried(string)           { c.add("retried") }
func (c *counts) CallRefused(_, reason string) { c.add(reason) }
func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[what]++
}

func (c *counts) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[what]
}

// world is a shield whose values can be changed.
type world struct {
	*resilience.Shield
	counts *counts
	log    *bytes.Buffer
	policy atomic.Pointer[resilience.Policy]
	limits atomic.Pointer[resilience.Limits]
}

func usual() resilience.Policy {
	return resilience.Policy{
		Timeout: time.Minute, Retries: 2, RetryBudget: 100,
		Breaker: resilience.Breaker{FailurePercent: 50, MinimumCalls: 1000, Window: time.Minute, OpenFor: time.Hour},
	}
}

func newWorld(policy resilience.Policy) *world {
	w := &world{counts: &counts{n: map[string]int{}}, log: &bytes.Buffer{}}
	w.policy.Store(&policy)
	w.limits.Store(&resilience.Limits{Concurrency: 100})
	w.Shield = resilience.New(resilience.Config{
		Dependency: "database", Policy: func() resilience.Policy { return *w.policy.Load() },
		Bulkhead: resilience.NewBulkhead(func() resilience.Limits { return *w.limits.Load() }),
		Judge:    judge, Observer: w.counts, Logger: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	return w
}

func TestWhatIsTriedAgain(t *testing.T) {
	lost, undone, away, failed, served := told(resilience.Lost), told(resilience.RolledBack), told(resilience.NotReached), told(resilience.Failed), told(resilience.Served)
	for name, tc := range map[string]struct {
		repeatable bool
		answers    []error
		want       error
		calls      int
	}{
		"what goes well is done once":                  {answers: []error{nil}, calls: 1},
		"a refusal is an answer":                       {repeatable: true, answers: []error{served}, want: served, calls: 1},
		"a lost read is read again":                    {repeatable: true, answers: []error{lost, nil}, calls: 2},
		"a lost write may have been done":              {answers: []error{lost}, want: lost, calls: 1},
		"a deadlock undid the write":                   {answers: []error{undone, undone, nil}, calls: 3},
		"nothing was sent":                             {answers: []error{away, nil}, calls: 2},
		"what was too slow would be too slow again":    {repeatable: true, answers: []error{failed}, want: failed, calls: 1},
		"trying ends, with the error of the last time": {repeatable: true, answers: []error{lost, lost, away}, want: away, calls: 3},
	} {
		t.Run(name, func(t *testing.T) {
			w, calls := newWorld(usual()), 0
			err := w.Do(t.Context(), tc.repeatable, func(context.Context) error {
				calls++
				return tc.answers[calls-1]
			})
			if !errors.Is(err, tc.want) || calls != tc.calls {
				t.Errorf("%v after %d calls, want %v after %d", err, calls, tc.want, tc.calls)
			}
			if got := w.counts.of("retried"); got != tc.calls-1 {
				t.Errorf("%d retries counted, want %d", got, tc.calls-1)
			}
		})
	}
}

func TestBudgetBoundsRetries(t *testing.T) {
	policy := usual()
	policy.RetryBudget = 10
	w := newWorld(policy)
	calls := 0
	const asked = 200
	for range asked {
		_ = w.Do(t.Context(), true, func(context.Context) error {
			calls++
			return told(resilience.RolledBack)
		})
	}
	// Ten are there from the start, and each call earns a tenth.
	if retries := calls - asked; retries < 10 || retries > 10+asked/10 {
		t.Errorf("%d retries for %d calls, want from 10 to %d", retries, asked, 10+asked/10)
	}
	if w.counts.of(resilience.RefusedBudget) == 0 {
		t.Error("the retries that were not made are not counted")
	}
}

func TestNoRetryBeyondTheDeadline(t *testing.T) {
	w := newWorld(usual())
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	calls := 0
	err := w.Do(ctx, true, func(context.Context) error {
		calls++
		return told(resilience.Lost)
	})
	if calls != 1 || !errors.Is(err, told(resilience.Lost)) {
		t.Errorf("%d calls, %v; want one, and its own error", calls, err)
	}
}

// open lets the breaker of w open.
func open(t *testing.T, w *world) {
	t.Helper()
	for range 1000 {
		if w.State() == resilience.Open {
			return
		}
		_ = w.Do(t.Context(), false, func(context.Context) error { return told(resilience.Failed) })
	}
	t.Fatal("the breaker does not open")
}

func TestBreakerOpensAndClosesAgain(t *testing.T) {
	policy := usual()
	policy.Breaker.MinimumCalls = 5
	w := newWorld(policy)
	open(t, w)
	calls := 0
	count := func(context.Context) error {
		calls++
		return nil
	}
	err := w.Do(t.Context(), true, count)
	if calls != 0 || !errors.Is(err, resilience.ErrOpen) || fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("open: %d calls, %v", calls, err)
	}
	if after := fault.Of(err).RetryAfter; after <= 0 || after > time.Hour {
		t.Errorf("try again after %s, want what is left of an hour", after)
	}
	if w.counts.of("retried") != 0 || w.counts.of(resilience.RefusedOpen) != 1 {
		t.Errorf("counted %v, want one refusal and no retry", w.counts.n)
	}

	// With other values it begins anew; these let it probe at once.
	policy.Breaker.OpenFor = time.Nanosecond
	w.policy.Store(&policy)
	open2 := func() {
		for range 5 {
			_ = w.Do(t.Context(), false, func(context.Context) error { return told(resilience.Failed) })
		}
	}
	open2()
	if got := w.State(); got != resilience.HalfOpen {
		t.Errorf("after its time: %s, want half open", got)
	}
	for range 3 {
		if err := w.Do(t.Context(), true, count); err != nil {
			t.Errorf("probing: %v", err)
		}
	}
	if got := w.State(); got != resilience.Closed || calls != 3 {
		t.Errorf("after %d good probes: %s, want closed", calls, got)
	}
	if log := w.log.String(); !strings.Contains(log, "Opening breaker") || !strings.Contains(log, "Closing breaker") {
		t.Errorf("logged %q", log)
	}
}

func TestOnlyTheDependencyOpensABreaker(t *testing.T) {
	policy := usual()
	policy.Breaker.MinimumCalls, policy.Retries = 2, 0
	for name, outcome := range map[string]resilience.Outcome{
		"answers": resilience.Served, "what was undone": resilience.RolledBack, "callers who left": resilience.Abandoned,
	} {
		w := newWorld(policy)
		for range 50 {
			_ = w.Do(t.Context(), true, func(context.Context) error { return told(outcome) })
		}
		if got := w.State(); got != resilience.Closed {
			t.Errorf("after %s: %s", name, got)
		}
	}
	w := newWorld(policy)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		_ = w.Do(gone, true, func(context.Context) error { return told(resilience.Lost) })
	}
	if got := w.State(); got != resilience.Closed {
		t.Errorf("after callers went away during the call: %s", got)
	}
}

func TestEachAttemptHasItsOwnDeadline(t *testing.T) {
	policy := usual()
	policy.Timeout = 50 * time.Millisecond
	w := newWorld(policy)
	calls := 0
	err := w.Do(t.Context(), true, func(ctx context.Context) error {
		calls++
		if calls == 3 {
			return ctx.Err()
		}
		<-ctx.Done()
		return told(resilience.Lost)
	})
	if err != nil || calls != 3 {
		t.Errorf("%v after %d calls, want the third to go well", err, calls)
	}
}

func TestPanicCountsAndGoesOn(t *testing.T) {
	policy := usual()
	policy.Breaker.MinimumCalls = 1
	w := newWorld(policy)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		_ = w.Do(t.Context(), true, func(context.Context) error { panic("broken") })
	}()
	if got := w.State(); got != resilience.Open {
		t.Errorf("after a panic: %s", got)
	}
	policy.Breaker.MinimumCalls = 1000
	w.policy.Store(&policy)
	w.limits.Store(&resilience.Limits{Concurrency: 100})
	if err := w.Do(t.Context(), true, func(context.Context) error { return nil }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// hold occupies a slot of w until the function it returns is called.
func hold(t *testing.T, w *world) (release func()) {
	t.Helper()
	entered, end := make(chan struct{}), make(chan struct{})
	var held sync.WaitGroup
	held.Go(func() {
		if err := w.Do(t.Context(), false, func(context.Context) error {
			close(entered)
			<-end
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-entered
	return func() {
		close(end)
		held.Wait()
	}
}

func TestBulkhead(t *testing.T) {
	w := newWorld(usual())
	nothing := func(context.Context) error { return nil }
	w.limits.Store(&resilience.Limits{Concurrency: 1})
	release := hold(t, w)

	err := w.Do(t.Context(), true, nothing)
	if !errors.Is(err, resilience.ErrFull) || fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("full, without waiting: %v", err)
	}
	w.limits.Store(&resilience.Limits{Concurrency: 1, Wait: 20 * time.Millisecond})
	if err := w.Do(t.Context(), true, nothing); !errors.Is(err, resilience.ErrFull) {
		t.Errorf("full, after waiting: %v", err)
	}
	w.limits.Store(&resilience.Limits{Concurrency: 1, Wait: time.Hour})
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := w.Do(short, true, nothing); fault.CodeOf(err) != fault.Timeout {
		t.Errorf("full, until the deadline: %v", err)
	}
	waited := make(chan error)
	go func() { waited <- w.Do(t.Context(), true, nothing) }()
	release()
	if err := <-waited; err != nil {
		t.Errorf("after a slot became free: %v", err)
	}

	release = hold(t, w)
	w.limits.Store(&resilience.Limits{Concurrency: 2})
	if err := w.Do(t.Context(), true, nothing); err != nil {
		t.Errorf("with more slots than before: %v", err)
	}
	release()
	if got := w.State(); got != resilience.Closed || w.counts.of(resilience.RefusedFull) != 2 {
		t.Errorf("%s, counted %v", got, w.counts.n)
	}
}

func TestBulkheadIsNeverExceeded(t *testing.T) {
	w := newWorld(usual())
	w.limits.Store(&resilience.Limits{Concurrency: 3, Wait: time.Minute})
	var now, exceeded atomic.Int64
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if err := w.Do(t.Context(), false, func(context.Context) error {
				if now.Add(1) > 3 {
					exceeded.Add(1)
				}
				runtime.Gosched()
				now.Add(-1)
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := exceeded.Load(); got != 0 {
		t.Errorf("%d times more than 3 calls at once", got)
	}
}

func TestShedding(t *testing.T) {
	var most, shed atomic.Int64
	most.Store(1)
	entered, end := make(chan struct{}), make(chan struct{})
	s := resilience.NewShedding(func() int { return int(most.Load()) }, func() { shed.Add(1) })
	h := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-end
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	ask := func(path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return rec
	}
	var slow sync.WaitGroup
	slow.Go(func() { ask("/slow") })
	<-entered
	got := map[string]int{}
	for _, path := range []string{"/api/scores", "/livez", "/readyz", "/health"} {
		got[path] = ask(path).Code
	}
	want := map[string]int{"/api/scores": 503, "/livez": 204, "/readyz": 204, "/health": 204}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if after := ask("/api/scores").Header().Get("Retry-After"); after != "1" || shed.Load() != 2 {
		t.Errorf("Retry-After %q, %d counted; want 1 and 2", after, shed.Load())
	}
	most.Store(2)
	if code := ask("/api/scores").Code; code != 204 {
		t.Errorf("with a higher limit: %d", code)
	}
	close(end)
	slow.Wait()
	most.Store(1)
	if code := ask("/api/scores").Code; code != 204 {
		t.Errorf("afterwards: %d", code)
	}
}
