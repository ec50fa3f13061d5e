package settings

import (
	"testing"
	"time"
)

func TestManyPodsAreGivenLonger(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		pods, reminders int
		want            time.Duration
	}{
		"one":                {1, 0, 125 * time.Millisecond},
		"five":               {5, 0, 225 * time.Millisecond},
		"twenty":             {20, 0, 600 * time.Millisecond},
		"a thousand":         {1000, 0, 700 * time.Millisecond},
		"the second time":    {5, 1, 450 * time.Millisecond},
		"the last of twenty": {20, 5, 19200 * time.Millisecond},
		"never more":         {20, 6, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := delay{generation: 2, since: since, reminders: tc.reminders}
			if tc.want == 0 {
				if d.due(2, tc.pods, since.Add(time.Hour)) {
					t.Error("it is reminded once more")
				}
				return
			}
			if d.due(2, tc.pods, since.Add(tc.want-1)) || !d.due(2, tc.pods, since.Add(tc.want)) {
				t.Errorf("not due after %s", tc.want)
			}
			if d.due(3, tc.pods, since.Add(time.Hour)) {
				t.Error("due for a generation that was not waited for")
			}
		})
	}
}
