package main

import (
	"context"
	"log/slog"
	"time"
)

// sweepEvery is how often what has expired is removed. Each pass removes a bounded number of rows.
const sweepEvery = time.Minute

// sweep removes what has expired until ctx ends. It waits before the first pass, so that starting costs nothing.
func sweep(ctx context.Context, every time.Duration, logger *slog.Logger, passes map[string]func(context.Context) error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for name, pass := range passes {
			if err := pass(ctx); err != nil && ctx.Err() == nil {
				logger.WarnContext(ctx, "Sweeping", "table", name, "error", err.Error())
			}
		}
	}
}
