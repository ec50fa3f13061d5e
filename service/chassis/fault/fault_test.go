package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

func TestOf(t *testing.T) {
	conflict := fault.New(fault.Conflict, "taken")
	for name, tc := range map[string]struct {
		err  error
		want fault.Code
	}{
		"no error has no code":                        {err: nil, want: ""},
		"a fault keeps its code":                      {err: conflict, want: fault.Conflict},
		"a wrapped fault keeps its code":              {err: fmt.Errorf("creating: %w", conflict), want: fault.Conflict},
		"the outermost fault decides":                 {err: fault.Wrap(fault.Unavailable, "away", conflict), want: fault.Unavailable},
		"a deadline is a timeout":                     {err: fmt.Errorf("reading: %w", context.DeadlineExceeded), want: fault.Timeout},
		"a client that went away is no defect":        {err: fmt.Errorf("reading: %w", context.Canceled), want: fault.Canceled},
		"an error that nobody classified is a defect": {err: errors.New("boom"), want: fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fault.CodeOf(tc.err); got != tc.want {
				t.Errorf("code = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCauseStaysInReach(t *testing.T) {
	cause := errors.New("disk full")
	f := fault.Wrap(fault.Internal, "Internal server error", cause)
	if !errors.Is(f, cause) {
		t.Error("the cause is lost")
	}
	if got, want := f.Error(), "Internal server error: disk full"; got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
}
