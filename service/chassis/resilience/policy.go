package resilience

import "time"

// Policy are the values by which a Shield protects. They are compared for equality, so two equal policies are one.
type Policy struct {
	// Timeout is what one attempt may take. The deadline of the caller holds if it is earlier.
	Timeout time.Duration
	// Retries is how often a call is made again at most; 0 is never.
	Retries int
	// RetryBudget is how many retries there may be for a hundred calls, 0 to 100. It keeps retries from multiplying the
	// load on a dependency that is already in trouble.
	RetryBudget int
	Breaker     Breaker
}

// Breaker says when calls are no longer tried.
type Breaker struct {
	// FailurePercent of the calls in the Window opens the breaker, 1 to 100.
	FailurePercent int
	// MinimumCalls is how many calls the Window must hold before the share counts. As many failures in a row open the
	// breaker as well, however many calls went well before: at a constant rate the share would take half the Window.
	MinimumCalls int
	Window       time.Duration
	// OpenFor is how long nothing is tried then. Afterwards a few calls are let through, and all are if those go well.
	OpenFor time.Duration
}

const (
	// probes is how many calls must go well, one after the other, before a breaker closes.
	probes = 3
	// parts is into how many the window of a breaker is divided: it forgets a part at a time.
	parts = 10
	// The first retry waits for about firstWait, each further one twice as long, at most longestWait; half of it is
	// chance, so that those who failed together do not come back together.
	firstWait   = 20 * time.Millisecond
	longestWait = 200 * time.Millisecond
)

// shouldOpen says whether a breaker that has seen these calls opens.
func (b Breaker) shouldOpen(succeeded, failed, failedInARow uint32) bool {
	minimum := uint64(max(b.MinimumCalls, 1))
	if uint64(failedInARow) >= minimum {
		return true
	}
	all := uint64(succeeded) + uint64(failed)
	return all >= minimum && uint64(failed)*100 >= all*uint64(max(b.FailurePercent, 1))
}
