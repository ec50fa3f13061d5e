package health

import (
	"context"
	"net/http"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// DetailedPath is where admins see how long each check took.
const DetailedPath = contract.HealthPath + "/detailed"

// The states of a service and of a dependency.
const (
	// Healthy: all is well.
	Healthy = "healthy"
	// Degraded: something is away without which the service serves, if less well.
	Degraded = "degraded"
	// Unhealthy: something is away without which the service cannot serve.
	Unhealthy = "unhealthy"
)

// Summary is what every report tells of the service.
type Summary struct {
	// Status is "healthy", "degraded" or "unhealthy".
	Status string `json:"status"`
	// Timestamp is in UTC with milliseconds.
	Timestamp   string `json:"timestamp"`
	Service     string `json:"service"`
	Version     string `json:"version"`
	Environment string `json:"environment"`
	Release     string `json:"release"`
	// Uptime is in seconds.
	Uptime int64 `json:"uptime"`
	// Settings says which settings are in force. Refused ones do not make the service unhealthy: it goes on with the last good
	// ones.
	Settings *contract.SettingsReport `json:"settings,omitempty"`
}

// Report is the answer of the health path.
type Report struct {
	Summary
	// Checks says of each dependency whether it is well.
	Checks map[string]bool `json:"checks"`
	// Problems says of each dependency that is not well what is the matter.
	Problems map[string]string `json:"problems,omitempty"`
}

// Detailed is the answer of DetailedPath.
type Detailed struct {
	Summary
	// TotalLatency is how long all checks took together, in milliseconds.
	TotalLatency float64 `json:"totalLatency"`
	// Checks tells of each dependency.
	Checks map[string]Finding `json:"checks"`
}

// Finding is how a dependency was when it was last asked.
type Finding struct {
	// Status is "healthy"; else "degraded" or "unhealthy", which is what the service is without the dependency.
	Status string `json:"status"`
	// Latency is how long the check took, in milliseconds.
	Latency float64 `json:"latency"`
	// Problem is what is the matter.
	Problem string `json:"problem,omitempty"`
}

// AdminRoutes are the detailed report, for admins.
func (r *Reporter) AdminRoutes() []httpapi.Route {
	route := probe(DetailedPath, "healthDetailed", "How each dependency is and how long it took to answer",
		Detailed{}, Detailed{}, r.detailed)
	route.Access = httpapi.Admins
	return []httpapi.Route{route}
}

func (r *Reporter) health(ctx context.Context) httpapi.Response {
	summary, findings := r.observe(ctx)
	report := Report{Summary: summary, Checks: map[string]bool{}}
	for name, f := range findings {
		report.Checks[name] = f.Status == Healthy
		if f.Status == Healthy {
			continue
		}
		if report.Problems == nil {
			report.Problems = map[string]string{}
		}
		report.Problems[name] = f.Problem
	}
	return httpapi.JSON(codeOf(summary), report)
}

func (r *Reporter) detailed(ctx context.Context) httpapi.Response {
	summary, findings := r.observe(ctx)
	report := Detailed{Summary: summary, Checks: findings}
	for _, f := range findings {
		report.TotalLatency += f.Latency
	}
	return httpapi.JSON(codeOf(summary), report)
}

// codeOf is 200 for a service that is degraded, since it serves.
func codeOf(s Summary) int {
	if s.Status == Unhealthy {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// observe asks all dependencies.
func (r *Reporter) observe(ctx context.Context) (Summary, map[string]Finding) {
	now := r.cfg.Now()
	summary := Summary{
		Status: Healthy, Timestamp: now.UTC().Format("2006-01-02T15:04:05.000Z"),
		Service: r.cfg.Service, Version: r.cfg.Version, Environment: r.cfg.Environment, Release: r.cfg.Release,
		Uptime: int64(now.Sub(r.started).Seconds()),
	}
	if r.cfg.Settings != nil {
		state := r.cfg.Settings()
		summary.Settings = &state
	}
	findings := map[string]Finding{}
	for _, c := range r.checks {
		f := findingOf(c.Check, r.result(ctx, c))
		findings[c.Name] = f
		if f.Status != Healthy && summary.Status != Unhealthy {
			summary.Status = f.Status
		}
	}
	return summary, findings
}

func findingOf(c Check, last result) Finding {
	f := Finding{Status: Healthy, Latency: float64(last.took.Microseconds()) / float64(time.Millisecond/time.Microsecond)}
	if last.err == nil {
		return f
	}
	f.Status, f.Problem = Unhealthy, reasonOf(last.err)
	if c.Optional {
		f.Status = Degraded
	}
	return f
}
