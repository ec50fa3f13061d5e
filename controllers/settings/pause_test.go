package settings

import (
	"testing"
	"time"
)

func TestPausesBetweenQuestions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pods         int
		waited, want time.Duration
	}{
		"one, told just now":      {1, 0, 60 * time.Millisecond},
		"five, told just now":     {5, 0, 100 * time.Millisecond},
		"twenty, told just now":   {20, 0, 250 * time.Millisecond},
		"one, for a while":        {1, 2 * time.Second, 500 * time.Millisecond},
		"twenty, for a while":     {20, 2 * time.Second, 500 * time.Millisecond},
		"one, for a long time":    {1, time.Hour, 5 * time.Second},
		"a thousand are not more": {1000, 0, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			since := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
			e := &environment{waitingSince: since, readAt: since.Add(tc.waited), pods: map[identity]memory{}}
			for i := range tc.pods {
				e.pods[identity{restarts: int32(i)}] = memory{}
			}
			if got := e.next().Sub(e.readAt); got != tc.want {
				t.Errorf("asked again after %s, want %s", got, tc.want)
			}
		})
	}
}
