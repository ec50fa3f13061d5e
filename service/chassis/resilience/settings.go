package resilience

import (
	"github.com/mirubato/mirubato/api/settings"
)

// PolicyOf is the policy that settings ask for. They are complete, as settings that were put over the defaults are.
func PolicyOf(p settings.Protection, retryBudget int32) Policy {
	return Policy{
		Timeout: p.Timeout.Std(), Retries: int(*p.Retries), RetryBudget: int(retryBudget),
		Breaker: Breaker{
			FailurePercent: int(*p.Breaker.FailurePercent), MinimumCalls: int(*p.Breaker.MinimumCalls),
			Window: p.Breaker.Window.Std(), OpenFor: p.Breaker.OpenFor.Std(),
		},
	}
}

// LimitsOf are the limits that settings ask for, with at most so many calls at once.
func LimitsOf(b settings.Bulkhead, most int) Limits {
	limits := Limits{Concurrency: most, Wait: b.Wait.Std()}
	if b.Concurrency != nil {
		limits.Concurrency = min(int(*b.Concurrency), most)
	}
	return limits
}
