package invalidation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkInvalidation measures how long three processes take until all read what one of them wrote, when they are notified
// and when the notification is lost: 99 of 100 are to be done within 100 ms and 1.5 s.
func BenchmarkInvalidation(b *testing.B) {
	for _, way := range []struct {
		name   string
		writes int
		once   func(b *testing.B, all []*instance, n int) time.Duration
	}{
		{"notified", 500, func(b *testing.B, all []*instance, n int) time.Duration {
			b.Helper()
			return spread(b, all, all[n%len(all)], fmt.Sprint("thing ", n%5))
		}},
		{"notification lost", 20, func(b *testing.B, all []*instance, _ int) time.Duration {
			b.Helper()
			want := all[0].mustRead("thing 0") + 1
			exec(b, all[0].db.Pool(), change, "thing 0") // nobody calls Changed
			told := time.Now()
			for _, i := range all {
				eventually(b, func() bool { return i.mustRead("thing 0") == want })
			}
			return time.Since(told)
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			url, _ := database(b)
			all := fleet(b, url)
			var took []time.Duration
			for b.Loop() {
				for n := range way.writes {
					took = append(took, way.once(b, all, n))
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
