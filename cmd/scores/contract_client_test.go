package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/server"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// These tests hold the service, wired as it is served, to its contract. A test's name carries the number of the line
// that it proves.

var (
	nobody  = auth.Identity{}
	alice   = auth.Identity{ID: "alice", Role: auth.RoleUser}
	bob     = auth.Identity{ID: "bob", Role: auth.RoleUser}
	teacher = auth.Identity{ID: "tess", Role: auth.RoleTeacher}
	admin   = auth.Identity{ID: "ada", Role: auth.RoleAdmin}
)

// library is a running service with its database.
type library struct {
	cfg      Config
	database string
	api, ops string
	log      *lockedBuffer
	http     *http.Client
	stop     func() error
}

// open runs a service on a migrated database of its own; change, unless nil, may alter how it is configured.
func open(t testing.TB, change func(*Config)) *library {
	t.Helper()
	return run(t, scorestest.URL(t), change)
}

// run runs a service on a database.
func run(t testing.TB, database string, change func(*Config)) *library {
	t.Helper()
	l := &library{cfg: testConfig(database), database: database, log: &lockedBuffer{}}
	if change != nil {
		change(&l.cfg)
	}
	if l.cfg.SettingsDir == "" {
		l.cfg.SettingsDir = roomy(t)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 4, DisableCompression: true}
	l.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ctx, cancel := context.WithCancel(t.Context())
	listening, ended := make(chan *server.Server, 1), make(chan error, 1)
	go func() { ended <- serve(ctx, l.cfg, l.log, func(s *server.Server) { listening <- s }) }()
	select {
	case s := <-listening:
		l.api, l.ops = "http://"+s.APIAddr(), "http://"+s.OpsAddr()
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	l.stop = sync.OnceValue(func() error {
		cancel()
		transport.CloseIdleConnections()
		return <-ended
	})
	t.Cleanup(func() { _ = l.stop() })
	return l
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   string
}

// token is an access token for an identity.
func (l *library) token(t testing.TB, id auth.Identity) string {
	t.Helper()
	var out bytes.Buffer
	if err := printToken(&out, l.cfg, id, time.Hour); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

// as sends a request to the API in the name of an identity; nobody sends no token. Headers come in pairs; one that is
// empty is not sent.
func (l *library) as(t testing.TB, id auth.Identity, method, path, body string, headers ...string) reply {
	t.Helper()
	if !id.IsAnonymous() {
		headers = append([]string{"Authorization", "Bearer " + l.token(t, id)}, headers...)
	}
	return l.send(t, method, l.api+path, body, headers...)
}

// send sends a request. A body is JSON unless the headers say otherwise.
func (l *library) send(t testing.TB, method, url, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	return l.receive(t, req)
}

func (l *library) receive(t testing.TB, req *http.Request) reply {
	t.Helper()
	got, err := l.exchange(req)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (l *library) exchange(req *http.Request) (reply, error) {
	res, err := l.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{status: res.StatusCode, header: res.Header, body: string(body)}, err
}

// added adds a score and returns its path.
func (l *library) added(t testing.TB, id auth.Identity, body string) string {
	t.Helper()
	made := l.as(t, id, http.MethodPost, "/api/scores", body)
	if made.status != http.StatusCreated {
		t.Fatalf("creating %s: %d %s", body, made.status, made.body)
	}
	return made.header.Get("Location")
}

// object reads the body as a JSON object.
func (r reply) object(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return v
}

// data reads the object under "data".
func (r reply) data(t testing.TB) map[string]any {
	t.Helper()
	data, ok := r.object(t)["data"].(map[string]any)
	if !ok {
		t.Fatalf("%d %s: data is no object", r.status, r.body)
	}
	return data
}

// is wants a status, and of a refusal the code in its envelope; "" says that it is none.
func (r reply) is(t testing.TB, status int, code string) reply {
	t.Helper()
	if r.status != status {
		t.Errorf("status %d, want %d: %s", r.status, status, r.body)
		return r
	}
	if code == "" {
		return r
	}
	body := r.object(t)
	text, _ := body["error"].(string)
	id, _ := body["requestId"].(string)
	if body["success"] != false || body["code"] != code || text == "" || id != r.header.Get("X-Request-ID") {
		t.Errorf("%s is no envelope of %s", r.body, code)
	}
	return r
}

// fields are the fields that the details of a refusal name.
func (r reply) fields(t testing.TB) []string {
	t.Helper()
	var named []string
	details, _ := r.object(t)["details"].([]any)
	for _, d := range details {
		detail, _ := d.(map[string]any)
		field, known := detail["field"].(string)
		code, _ := detail["code"].(string)
		message, _ := detail["message"].(string)
		if !known || code == "" || message == "" {
			t.Errorf("%s: a detail lacks field, code or message", r.body)
		}
		named = append(named, field)
	}
	return named
}
