package progress

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCountString(t *testing.T) {
	for name, tc := range map[string]struct {
		count Count
		want  string
	}{
		"no promise before enough is done":   {Count{Done: 3, Total: 100, Elapsed: time.Second}, "3 of 100 packages"},
		"minutes are rounded":                {Count{Done: 500, Total: 2500, Elapsed: 100 * time.Second}, "500 of 2500 packages, about 7m left"},
		"the last minute counts seconds":     {Count{Done: 90, Total: 100, Elapsed: 90 * time.Second}, "90 of 100 packages, about 10s left"},
		"all done needs no time":             {Count{Done: 100, Total: 100, Elapsed: 90 * time.Second}, "100 of 100 packages, about 0s left"},
		"more parts than foreseen: no time":  {Count{Done: 101, Total: 100, Elapsed: 90 * time.Second}, "101 of 100 packages"},
		"nothing to do promises nothing yet": {Count{}, "0 of 0 packages"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.count.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReporterOnALog(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	r := New(&out)
	r.now = func() time.Time { return clock }

	refused := errors.New("refused")
	err := r.Step("building", func() error {
		r.Update("1 of 3")
		clock = clock.Add(quietInterval)
		r.Update("2 of 3")
		r.Update("3 of 3")
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v, want the step's own error inside", err)
	}
	want := "         building: 2 of 3\n  15.0 s building: did not succeed\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
