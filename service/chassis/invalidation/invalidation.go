// Package invalidation carries the news of what was changed to the caches of all processes of a service. It owns the reading,
// announcing and trimming of the table cache_events, which the migrations of the service bring; the rows are written by triggers
// on the tables of the domains, in the transactions that make the changes.
//
// News are never lost and never come twice: each reading takes the rows of the transactions that the snapshot of the
// reading before did not show. Numbers would not do, since they are given before transactions end:
//
//	transaction 7: ---- writes its row ------------------------ commits --
//	transaction 8: -------- writes its row -- commits --
//	reading 1, snapshot 7:9:7 (7 still runs) .......... shows 8
//	reading 2 takes xid >= 9 and xid in (7) ...................................... shows 7
//
// A notification only says that there is something to read. Whoever misses it reads at the next tick. A process does not wake itself: its values
// ended before it told anybody, and what it reads of its own ends once more what was loaded since.
package invalidation

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/chassis/postgres"
)

// Everything is the tag of all values.
const Everything = "*"

const (
	channel = "cache_events"
	// Patience is how long a process uses its values without news, before it asks for each of them again; see cache.NewValidity.
	Patience = 3 * time.Second
	// tick is how often news are read without being told of any.
	tick = time.Second
	// coalesce is how long notifications are gathered, since each commit that notifies waits for every other one.
	coalesce = 10 * time.Millisecond
	// rest is how many times longer than the last reading took the next one waits, so that reading takes a fifth of the time at most.
	rest = 4
	// relisten is how long to wait before listening again.
	relisten = 500 * time.Millisecond
	// patience bounds one statement.
	patience = 2 * time.Second
	// retention is how long rows are kept after every snapshot shows them.
	retention = 10 * time.Minute
	// remember is how often a snapshot is remembered for trimming.
	remember = time.Minute
)

const (
	begin = `select pg_current_snapshot()::text, clock_timestamp()`

	// The first row is the present snapshot. It is the one that the whole statement sees.
	read = `select pg_current_snapshot()::text, clock_timestamp(),
		pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmax($1::pg_snapshot), null::text[]
	union all
	select null, null, null, tags from cache_events where xid >= pg_snapshot_xmax($1::pg_snapshot)
	union all
	select null, null, null, tags from cache_events where xid = any(array(select pg_snapshot_xip($1::pg_snapshot)))`

	write    = `insert into cache_events (tags) values ($1)`
	announce = `select pg_notify($1, $2)`
	trim     = `delete from cache_events where ctid = any(array(
		select ctid from cache_events where xid < $1::xid8 order by xid limit 10000))`
)

// Config says whose news are read. All fields are required.
type Config struct {
	// DB is best a pool of its own, of two connections: what must be read in time does not wait behind requests.
	DB       *postgres.DB
	Validity *cache.Validity
	Logger   *slog.Logger
	Now      func() time.Time
}

// Feed reads the news and tells of its own. It may be used by many goroutines.
type Feed struct {
	validity *cache.Validity
	db       *postgres.DB
	logger   *slog.Logger
	now      func() time.Time

	begin, read, write, announce, trim *postgres.Statement
	// name is what this process calls itself in its notifications.
	name string

	// wake and pending hold a token if there is something to read, or to announce.
	wake, pending chan struct{}
	// relistened says that the connection for notifications is another one than before.
	relistened atomic.Bool
	readings   atomic.Uint64
	failures   atomic.Uint64
	doubts     atomic.Uint64

	// The rest belongs to the goroutine that reads.

	// snapshot is that of the last reading, empty before the first; at is when that was by the database's clock.
	snapshot string
	at       time.Time
	// broken is true from a reading that failed until one that does not.
	broken bool

	mu    sync.Mutex
	marks []mark
}

// mark is a snapshot and when it was taken, by the clock of this process.
type mark struct {
	at   time.Time
	xmin string
}

// New returns a feed that reads nothing until Run is called.
func New(cfg Config) *Feed {
	return &Feed{
		validity: cfg.Validity, db: cfg.DB, logger: cfg.Logger, now: cfg.Now, broken: true,
		begin:    cfg.DB.Prepared("cache_events.begin", begin),
		read:     cfg.DB.Prepared("cache_events.read", read),
		write:    cfg.DB.Prepared("cache_events.write", write),
		announce: cfg.DB.Prepared("cache_events.announce", announce),
		trim:     cfg.DB.Prepared("cache_events.trim", trim),
		name:     rand.Text(),
		wake:     make(chan struct{}, 1), pending: make(chan struct{}, 1),
	}
}

// Changed says that this process changed what the tags name, and is called after the change was made and before anybody is told of it, also if it is not
// known whether it was. This process's values end at once, or when the transaction of ctx has ended; the others are told to read the news that the
// change left.
func (f *Feed) Changed(ctx context.Context, tags ...string) {
	postgres.Afterwards(ctx, func() {
		f.apply(tags)
		put(f.pending)
	})
}

// Publish ends the values of all processes that carry one of the tags, or all values for Everything.
func (f *Feed) Publish(ctx context.Context, tags ...string) error {
	defer f.Changed(ctx, tags...)
	_, err := f.write.Exec(ctx, pq.Array(tags))
	return err
}

func (f *Feed) apply(tags []string) {
	if slices.Contains(tags, Everything) {
		f.validity.Purge()
		return
	}
	f.validity.Invalidate(tags...)
}

// Run reads and tells news until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { f.listen(ctx) })
	wg.Go(func() { f.tell(ctx) })
	wg.Go(func() { f.follow(ctx) })
	wg.Wait()
}

// put leaves a token unless there is one.
func put(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// listen wakes the reading for each notification of another process.
func (f *Feed) listen(ctx context.Context) {
	for sessions := 0; ctx.Err() == nil; {
		listens := false
		err := f.db.Listen(ctx, channel, func(from string) {
			if from == f.name {
				return
			}
			if !listens {
				f.relistened.Store(sessions > 0)
				listens, sessions = true, sessions+1
			}
			put(f.wake)
		})
		if ctx.Err() == nil && (listens || sessions == 0) {
			f.logger.WarnContext(ctx, "Listening for changes", "error", err.Error())
			sessions = max(sessions, 1) // what follows is a new attempt, and is not logged again
		}
		pause(ctx, relisten)
	}
}

// tell announces what was changed, the first change at once and those that follow it together.
func (f *Feed) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.pending:
		}
		func() {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			// Whoever is not told reads at the next tick.
			_, _ = f.announce.Exec(ctx, channel, f.name)
		}()
		pause(ctx, coalesce)
	}
}

// follow reads when there is something to read, and at each tick.
func (f *Feed) follow(ctx context.Context) {
	for ctx.Err() == nil {
		started := f.now()
		f.step(ctx)
		pausing := min(tick, max(coalesce, rest*f.now().Sub(started)))
		pause(ctx, pausing)
		wait, cancel := context.WithTimeout(ctx, tick-pausing)
		select {
		case <-f.wake:
		case <-wait.Done():
		}
		cancel()
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// step reads once.
func (f *Feed) step(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	relistened, started := f.relistened.Swap(false), f.now()
	n, err := f.readNews(ctx)
	if err != nil {
		f.failures.Add(1)
		if !f.broken && !errors.Is(ctx.Err(), context.Canceled) {
			f.logger.WarnContext(ctx, "Reading changes", "error", err.Error())
		}
		f.broken = true
		return
	}
	for _, tags := range n.tags {
		f.apply(tags)
	}
	switch missed := isGap(f.at, n); {
	case missed || f.broken || relistened:
		f.doubts.Add(1)
		f.validity.Doubt()
	case f.validity.Doubtful(): // until now, and what was kept holds again
		f.doubts.Add(1)
	}
	f.snapshot, f.at, f.broken = n.snapshot, n.at, false
	f.validity.Confirm(started)
	f.readings.Add(1)
	f.remember(started, n.snapshot)
}

// news are what a reading found.
type news struct {
	snapshot string
	at       time.Time
	// behind says that the database shows less than it did before.
	behind bool
	tags   [][]string
}

// isGap reports whether rows may have been trimmed before they were read, the last time at that time, or whether it is another
// database by now: one that was restored, or took over with less.
func isGap(last time.Time, n news) bool {
	return n.behind || !last.IsZero() && n.at.Sub(last) > retention/2
}

func (f *Feed) readNews(ctx context.Context) (n news, err error) {
	if f.snapshot == "" {
		err = f.begin.QueryRow(ctx, []any{&n.snapshot, &n.at})
		return n, err
	}
	err = f.read.Query(ctx, func(rows *sql.Rows) error {
		var snapshot sql.NullString
		var at sql.NullTime
		var behind sql.NullBool
		var tags []string
		if err := rows.Scan(&snapshot, &at, &behind, pq.Array(&tags)); err != nil {
			return err
		}
		if snapshot.Valid {
			n.snapshot, n.at, n.behind = snapshot.String, at.Time, behind.Bool
			return nil
		}
		n.tags = append(n.tags, tags)
		return nil
	}, f.snapshot)
	if err == nil && n.snapshot == "" {
		err = errors.New("the reading has no snapshot")
	}
	return n, err
}

// remember keeps a snapshot for trimming.
func (f *Feed) remember(at time.Time, snapshot string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.marks); n > 0 && at.Sub(f.marks[n-1].at) < remember {
		return
	}
	xmin, _, _ := strings.Cut(snapshot, ":")
	f.marks = append(f.marks, mark{at: at, xmin: xmin})
}

// Sweep removes rows that everybody has read: those of transactions that had all ended before a snapshot that is older than the
// retention. When a row was written would not tell, since a transaction may end long after.
func (f *Feed) Sweep(ctx context.Context) error {
	xmin := f.trimmable(f.now().Add(-retention))
	if xmin == "" {
		return nil
	}
	if _, err := f.trim.Exec(ctx, xmin); err != nil {
		return fmt.Errorf("trimming: %w", err)
	}
	return nil
}

// trimmable returns the oldest transaction that still ran at the last mark before, and forgets the marks before that one.
func (f *Feed) trimmable(before time.Time) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := -1
	for i, m := range f.marks {
		if m.at.Before(before) {
			last = i
		}
	}
	if last < 0 {
		return ""
	}
	f.marks = slices.Delete(f.marks, 0, last)
	return f.marks[0].xmin
}

// Stats say how the feed does.
type Stats struct {
	// Doubtful is true while changes that others make may be unknown; values are then asked for again before they are used.
	Doubtful bool `json:"doubtful"`
	// Readings and Failures count the times that news were read, or could not be.
	Readings uint64 `json:"readings"`
	Failures uint64 `json:"failures"`
	// Doubts counts the times that news may have been missed, or were waited for too long.
	Doubts uint64 `json:"doubts"`
}

// Stats returns the statistics.
func (f *Feed) Stats() Stats {
	return Stats{
		Doubtful: f.validity.Doubtful(), Readings: f.readings.Load(), Failures: f.failures.Load(), Doubts: f.doubts.Load(),
	}
}

var (
	readingsDesc = prometheus.NewDesc("cache_invalidation_readings_total", "Times that changes were read.", []string{"outcome"}, nil)
	doubtsDesc   = prometheus.NewDesc("cache_invalidation_doubts_total", "Times that changes may have been missed, or were unknown for too long.", nil, nil)
	doubtfulDesc = prometheus.NewDesc("cache_invalidation_doubtful", "1 while changes may be unknown, else 0.", nil, nil)
)

var _ prometheus.Collector = (*Feed)(nil)

// Describe implements prometheus.Collector.
func (f *Feed) Describe(to chan<- *prometheus.Desc) {
	to <- readingsDesc
	to <- doubtsDesc
	to <- doubtfulDesc
}

// Collect implements prometheus.Collector.
func (f *Feed) Collect(to chan<- prometheus.Metric) {
	s := f.Stats()
	doubtful := 0.0
	if s.Doubtful {
		doubtful = 1
	}
	to <- prometheus.MustNewConstMetric(readingsDesc, prometheus.CounterValue, float64(s.Readings), "success")
	to <- prometheus.MustNewConstMetric(readingsDesc, prometheus.CounterValue, float64(s.Failures), "failure")
	to <- prometheus.MustNewConstMetric(doubtsDesc, prometheus.CounterValue, float64(s.Doubts))
	to <- prometheus.MustNewConstMetric(doubtfulDesc, prometheus.GaugeValue, doubtful)
}
