package resilience

import (
	"context"
	"testing"
	"time"
)

func TestShouldOpen(t *testing.T) {
	policy := Breaker{FailurePercent: 50, MinimumCalls: 10}
	for name, tc := range map[string]struct {
		succeeded, failed, inARow uint32
		want                      bool
	}{
		"nothing was called":                         {},
		"a few failures among few calls":             {succeeded: 1, failed: 8, inARow: 8},
		"half of enough calls":                       {succeeded: 5, failed: 5, inARow: 1, want: true},
		"less than half":                             {succeeded: 51, failed: 49, inARow: 9},
		"as many in a row as calls are enough":       {succeeded: 100000, failed: 10, inARow: 10, want: true},
		"all of few calls":                           {failed: 9, inARow: 9},
		"all of enough calls":                        {failed: 10, inARow: 10, want: true},
		"more calls than 32 bits can hold hundreds":  {succeeded: 4_000_000_000, failed: 1, inARow: 1},
		"most of more calls than 32 bits could hold": {succeeded: 1_000_000_000, failed: 4_000_000_000, inARow: 1, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := policy.shouldOpen(tc.succeeded, tc.failed, tc.inARow); got != tc.want {
				t.Errorf("opens: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	for outcome, want := range map[Outcome]struct{ failure, repeatable, other bool }{
		Served:     {},
		RolledBack: {repeatable: true, other: true},
		Abandoned:  {},
		NotReached: {failure: true, repeatable: true, other: true},
		Lost:       {failure: true, repeatable: true},
		Failed:     {failure: true},
	} {
		if got := outcome.isFailure(); got != want.failure {
			t.Errorf("%d is a failure: %t", outcome, got)
		}
		if got := outcome.mayRepeat(true); got != want.repeatable {
			t.Errorf("%d of a repeatable call may be repeated: %t", outcome, got)
		}
		if got := outcome.mayRepeat(false); got != want.other {
			t.Errorf("%d of another call may be repeated: %t", outcome, got)
		}
	}
}

func TestBudget(t *testing.T) {
	var b budget
	paid := func(percent, tries int) (n int) {
		for range tries {
			if b.pay(percent) {
				n++
			}
		}
		return n
	}
	if got := paid(10, 100); got != 10 {
		t.Errorf("a new budget pays for %d retries, want 10", got)
	}
	for range 1000 {
		b.earn(10)
	}
	if got := paid(10, 1000); got != 10 {
		t.Errorf("a quiet time pays for %d retries, want no more than 10", got)
	}
	for range 50 {
		b.earn(10)
	}
	if got := paid(10, 1000); got != 5 {
		t.Errorf("50 calls pay for %d retries, want 5", got)
	}
	for range 1000 {
		b.earn(0)
	}
	if got := paid(0, 10); got != 0 {
		t.Errorf("no budget pays for %d retries", got)
	}
}

func TestIsAbandoned(t *testing.T) {
	for name, tc := range map[string]struct {
		caller error
		took   time.Duration
		want   bool
	}{
		"the caller is still there":              {took: time.Second},
		"the caller went away":                   {caller: context.Canceled, took: time.Second, want: true},
		"the caller had no time to begin with":   {caller: context.DeadlineExceeded, took: 100 * time.Millisecond, want: true},
		"the dependency had time, but no answer": {caller: context.DeadlineExceeded, took: 600 * time.Millisecond},
	} {
		if got := isAbandoned(tc.caller, tc.took, time.Second); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
