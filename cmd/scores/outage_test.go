package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/test/results"
)

// outagePatience is generous: a server that stands still holds up each attempt for as long as it may take.
const outagePatience = 2 * time.Minute

// outageLength is how long the database stays away; 30s is what the figures are taken with.
var outageLength = flag.Duration("outage", 0, "least time that TestDatabaseGoesAwayAndComesBack takes the database away for; with 30s or more its figures are recorded")

// outage is a service with a database server of its own, which tests take away and give back, and clients that keep
// calling all the while.
type outage struct {
	*instance
	t      *testing.T
	server *pgserver.Server
	dir    string
	port   int
	url    string

	mu       sync.Mutex
	created  []string // scores whose creation was acknowledged
	statuses map[int]int
	refusals []time.Duration // how long each 503 took
}

func startOutage(t *testing.T, requestTimeout time.Duration) *outage {
	t.Helper()
	o := &outage{t: t, dir: t.TempDir(), statuses: map[int]int{}}
	o.give()
	t.Cleanup(func() { o.take() })
	if err := o.server.EnsureDatabase(t.Context(), "scores"); err != nil {
		t.Fatal(err)
	}
	o.url = o.server.URL("scores")
	parsed, err := url.Parse(o.url)
	if err != nil {
		t.Fatal(err)
	}
	if o.port, err = strconv.Atoi(parsed.Port()); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(migrated(t, o.url))
	cfg.RequestTimeout = requestTimeout
	cfg.SettingsDir = roomy(t)
	o.instance = startService(t, cfg)
	o.await(t, http.StatusOK, `"ready"`)
	return o
}

// give starts the server, at the port that it had before.
func (o *outage) give() {
	o.t.Helper()
	server, err := pgserver.Start(o.t.Context(), pgserver.Config{Dir: o.dir, Port: o.port, Durable: true})
	if err != nil {
		o.t.Fatal(err)
	}
	o.server = server
}

// take shuts the server down; what it has committed stays.
func (o *outage) take() {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(o.t.Context()), patience)
	defer cancel()
	if err := o.server.Stop(ctx); err != nil {
		o.t.Error(err)
	}
}

// signal sends a signal to every process of the server.
func (o *outage) signal(s syscall.Signal) {
	o.t.Helper()
	raw, err := os.ReadFile(filepath.Join(o.dir, "data", "postmaster.pid"))
	if err != nil {
		o.t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	postmaster, err := strconv.Atoi(first)
	if err != nil {
		o.t.Fatal(err)
	}
	// The first one stops starting others, so the list is complete once it has its signal.
	for _, pid := range append([]int{postmaster}, childrenOf(o.t, postmaster)...) {
		if err := syscall.Kill(pid, s); err != nil && err != syscall.ESRCH {
			o.t.Fatal(err)
		}
	}
}

func childrenOf(t *testing.T, parent int) (children []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(raw), ") ") // state and parent follow the name
		fields := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			children = append(children, pid)
		}
	}
	return children
}

// load lets clients call until the function it returns is called.
func (o *outage) load(clients int) (end func()) {
	ctx, cancel := context.WithCancel(o.t.Context())
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				o.once(ctx, transport, n%2 == 0)
			}
		})
	}
	return sync.OnceFunc(func() {
		cancel()
		running.Wait()
		transport.CloseIdleConnections()
	})
}

// once creates a score or reads a page of them.
func (o *outage) once(ctx context.Context, transport http.RoundTripper, write bool) {
	method, body := http.MethodGet, ""
	if write {
		method, body = http.MethodPost, `{"title":"Nocturne"}`
	}
	req, err := http.NewRequestWithContext(ctx, method, o.api+"/api/scores", strings.NewReader(body))
	if err != nil {
		o.t.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+o.token)
	started := time.Now()
	res, err := transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() == nil {
			o.t.Errorf("%s: %v", method, err)
		}
		return
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return
	}
	o.note(res.StatusCode, time.Since(started), text)
	if res.StatusCode == http.StatusServiceUnavailable {
		time.Sleep(5 * time.Millisecond) // a client that is told to come back later does not come back at once
	}
}

func (o *outage) note(status int, took time.Duration, body []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.statuses[status]++
	switch status {
	case http.StatusCreated:
		var created struct{ Data struct{ ID string } }
		if err := json.Unmarshal(body, &created); err != nil {
			o.t.Error(err)
		}
		o.created = append(o.created, created.Data.ID)
	case http.StatusServiceUnavailable:
		o.refusals = append(o.refusals, took)
	}
}

// since returns what was answered since the last call.
func (o *outage) since() (statuses map[int]int, refusals []time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	statuses, refusals = o.statuses, o.refusals
	o.statuses, o.refusals = map[int]int{}, nil
	return statuses, refusals
}

// eventually waits until the condition holds.
func (o *outage) eventually(what string, holds func() bool) time.Duration {
	o.t.Helper()
	started := time.Now()
	for !holds() {
		if time.Since(started) > outagePatience {
			o.t.Fatalf("waiting until %s: %s passed", what, outagePatience)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(started)
}

// breakerIs says whether the breaker before writes is in a state. Reads are answered from caches, so they may never meet
// theirs.
func (o *outage) breakerIs(state string) func() bool {
	return func() bool {
		_, metrics, _ := o.call(o.t, "GET", o.ops+"/metrics", "")
		return strings.Contains(metrics, fmt.Sprintf("dependency_breaker_state{dependency=\"database writes\",state=%q} 1", state))
	}
}

func (o *outage) breakersAreClosed() bool {
	_, metrics, _ := o.call(o.t, "GET", o.ops+"/metrics", "")
	return strings.Contains(metrics, `dependency_breaker_state{dependency="database reads",state="closed"} 1`) &&
		strings.Contains(metrics, `dependency_breaker_state{dependency="database writes",state="closed"} 1`)
}

// served says whether reads and writes have been served since the last call of since.
func (o *outage) served() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.statuses[http.StatusCreated] > 0 && o.statuses[http.StatusOK] > 0
}

// missing are the acknowledged scores that are not there.
func (o *outage) missing() (ids []string) {
	o.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range o.created {
		if status, body, _ := o.call(o.t, "GET", o.api+"/api/scores/"+id, ""); status != http.StatusOK {
			ids = append(ids, id+" "+body)
		}
	}
	return ids
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

func TestDatabaseGoesAwayAndComesBack(t *testing.T) {
	for name, tc := range map[string]struct{ take, give func(*outage) }{
		"it is shut down": {take: (*outage).take, give: (*outage).give},
		"it stands still": {take: func(o *outage) { o.signal(syscall.SIGSTOP) }, give: func(o *outage) { o.signal(syscall.SIGCONT) }},
	} {
		t.Run(name, func(t *testing.T) {
			o := startOutage(t, time.Second)
			o.eventually("the first requests are served", func() bool {
				o.once(t.Context(), http.DefaultTransport, true)
				o.once(t.Context(), http.DefaultTransport, false)
				return o.served()
			})
			before := runtime.NumGoroutine()
			end := o.load(8)
			defer end()
			o.since()
			o.eventually("the load is served", o.served)

			tc.take(o)
			away := time.Now()
			opened := o.eventually("the breaker opens", o.breakerIs("open"))
			o.eventually("the report says so", func() bool {
				status, body, _ := o.call(t, "GET", o.api+"/health", "")
				return status == http.StatusServiceUnavailable && strings.Contains(body, "breaker is open")
			})
			o.since()
			o.eventually("refusals are there to be measured", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return len(o.refusals) > 200 })
			statuses, refusals := o.since()
			if statuses[http.StatusCreated] > 0 {
				t.Errorf("without a database: %v", statuses)
			}
			for *outageLength > time.Since(away) { // the load goes on, and nothing piles up
				time.Sleep(time.Second)
			}
			later, more := o.since()
			refusals = append(refusals, more...)
			if later[http.StatusCreated] > 0 {
				t.Errorf("without a database: %v", later)
			}
			quick := median(refusals)
			if quick > time.Second {
				t.Errorf("half of the refusals take longer than %s", quick)
			}

			tc.give(o)
			recovered := o.eventually("requests are served again", o.served)
			o.eventually("the breakers close", o.breakersAreClosed)
			end()
			t.Logf("open after %s, half of the refusals within %s, %d stale answers, served %s after the return", opened, quick,
				statuses[http.StatusOK]+later[http.StatusOK], recovered)
			recordOutage(t, name, opened, quick, recovered)
			if missing := o.missing(); len(missing) > 0 {
				t.Errorf("%d of %d acknowledged writes are lost, such as %s", len(missing), len(o.created), missing[0])
			}
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			// The queue has two dozen more while its process leads; requests that each left one behind would leave hundreds.
			o.eventually("no goroutine is left behind", func() bool { return runtime.NumGoroutine() <= before+40 })
			// The pool and the one of the probes. The server needs a moment to notice which ones were given up.
			o.eventually("no connection is left behind", func() bool {
				return connectionsTo(t, o.url) <= testConfig("").DatabaseConns+1
			})
		})
	}
}

func recordOutage(t *testing.T, how string, opened, refused, recovered time.Duration) {
	t.Helper()
	if *outageLength < 30*time.Second || raceEnabled {
		return
	}
	for _, figure := range []results.Figure{
		{Name: "until the breaker opens", Value: opened.Seconds(), Unit: "s", Bound: "< 1"},
		{Name: "half of the refusals", Value: refused.Seconds() * 1000, Unit: "ms", Bound: "< 50"},
		{Name: "until requests are served after the return", Value: recovered.Seconds(), Unit: "s", Bound: "< 3"},
	} {
		figure.Name += ", database away for 30 s: " + how
		figure.Command = "go test ./cmd/scores -run TestDatabaseGoesAwayAndComesBack -outage 30s"
		results.Record(t, figure)
	}
}

func connectionsTo(t *testing.T, url string) (n int) {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	const query = "select count(*) from pg_stat_activity where application_name = $1"
	if err := db.QueryRowContext(t.Context(), query, serviceName).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// While a table is locked nothing of it is answered in time, but the database answers. The pods must stay where they
// are: taken away, all of them would be.
func TestOpenBreakerIsNoReasonToTakeThePodAway(t *testing.T) {
	l := open(t, func(c *Config) { c.RequestTimeout = 300 * time.Millisecond })
	made := l.as(t, alice, "POST", "/api/scores", `{"title":"hers"}`)
	// On a busy machine the first connection may take longer than that.
	for deadline := time.Now().Add(patience); made.status == http.StatusGatewayTimeout && time.Now().Before(deadline); {
		made = l.as(t, alice, "POST", "/api/scores", `{"title":"hers"}`)
	}
	path := made.is(t, 201, "").header.Get("Location")
	release := lockTable(t, l.database, "scores")
	unlock := sync.OnceFunc(release)
	defer unlock()
	var last reply
	for range 100 {
		if last = l.as(t, alice, "GET", path, ""); last.status == http.StatusServiceUnavailable {
			break
		}
	}
	last.is(t, 503, "SERVICE_ERROR")
	if last.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	l.as(t, nobody, "GET", "/readyz", "").is(t, 200, "")
	if body := l.as(t, nobody, "GET", "/health", "").is(t, 200, "").body; !strings.Contains(body, `"degraded"`) {
		t.Errorf("health: %s", body)
	}
	unlock()
	deadline := time.Now().Add(patience)
	for l.as(t, alice, "GET", path, "").status != http.StatusOK {
		if time.Now().After(deadline) {
			t.Fatal("the breaker does not close")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
