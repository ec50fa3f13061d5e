package server_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/server"
)

// running is a server whose end a test can watch.
type running struct {
	srv      *server.Server
	stop     context.CancelFunc
	draining chan struct{}
	ended    chan error
}

func start(t *testing.T, api http.HandlerFunc, drainDelay, shutdownTimeout time.Duration) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{stop: cancel, draining: make(chan struct{}), ended: make(chan error, 1)}
	srv, err := server.Listen(ctx, server.Config{
		APIAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", API: api,
		Ops:            http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ops") }),
		RequestTimeout: 5 * time.Second, DrainDelay: drainDelay, ShutdownTimeout: shutdownTimeout,
		Drain: func() { close(r.draining) }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.srv = srv
	go func() { r.ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

// end returns what Run returned, and leaves it for the clean-up.
func (r *running) end() error {
	err := <-r.ended
	r.ended <- err
	return err
}

func get(t *testing.T, client *http.Client, addr string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// freshClient opens a connection of its own for each request.
func freshClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

func TestDrain(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	r := start(t, func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Slow") != "" {
			close(arrived)
			<-release
		}
		_, _ = io.WriteString(w, "done")
	}, 500*time.Millisecond, 10*time.Second)

	slow := make(chan string, 1)
	go func() {
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://"+r.srv.APIAddr(), nil)
		if err != nil {
			slow <- err.Error()
			return
		}
		req.Header.Set("Slow", "yes")
		res, err := freshClient().Do(req)
		if err != nil {
			slow <- err.Error()
			return
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(res.Body)
		slow <- string(body)
	}()
	<-arrived
	r.stop()
	<-r.draining

	// While it drains, new connections are served, and so are the probes.
	for _, addr := range []string{r.srv.APIAddr(), r.srv.OpsAddr()} {
		if body, err := get(t, freshClient(), addr); err != nil {
			t.Errorf("a new connection during the drain: %q, %v", body, err)
		}
	}
	// After the delay the API takes no more, but the request that runs is waited for and the probes still answer.
	for {
		if _, err := get(t, freshClient(), r.srv.APIAddr()); err != nil {
			break
		}
	}
	if body, err := get(t, freshClient(), r.srv.OpsAddr()); err != nil || body != "ops" {
		t.Errorf("probes during the shutdown: %q, %v", body, err)
	}
	close(release)
	if got := <-slow; got != "done" {
		t.Errorf("the request that was running ended with %q", got)
	}
	if err := r.end(); err != nil {
		t.Errorf("Run: %v, want nil", err)
	}
}

func TestRequestThatNeverEndsIsCutOff(t *testing.T) {
	arrived := make(chan struct{})
	r := start(t, func(_ http.ResponseWriter, req *http.Request) {
		close(arrived)
		<-req.Context().Done()
	}, 0, 50*time.Millisecond)
	failed := make(chan error, 1)
	go func() {
		_, err := get(t, freshClient(), r.srv.APIAddr())
		failed <- err
	}()
	<-arrived
	r.stop()
	if err := r.end(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run: %v, want to hear of the requests cut off", err)
	}
	if err := <-failed; err == nil {
		t.Error("the request looks answered")
	}
}

func TestAddressInUseIsNamed(t *testing.T) {
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	free := "127.0.0.1:0"
	for what, cfg := range map[string]server.Config{
		"the API":    {APIAddr: taken.Addr().String(), OpsAddr: free},
		"operations": {APIAddr: free, OpsAddr: taken.Addr().String()},
	} {
		cfg.Logger = slog.New(slog.DiscardHandler)
		if _, err := server.Listen(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want an error that names %s", err, what)
		}
	}
}
