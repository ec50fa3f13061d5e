package invalidation

import (
	"context"
	"time"
)

// Step reads once.
func (f *Feed) Step(ctx context.Context) { f.step(ctx) }

// Forget makes the last reading seem as long ago by the database's clock.
func (f *Feed) Forget(ago time.Duration) { f.at = f.at.Add(-ago) }

// Retention is how long rows are kept.
const Retention = retention
