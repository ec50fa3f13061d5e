package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long a client of the story waits before it gives up.
const patience = 10 * time.Second

// traffic is a service under use: reads and writes that are due at fixed times, whatever became of those before. A request counts from when
// it was due, so a database that stalls is not spared the requests that would have come meanwhile.
type traffic struct {
	db   *sql.DB
	rate int   // requests a second
	rows int64 // works that were there before
	next int64 // number of the next request
	// release is the one that is running: the first knows the old column, the second both, the third the new one.
	release atomic.Int32

	mu        sync.Mutex
	durations []time.Duration
	failed    int
	firstErr  error
}

// during runs the load until do has returned, and a little longer.
func (l *traffic) during(t *testing.T, do func()) {
	t.Helper()
	var (
		all  sync.WaitGroup
		over atomic.Bool
	)
	ctx := t.Context()
	all.Go(func() {
		due := time.Now()
		for ; !over.Load(); l.next++ {
			time.Sleep(time.Until(due))
			n, at := l.next, due
			all.Go(func() { l.request(ctx, n, at) })
			due = due.Add(time.Second / time.Duration(l.rate))
		}
	})
	do()
	time.Sleep(time.Second / 2) // the end of the last step is part of it
	over.Store(true)
	all.Wait()
}

func (l *traffic) request(ctx context.Context, n int64, due time.Time) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := l.call(ctx, n)
	took := time.Since(due)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.durations = append(l.durations, took)
	if err != nil {
		l.failed++
		if l.firstErr == nil {
			l.firstErr = err
		}
	}
}

// call is six reads, three changes and one new work out of ten, as the release that is running would ask for them.
func (l *traffic) call(ctx context.Context, n int64) error {
	release := l.release.Load()
	read, write := "composer", "composer"
	switch release {
	case 2:
		read, write = "coalesce(composer_name, composer)", "composer_name"
	case 3:
		read, write = "composer_name", "composer_name"
	}
	id := 1 + rand.N(l.rows)
	switch kind := n % 10; {
	case kind < 6:
		var title, composer string
		return l.db.QueryRowContext(ctx, "SELECT title, "+read+" FROM works WHERE id = $1", id).Scan(&title, &composer)
	case kind < 9:
		_, err := l.db.ExecContext(ctx, "UPDATE works SET title = $2, "+write+" = $3 WHERE id = $1", id, fmt.Sprint("Étude ", n), "Sor")
		return err
	case release > 1:
		_, err := l.db.ExecContext(ctx, "INSERT INTO works (id, title, composer_name, slug) VALUES ($1, 'Vals', 'Barrios', $2)", n, fmt.Sprint("work-", n))
		return err
	default:
		_, err := l.db.ExecContext(ctx, "INSERT INTO works (id, title, composer) VALUES ($1, 'Vals', 'Barrios')", n)
		return err
	}
}

// summary is what clients have seen.
type summary struct {
	requests, failed, slow int
	p50, p99, longest      time.Duration
	firstErr               error
}

// take returns what was seen since the last call.
func (l *traffic) take() summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := summary{requests: len(l.durations), failed: l.failed, firstErr: l.firstErr}
	slices.Sort(l.durations)
	if n := len(l.durations); n > 0 {
		s.p50, s.p99, s.longest = l.durations[n/2], l.durations[n*99/100], l.durations[n-1]
	}
	for _, d := range l.durations {
		if d > time.Second {
			s.slow++
		}
	}
	l.durations, l.failed, l.firstErr = nil, 0, nil
	return s
}

func (s summary) String() string {
	return fmt.Sprintf("%6d requests, %5d failed, %5d over 1 s, p50 %v, p99 %v, longest %v",
		s.requests, s.failed, s.slow, s.p50.Round(100*time.Microsecond), s.p99.Round(100*time.Microsecond), s.longest.Round(time.Millisecond))
}
