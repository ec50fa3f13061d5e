package main

import (
	"context"
	"errors"
	"testing"
)

func TestSweepGoesOnAfterAFailure(t *testing.T) {
	away, passes := errors.New("away"), 0
	pass := func(context.Context) error {
		passes++
		return away
	}
	err := sweep(t.Context(), map[string]func(context.Context) error{"a table": pass, "another": pass})
	if passes != 2 || !errors.Is(err, away) {
		t.Errorf("%d passes (%v), want 2 and what went wrong", passes, err)
	}
}
