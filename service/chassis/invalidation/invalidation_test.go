package invalidation_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/cache"
	"github.com/mirubato/mirubato/service/chassis/invalidation"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// schema is what the package needs of a service's migrations, and a table of things whose changes are told.
const schema = `create table cache_events (xid xid8 not null default pg_current_xact_id(), tags text[] not null);
	create index cache_events_by_xid on cache_events (xid);
	create table things (name text primary key, value bigint not null);
	insert into things select 'thing ' || n, 0 from generate_series(0, 4) n`

// change writes a thing and its news in one statement.
const change = `with told as (insert into cache_events (tags) values (array[$1::text]))
	update things set value = value + 1 where name = $1 returning value`

type unmeasured struct{}

func (unmeasured) ObserveQuery(string, time.Duration, error) {}

func open(t testing.TB, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(postgres.Config{
		URL: secret.FromValue(url), ApplicationName: "test", StatementTimeout: 5 * time.Second, MaxConns: 4, Observer: unmeasured{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // it fails if its connections were cut
	return db
}

// database returns the URL of a database with the schema, and a pool on it.
func database(t testing.TB) (string, *sql.DB) {
	t.Helper()
	url := pgserver.Database(t)
	pool := open(t, url).Pool()
	exec(t, pool, schema)
	return url, pool
}

type execer interface {
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
}

func exec(t testing.TB, on execer, text string, args ...any) {
	t.Helper()
	if _, err := on.ExecContext(t.Context(), text, args...); err != nil {
		t.Fatal(err)
	}
}

// instance is one process of a service of things: its pool, its cache and its feed.
type instance struct {
	t        testing.TB
	db       *postgres.DB
	write    *postgres.Statement
	find     *postgres.Statement
	validity *cache.Validity
	cache    *cache.Cache
	feed     *invalidation.Feed
	// ahead moves its clock.
	ahead atomic.Int64
}

func (i *instance) now() time.Time { return time.Now().Add(time.Duration(i.ahead.Load())) }

// newInstance returns a process whose feed does not run. Its values would be good for an hour.
func newInstance(t testing.TB, url string) *instance {
	t.Helper()
	i := &instance{t: t, db: open(t, url)}
	i.write = i.db.Prepared("write", change)
	i.find = i.db.Prepared("find", `select value from things where name = $1`)
	i.validity = cache.NewValidity(i.now, invalidation.Patience)
	var err error
	i.cache, err = cache.New(cache.Config{
		Name: "things", Validity: i.validity, LoadTimeout: func() time.Duration { return 5 * time.Second }, Now: i.now,
		Settings: cache.Settings{MiB: 1, TTL: time.Hour, StaleIfError: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.cache.Close)
	i.feed = invalidation.New(invalidation.Config{
		DB: open(t, url), Validity: i.validity, Logger: slog.New(slog.DiscardHandler), Now: i.now,
	})
	return i
}

// start runs the feed until the test ends.
func (i *instance) start() *instance {
	ctx, cancel := context.WithCancel(i.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		i.feed.Run(ctx)
	}()
	i.t.Cleanup(func() {
		cancel()
		<-ended
	})
	eventually(i.t, func() bool { return !i.validity.Doubtful() })
	return i
}

func (i *instance) read(name string) (int64, error) {
	return cache.Read(i.t.Context(), i.cache, name, []string{name}, func(ctx context.Context) (int64, error) {
		var value int64
		err := i.find.QueryRow(ctx, []any{&value}, name)
		return value, err
	})
}

func (i *instance) mustRead(name string) int64 {
	i.t.Helper()
	value, err := i.read(name)
	if err != nil {
		i.t.Fatal(err)
	}
	return value
}

// add changes a thing and says so, as a service does.
func (i *instance) add(name string) (int64, error) {
	defer i.feed.Changed(i.t.Context(), name)
	var value int64
	err := i.write.QueryRow(i.t.Context(), []any{&value}, name)
	return value, err
}

// eventually waits until it is so.
func eventually(t testing.TB, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to be so")
		}
	}
}

func fleet(t testing.TB, url string) []*instance {
	t.Helper()
	var all []*instance
	for range 3 {
		all = append(all, newInstance(t, url).start())
	}
	return all
}

// spread lets a process write and returns how long it took from there until all others read what it wrote. The writer itself
// never reads what was before.
func spread(t testing.TB, all []*instance, writer *instance, name string) time.Duration {
	t.Helper()
	for _, i := range all {
		i.mustRead(name)
	}
	value, err := writer.add(name)
	if err != nil {
		t.Fatal(err)
	}
	told := time.Now()
	if got := writer.mustRead(name); got != value {
		t.Fatalf("the writer reads %d after it wrote %d", got, value)
	}
	for _, i := range all {
		eventually(t, func() bool { return i.mustRead(name) == value })
	}
	return time.Since(told)
}

// What one process wrote it never reads as it was before, and the others see it. How soon is measured by a benchmark.
func TestFleetSeesEveryWrite(t *testing.T) {
	url, _ := database(t)
	all := fleet(t, url)
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		spread(t, all, all[random.IntN(len(all))], fmt.Sprint("thing ", random.IntN(5)))
	}
	for _, i := range all {
		if s := i.cache.Stats(); s.Hits == 0 {
			t.Errorf("nothing was cached: %+v", s)
		}
	}
}

// What a process has told itself does not make it read, which would end what it has loaded since. What others tell does.
func TestNobodyIsWokenByOwnNews(t *testing.T) {
	url, _ := database(t)
	writer, other := newInstance(t, url), newInstance(t, url)
	var woken, told atomic.Int64
	go writer.feed.Hear(t.Context(), func() { woken.Add(1) })
	go other.feed.Hear(t.Context(), func() { told.Add(1) })
	eventually(t, func() bool { return woken.Load() == 1 && told.Load() == 1 }) // they listen
	for n := range int64(5) {
		writer.feed.Changed(t.Context(), "thing 0")
		eventually(t, func() bool { return told.Load() == n+2 })
	}
	// Notifications come in their order.
	other.feed.Changed(t.Context(), "thing 0")
	eventually(t, func() bool { return woken.Load() > 1 })
	if n := woken.Load(); n != 2 {
		t.Errorf("woken %d times, want once when it began to listen and once by the other", n)
	}
}

// A change of which nobody is notified is seen at the next tick.
func TestLostNotification(t *testing.T) {
	url, pool := database(t)
	all := fleet(t, url)
	for _, i := range all {
		i.mustRead("thing 0")
	}
	exec(t, pool, change, "thing 0") // nobody calls Changed
	started := time.Now()
	for _, i := range all {
		eventually(t, func() bool { return i.mustRead("thing 0") == 1 })
	}
	t.Logf("seen after %s", time.Since(started))
}

// cut ends all connections but the one that it has.
func cut(t testing.TB, on *sql.Conn) {
	t.Helper()
	exec(t, on, `select pg_terminate_backend(pid) from pg_stat_activity
		where datname = current_database() and pid <> pg_backend_pid()`)
}

// listening waits until so many processes are told of changes. One that was not yet has nothing to doubt when connections are cut.
func listening(t testing.TB, on *sql.Conn, processes int) {
	t.Helper()
	eventually(t, func() bool {
		var n int
		err := on.QueryRowContext(t.Context(), `select count(*) from pg_stat_activity where datname = current_database() and query ilike 'listen %'`).Scan(&n)
		return err == nil && n == processes
	})
}

// Whoever lost a connection asks again for all it has, and has missed nothing.
func TestConnectionCut(t *testing.T) {
	url, pool := database(t)
	all := fleet(t, url)
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for round := range int64(3) {
		listening(t, conn, len(all))
		doubts := make([]uint64, len(all))
		for n, i := range all {
			i.mustRead("thing 0")
			doubts[n] = i.feed.Stats().Doubts
		}
		cut(t, conn)
		exec(t, conn, change, "thing 0")
		for n, i := range all {
			eventually(t, func() bool {
				value, err := i.read("thing 0")
				return err == nil && value == round+1 && i.feed.Stats().Doubts > doubts[n]
			})
		}
	}
}

// A process that hears nothing of the others asks for each value again, and uses what it has only if nobody answers.
func TestSilencePutsInDoubt(t *testing.T) {
	url, pool := database(t)
	i := newInstance(t, url)
	i.feed.Step(t.Context())
	i.mustRead("thing 0")
	exec(t, pool, change, "thing 0")
	if got := i.mustRead("thing 0"); got != 0 {
		t.Fatal("not cached:", got)
	}
	i.ahead.Store(int64(2 * invalidation.Patience))
	if got := i.mustRead("thing 0"); got != 1 {
		t.Error("used without news:", got)
	}
}

// tx is a transaction that has told of a change and has not ended.
func tx(t testing.TB, pool *sql.DB, tags ...string) *sql.Tx {
	t.Helper()
	begun, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = begun.Rollback() })
	exec(t, begun, `insert into cache_events (tags) values ($1)`, pq.Array(tags))
	return begun
}

func commit(t testing.TB, begun *sql.Tx) {
	t.Helper()
	if err := begun.Commit(); err != nil {
		t.Fatal(err)
	}
}

// watch keeps a value under each tag and returns which of them have ended since the last call.
func (i *instance) watch(tags ...string) func() []string {
	load := func(text string) cache.Load {
		return func(context.Context) (cache.Loaded, error) { return cache.Loaded{Bytes: []byte(text)}, nil }
	}
	return func() []string {
		var ended []string
		for _, tag := range tags {
			value, err := i.cache.Get(i.t.Context(), "of "+tag, []string{tag}, load(tag))
			if err != nil {
				i.t.Fatal(err)
			}
			if value.Outcome != cache.Hit {
				ended = append(ended, tag)
			}
		}
		return ended
	}
}

// Transactions that end in another order than they began are each heard of, once.
func TestTransactionsThatEndOutOfOrder(t *testing.T) {
	url, pool := database(t)
	i := newInstance(t, url)
	i.feed.Step(t.Context())
	ended := i.watch("first", "second", "third", "undone")
	ended()
	expect := func(when string, want ...string) {
		t.Helper()
		i.feed.Step(t.Context())
		if got := ended(); !slices.Equal(got, want) {
			t.Errorf("%s: ended %q, want %q", when, got, want)
		}
	}
	first, second, undone := tx(t, pool, "first"), tx(t, pool, "second"), tx(t, pool, "undone")
	expect("while all run")
	commit(t, second)
	expect("the second has ended", "second")
	expect("nothing new")
	third := tx(t, pool, "third")
	commit(t, third)
	expect("the third has ended", "third")
	if err := undone.Rollback(); err != nil {
		t.Fatal(err)
	}
	commit(t, first)
	expect("the first has ended", "first")
	expect("nothing new")
}

// Many transactions of random length: after a reading, everything that was committed before it has been heard of.
func TestNoRowIsPassedOver(t *testing.T) {
	url, pool := database(t)
	i := newInstance(t, url)
	i.feed.Step(t.Context())
	pool.SetMaxOpenConns(8)
	stop := make(chan struct{})
	var committed atomic.Int64
	var wg sync.WaitGroup
	for worker := range 6 {
		random := rand.New(rand.NewPCG(uint64(worker), 3))
		wg.Go(func() {
			for range 60 {
				name := fmt.Sprint("thing ", random.IntN(5))
				begun, err := pool.BeginTx(t.Context(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = begun.ExecContext(t.Context(), `insert into cache_events (tags) values (array[$1::text])`, name)
				if err == nil && random.IntN(2) == 0 {
					_, err = begun.ExecContext(t.Context(), `select pg_sleep($1)`, random.Float64()/200)
				}
				if err == nil {
					_, err = begun.ExecContext(t.Context(), `update things set value = value + 1 where name = $1`, name)
				}
				if err != nil || begun.Commit() != nil {
					t.Error(err)
					return
				}
				committed.Add(1)
			}
		})
	}
	go func() {
		wg.Wait()
		close(stop)
	}()
	present := func(name string) int64 {
		var value int64
		if err := i.find.QueryRow(t.Context(), []any{&value}, name); err != nil {
			t.Fatal(err)
		}
		return value
	}
	for running := true; running; {
		select {
		case <-stop:
			running = false
		default:
		}
		for n := range 5 {
			name := fmt.Sprint("thing ", n)
			least := present(name)
			i.feed.Step(t.Context())
			if got := i.mustRead(name); got < least {
				t.Fatalf("%s is read as %d after a reading of when it was %d", name, got, least)
			}
		}
	}
	if committed.Load() != 360 || i.cache.Stats().Hits == 0 {
		t.Errorf("the test tried nothing: %d, %+v", committed.Load(), i.cache.Stats())
	}
}

// Rows that were trimmed before they were read are a gap, after which everything is asked for again.
func TestGap(t *testing.T) {
	url, pool := database(t)
	i := newInstance(t, url)
	i.feed.Step(t.Context())
	i.mustRead("thing 0")
	exec(t, pool, change, "thing 0")
	exec(t, pool, `delete from cache_events`)
	i.feed.Step(t.Context())
	if got := i.mustRead("thing 0"); got != 0 {
		t.Fatal("not what this test is about:", got)
	}
	i.feed.Forget(invalidation.Retention)
	i.feed.Step(t.Context())
	if got := i.mustRead("thing 0"); got != 1 {
		t.Error("used after a gap:", got)
	}
}

// Rows are kept until all can have read them, however long ago their transactions began.
func TestSweep(t *testing.T) {
	url, pool := database(t)
	i := newInstance(t, url)
	count := func(want int) {
		t.Helper()
		if err := i.feed.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got int
		if err := pool.QueryRowContext(t.Context(), `select count(*) from cache_events`).Scan(&got); err != nil || got != want {
			t.Errorf("%d rows are left (%v), want %d", got, err, want)
		}
	}
	later := func(d time.Duration) {
		i.ahead.Add(int64(d))
		i.feed.Step(t.Context())
	}
	exec(t, pool, `insert into cache_events (tags) values ('{a}')`)
	running := tx(t, pool, "long")
	exec(t, pool, `insert into cache_events (tags) values ('{b}')`)
	later(0)
	count(2)
	later(invalidation.Retention + time.Minute)
	count(1) // b is younger than one that runs
	commit(t, running)
	count(2) // it has just ended, and not everybody has read it
	later(time.Minute)
	count(2)
	later(invalidation.Retention + time.Minute)
	count(0)
}

func TestPublish(t *testing.T) {
	url, _ := database(t)
	all := fleet(t, url)
	ended := all[2].watch("a", "b")
	ended()
	for _, tc := range []struct{ tag, want []string }{
		{tag: []string{"a"}, want: []string{"a"}}, {tag: []string{invalidation.Everything}, want: []string{"a", "b"}},
	} {
		if err := all[0].feed.Publish(t.Context(), tc.tag...); err != nil {
			t.Fatal(err)
		}
		var gone []string
		eventually(t, func() bool {
			gone = append(gone, ended()...)
			return len(gone) >= len(tc.want)
		})
		if !slices.Equal(gone, tc.want) {
			t.Errorf("%q ended %q, want %q", tc.tag, gone, tc.want)
		}
	}
}
