package idempotency_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/idempotency"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// table is what the package needs of a service's migrations.
const table = `create table idempotency_keys (user_id text not null, route text not null, key text not null,
	request_hash bytea not null, status smallint, header jsonb, body bytea, claimed_at timestamptz not null default now(),
	expires_at timestamptz not null, primary key (user_id, route, key))`

// byHeader is a guard that believes the header User.
type byHeader struct{}

func (byHeader) Guard(_ httpapi.Access, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := auth.Identity{ID: r.Header.Get("User"), Role: auth.RoleUser}
		next.ServeHTTP(w, r.WithContext(auth.NewContext(r.Context(), id)))
	})
}

// thing is what the service of these tests makes.
type thing struct {
	N    int64  `json:"n"`
	Name string `json:"name"`
}

type fixture struct {
	t    *testing.T
	db   *postgres.DB
	keys *idempotency.Keys
	h    http.Handler
	done atomic.Int64
	// hold, when set, is waited for before a thing is made.
	hold chan struct{}
	// entered is told when a request is being served.
	entered chan struct{}
}

func (f *fixture) make(_ context.Context, wanted thing) (thing, error) {
	f.entered <- struct{}{}
	if f.hold != nil {
		<-f.hold
	}
	n := f.done.Add(1)
	switch wanted.Name {
	case "refused":
		return thing{}, fault.New(fault.Conflict, "Refused")
	case "broken":
		return thing{}, errors.New("broken")
	case "panic":
		panic("panic")
	}
	return thing{N: n, Name: wanted.Name}, nil
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	db, err := postgres.Open(postgres.Config{
		URL: secret.FromValue(pgserver.Database(t)), ApplicationName: "test", StatementTimeout: 5 * time.Second, MaxConns: 4, Observer: unmeasured{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Direct("test.table", table).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	f := &fixture{t: t, db: db, keys: idempotency.New(db, httpapi.Fixed(10*time.Second), logger), entered: make(chan struct{}, 100)}
	handler := httpapi.Handle(httpapi.DecodeJSON[thing], f.make,
		func(made thing) httpapi.Response { return httpapi.Created("/things/1", made).WithVersion(1) })
	router := httpapi.NewRouter()
	router.Mount(byHeader{}, []httpapi.Route{
		{Method: "POST", Path: "/things", Access: httpapi.Callers, Handler: handler},
		{Method: "PUT", Path: "/things/{id}", Access: httpapi.Callers, Handler: handler},
		{Method: "POST", Path: "/secrets", Access: httpapi.Callers, Sensitive: true, Handler: handler},
	}, f.keys.Wrap)
	f.h = httpapi.Middleware(httpapi.Options{Logger: logger, Observer: unmeasured{}, RequestTimeout: httpapi.Fixed(10 * time.Second), MaxBody: 1 << 10}, router)
	return f
}

// unmeasured measures nothing.
type unmeasured struct{}

func (unmeasured) ObserveQuery(string, time.Duration, error)          {}
func (unmeasured) RequestStarted()                                    {}
func (unmeasured) RequestFinished(string, string, int, time.Duration) {}

func (f *fixture) send(method, path, user, key, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(f.t.Context(), method, path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User", user)
	if key != "" {
		req.Header.Set(httpapi.IdempotencyKeyHeader, key)
	}
	rec := httptest.NewRecorder()
	f.h.ServeHTTP(rec, req)
	return rec
}

func TestC62SecondRequestGetsTheFirstAnswer(t *testing.T) {
	f := newFixture(t)
	first := f.send("POST", "/things", "alice", "k1", `{"name":"a","n":1}`)
	again := f.send("POST", "/things", "alice", "k1", `{ "n": 1, "name": "a" }`)
	if first.Code != 201 || again.Code != 201 || f.done.Load() != 1 {
		t.Fatalf("%d, then %d; done %d times", first.Code, again.Code, f.done.Load())
	}
	if diff := cmp.Diff(first.Body.String(), again.Body.String()); diff != "" {
		t.Errorf("bodies (-first +again):\n%s", diff)
	}
	for _, name := range []string{"Location", "ETag", "Content-Type", "Cache-Control"} {
		if first.Header().Get(name) == "" || first.Header().Get(name) != again.Header().Get(name) {
			t.Errorf("%s: %q, then %q", name, first.Header().Get(name), again.Header().Get(name))
		}
	}
	if first.Header().Get(httpapi.ReplayedHeader) != "" || again.Header().Get(httpapi.ReplayedHeader) != "true" {
		t.Error("it is not told which answer is a repetition")
	}
	if first.Header().Get(httpapi.RequestIDHeader) == again.Header().Get(httpapi.RequestIDHeader) {
		t.Error("the repetition has the ID of the first request")
	}
}

func TestC62WhatAKeyBelongsTo(t *testing.T) {
	for name, tc := range map[string]struct {
		method, path, user, key, body string
		status                        int
		done                          int64
	}{
		"another user":                 {method: "POST", path: "/things", user: "bob", key: "k1", body: `{"name":"a"}`, status: 201, done: 2},
		"another route":                {method: "PUT", path: "/things/1", user: "alice", key: "k1", body: `{"name":"a"}`, status: 201, done: 2},
		"another key":                  {method: "POST", path: "/things", user: "alice", key: "k2", body: `{"name":"a"}`, status: 201, done: 2},
		"no key":                       {method: "POST", path: "/things", user: "alice", body: `{"name":"a"}`, status: 201, done: 2},
		"another body":                 {method: "POST", path: "/things", user: "alice", key: "k1", body: `{"name":"b"}`, status: 409, done: 1},
		"another query":                {method: "POST", path: "/things?x=1", user: "alice", key: "k1", body: `{"name":"a"}`, status: 409, done: 1},
		"a key that is too long":       {method: "POST", path: "/things", user: "alice", key: strings.Repeat("k", 129), body: `{"name":"a"}`, status: 400, done: 1},
		"a key with a space":           {method: "POST", path: "/things", user: "alice", key: "k 1", body: `{"name":"a"}`, status: 400, done: 1},
		"a body that is too large":     {method: "POST", path: "/things", user: "alice", key: "k3", body: `{"name":"` + strings.Repeat("a", 2000) + `"}`, status: 413, done: 1},
		"a route whose body is sealed": {method: "POST", path: "/secrets", user: "alice", key: "k1", body: `{"name":"a"}`, status: 201, done: 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.send("POST", "/things", "alice", "k1", `{"name":"a"}`)
			if got := f.send(tc.method, tc.path, tc.user, tc.key, tc.body); got.Code != tc.status || f.done.Load() != tc.done {
				t.Errorf("%d, done %d times; want %d, %d: %s", got.Code, f.done.Load(), tc.status, tc.done, got.Body)
			}
		})
	}
}

func TestC62RefusedRequestsFreeTheirKey(t *testing.T) {
	for _, name := range []string{"refused", "broken", "panic"} {
		f := newFixture(t)
		for range 2 {
			f.send("POST", "/things", "alice", "k1", `{"name":"`+name+`"}`)
		}
		if f.done.Load() != 2 {
			t.Errorf("%s: tried %d times, want 2", name, f.done.Load())
		}
		if got := f.send("POST", "/things", "alice", "k1", `{"name":"good"}`); got.Code != 201 {
			t.Errorf("after %s the key is taken: %d %s", name, got.Code, got.Body)
		}
	}
}

func TestC62ConcurrentDuplicatesAreDoneOnce(t *testing.T) {
	f := newFixture(t)
	f.hold = make(chan struct{})
	var holder, duplicates sync.WaitGroup
	var first *httptest.ResponseRecorder
	holder.Go(func() { first = f.send("POST", "/things", "alice", "k1", `{"name":"a"}`) })
	<-f.entered
	for range 5 {
		duplicates.Go(func() {
			got := f.send("POST", "/things", "alice", "k1", `{"name":"a"}`)
			if got.Code != 409 || got.Header().Get("Retry-After") != "1" {
				t.Errorf("%d, Retry-After %q; want 409 and 1", got.Code, got.Header().Get("Retry-After"))
			}
		})
	}
	// The duplicates are answered while the first is held: nobody waits for it.
	duplicates.Wait()
	close(f.hold)
	holder.Wait()
	if first.Code != 201 || f.done.Load() != 1 {
		t.Errorf("first %d, done %d times", first.Code, f.done.Load())
	}
}

func TestC62KeysEnd(t *testing.T) {
	for name, tc := range map[string]struct{ change, want string }{
		"an answer is kept for a day":           {change: `update idempotency_keys set expires_at = now()`, want: "again"},
		"a request that died loses its key":     {change: `update idempotency_keys set status = null, claimed_at = now() - interval '31 seconds'`, want: "again"},
		"one that may be running keeps its key": {change: `update idempotency_keys set status = null, claimed_at = now() - interval '20 seconds'`, want: "conflict"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.send("POST", "/things", "alice", "k1", `{"name":"a"}`)
			if _, err := f.db.Direct("test.change", tc.change).Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := map[int64]string{1: "conflict", 2: "again"}
			f.send("POST", "/things", "alice", "k1", `{"name":"a"}`)
			if got[f.done.Load()] != tc.want {
				t.Errorf("done %d times, want %s", f.done.Load(), tc.want)
			}
		})
	}
}

func TestSweepRemovesWhatHasExpired(t *testing.T) {
	f := newFixture(t)
	f.send("POST", "/things", "alice", "old", `{"name":"a"}`)
	if _, err := f.db.Direct("test.change", `update idempotency_keys set expires_at = now()`).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.send("POST", "/things", "alice", "new", `{"name":"a"}`)
	if err := f.keys.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left string
	if err := f.db.Direct("test.left", `select string_agg(key, ' ') from idempotency_keys`).QueryRow(t.Context(), []any{&left}); err != nil || left != "new" {
		t.Errorf("left: %q, %v", left, err)
	}
}
