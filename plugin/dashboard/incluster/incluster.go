// Package incluster serves the dashboard's page to many people, from the cluster: each sees the Microservices that they may read themselves,
// and nobody can change anything.
//
// It owns who is let in, what each may see, how many may look at once, and the routes. It has no rights of its own to show: who somebody
// is and what they may read is asked of the API server, for each of them, again and again. The objects come from the operator's caches;
// what they are worded as is of package board, the page of package page.
package incluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/plugin/dashboard/board"
)

// Options are what a shared dashboard needs.
type Options struct {
	// Address to listen at, such as ":8443".
	Address string
	// Certificates is a directory with tls.crt and tls.key, which are read again when they change. If it is empty the dashboard speaks
	// plain HTTP, and somebody else must encrypt what it says and hears.
	Certificates string
	// Cache holds Microservices and Releases. It must run while the dashboard does.
	Cache cache.Informers
	// Reviews makes TokenReviews and SubjectAccessReviews, and nothing else.
	Reviews client.Writer
	// Log is told who signs in, never with what.
	Log logr.Logger
	// Believed is how long an answer of the API server holds; 0 means ten seconds.
	Believed time.Duration
}

const (
	// believed is what the API server's own delegating authenticator and authorizer have for it.
	believed = 10 * time.Second
	// maxConnections are open at once; more wait to be accepted.
	maxConnections = 256
	// graceful is how long requests may take to end when the operator does.
	graceful = 2 * time.Second
	// answering is how long an answer may take that is no stream.
	answering = 30 * time.Second
)

// Server is a shared dashboard. It is a Runnable of a manager, in every replica.
type Server struct {
	options      Options
	board        *board.Board
	reviews      *reviews
	places       *places
	certificates *certwatcher.CertWatcher
}

// New returns a dashboard that serves nothing yet. It fails if the certificate cannot be read.
func New(options Options) (*Server, error) {
	if options.Believed <= 0 {
		options.Believed = believed
	}
	s := &Server{options: options, board: board.New(), reviews: newReviews(options.Reviews, options.Believed), places: newPlaces()}
	if options.Certificates == "" {
		return s, nil
	}
	var err error
	s.certificates, err = certwatcher.New(filepath.Join(options.Certificates, "tls.crt"), filepath.Join(options.Certificates, "tls.key"))
	if err != nil {
		return nil, fmt.Errorf("reading the certificate of the dashboard in %s: %w", options.Certificates, err)
	}
	return s, nil
}

// NeedLeaderElection is false: every replica has the caches, and may serve.
func (s *Server) NeedLeaderElection() bool { return false }

// Start listens, and serves until the context ends.
func (s *Server) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.options.Address)
	if err != nil {
		return fmt.Errorf("serving the dashboard: %w", err)
	}
	return s.Serve(ctx, listener)
}

// Serve is Start with a listener, which it closes.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	all, ctx := errgroup.WithContext(ctx)
	server := s.server(ctx)
	loaded := make(chan struct{})
	all.Go(func() error { return follow(ctx, s.options.Cache, s.board, func() { close(loaded) }) })
	if s.certificates != nil {
		all.Go(func() error { return s.certificates.Start(ctx) })
	}
	all.Go(func() error {
		select {
		case <-ctx.Done():
			return listener.Close()
		case <-loaded: // before, somebody might be told that there is nothing for them to see
		}
		err := s.accept(server, netutil.LimitListener(listener, maxConnections))
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serving the dashboard: %w", err)
	})
	all.Go(func() error {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
		defer cancel()
		if err := server.Shutdown(ending); err != nil {
			_ = server.Close() // those that did not end in time
		}
		return nil
	})
	return all.Wait()
}

func (s *Server) accept(server *http.Server, listener net.Listener) error {
	if s.certificates == nil {
		return server.Serve(listener)
	}
	return server.ServeTLS(listener, "", "")
}

func (s *Server) server(ctx context.Context) *http.Server {
	out := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, // no WriteTimeout: what is told of changes has no end; each message has its own
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: 32},
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ErrorLog:       quiet(s.options.Log),
	}
	if s.certificates != nil {
		out.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificates.GetCertificate}
	}
	return out
}
