// Package dashboard serves a page on the machine of whoever calls it, on which they see and steer Microservices with their own rights.
//
// It owns where what the page is told comes from, who may ask for it, and the routes. It reads from the API server with the client that
// it is given and asks it which orders may be given; how an order is given is the caller's. It is for one person on one machine:
// whoever has the address that is printed acts in their name. The page is of package page, what it is told of package board; for many
// people there is package incluster.
package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/plugin/dashboard/board"
	"github.com/mirubato/mirubato/plugin/dashboard/page"
	"github.com/mirubato/mirubato/plugin/steering"
)

// Order is an order as the page gives it.
type Order struct {
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	Verb      steering.Verb `json:"verb"`
	// Environment is empty for an order that concerns all of them.
	Environment string `json:"environment,omitempty"`
	// Release that an environment is held at or put back to.
	Release string `json:"release,omitempty"`
	// Plan that is approved, as it was shown.
	Plan string `json:"plan,omitempty"`
}

// Options are what a dashboard needs. All fields but Namespace are required.
type Options struct {
	// Client reads with the rights of whoever calls. It must set no limit on how long an answer lasts.
	Client client.WithWatch
	// Namespace whose Microservices are shown; empty for those of all.
	Namespace string
	// Give carries an order out and says what came of it. It is called by many at a time.
	Give func(context.Context, Order) (string, error)
	// Say words an error for a person.
	Say func(error) string
}

// Server is a dashboard. It shows nothing to anybody who has not opened its address.
type Server struct {
	options Options
	keys    keys
	board   *board.Board
}

// New returns a dashboard that has asked for nothing yet.
func New(options Options) *Server {
	return &Server{options: options, keys: newKeys(), board: board.New()}
}

// Address is where a person opens the dashboard that is served at a host and port. It can be opened once.
func (s *Server) Address(at net.Addr) string {
	return fmt.Sprintf("http://%s/open/%s", at, s.keys.ticket)
}

func (s *Server) mirror() *mirror {
	return &mirror{client: s.options.Client, namespace: s.options.Namespace, say: s.options.Say, board: s.board}
}

// graceful is how long requests may take to end when the dashboard does.
const graceful = 2 * time.Second

// Serve serves until the context ends, and closes the listener, which must be one of the loopback interface.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, // no WriteTimeout: what is told of changes has no end
		BaseContext:    func(net.Listener) context.Context { return ctx },
	}
	var following sync.WaitGroup
	following.Go(func() { s.mirror().run(ctx) })
	defer following.Wait()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		stop()
		return fmt.Errorf("serving the dashboard: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer cancel()
	if err := server.Shutdown(ending); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("ending the dashboard: %w", err)
	}
	return nil
}

// Handler answers requests. Changes are told only while Serve runs.
func (s *Server) Handler() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET /api/events", s.events)
	api.HandleFunc("GET /api/rights", s.rights)
	api.HandleFunc("POST /api/orders", s.order)

	inside := http.NewServeMux()
	inside.Handle("/api/", s.keys.withKey(fromPage(api)))
	inside.Handle("/", page.Files("place-own.js"))

	outside := http.NewServeMux()
	outside.HandleFunc("GET /open/{ticket}", s.keys.open)
	outside.Handle("/", s.keys.withCookie(inside))
	return onLoopback(outside)
}
