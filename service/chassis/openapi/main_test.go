package openapi_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"
)

var discard = slog.New(slog.DiscardHandler)

const patience = 10 * time.Second

// unmeasured counts nothing.
type unmeasured struct{}

func (unmeasured) RequestStarted()                                    {}
func (unmeasured) RequestFinished(string, string, int, time.Duration) {}

// spy is a test that is told of failures without failing.
type spy struct {
	testing.TB
	failures int
	last     string
}

func (s *spy) Errorf(format string, args ...any) {
	s.failures++
	s.last = fmt.Sprintf(format, args...)
}
