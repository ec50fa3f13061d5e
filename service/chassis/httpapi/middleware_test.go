package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// observer counts what Middleware tells it.
type observer struct {
	mu       sync.Mutex
	started  int
	finished []string
}

func (o *observer) RequestStarted() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.started++
}

func (o *observer) RequestFinished(route, method string, status int, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finished = append(o.finished, route+" "+method+" "+http.StatusText(status))
}

// log is a buffer that several goroutines may write to.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) lines(t *testing.T) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []map[string]any
	for scanner := bufio.NewScanner(bytes.NewReader(l.buf.Bytes())); scanner.Scan(); {
		line := map[string]any{}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

type fixture struct {
	observer *observer
	log      *log
	draining atomic.Bool
	server   *httptest.Server
}

// serve starts a real server with the whole chain in front of the routes.
func serve(t *testing.T, routes map[string]http.HandlerFunc) *fixture {
	t.Helper()
	f := &fixture{observer: &observer{}, log: &log{}}
	router := NewRouter()
	for pattern, h := range routes {
		router.Handle(pattern, h)
	}
	f.server = httptest.NewServer(Middleware(Options{
		Logger: slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Observer: f.observer,
		Release: "r7", RequestTimeout: Fixed(200 * time.Millisecond), MaxBody: 64, Draining: f.draining.Load,
	}, router))
	f.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(f.server.Close)
	return f
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	// last says that the connection ends with this answer.
	last bool
}

// do sends a request; headers come in pairs.
func (f *fixture) do(t *testing.T, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.server.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := f.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: string(text), last: res.Close}
}

func echo(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		WriteError(r.Context(), w, bodyFault(err))
		return
	}
	OK("done").Write(r.Context(), w)
}

func TestEveryAnswerHasTheStandardHeaders(t *testing.T) {
	f := serve(t, map[string]http.HandlerFunc{
		"GET /ok":    echo,
		"GET /panic": func(http.ResponseWriter, *http.Request) { panic("boom") },
	})
	for path, status := range map[string]int{"/ok": 200, "/panic": 500, "/absent": 404} {
		res := f.do(t, "GET", path, nil)
		if res.status != status {
			t.Errorf("%s: status %d, want %d", path, res.status, status)
		}
		for name, want := range map[string]string{
			"X-Release": "r7", "X-Content-Type-Options": "nosniff", "Content-Type": "application/json; charset=utf-8",
			"Cache-Control": "no-store", "X-Frame-Options": "DENY",
		} {
			if got := res.header.Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", path, name, got, want)
			}
		}
		if id := res.header.Get(RequestIDHeader); len(id) != 32 || (status != 200 && !strings.Contains(res.body, id)) {
			t.Errorf("%s: request id %q, body %s", path, id, res.body)
		}
		if strings.Contains(res.body, "boom") {
			t.Errorf("%s: the body shows the panic: %s", path, res.body)
		}
	}
}

func TestRequestID(t *testing.T) {
	f := serve(t, map[string]http.HandlerFunc{"GET /ok": echo})
	for proposed, kept := range map[string]bool{
		"abc-123":                true,
		"Root=1-5759e988/x:y+z.": true,
		strings.Repeat("x", 128): true,
		strings.Repeat("x", 129): false,
		"with space":             false,
		`quote"`:                 false,
	} {
		res := f.do(t, "GET", "/ok", nil, RequestIDHeader, proposed)
		if got := res.header.Get(RequestIDHeader); (got == proposed) != kept || got == "" {
			t.Errorf("proposed %q, answered %q, want it kept: %t", proposed, got, kept)
		}
	}
}

func TestOneLogLineARequest(t *testing.T) {
	f := serve(t, map[string]http.HandlerFunc{
		"GET /things/{id}": func(w http.ResponseWriter, r *http.Request) {
			RecordOf(r.Context()).UserID = "alice"
			WriteError(r.Context(), w, fault.Wrap(fault.Unavailable, "Away", errors.New("dial failed")))
		},
		"GET /livez": echo,
	})
	f.do(t, "GET", "/things/7?access_token=s3cr3t&a=b", nil, RequestIDHeader, "r1", "User-Agent", "test", "Authorization", "Bearer s3cr3t")
	f.do(t, "GET", "/livez", nil, RequestIDHeader, "r2")
	f.server.Close()
	lines := f.log.lines(t)
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2: %v", len(lines), lines)
	}
	for _, name := range []string{"time", "durationMs", "bytes"} {
		if _, ok := lines[0][name]; !ok {
			t.Errorf("the line lacks %s", name)
		}
		delete(lines[0], name)
	}
	want := map[string]any{
		"level": "ERROR", "msg": "Serving request", "requestId": "r1", "method": "GET", "path": "/things/7",
		"route": "GET /things/{id}", "status": 503.0, "ip": "127.0.0.1", "userAgent": "test", "userId": "alice",
		"query": "token=(hidden)&a=b",
		"error": map[string]any{"code": "SERVICE_ERROR", "message": "Away: dial failed"},
	}
	if diff := cmp.Diff(want, lines[0]); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	if lines[1]["level"] != "DEBUG" {
		t.Errorf("probes are logged as %v, want DEBUG", lines[1]["level"])
	}
}

func TestRequestsAreMeasured(t *testing.T) {
	f := serve(t, map[string]http.HandlerFunc{
		"GET /things/{id}": echo,
		"GET /panic":       func(http.ResponseWriter, *http.Request) { panic("boom") },
	})
	f.do(t, "GET", "/things/7", nil)
	f.do(t, "GET", "/panic", nil)
	f.do(t, "GET", "/absent", nil)
	f.server.Close()
	want := []string{"GET /things/{id} GET OK", "GET /panic GET Internal Server Error", " GET Not Found"}
	if diff := cmp.Diff(want, f.observer.finished); diff != "" || f.observer.started != 3 {
		t.Errorf("started %d, finished (-want +got):\n%s", f.observer.started, diff)
	}
}

func TestPanicAfterTheAnswerBeganEndsTheConnection(t *testing.T) {
	f := serve(t, map[string]http.HandlerFunc{"GET /half": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half of"))
		panic("boom")
	}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.server.URL+"/half", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := f.server.Client().Do(req)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("half an answer looks like a whole one")
	}
	f.server.Close()
	lines := f.log.lines(t)
	if len(lines) != 1 || !strings.Contains(lines[0]["error"].(map[string]any)["message"].(string), "boom") {
		t.Errorf("the log does not hold the panic: %v", lines)
	}
}

func TestBodyLimit(t *testing.T) {
	f := serve(t, map[string]http.HandlerFunc{"POST /things": echo})
	for name, tc := range map[string]struct {
		body   io.Reader
		status int
	}{
		"a body at the limit is read":                 {body: strings.NewReader(strings.Repeat("x", 64)), status: 200},
		"a body that says it is larger is refused":    {body: strings.NewReader(strings.Repeat("x", 65)), status: 413},
		"a body that turns out to be larger is, too ": {body: io.MultiReader(strings.NewReader(strings.Repeat("x", 1000))), status: 413},
	} {
		t.Run(name, func(t *testing.T) {
			res := f.do(t, "POST", "/things", tc.body)
			if res.status != tc.status {
				t.Errorf("status %d, want %d: %s", res.status, tc.status, res.body)
			}
			if tc.status == 413 && !strings.Contains(res.body, `"PAYLOAD_TOO_LARGE"`) {
				t.Errorf("body %s", res.body)
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	f := serve(t, map[string]http.HandlerFunc{"GET /slow": func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		WriteError(r.Context(), w, r.Context().Err())
	}})
	res := f.do(t, "GET", "/slow", nil)
	if res.status != http.StatusGatewayTimeout || !strings.Contains(res.body, `"TIMEOUT"`) {
		t.Errorf("status %d, body %s; want 504 TIMEOUT", res.status, res.body)
	}
}

func TestClientThatGoesAwayIsLoggedAsSuch(t *testing.T) {
	arrived := make(chan struct{})
	f := serve(t, map[string]http.HandlerFunc{"GET /slow": func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		WriteError(r.Context(), w, r.Context().Err())
	}})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.server.URL+"/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-arrived
		cancel()
	}()
	if res, err := f.server.Client().Do(req); err == nil {
		_ = res.Body.Close()
		t.Fatal("answered a client that went away")
	}
	f.server.Close()
	lines := f.log.lines(t)
	if len(lines) != 1 || lines[0]["status"] != float64(statusClientClosedRequest) {
		t.Errorf("log %v, want one line with status %d", lines, statusClientClosedRequest)
	}
}

func TestDrainingAsksForAnotherConnection(t *testing.T) {
	f := serve(t, map[string]http.HandlerFunc{"GET /ok": echo})
	for _, draining := range []bool{false, true} {
		f.draining.Store(draining)
		res := f.do(t, "GET", "/ok", nil)
		if res.status != 200 || res.last != draining {
			t.Errorf("draining %t: status %d, close %t", draining, res.status, res.last)
		}
	}
}

func TestHandle(t *testing.T) {
	decode := func(r *http.Request) (string, error) {
		if word := r.URL.Query().Get("word"); word != "" {
			return word, nil
		}
		return "", fault.InvalidInput("Invalid query parameters")
	}
	call := func(_ context.Context, word string) (int, error) {
		if word == "bad" {
			return 0, fault.New(fault.Conflict, "Taken")
		}
		return len(word), nil
	}
	h := Handle(decode, call, func(n int) Response { return OK(n) })
	for query, want := range map[string]string{
		"?word=four": `{"success":true,"data":4}`,
		"?word=bad":  `{"success":false,"error":"Taken","code":"CONFLICT"}`,
		"":           `{"success":false,"error":"Invalid query parameters","code":"VALIDATION_ERROR"}`,
	} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+query, nil))
		if got := strings.TrimSpace(rec.Body.String()); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
}

// deadlines is an answer on a connection that is told deadlines.
type deadlines struct {
	*httptest.ResponseRecorder
	told []time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	d.told = append(d.told, at)
	return nil
}

func TestConnectionIsToldWhatTheServerDoesNotKnow(t *testing.T) {
	const server = 20 * time.Second
	for timeout, want := range map[time.Duration]int{5 * time.Second: 0, 6 * time.Second: 1, 4 * time.Second: 1} {
		h := Middleware(Options{
			Logger: slog.New(slog.DiscardHandler), Observer: &observer{}, RequestTimeout: Fixed(timeout), WriteTimeout: server,
		}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		began := time.Now()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if len(w.told) != want {
			t.Errorf("%s: told %d times, want %d", timeout, len(w.told), want)
		}
		for _, at := range w.told {
			if late := at.Sub(began.Add(timeout + writeSlack)); late < 0 || late > time.Minute {
				t.Errorf("%s: %s late", timeout, late)
			}
		}
	}
}
