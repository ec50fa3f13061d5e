// Package server runs the two HTTP servers of a service, the API and the operations, and ends them without dropping a
// request. It owns listening, timeouts and draining; what is served is given to it.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Config says what to serve and how to end. All fields are required.
type Config struct {
	// APIAddr and OpsAddr are where to listen, such as ":8080" or "127.0.0.1:0".
	APIAddr string
	OpsAddr string
	API     http.Handler
	Ops     http.Handler
	// RequestTimeout is the deadline that API gives its requests; the server allows a little more before it cuts.
	RequestTimeout time.Duration
	// Drain is called first when the servers shall end. It makes the service not ready and lets its answers ask clients
	// to reconnect.
	Drain func()
	// DrainDelay is how long new requests are served after Drain, so that whoever sends them learns to send them elsewhere.
	DrainDelay time.Duration
	// ShutdownTimeout is how long requests may take to finish after that.
	ShutdownTimeout time.Duration
	Logger          *slog.Logger
}

const (
	// readTimeout is how long a client may take to send a request, head and body.
	readTimeout = 10 * time.Second
	// headTimeout bounds the head alone.
	headTimeout = 5 * time.Second
	// idleTimeout is longer than the one of common load balancers, so that it is they who close idle connections.
	idleTimeout = 120 * time.Second
	// writeSlack is what the server allows beyond reading and handling to write the answer.
	writeSlack = 5 * time.Second
	// maxHeader is the size of a head; it has room for one token.
	maxHeader = 16 << 10
	// opsShutdown bounds the end of the operations server, whose requests are short.
	opsShutdown = 2 * time.Second
)

// Server listens on both addresses.
type Server struct {
	cfg              Config
	api, ops         *http.Server
	apiLis, opsLis   net.Listener
	endOfAPI, endOps chan error
}

// Listen binds both addresses. Nothing is served before Run.
func Listen(ctx context.Context, cfg Config) (*Server, error) {
	var lc net.ListenConfig
	apiLis, err := lc.Listen(ctx, "tcp", cfg.APIAddr)
	if err != nil {
		return nil, fmt.Errorf("listening for the API: %w", err)
	}
	opsLis, err := lc.Listen(ctx, "tcp", cfg.OpsAddr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for operations: %w", err), apiLis.Close())
	}
	return &Server{
		cfg: cfg, apiLis: apiLis, opsLis: opsLis,
		api: httpServer(cfg, cfg.API), ops: httpServer(cfg, cfg.Ops),
		endOfAPI: make(chan error, 1), endOps: make(chan error, 1),
	}, nil
}

// WriteTimeout is how long a request may take from its head to the end of its answer, if its handler does not say otherwise.
func WriteTimeout(requestTimeout time.Duration) time.Duration {
	return readTimeout + requestTimeout + writeSlack
}

func httpServer(cfg Config, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      WriteTimeout(cfg.RequestTimeout),
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
}

// APIAddr is where the API listens, with the port that was chosen when the configured one was 0.
func (s *Server) APIAddr() string { return s.apiLis.Addr().String() }

// OpsAddr is where operations listen.
func (s *Server) OpsAddr() string { return s.opsLis.Addr().String() }

// Run serves until ctx ends, then drains and returns nil. It returns an error if a server ended by itself or if
// requests had to be cut off. It is called once.
func (s *Server) Run(ctx context.Context) error {
	go func() { s.endOfAPI <- s.api.Serve(s.apiLis) }()
	go func() { s.endOps <- s.ops.Serve(s.opsLis) }()
	s.cfg.Logger.Info("Serving", "api", s.APIAddr(), "operations", s.OpsAddr())
	select {
	case <-ctx.Done():
	case err := <-s.endOfAPI:
		return errors.Join(fmt.Errorf("serving the API: %w", err), s.ops.Close())
	case err := <-s.endOps:
		return errors.Join(fmt.Errorf("serving operations: %w", err), s.api.Close())
	}
	return s.drain(context.WithoutCancel(ctx))
}

// drain ends the servers in the order in which others stop needing them: requests still arrive for a moment after the
// service was told to end, and the probes are asked until it has.
func (s *Server) drain(ctx context.Context) error {
	s.cfg.Drain()
	s.cfg.Logger.Info("Draining", "delay", s.cfg.DrainDelay.String()) // told once it is true
	delay := time.NewTimer(s.cfg.DrainDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case err := <-s.endOfAPI:
		return errors.Join(fmt.Errorf("serving the API: %w", err), s.ops.Close())
	}
	err := errors.Join(
		shutdown(ctx, s.api, "the API", s.cfg.ShutdownTimeout),
		shutdown(ctx, s.ops, "operations", opsShutdown),
	)
	if err == nil {
		s.cfg.Logger.Info("Stopped")
	}
	return err
}

func shutdown(ctx context.Context, srv *http.Server, name string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stopping %s, requests were cut off: %w", name, err), srv.Close())
	}
	return nil
}
