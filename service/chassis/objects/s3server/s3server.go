// Package s3server runs a private S3-compatible server for tests: versitygw, which keeps objects in a directory. It owns the process and
// where its files lie; what is stored there is up to the test.
package s3server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	// Binary is the environment variable that names the program.
	Binary = "S3_SERVER"
	// bucket is the only one.
	bucket = "files"
	// startPatience is how long a server may take until it listens.
	startPatience = time.Minute
	// starts is how often it is tried: the port that was free a moment ago may be taken.
	starts = 3
)

// Server is a server and the bucket in it.
type Server struct {
	root, address string
	key, secret   string
	process       *exec.Cmd
	ended         chan struct{}
}

// Start starts a server that ends with the test, and has it known to the SDK in this process. A test that uses it cannot run
// in parallel to others of its process.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{root: t.TempDir(), key: "key-of-a-test", secret: "secret-of-a-test"}
	for _, dir := range []string{s.Dir(), s.side()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	for range starts {
		if s.address, err = freeAddress(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err = s.run(t.Context()); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	for _, each := range s.Env() {
		t.Setenv(each[0], each[1])
	}
	return s
}

// Dir is the directory whose files are the objects of the bucket.
func (s *Server) Dir() string { return filepath.Join(s.root, "data", bucket) }

// side is where the server keeps what it knows about objects, since not every file system holds attributes of files.
func (s *Server) side() string { return filepath.Join(s.root, "side") }

// URL names the bucket as objects.Open wants it.
func (s *Server) URL() string {
	query := url.Values{
		"region": {"us-east-1"}, "endpoint": {"http://" + s.address}, "use_path_style": {"true"}, "disable_https": {"true"},
	}
	return "s3://" + bucket + "?" + query.Encode()
}

// Env are the variables by which the SDK is let in.
func (s *Server) Env() [][2]string {
	return [][2]string{{"AWS_ACCESS_KEY_ID", s.key}, {"AWS_SECRET_ACCESS_KEY", s.secret}}
}

// Stop kills the server. Its objects stay.
func (s *Server) Stop() {
	_ = s.process.Process.Kill()
	<-s.ended
}

// Restart starts a server that was stopped again, at the same address, with the same objects, and with other credentials if
// they are not empty.
func (s *Server) Restart(t testing.TB, key, secret string) {
	t.Helper()
	if key != "" {
		s.key, s.secret = key, secret
	}
	if err := s.run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// run starts the server and waits until it listens.
func (s *Server) run(ctx context.Context) error {
	program := os.Getenv(Binary)
	if program == "" {
		return fmt.Errorf("%s does not name an S3-compatible server: run these tests by make test", Binary)
	}
	log, err := os.Create(filepath.Join(s.root, "log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	//nolint:gosec // whoever runs the tests names the program
	s.process = exec.CommandContext(ctx, program, "--port", s.address, "--quiet", "posix", "--sidecar", s.side(), filepath.Dir(s.Dir()))
	s.process.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+s.key, "ROOT_SECRET_ACCESS_KEY="+s.secret)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("starting the S3-compatible server: %w", err)
	}
	s.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) {
		_ = process.Wait() // a server that is killed says so
		close(ended)
	}(s.process, s.ended)
	if err := s.await(ctx); err != nil {
		s.Stop()
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w; it said: %s", err, said)
	}
	return nil
}

func (s *Server) await(ctx context.Context) error {
	dialer := net.Dialer{Timeout: time.Second}
	for deadline := time.Now().Add(startPatience); time.Now().Before(deadline); {
		if conn, err := dialer.DialContext(ctx, "tcp", s.address); err == nil {
			return conn.Close()
		}
		select {
		case <-s.ended:
			return errors.New("the S3-compatible server ended at once")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.New("the S3-compatible server does not listen")
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
