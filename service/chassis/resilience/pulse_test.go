package resilience_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/resilience"
)

// heart is a dependency that answers as it is told to.
type heart struct {
	*resilience.Pulse
	answers atomic.Bool
	asked   atomic.Int64
}

// newHeart returns one that answers and is watched until the test ends. It is called in a bubble of synctest.
func newHeart(t *testing.T) *heart {
	t.Helper()
	h := &heart{Pulse: resilience.NewPulse("database", judge, slog.New(slog.DiscardHandler))}
	h.answers.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.Run(ctx, func(ctx context.Context) error {
			h.asked.Add(1)
			if h.answers.Load() {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	t.Cleanup(func() { stop(); <-ended })
	synctest.Wait() // it has been answered once
	return h
}

// call makes a call that is answered after so long.
func (h *heart) call(ctx context.Context, after time.Duration) error {
	return h.Do(ctx, false, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return told(resilience.Lost)
		case <-time.After(after):
			return nil
		}
	})
}

func (h *heart) isStill(ctx context.Context) bool {
	return errors.Is(h.call(ctx, 0), resilience.ErrStill)
}

func TestStandingStillIsFoundWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeart(t)
		shield := resilience.New(resilience.Config{
			Dependency: "database reads", Policy: usual, Judge: judge, Observer: &counts{n: map[string]int{}},
			Bulkhead: resilience.NewBulkhead(func() resilience.Limits { return resilience.Limits{Concurrency: 1} }),
			Logger:   slog.New(slog.DiscardHandler), Pulse: h.Pulse,
		})
		h.answers.Store(false)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = h.call(ctx, time.Hour) }()
		time.Sleep(time.Second)
		if got := shield.State(); got != resilience.Open {
			t.Errorf("after a second: %s, want open", got)
		}
		err := shield.Do(t.Context(), true, func(context.Context) error { t.Error("it is called"); return nil })
		if !errors.Is(err, resilience.ErrOpen) || fault.CodeOf(err) != fault.Unavailable || fault.Of(err).RetryAfter <= 0 {
			t.Errorf("refused with %v", err)
		}
		time.Sleep(30 * time.Second)
		if !h.isStill(t.Context()) {
			t.Error("it is thought to answer again")
		}
		h.answers.Store(true)
		time.Sleep(2 * time.Second) // for a question that was asked right before, and one more
		if got := shield.State(); got != resilience.Closed || h.isStill(t.Context()) {
			t.Errorf("two seconds after its return: %s, want closed", got)
		}
	})
}

func TestWhatDoesNotStandStill(t *testing.T) {
	for name, tc := range map[string]struct {
		answers bool          // the question
		calls   time.Duration // how long each takes; 0 is that there are none
	}{
		"slow calls to what answers a question":     {answers: true, calls: 10 * time.Second},
		"calls that are answered, and no question":  {calls: 100 * time.Millisecond},
		"nobody calls, so nobody knows, nor has to": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHeart(t)
				h.answers.Store(tc.answers)
				for begun := time.Now(); tc.calls > 0 && time.Since(begun) < 20*time.Second; {
					if err := h.call(t.Context(), tc.calls); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(10 * time.Second)
				if h.isStill(t.Context()) {
					t.Error("it is thought to stand still")
				}
				if asked := h.asked.Load(); tc.calls == 0 && asked > 1 { // once at the beginning
					t.Errorf("asked %d times for nobody", asked)
				}
			})
		})
	}
}

func TestWhoIsKeptFromRunningBlamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := resilience.NewPulse("database", judge, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		var asked atomic.Int64
		go p.Run(ctx, func(ctx context.Context) error {
			asked.Add(1)
			<-ctx.Done()
			time.Sleep(time.Second) // the process goes on a second late
			return ctx.Err()
		})
		go func() { _ = p.Do(ctx, false, waitForEnd) }()
		for range 10 {
			time.Sleep(time.Second)
			if err := p.Do(ctx, false, func(context.Context) error { return told(resilience.Lost) }); errors.Is(err, resilience.ErrStill) {
				t.Error("the dependency is blamed")
			}
		}
		stop()
		synctest.Wait()
		time.Sleep(2 * time.Second) // until the last question is over
		if asked.Load() == 0 {
			t.Error("nothing was asked")
		}
	})
}

// A question that is not answered costs the connection, so that the next begins with making one.
func TestWhatAnswersLateAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := resilience.NewPulse("database", judge, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		var answers atomic.Bool
		go p.Run(ctx, func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(700 * time.Millisecond):
				if answers.Load() {
					return nil
				}
				return waitForEnd(ctx)
			}
		})
		go func() { _ = p.Do(ctx, false, waitForEnd) }()
		refused := func() bool {
			return errors.Is(p.Do(ctx, false, func(context.Context) error { return told(resilience.Lost) }), resilience.ErrStill)
		}
		time.Sleep(5 * time.Second)
		if !refused() {
			t.Error("it stands still, and nobody says so")
		}
		answers.Store(true)
		time.Sleep(4 * time.Second)
		if refused() {
			t.Error("it answers within a second, and nobody notices")
		}
		stop()
		synctest.Wait()
	})
}

// Where everything has just been started, connections take long to make, that of the question as well.
func TestTheFirstConnectionMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := resilience.NewPulse("database", judge, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		var connected atomic.Bool
		go p.Run(ctx, func(ctx context.Context) error {
			if connected.Load() {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(900 * time.Millisecond):
				connected.Store(true)
				return nil
			}
		})
		go func() { _ = p.Do(ctx, false, waitForEnd) }()
		for range 100 {
			time.Sleep(20 * time.Millisecond)
			if err := p.Do(ctx, false, func(context.Context) error { return told(resilience.Lost) }); errors.Is(err, resilience.ErrStill) {
				t.Fatal("it is thought to stand still")
			}
		}
		if !connected.Load() {
			t.Error("it was not asked")
		}
		stop()
		synctest.Wait()
	})
}

func TestRefusedConnectionsAreLeftToTheBreakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := resilience.NewPulse("database", judge, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		var asked atomic.Int64
		go p.Run(ctx, func(context.Context) error {
			asked.Add(1)
			return errors.New("connection refused")
		})
		go func() { _ = p.Do(ctx, false, waitForEnd) }()
		time.Sleep(5 * time.Second)
		if err := p.Do(ctx, false, func(context.Context) error { return nil }); err != nil || asked.Load() == 0 {
			t.Errorf("asked %d times, and then: %v", asked.Load(), err)
		}
		stop()
		synctest.Wait()
	})
}

// waitForEnd is a call that nobody answers.
func waitForEnd(ctx context.Context) error {
	<-ctx.Done()
	return told(resilience.Lost)
}
