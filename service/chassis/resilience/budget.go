package resilience

import "sync/atomic"

const (
	// retryCost is one retry. Calls earn hundredths of it, since the budget is a percentage.
	retryCost = 100
	// saved is how many retries are kept at most, so that a quiet hour does not pay for a storm. A service that has just
	// started has them, since a call that comes alone may be tried again as well.
	saved = 10 * retryCost
)

// budget is what retries are paid from. It is used by many goroutines.
type budget struct{ spent atomic.Int64 }

// earn counts a call.
func (b *budget) earn(percent int) {
	for {
		spent := b.spent.Load()
		if spent == 0 || b.spent.CompareAndSwap(spent, max(spent-int64(percent), 0)) {
			return
		}
	}
}

// pay takes what one retry costs and reports whether it was there.
func (b *budget) pay(percent int) bool {
	for percent > 0 {
		spent := b.spent.Load()
		if spent+retryCost > saved {
			return false
		}
		if b.spent.CompareAndSwap(spent, spent+retryCost) {
			return true
		}
	}
	return false
}
