package resilience

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/sony/gobreaker/v2"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// ErrOpen is the cause of a refusal by an open breaker.
var ErrOpen = errors.New("the breaker is open")

const unavailable = "Something that the service needs is not available at the moment"

// Observer counts what protections do. It is called by many goroutines.
type Observer interface {
	// CallRetried is told when a call is made again.
	CallRetried(dependency string)
	// CallRefused is told when a call, or another attempt, is not made, and why: one of the Refused reasons.
	CallRefused(dependency, reason string)
}

// The reasons of CallRefused.
const (
	RefusedOpen   = "breaker open"
	RefusedFull   = "bulkhead full"
	RefusedBudget = "retry budget spent"
)

// State is how a breaker is.
type State string

// The states. A breaker whose time is over is half open even if nothing has been tried yet.
const (
	Closed   State = "closed"
	HalfOpen State = "half-open"
	Open     State = "open"
)

// Config says what a Shield protects. All fields but Pulse are required.
type Config struct {
	// Dependency names what is called, in metrics, log and health.
	Dependency string
	// Policy returns the values in force. It is called for each call.
	Policy   func() Policy
	Bulkhead *Bulkhead
	// Judge says what the error of a call tells. It is not asked about nil, nor when the caller went away.
	Judge    func(error) Outcome
	Observer Observer
	Logger   *slog.Logger
	// Pulse finds out that the dependency stands still, for which the breaker then counts as open; nil is that nobody does.
	Pulse *Pulse
}

// Shield protects the calls to one dependency. It may be used by many goroutines.
type Shield struct {
	cfg    Config
	budget budget

	mu      sync.Mutex
	current atomic.Pointer[breaker]
}

// New returns a shield whose breaker is closed.
func New(cfg Config) *Shield { return &Shield{cfg: cfg} }

// Dependency is what is protected.
func (s *Shield) Dependency() string { return s.cfg.Dependency }

// State is the state of the breaker. It is open while the dependency stands still.
func (s *Shield) State() State {
	if s.cfg.Pulse.isStill() {
		return Open
	}
	return s.breaker(s.cfg.Policy().Breaker).state()
}

// Do makes the call, again if need be, and returns its error. Repeatable says that making it twice is the same as
// making it once. The call gets a context with the deadline of one attempt and must return when that ends. A call that
// is refused returns an Unavailable fault around ErrOpen or ErrFull.
func (s *Shield) Do(ctx context.Context, repeatable bool, call func(context.Context) error) error {
	policy := s.cfg.Policy()
	s.budget.earn(policy.RetryBudget)
	var waits *backoff.ExponentialBackOff
	for retries := 0; ; retries++ {
		failed := s.attempt(ctx, policy, call)
		if failed == nil {
			return nil
		}
		if retries >= policy.Retries || !failed.outcome.mayRepeat(repeatable) {
			return failed.err
		}
		if waits == nil {
			waits = newWaits()
		}
		wait := waits.NextBackOff()
		if !outlives(ctx, wait) {
			return failed.err
		}
		if !s.budget.pay(policy.RetryBudget) {
			s.cfg.Observer.CallRefused(s.cfg.Dependency, RefusedBudget)
			return failed.err
		}
		if !pause(ctx, wait) {
			return failed.err
		}
		s.cfg.Observer.CallRetried(s.cfg.Dependency)
	}
}

// newWaits returns the waits between the attempts of one call. They are not shared: they count.
func newWaits() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstWait), backoff.WithMaxInterval(longestWait), backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.5), backoff.WithMaxElapsedTime(0),
	)
}

// outlives says whether there is time left after the wait.
func outlives(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > wait
}

// pause waits and reports whether the context lasted.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt makes the call once, unless breaker or bulkhead refuse.
func (s *Shield) attempt(ctx context.Context, policy Policy, call func(context.Context) error) *judged {
	if s.cfg.Pulse.isStill() {
		s.cfg.Observer.CallRefused(s.cfg.Dependency, RefusedOpen)
		return &judged{outcome: Abandoned, err: refusal(errors.Join(ErrOpen, ErrStill), policy.Breaker.OpenFor)}
	}
	b := s.breaker(policy.Breaker)
	_, err := b.Execute(func() (struct{}, error) {
		if failed := s.enclosed(ctx, policy.Timeout, call); failed != nil {
			return struct{}{}, failed
		}
		return struct{}{}, nil
	})
	b.tell(ctx, s.cfg.Logger, s.cfg.Dependency)
	if err == nil {
		return nil
	}
	if failed, ok := errors.AsType[*judged](err); ok {
		return failed
	}
	s.cfg.Observer.CallRefused(s.cfg.Dependency, RefusedOpen)
	return &judged{outcome: Abandoned, err: refusal(ErrOpen, b.remaining())}
}

// enclosed makes the call within bulkhead and timeout.
func (s *Shield) enclosed(ctx context.Context, timeout time.Duration, call func(context.Context) error) *judged {
	slots, err := s.cfg.Bulkhead.enter(ctx)
	switch {
	case errors.Is(err, ErrFull):
		s.cfg.Observer.CallRefused(s.cfg.Dependency, RefusedFull)
		return &judged{outcome: Abandoned, err: refusal(ErrFull, 0)}
	case err != nil:
		return &judged{outcome: Abandoned, err: fault.Of(err)}
	}
	defer slots.leave()
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	started := time.Now()
	err = s.cfg.Pulse.feel(func() error { return call(within) })
	switch {
	case err == nil:
		return nil
	case isAbandoned(ctx.Err(), time.Since(started), timeout):
		return &judged{outcome: Abandoned, err: err}
	}
	return &judged{outcome: s.cfg.Judge(err), err: err}
}

// isAbandoned says whether a call failed because its caller went away. When the caller's deadline has passed, that is
// the dependency's doing if it had half of the time of an attempt: callers who have waited for their turn have less than
// all of it, and one who asks for an answer in no time must not make the dependency look unwell.
func isAbandoned(caller error, took, timeout time.Duration) bool {
	return errors.Is(caller, context.Canceled) || (caller != nil && took < timeout/2)
}

func refusal(cause error, retryAfter time.Duration) error {
	refused := fault.Wrap(fault.Unavailable, unavailable, cause)
	refused.RetryAfter = retryAfter
	return refused
}

// breaker returns the breaker with these values. When they change it begins anew, closed: what it has counted was
// judged by other values.
func (s *Shield) breaker(policy Breaker) *breaker {
	if b := s.current.Load(); b != nil && b.policy == policy {
		return b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.current.Load(); b != nil && b.policy == policy {
		return b
	}
	b := newBreaker(s.cfg.Dependency, policy)
	s.current.Store(b)
	return b
}

// breaker is a circuit breaker with the values it was made with.
type breaker struct {
	*gobreaker.CircuitBreaker[struct{}]
	policy Breaker
	// opened is when it opened last.
	opened atomic.Pointer[time.Time]
	// news is a change that the log does not know yet.
	news atomic.Pointer[gobreaker.State]
}

func newBreaker(dependency string, policy Breaker) *breaker {
	b := &breaker{policy: policy}
	b.CircuitBreaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name: dependency, MaxRequests: probes,
		Interval: policy.Window, BucketPeriod: policy.Window / parts, Timeout: policy.OpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return policy.shouldOpen(c.TotalSuccesses, c.TotalFailures, c.ConsecutiveFailures)
		},
		// It runs under the breaker's lock: whatever asks the breaker or waits would stop every call
		// (https://github.com/sony/gobreaker/issues/37).
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				now := time.Now()
				b.opened.Store(&now)
			}
			b.news.Store(&to)
		},
		IsSuccessful: func(err error) bool { return !outcomeOf(err).isFailure() },
		IsExcluded:   func(err error) bool { return outcomeOf(err) == Abandoned },
	})
	return b
}

// outcomeOf is the outcome of an attempt. An error that was not judged is a panic's.
func outcomeOf(err error) Outcome {
	if err == nil {
		return Served
	}
	if j, ok := errors.AsType[*judged](err); ok {
		return j.outcome
	}
	return Failed
}

func (b *breaker) state() State {
	switch b.State() {
	case gobreaker.StateOpen:
		return Open
	case gobreaker.StateHalfOpen:
		return HalfOpen
	case gobreaker.StateClosed:
	}
	return Closed
}

// remaining is how long it stays open.
func (b *breaker) remaining() time.Duration {
	opened := b.opened.Load()
	if opened == nil {
		return 0
	}
	return max(time.Until(opened.Add(b.policy.OpenFor)), 0)
}

// tell logs a change once.
func (b *breaker) tell(ctx context.Context, logger *slog.Logger, dependency string) {
	if b.news.Load() == nil {
		return
	}
	switch to := b.news.Swap(nil); {
	case to == nil:
	case *to == gobreaker.StateOpen:
		logger.WarnContext(ctx, "Opening breaker", "dependency", dependency)
	case *to == gobreaker.StateClosed:
		logger.InfoContext(ctx, "Closing breaker", "dependency", dependency)
	}
}
