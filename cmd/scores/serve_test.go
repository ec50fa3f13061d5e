package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/chassis/server"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// TestMain is the service itself when a test starts this binary as a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("SCORES_TEST_PROCESS") != "" {
		main()
		return
	}
	os.Exit(pgserver.Run(m))
}

// patience is how long a test waits for something that takes moments.
const patience = 20 * time.Second

// lockedBuffer is a log that the service writes while a test reads it.
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

// instance is a service that runs inside the test.
type instance struct {
	api, ops string
	token    string
	log      *lockedBuffer
	stop     func() error
}

func testConfig(url string) Config {
	return Config{
		Environment: "test", Release: "r7", APIAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0",
		RequestTimeout: 5 * time.Second, ShutdownTimeout: 5 * time.Second, DatabaseConns: 4,
		JobWorkers: 2, JobPatience: 2 * time.Second, FileSizeMiB: 50, FileQuotaMiB: 1024,
		DatabaseURL: secret.FromValue(url), JWTSecret: secret.FromValue(testSecret),
	}
}

func startService(t *testing.T, cfg Config) *instance {
	t.Helper()
	if cfg.SettingsDir == "" {
		cfg.SettingsDir = roomy(t)
	}
	ctx, cancel := context.WithCancel(t.Context())
	i := &instance{log: &lockedBuffer{}}
	listening, ended := make(chan *server.Server, 1), make(chan error, 1)
	go func() { ended <- serve(ctx, cfg, i.log, func(s *server.Server) { listening <- s }) }()
	select {
	case srv := <-listening:
		i.api, i.ops = "http://"+srv.APIAddr(), "http://"+srv.OpsAddr()
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	i.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = i.stop() })
	var token bytes.Buffer
	if err := printToken(&token, cfg, auth.Identity{ID: "alice", Role: auth.RoleUser}, time.Hour); err != nil {
		t.Fatal(err)
	}
	i.token = strings.TrimSpace(token.String())
	return i
}

// call sends a request with a token and returns status and body.
func (i *instance) call(t *testing.T, method, url, body string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+i.token)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

// await waits until the readiness probe answers with the status and text.
func (i *instance) await(t *testing.T, status int, text string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got, body, _ := i.call(t, "GET", i.ops+"/readyz", "")
		if got == status && strings.Contains(body, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("readiness stays at %d %s, want %d %s", got, body, status, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func migrated(t testing.TB, url string) string {
	t.Helper()
	if err := migrateUp(t.Context(), testConfig(url), io.Discard); err != nil {
		t.Fatal(err)
	}
	return url
}

// created adds a score and returns the headers of the answer.
func (i *instance) created(t *testing.T) http.Header {
	t.Helper()
	status, body, header := i.call(t, "POST", i.api+"/api/scores", `{"title":"Nocturne"}`)
	if status != http.StatusCreated {
		t.Errorf("creating: %d %s", status, body)
	}
	return header
}

func TestServe(t *testing.T) {
	i := startService(t, testConfig(scorestest.URL(t)))
	i.await(t, http.StatusOK, `"ready"`)
	header := i.created(t)
	if got := header.Get("X-Release"); got != "r7" {
		t.Errorf("X-Release: %q", got)
	}
	if status, body, _ := i.call(t, "GET", i.api+header.Get("Location"), ""); status != 200 {
		t.Errorf("reading: %d %s", status, body)
	}
	for _, base := range []string{i.api, i.ops} {
		for path, want := range map[string]string{
			"/livez": `{"status":"ok"}`, "/readyz": `{"status":"ready"}`, "/health": `"status":"healthy"`,
		} {
			if status, body, _ := i.call(t, "GET", base+path, ""); status != 200 || !strings.Contains(body, want) {
				t.Errorf("%s%s: %d %s, want %s", base, path, status, body, want)
			}
		}
	}
	if err := i.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestMetricsAreOnTheOperationsPortOnly(t *testing.T) {
	i := startService(t, testConfig(scorestest.URL(t)))
	i.created(t)
	if status, body, _ := i.call(t, "GET", i.api+"/metrics", ""); status != 404 {
		t.Errorf("metrics on the API port: %d %s, want 404", status, body)
	}
	_, metrics, _ := i.call(t, "GET", i.ops+"/metrics", "")
	for _, want := range []string{
		`service_info{environment="test",release="r7",service="scores",version=`,
		`http_requests_total{method="POST",route="/api/scores",status="201"} 1`,
		`database_query_duration_seconds_count{query="scores.insert"} 1`,
		`go_sql_open_connections{db_name="main"}`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

func TestC05ServiceDocumentsItself(t *testing.T) {
	i := startService(t, testConfig(pgserver.Database(t)))
	status, body, header := i.call(t, "GET", i.api+"/docs", "")
	if status != 200 || header.Get("ETag") == "" {
		t.Fatalf("%d %v", status, header)
	}
	for _, want := range []string{`"openapi":"3.1.0"`, `"title":"Scores"`, `"/livez"`, `"/health"`, `"/docs"`, `"/swagger"`, `"/api/scores/{id}"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the document lacks %s", want)
		}
	}
	for _, path := range []string{"/docs/openapi.json", "/api/openapi.json"} {
		if status, same, _ := i.call(t, "GET", i.api+path, ""); status != 200 || same != body {
			t.Errorf("%s is not the document: %d %s", path, status, same)
		}
	}
	for _, path := range []string{"/swagger", "/docs/swagger"} {
		if status, page, _ := i.call(t, "GET", i.api+path, ""); status != 200 || !strings.Contains(page, "/swagger/swagger-ui-bundle.js") {
			t.Errorf("the page at %s: %d %s", path, status, page)
		}
	}
}

func TestLogIsJSONAndShowsNoSecret(t *testing.T) {
	i := startService(t, testConfig(scorestest.URL(t)))
	i.created(t)
	valid := i.token
	i.token += "x"
	if status, body, _ := i.call(t, "POST", i.api+"/api/scores", `{"title":"x"}`); status != 401 {
		t.Errorf("with a spoilt token: %d %s", status, body)
	}
	if err := i.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	for _, hidden := range []string{valid, testSecret} {
		if strings.Contains(i.log.String(), hidden) {
			t.Error("the log shows a secret")
		}
	}
	for line := range strings.Lines(i.log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("the log holds a line that is not JSON: %s", line)
		}
	}
}

func TestServiceOutlivesItsDatabase(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	if err := os.Chmod(dir, 0o755); err != nil { // the database server runs as another user
		t.Fatal(err)
	}
	start := func() *pgserver.Server {
		t.Helper()
		s, err := pgserver.Start(t.Context(), pgserver.Config{Dir: dir, Port: port})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stopDatabase(t, s) })
		return s
	}
	first := start()
	if err := first.EnsureDatabase(t.Context(), "scores"); err != nil {
		t.Fatal(err)
	}
	url := first.URL("scores")
	stopDatabase(t, first)

	// The service starts without a database, lives, and says that it is not ready.
	i := startService(t, testConfig(url))
	i.await(t, http.StatusServiceUnavailable, "the database does not answer")
	i.checkWithoutDatabase(t)

	// It recovers by itself, first from the absence, then from a schema that is too old.
	second := start()
	i.await(t, http.StatusServiceUnavailable, "the database schema is older than this release needs")
	migrated(t, url)
	i.await(t, http.StatusOK, `"ready"`)
	i.created(t)

	// It survives a restart of the database with connections open and statements prepared.
	stopDatabase(t, second)
	i.await(t, http.StatusServiceUnavailable, "the database does not answer")
	start()
	i.await(t, http.StatusOK, `"ready"`)
	// What the process does by itself, such as looking for jobs, may have opened the breaker, which then lets one second pass.
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if status, _, header := i.call(t, "POST", i.api+"/api/scores", `{"title":"Nocturne"}`); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
			break
		}
	}
	for range 10 {
		i.created(t)
	}
	if got := strings.Count(i.log.String(), "Regaining dependency"); got != 2 {
		t.Errorf("recoveries are logged %d times, want 2", got)
	}
}

func (i *instance) checkWithoutDatabase(t *testing.T) {
	t.Helper()
	if status, body, _ := i.call(t, "GET", i.api+"/livez", ""); status != 200 {
		t.Errorf("not alive without a database: %d %s", status, body)
	}
	status, body, header := i.call(t, "GET", i.api+"/api/scores", "")
	if status != 503 || !strings.Contains(body, "SERVICE_ERROR") || header.Get("Retry-After") == "" {
		t.Errorf("without a database: %d %s, want 503", status, body)
	}
	if strings.Contains(body, "127.0.0.1") || strings.Contains(body, "refused") {
		t.Errorf("the client sees the driver's error: %s", body)
	}
}

func stopDatabase(t *testing.T, s *pgserver.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	var lc net.ListenConfig
	lis, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lis.Close() }()
	_, port, err := net.SplitHostPort(lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSchemaAheadIsNoObstacle(t *testing.T) {
	url := scorestest.URL(t)
	i := startService(t, testConfig(url))
	i.await(t, http.StatusOK, `"ready"`)
	runSQL(t, url, "insert into goose_db_version (version_id, is_applied) values (9999, true)")
	runSQL(t, url, "alter table scores add column conductor text")
	for range 3 {
		i.created(t)
	}
	i.await(t, http.StatusOK, `"ready"`)
}

func TestC62WritesTakeIdempotencyKeys(t *testing.T) {
	i := startService(t, testConfig(scorestest.URL(t)))
	create := func() string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.api+"/api/scores", strings.NewReader(`{"title":"Nocturne"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+i.token)
		req.Header.Set("X-Idempotency-Key", "k1")
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusCreated {
			t.Fatal(res.Status)
		}
		return res.Header.Get("Location")
	}
	if first, again := create(), create(); first != again {
		t.Errorf("made %s and %s", first, again)
	}
	if _, document, _ := i.call(t, "GET", i.api+"/docs", ""); !strings.Contains(document, "X-Idempotency-Key") {
		t.Error("the document does not tell of keys")
	}
}
