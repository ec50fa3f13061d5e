package postgres_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// observed remembers what was measured.
type observed struct {
	mu    sync.Mutex
	names []string
	codes []fault.Code
}

func (o *observed) ObserveQuery(name string, _ time.Duration, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.names, o.codes = append(o.names, name), append(o.codes, fault.CodeOf(err))
}

func open(t *testing.T, source secret.Source, statementTimeout time.Duration, conns int) (*postgres.DB, *observed) {
	t.Helper()
	o := &observed{}
	db, err := postgres.Open(postgres.Config{
		URL: source, ApplicationName: "test", StatementTimeout: statementTimeout, MaxConns: conns, Observer: o,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, o
}

func exec(t *testing.T, db *postgres.DB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := db.Direct("setup", text).Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// raise is a statement that fails with a SQLSTATE.
func raise(code string) string {
	return `do $$ begin raise exception using errcode = '` + code + `'; end $$`
}

func TestErrorsBecomeFaults(t *testing.T) {
	db, o := open(t, secret.FromValue(pgserver.Database(t)), 200*time.Millisecond, 2)
	exec(t, db,
		`create table parents (id int primary key, name varchar(3) not null check (name <> 'bad'))`,
		`create table children (id int primary key references parents)`,
		`insert into parents values (1, 'a')`)
	for text, want := range map[string]fault.Code{
		`insert into parents values (1, 'b')`:    fault.Conflict,
		`insert into children values (7)`:        fault.Conflict,
		`insert into parents values (2, null)`:   fault.Invalid,
		`insert into parents values (2, 'bad')`:  fault.Invalid,
		`insert into parents values (2, 'long')`: fault.Invalid,
		`select 'x'::uuid`:                       fault.Invalid,
		`select 1/0`:                             fault.Invalid,
		`select '"\u0000"'::jsonb`:               fault.Invalid,
		`select pg_sleep(5)`:                     fault.Timeout,
		`select nothing from parents`:            fault.Internal,
		`selec`:                                  fault.Internal,
		raise("40001"):                           fault.Conflict,
		raise("57P01"):                           fault.Unavailable,
		raise("53300"):                           fault.Unavailable,
		raise("25006"):                           fault.Unavailable,
	} {
		_, err := db.Direct("test", text).Exec(t.Context())
		if got := fault.CodeOf(err); got != want {
			t.Errorf("%s: %q (%v), want %q", text, got, err, want)
		}
		if err != nil && strings.Contains(fault.Of(err).Message, "parents") {
			t.Errorf("%s: the client sees the schema: %s", text, fault.Of(err).Message)
		}
		if details := fault.Of(err).Details; (len(details) == 1) != (want == fault.Invalid) {
			t.Errorf("%s: %v does not say what is wrong", text, details)
		}
	}
	if got := o.codes[len(o.codes)-1]; got == "" {
		t.Error("failures are not measured")
	}
}

func TestEndedContextIsTold(t *testing.T) {
	db, _ := open(t, secret.FromValue(pgserver.Database(t)), 10*time.Second, 2)
	sleep := db.Prepared("sleep", `select pg_sleep(10)`)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := sleep.Exec(short); fault.CodeOf(err) != fault.Timeout {
		t.Errorf("after the deadline: %v, want a timeout", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := sleep.Exec(gone); fault.CodeOf(err) != fault.Canceled {
		t.Errorf("after the client went away: %v, want canceled", err)
	}
	if _, err := db.Prepared("one", `select 1`).Exec(t.Context()); err != nil {
		t.Errorf("the pool does not recover: %v", err)
	}
}

// A migration may change the type of a column while prepared statements that name it are in use on other connections.
func TestPreparedStatementSurvivesAChangeOfTheSchema(t *testing.T) {
	db, o := open(t, secret.FromValue(pgserver.Database(t)), 5*time.Second, 4)
	exec(t, db, `create table things (id int, name varchar(10))`, `insert into things values (1, 'a')`)
	find := db.Prepared("find", `select id, name from things where id = $1`)
	read := func() (string, error) {
		var id int
		var name string
		return name, find.QueryRow(t.Context(), []any{&id, &name}, 1)
	}
	everywhere := func() {
		var readers sync.WaitGroup
		for range 16 {
			readers.Go(func() {
				if _, err := read(); err != nil {
					t.Error(err)
				}
			})
		}
		readers.Wait()
	}
	everywhere()
	for _, change := range []string{
		`alter table things alter column name type text`,
		`alter table things alter column id type bigint`,
		`alter table things add column more text`,
		`deallocate all`,
	} {
		exec(t, db, change)
		everywhere()
	}
	for i, code := range o.codes {
		if code != "" {
			t.Errorf("%s failed with %s", o.names[i], code)
		}
	}
}

func TestQuery(t *testing.T) {
	db, o := open(t, secret.FromValue(pgserver.Database(t)), 5*time.Second, 2)
	var got []int
	collect := func(rows *sql.Rows) error {
		var n int
		err := rows.Scan(&n)
		got = append(got, n)
		return err
	}
	series := `select g from generate_series(1, $1::int) g`
	for _, statement := range []*postgres.Statement{db.Prepared("prepared", series), db.Direct("direct", series)} {
		got = nil
		if err := statement.Query(t.Context(), collect, 3); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int{1, 2, 3}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]string{"prepared", "direct"}, o.names); diff != "" {
		t.Errorf("measured (-want +got):\n%s", diff)
	}
	var n int
	none := db.Prepared("none", `select 1 where false`)
	if err := none.QueryRow(t.Context(), []any{&n}); !errors.Is(err, postgres.ErrNoRows) {
		t.Errorf("no row: %v, want ErrNoRows", err)
	}
	stop := errors.New("stop")
	err := db.Direct("stopped", series).Query(t.Context(), func(*sql.Rows) error { return stop }, 3)
	if !errors.Is(err, stop) || fault.CodeOf(err) != fault.Internal {
		t.Errorf("an error of scan: %v, want it inside an internal fault", err)
	}
}

func TestSettingsOfAConnection(t *testing.T) {
	plain := pgserver.Database(t)
	own, err := url.Parse(plain)
	if err != nil {
		t.Fatal(err)
	}
	query := own.Query()
	query.Set("statement_timeout", "1234")
	query.Set("application_name", "mine")
	own.RawQuery = query.Encode()
	for name, tc := range map[string]struct {
		url  string
		want map[string]string
	}{
		"defaults are bounded":     {url: plain, want: map[string]string{"statement_timeout": "4500ms", "application_name": "test", "idle_in_transaction_session_timeout": "10s"}},
		"the URL has the last say": {url: own.String(), want: map[string]string{"statement_timeout": "1234ms", "application_name": "mine", "idle_in_transaction_session_timeout": "10s"}},
	} {
		t.Run(name, func(t *testing.T) {
			db, _ := open(t, secret.FromValue(tc.url), 4500*time.Millisecond, 1)
			for setting, want := range tc.want {
				var got string
				if err := db.Direct("show", `select current_setting($1)`).QueryRow(t.Context(), []any{&got}, setting); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("%s = %s, want %s", setting, got, want)
				}
			}
		})
	}
}

// lockedBuffer is a log that connections write while a test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestRotatedURLIsUsed(t *testing.T) {
	first, second := pgserver.Database(t), pgserver.Database(t)
	path := filepath.Join(t.TempDir(), "url")
	rotate := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rotate(first)
	var log lockedBuffer
	db, err := postgres.Open(postgres.Config{
		URL: secret.FromFile(path), ApplicationName: "test", StatementTimeout: 5 * time.Second, MaxConns: 2, Observer: &observed{},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	where := func() (string, error) {
		var name string
		return name, db.Direct("where", `select current_database()`).QueryRow(t.Context(), []any{&name})
	}
	before, err := where()
	if err != nil {
		t.Fatal(err)
	}
	rotate(second)
	after := before
	for deadline := time.Now().Add(time.Minute); after == before && time.Now().Before(deadline); {
		if after, err = where(); err != nil {
			t.Fatal(err)
		}
	}
	if after == before {
		t.Errorf("connected to %q although the URL has changed", after)
	}
	db.Pool().SetMaxIdleConns(0) // each statement connects anew
	changed := func(change func(*url.URL)) string {
		parsed, err := url.Parse(second)
		if err != nil {
			t.Fatal(err)
		}
		change(parsed)
		return parsed.String()
	}
	for what, content := range map[string]string{
		"no URL":              "no url at all: password=hunter2 %zz",
		"an unknown role":     changed(func(u *url.URL) { u.User = url.UserPassword("nobody", "hunter2") }),
		"a wrong password":    changed(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "hunter2") }),
		"an unknown database": changed(func(u *url.URL) { u.Path = "/nowhere" }),
		"an empty file":       "",
	} {
		rotate(content)
		if got, err := where(); err != nil || got != after {
			t.Errorf("with %s: %q, %v; want %q as before", what, got, err, after)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := where(); err != nil || got != after {
		t.Errorf("without the file: %q, %v; want %q as before", got, err, after)
	}
	rotate(first)
	if got, err := where(); err != nil || got != before {
		t.Errorf("after the URL was mended: %q, %v", got, err)
	}
	if strings.Contains(log.String(), "hunter2") || !strings.Contains(log.String(), "Keeping the database URL") {
		t.Errorf("the log holds %s", log.String())
	}
}

func TestOpenRefusesWhatIsNoURL(t *testing.T) {
	for name, source := range map[string]secret.Source{
		"nothing":     {},
		"no URL":      secret.FromValue("postgres://user:hunter2@host:port:port/%zz"),
		"absent file": secret.FromFile(filepath.Join(t.TempDir(), "absent")),
	} {
		_, err := postgres.Open(postgres.Config{URL: source, MaxConns: 1, Observer: &observed{}})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want an error without the secret", name, err)
		}
	}
}

func TestAbsentServerIsUnavailable(t *testing.T) {
	db, _ := open(t, secret.FromValue("postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable"), time.Second, 2)
	_, err := db.SchemaVersion(t.Context())
	if fault.CodeOf(err) != fault.Unavailable || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v, want unavailable", err)
	}
}

// A server whose network is gone neither answers nor closes; only the bound on reading ends the wait.
func TestServerThatFallsSilentIsGivenUp(t *testing.T) {
	target, err := url.Parse(pgserver.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := startProxy(t, target.Host)
	target.Host = proxy.address
	db, _ := open(t, secret.FromValue(target.String()), time.Millisecond, 1)
	one := db.Prepared("one", `select 1`)
	if _, err := one.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.silence()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err = one.Exec(ctx)
	if code := fault.CodeOf(err); code != fault.Timeout && code != fault.Unavailable {
		t.Errorf("%v, want a timeout", err)
	}
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("the goroutine was held for %s", took)
	}
}

// proxy forwards to a server until it is silenced; then it swallows everything.
type proxy struct {
	address string
	quiet   chan struct{}
}

func (p *proxy) silence() { close(p.quiet) }

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	var lc net.ListenConfig
	lis, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: lis.Addr().String(), quiet: make(chan struct{})}
	var conns sync.WaitGroup
	ctx := t.Context()
	go func() {
		for {
			client, err := lis.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			conns.Go(func() { p.copy(server, client) })
			conns.Go(func() { p.copy(client, server) })
		}
	}()
	t.Cleanup(func() { _ = lis.Close() })
	return p
}

func (p *proxy) copy(to, from net.Conn) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-p.quiet:
			continue
		default:
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestProbesDoNotWaitForABusyPool(t *testing.T) {
	db, _ := open(t, secret.FromValue(pgserver.Database(t)), 5*time.Second, 1)
	busy, err := db.Pool().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := db.SchemaVersion(ctx); err != nil {
		t.Errorf("%v", err)
	}
}

func TestSchemaVersion(t *testing.T) {
	db, _ := open(t, secret.FromValue(pgserver.Database(t)), time.Second, 2)
	check := func(want int64) {
		t.Helper()
		if got, err := db.SchemaVersion(t.Context()); err != nil || got != want {
			t.Errorf("version %d, %v, want %d", got, err, want)
		}
	}
	check(0)
	exec(t, db, `create table public.goose_db_version (version_id bigint, is_applied bool)`)
	check(0)
	exec(t, db, `insert into public.goose_db_version values (0, true), (3, true), (2, true), (4, false)`)
	check(3)
}

func TestStatementTimeoutChangesWhileConnectionsAreOpen(t *testing.T) {
	db, _ := open(t, secret.FromValue(pgserver.Database(t)), time.Second, 1)
	show := db.Prepared("show", `select current_setting('statement_timeout')`)
	for _, want := range []string{"1s", "7s", "2s"} {
		d, err := time.ParseDuration(want)
		if err != nil {
			t.Fatal(err)
		}
		db.SetStatementTimeout(d)
		for range 3 {
			var got string
			if err := show.QueryRow(t.Context(), []any{&got}); err != nil || got != want {
				t.Errorf("statement_timeout %s, %v, want %s", got, err, want)
			}
		}
	}
}

// flaky protects nothing: it makes each call twice if it may.
type flaky struct{ calls int }

func (f *flaky) Do(ctx context.Context, repeatable bool, call func(context.Context) error) error {
	f.calls++
	err := call(ctx)
	if err != nil && repeatable {
		f.calls++
		err = call(ctx)
	}
	return err
}

func TestStatementsSayWhatMayBeRepeated(t *testing.T) {
	reads, writes := &flaky{}, &flaky{}
	db, err := postgres.Open(postgres.Config{
		URL: secret.FromValue(pgserver.Database(t)), MaxConns: 1, StatementTimeout: time.Second, Observer: &observed{},
		Reads: reads, Writes: writes,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range []*postgres.Statement{
		db.Direct("read", `select id from absent`),
		db.Direct("write", `insert into absent values (1)`),
		db.Direct("repeatable", `insert into absent values (1) on conflict do nothing`, postgres.Repeatable),
	} {
		if _, err := statement.Exec(t.Context()); err == nil {
			t.Error("there is no such table")
		}
	}
	if reads.calls != 2 || writes.calls != 3 {
		t.Errorf("%d reads and %d writes; want the read and one write made twice", reads.calls, writes.calls)
	}
}
