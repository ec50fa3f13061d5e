package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

const cleanupPatience = 30 * time.Second

// shared is the one server of a test binary. It is a package variable because TestMain and the tests have no other
// way to hand something to each other.
var shared sharedServer

type sharedServer struct {
	mu        sync.Mutex
	running   bool // Run is waiting and will clean up
	server    *Server
	count     int
	templates map[string]*template
}

// template is a database that was filled once and is copied since.
type template struct {
	mu   sync.Mutex
	name string // empty until it is filled
}

// Run runs the tests of a binary, and afterwards removes the server that Database has started, if one was needed. It
// returns the exit code; call it from TestMain.
func Run(m *testing.M) int {
	shared.mu.Lock()
	shared.running = true
	shared.mu.Unlock()
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the test database:", err)
		return max(code, 1)
	}
	return code
}

// Database returns the URL of a fresh, empty database that is dropped when the test ends. The first call starts the
// server. It may be called from parallel tests.
func Database(t testing.TB) string {
	t.Helper()
	server, name := next(t)
	if err := server.EnsureDatabase(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	dropAtEnd(t, server, name)
	return server.URL(name)
}

// Filled is Database for a database that is not empty: fill, given the URL of an empty one, fills it once for all calls
// with the same name in the binary, and each test gets a copy. fill must close its connections.
func Filled(t testing.TB, name string, fill func(ctx context.Context, url string) error) string {
	t.Helper()
	server, copied := next(t)
	source, err := shared.template(name).filled(t.Context(), fill)
	if err != nil {
		t.Fatalf("filling the test database %s: %v", name, err)
	}
	if err := server.copyDatabase(t.Context(), source, copied); err != nil {
		t.Fatal(err)
	}
	dropAtEnd(t, server, copied)
	return server.URL(copied)
}

func next(t testing.TB) (*Server, string) {
	t.Helper()
	server, name, err := shared.next(t.Context())
	if err != nil {
		t.Fatalf("starting the test database: %v", err)
	}
	return server, name
}

func dropAtEnd(t testing.TB, server *Server, name string) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupPatience) // the test's own has ended
		defer cancel()
		if err := server.DropDatabase(ctx, name); err != nil {
			t.Error(err)
		}
	})
}

func (s *sharedServer) template(name string) *template {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.templates == nil {
		s.templates = map[string]*template{}
	}
	if s.templates[name] == nil {
		s.templates[name] = &template{}
	}
	return s.templates[name]
}

// filled returns the name of the template's database. A fill that failed is tried again, on another database.
func (p *template) filled(ctx context.Context, fill func(context.Context, string) error) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.name != "" {
		return p.name, nil
	}
	server, name, err := shared.next(ctx)
	if err != nil {
		return "", err
	}
	if err := server.EnsureDatabase(ctx, name); err != nil {
		return "", err
	}
	if err := fill(ctx, server.URL(name)); err != nil {
		return "", errors.Join(err, server.DropDatabase(context.WithoutCancel(ctx), name))
	}
	p.name = name
	return name, nil
}

// next returns the server, started if need be, and the name of a database that no other test has.
func (s *sharedServer) next(ctx context.Context) (*Server, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running {
		return nil, "", errors.New("TestMain must call pgserver.Run, which removes the server at the end")
	}
	if s.server == nil {
		server, err := Start(ctx, Config{})
		if err != nil {
			return nil, "", err
		}
		s.server = server
	}
	s.count++
	return s.server, "test_" + strconv.Itoa(s.count), nil
}

func (s *sharedServer) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
	if s.server == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleanupPatience)
	defer cancel()
	return s.server.Stop(ctx)
}
