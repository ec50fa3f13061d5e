package timing_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/timing"
)

func TestHeader(t *testing.T) {
	var parts timing.Parts
	if got, want := parts.Header(12*time.Millisecond), "total;dur=12.0"; got != want {
		t.Errorf("without parts %q, want %q", got, want)
	}
	ctx := timing.With(t.Context(), &parts)
	timing.Add(ctx, "db", 1500*time.Microsecond)
	timing.Add(ctx, "upstream", time.Millisecond)
	timing.Add(context.WithoutCancel(ctx), "db", time.Millisecond)
	timing.Add(t.Context(), "db", time.Hour)
	if got, want := parts.Header(3*time.Millisecond), "total;dur=3.0, db;dur=2.5, upstream;dur=1.0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPartsAreAddedAtOnce(t *testing.T) {
	var parts timing.Parts
	ctx := timing.With(t.Context(), &parts)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { timing.Add(ctx, "db", time.Millisecond) })
	}
	wg.Wait()
	if got, want := parts.Header(0), "total;dur=0.0, db;dur=50.0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
