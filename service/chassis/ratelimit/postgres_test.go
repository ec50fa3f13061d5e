package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// schema is what the package needs of a service's migrations.
const schema = `create unlogged table rate_limits (key bytea not null primary key check (octet_length(key) = 16),
	ends_at timestamptz not null, taken integer not null check (taken >= 0), granted integer not null check (granted >= 0))`

type unmeasured struct{}

func (unmeasured) ObserveQuery(string, time.Duration, error) {}

func openDB(t *testing.T, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(postgres.Config{
		URL: secret.FromValue(url), ApplicationName: "test", MaxConns: 2, Observer: unmeasured{}, StatementTimeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// database returns the URL of a database with the table, and a way to change it.
func database(t *testing.T) (url string, exec func(statement string)) {
	t.Helper()
	url = pgserver.Database(t)
	db := openDB(t, url)
	exec = func(statement string) {
		t.Helper()
		if _, err := db.Pool().ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec(schema)
	return url, exec
}

// pod is one process of the fleet.
type pod struct {
	*Limiter
	fleet *Postgres
	tally *tally
}

// newPod counts over a database. The timeout is so long that a busy machine does not make it count by itself.
func newPod(t *testing.T, url string) pod {
	t.Helper()
	p := pod{fleet: NewPostgres(openDB(t, url)), tally: &tally{}}
	p.Limiter = New(Config{Fleet: p.fleet, Timeout: time.Minute, Observer: p.tally, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	return p
}

// burst sends requests of one client to all pods at the same time and returns how many are let through.
func burst(t *testing.T, pods []pod, key Key, limit Limit, requests int) int {
	t.Helper()
	var allowed atomic.Int64
	var clients sync.WaitGroup
	begin := make(chan struct{})
	for i := range requests {
		clients.Go(func() {
			<-begin
			v, err := pods[i%len(pods)].Spend(t.Context(), key, limit)
			if err != nil {
				t.Error(err)
			}
			if v.Allowed && allowed.Add(1) > int64(limit.Requests) {
				t.Errorf("request %d of %d let through", allowed.Load(), limit.Requests)
			}
		})
	}
	close(begin)
	clients.Wait()
	return int(allowed.Load())
}

func TestAThousandClientsOfThreeProcessesGetExactlyTheLimit(t *testing.T) {
	url, _ := database(t)
	pods := []pod{newPod(t, url), newPod(t, url), newPod(t, url)}
	for i, n := range []int{1, 7, 100, 300} {
		if got := burst(t, pods, Key{byte(i)}, Limit{Requests: n, Window: time.Hour}, 1000); got != n {
			t.Errorf("%d of %d let through", got, n)
		}
	}
	for i, p := range pods {
		if n := p.tally.failed.Load(); n > 0 {
			t.Errorf("process %d counted by itself %d times", i, n)
		}
	}
}

func TestAKilledProcessCostsAtMostOneLease(t *testing.T) {
	url, _ := database(t)
	killed, others := newPod(t, url), []pod{newPod(t, url), newPod(t, url)}
	limit := Limit{Requests: 300, Window: time.Hour}
	for range 17 {
		spend(t, killed.Limiter, alice, limit)
	}
	// Nothing of what it holds comes back.
	got := 17 + burst(t, others, alice, limit, 1000)
	if got > 300 || got < 300-limit.lease() {
		t.Errorf("%d of 300 let through", got)
	}
}

func TestWhatIsNotSpentComesBackOverTheDatabase(t *testing.T) {
	url, _ := database(t)
	one, two := newPod(t, url), newPod(t, url)
	limit := Limit{Requests: 300, Window: time.Hour}
	got := 0
	for _, key := range []Key{alice, bob} {
		for range 17 {
			spend(t, one.Limiter, key, limit)
		}
	}
	one.Close(t.Context())
	one.Close(t.Context()) // there is nothing left to give back
	got = 17 + burst(t, []pod{two}, alice, limit, 1000)
	if got != 300 {
		t.Errorf("%d of 300 let through", got)
	}
}

func TestALeaseGivenBackLateDoesNotCountInTheNextWindow(t *testing.T) {
	url, exec := database(t)
	p := newPod(t, url)
	limit := Limit{Requests: 10, Window: time.Hour}
	lease, err := p.fleet.Take(t.Context(), alice, limit, 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	exec(`update rate_limits set ends_at = now() - interval '1 second'`)
	next, err := p.fleet.Take(t.Context(), alice, limit, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	if next.Window == lease.Window || next.Left != 7 {
		t.Errorf("%+v after %+v", next, lease)
	}
	if err := p.fleet.GiveBack(t.Context(), []Rest{{Key: alice, Window: lease.Window, Units: 5}, {Key: alice, Window: next.Window, Units: 1}, {Key: alice, Window: next.Window, Units: 1}}); err != nil {
		t.Fatal(err)
	}
	if last, err := p.fleet.Take(t.Context(), alice, limit, 1, 1); err != nil || last.Left != 8 {
		t.Errorf("%+v, %v: want 8 left", last, err)
	}
}

func TestWhatALeaseIs(t *testing.T) {
	url, _ := database(t)
	fleet := newPod(t, url).fleet
	limit := Limit{Requests: 100, Window: time.Hour}
	for i, tc := range []struct{ need, like, units, left int }{
		{1, 1, 1, 99}, {1, 20, 9, 90}, {20, 1, 20, 70}, {3, 2, 3, 67}, {20, 20, 20, 47}, {20, 20, 20, 27}, {20, 20, 20, 7}, {1, 20, 1, 6}, {20, 20, 6, 0}, {1, 1, 0, 0},
	} {
		got, err := fleet.Take(t.Context(), alice, limit, tc.need, tc.like)
		if err != nil {
			t.Fatal(err)
		}
		if got.Units != tc.units || got.Left != tc.left || got.Life <= 0 || got.Life > limit.Window {
			t.Errorf("lease %d: %+v, want %+v", i, got, tc)
		}
	}
	lowered, err := fleet.Take(t.Context(), alice, Limit{Requests: 5, Window: time.Hour}, 1, 1)
	if err != nil || lowered.Units != 0 || lowered.Left != 0 {
		t.Errorf("%+v, %v after the limit was lowered", lowered, err)
	}
}

func TestWithoutTheDatabaseRequestsAreStillCounted(t *testing.T) {
	url, exec := database(t)
	p := newPod(t, url)
	limit := Limit{Requests: 10, Window: time.Hour}
	exec(`alter table rate_limits rename to elsewhere`)
	if n := spendAll(t, p.Limiter, alice, limit); n != 10 {
		t.Errorf("%d let through", n)
	}
	if p.tally.failed.Load() == 0 {
		t.Error("nobody is told")
	}
}

func TestProcessesKnowHowManyTheyAre(t *testing.T) {
	url, exec := database(t)
	first, second, third := newPod(t, url).fleet, newPod(t, url).fleet, newPod(t, url).fleet
	joins := func(fleet *Postgres, want int) {
		t.Helper()
		if n, err := fleet.Join(t.Context()); err != nil || n != want {
			t.Errorf("%d processes, %v, want %d", n, err, want)
		}
	}
	if _, err := first.Take(t.Context(), alice, Limit{Requests: 1, Window: time.Hour}, 1, 1); err != nil {
		t.Fatal(err)
	}
	joins(first, 1)
	joins(first, 1)
	joins(second, 2)
	joins(third, 3)
	joins(first, 3)
	exec(fmt.Sprintf(`update rate_limits set ends_at = now() where key = '\x%x'`, second.self[:]))
	joins(first, 2)
	if err := first.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	joins(third, 2)
	joins(second, 3)
}

func TestSweepRemovesWhatIsOver(t *testing.T) {
	url, exec := database(t)
	fleet := newPod(t, url).fleet
	for _, key := range []Key{alice, bob} {
		if _, err := fleet.Take(t.Context(), key, Limit{Requests: 1, Window: time.Hour}, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	exec(`update rate_limits set ends_at = now() where get_byte(key, 0) = 1`)
	if err := fleet.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left string
	db := openDB(t, url)
	if err := db.Pool().QueryRowContext(t.Context(), `select string_agg(encode(key, 'hex'), ' ') from rate_limits`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(left, "02") || len(left) != 32 {
		t.Errorf("left is %s", left)
	}
}

func TestGivingBackManyAtOnceFromManyProcesses(t *testing.T) {
	url, _ := database(t)
	limit := Limit{Requests: 1000, Window: time.Hour}
	var pods sync.WaitGroup
	for range 4 {
		p := newPod(t, url)
		pods.Go(func() {
			var rests []Rest
			for i := range 60 {
				lease, err := p.fleet.Take(context.Background(), Key{byte(i)}, limit, 5, 1)
				if err != nil {
					t.Error(err)
					return
				}
				rests = append(rests, Rest{Key: Key{byte(i)}, Window: lease.Window, Units: lease.Units})
			}
			if err := p.fleet.GiveBack(context.Background(), rests); err != nil {
				t.Error(err)
			}
		})
	}
	pods.Wait()
	var taken int
	if err := openDB(t, url).Pool().QueryRowContext(t.Context(), `select sum(taken) from rate_limits`).Scan(&taken); err != nil || taken != 0 {
		t.Errorf("%d are taken after all was given back, %v", taken, err)
	}
}
