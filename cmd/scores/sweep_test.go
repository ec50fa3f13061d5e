package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

func TestSweepGoesOnAfterAFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	passes := 0
	sweep(ctx, time.Millisecond, slog.New(slog.DiscardHandler), map[string]func(context.Context) error{
		"table": func(context.Context) error {
			if passes++; passes == 3 {
				cancel()
			}
			return errors.New("away")
		},
	})
	if passes != 3 {
		t.Errorf("%d passes, want 3", passes)
	}
}
