// Package health answers the probes: whether the process lives, whether requests may be sent to it, and how its
// dependencies are. It owns the answers and how often a dependency is asked; what is asked is given to it. What it tells
// are fixed texts; the causes go to the log, when they change.
package health

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// Check asks one dependency.
type Check struct {
	// Name is the key under which the dependency is reported.
	Name string
	// Optional says that the service serves without the dependency, if less well: while it is away the service is degraded, and
	// ready all the same. Caches and open circuit breakers are of this kind.
	Optional bool
	// Run returns nil if the dependency is well, and else an error, best made by Problem.
	Run func(context.Context) error
}

// Problem is an error whose reason may be shown to whoever can reach the probes.
func Problem(reason string, cause error) error { return &problem{reason: reason, cause: cause} }

type problem struct {
	reason string
	cause  error
}

func (p *problem) Error() string {
	if p.cause == nil {
		return p.reason
	}
	return p.reason + ": " + p.cause.Error()
}

func (p *problem) Unwrap() error { return p.cause }

// Config says what a Reporter reports. All fields are required, except that Release may be empty and Settings nil.
type Config struct {
	Service     string
	Version     string
	Environment string
	Release     string
	Checks      []Check
	// Settings says which settings are in force.
	Settings func() contract.SettingsReport
	// FreshFor is how long the result of a check answers further probes, so that probes cannot overload a dependency.
	FreshFor time.Duration
	// Timeout bounds one run of a check.
	Timeout time.Duration
	Logger  *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// Reporter answers the probes. It may be used by many goroutines.
type Reporter struct {
	cfg      Config
	started  time.Time
	checks   []*cachedCheck
	draining atomic.Bool
}

// Register adds a check to those of the Config. Call it before the first probe.
func (r *Reporter) Register(c Check) { r.checks = append(r.checks, &cachedCheck{Check: c}) }

// New returns a reporter. It runs no check before it is asked.
func New(cfg Config) *Reporter {
	r := &Reporter{cfg: cfg, started: cfg.Now()}
	for _, c := range cfg.Checks {
		r.Register(c)
	}
	return r
}

// Drain makes the service not ready for good; it goes on serving what still arrives.
func (r *Reporter) Drain() { r.draining.Store(true) }

// Draining reports whether Drain was called.
func (r *Reporter) Draining() bool { return r.draining.Load() }

// Ready returns nil if requests may be sent here.
func (r *Reporter) Ready(ctx context.Context) error {
	if r.Draining() {
		return Problem("shutting down", nil)
	}
	for _, c := range r.checks {
		if c.Optional {
			continue
		}
		if err := r.result(ctx, c).err; err != nil {
			return err
		}
	}
	return nil
}

// Routes are the three probes.
func (r *Reporter) Routes() []httpapi.Route {
	return []httpapi.Route{
		probe(contract.LivezPath, "live", "Whether the process can serve", status{}, nil, alive),
		probe(contract.ReadyzPath, "ready", "Whether requests may be sent here", status{}, status{}, r.readyz),
		probe(contract.HealthPath, "health", "How the service and its dependencies are", Report{}, Report{}, r.health),
	}
}

// probe is the route of one probe; unwell is the body of its 503, nil if it has none.
func probe(
	path, name, summary string, well, unwell any, answer func(context.Context) httpapi.Response,
) httpapi.Route {
	route := httpapi.Route{
		Method: http.MethodGet, Path: path, Access: httpapi.Open,
		Name: name, Group: "Operation", Summary: summary, Status: http.StatusOK, Response: well,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			answer(req.Context()).Write(req.Context(), w)
		}),
	}
	if unwell != nil {
		route.Others = map[int]any{http.StatusServiceUnavailable: unwell}
	}
	return route
}

func alive(context.Context) httpapi.Response {
	return httpapi.JSON(http.StatusOK, status{Status: "ok"})
}

type status struct {
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`
}

func (r *Reporter) readyz(ctx context.Context) httpapi.Response {
	if err := r.Ready(ctx); err != nil {
		return httpapi.JSON(http.StatusServiceUnavailable, status{Status: "not ready", Error: reasonOf(err)})
	}
	return httpapi.JSON(http.StatusOK, status{Status: "ready"})
}

func reasonOf(err error) string {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.reason
	}
	return "not available"
}

// cachedCheck keeps the last result of a check.
type cachedCheck struct {
	Check
	mu    sync.Mutex
	known bool
	last  result
}

// result is how a check ended.
type result struct {
	asked time.Time
	took  time.Duration
	err   error
}

// result runs the check unless its last result is fresh. Callers that come while it runs wait for its result.
func (r *Reporter) result(ctx context.Context, c *cachedCheck) result {
	c.mu.Lock()
	defer c.mu.Unlock()
	started := r.cfg.Now()
	if c.known && started.Sub(c.last.asked) < r.cfg.FreshFor {
		return c.last
	}
	// One caller's going away must not become everybody's result.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.cfg.Timeout)
	defer cancel()
	err := c.Run(ctx)
	r.logChange(ctx, c, err)
	ended := r.cfg.Now()
	c.known, c.last = true, result{asked: ended, took: ended.Sub(started), err: err}
	return c.last
}

func (r *Reporter) logChange(ctx context.Context, c *cachedCheck, err error) {
	switch {
	case err != nil && (!c.known || c.last.err == nil || reasonOf(c.last.err) != reasonOf(err)):
		r.cfg.Logger.WarnContext(ctx, "Losing dependency", "check", c.Name, "reason", reasonOf(err), "error", err.Error())
	case err == nil && c.known && c.last.err != nil:
		r.cfg.Logger.InfoContext(ctx, "Regaining dependency", "check", c.Name)
	}
}
