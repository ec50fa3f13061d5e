package invalidation

import (
	"context"
	"time"
)

// Step reads once.
func (f *Feed) Step(ctx context.Context) { f.step(ctx) }

// Hear tells news and hears of them until ctx ends, and calls woken in place of reading them.
func (f *Feed) Hear(ctx context.Context, woken func()) {
	go f.tell(ctx)
	go f.listen(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
			woken()
		}
	}
}

// Forget makes the last reading seem as long ago by the database's clock.
func (f *Feed) Forget(ago time.Duration) { f.at = f.at.Add(-ago) }

// Retention is how long rows are kept.
const Retention = retention
