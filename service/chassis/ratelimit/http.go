package ratelimit

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// The headers of every answer that was counted: how many requests a window has, how many are left, and when it ends, in
// milliseconds since 1970. Where several limits hold, they speak of the one of which least is left.
const (
	LimitHeader     = "X-RateLimit-Limit"
	RemainingHeader = "X-RateLimit-Remaining"
	ResetHeader     = "X-RateLimit-Reset"
)

// Guard applies limits to requests. It may be used by many goroutines.
type Guard struct {
	limiter *Limiter
	policy  atomic.Pointer[policy]
}

// NewGuard returns a guard, which must be told its settings before the first request.
func NewGuard(limiter *Limiter) *Guard { return &Guard{limiter: limiter} }

// Apply puts settings into force, in which every default is set. What was counted stays counted.
func (g *Guard) Apply(s settings.Settings) { g.policy.Store(newPolicy(s.RateLimits)) }

// request is what the two stages know of a request together.
type request struct {
	policy  *policy
	address netip.Addr
	// strictest is the limit of which least is left.
	strictest Verdict
}

type requestKey struct{}

// Addresses is the first stage: it bounds what comes from one address, before anything is looked at that costs more. Probes are
// not counted.
func (g *Guard) Addresses(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := g.policy.Load()
		req := &request{policy: p, address: addressOfRequest(r, p.trusted)}
		if req.address.IsValid() {
			httpapi.RecordOf(r.Context()).ClientIP = req.address.String()
		}
		if isProbe(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		if err := g.apply(r.Context(), w, req, p.address, client(auth.Identity{}, req.address)); err != nil {
			httpapi.WriteError(r.Context(), w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, req)))
	})
}

// Wrap is the second stage, a httpapi.Wrapper: it bounds what one caller asks, in general and of a route. It belongs directly
// behind the guard that finds out who calls.
func (g *Guard) Wrap(route httpapi.Route, next http.Handler) http.Handler {
	pattern := route.Pattern()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, counted := r.Context().Value(requestKey{}).(*request)
		if !counted {
			next.ServeHTTP(w, r) // a probe
			return
		}
		caller := auth.FromContext(r.Context())
		whom := client(caller, req.address)
		special, general := req.policy.rules(caller, pattern, route.Class)
		for _, rule := range [...]rule{special, general} {
			if rule.limit.Requests == 0 {
				continue
			}
			if err := g.apply(r.Context(), w, req, rule, whom); err != nil {
				httpapi.WriteError(r.Context(), w, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// apply counts the request against a rule and sets the headers. It returns why the request is refused.
func (g *Guard) apply(ctx context.Context, w http.ResponseWriter, req *request, r rule, whom string) error {
	v, err := g.spend(ctx, req.policy, keyOf(r, whom), r.limit)
	if err != nil {
		return err
	}
	g.limiter.cfg.Observer.LimitDecided(r.name, v)
	if first := req.strictest.Limit == 0; first || !v.Allowed || v.Remaining < req.strictest.Remaining {
		req.strictest = v
		setHeaders(w.Header(), v)
	}
	if v.Allowed {
		return nil
	}
	seconds := retryAfter(v.Reset.Sub(g.limiter.cfg.Now()))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return fault.New(fault.RateLimited, fmt.Sprintf("Rate limit exceeded. Please retry after %d seconds.", seconds))
}

func (g *Guard) spend(ctx context.Context, p *policy, key Key, limit Limit) (Verdict, error) {
	if !p.fleet {
		return g.limiter.SpendLocal(key, limit), nil
	}
	return g.limiter.Spend(ctx, key, limit)
}

// How http.Header spells the names; asking for another spelling costs memory.
var (
	canonicalLimit     = http.CanonicalHeaderKey(LimitHeader)
	canonicalRemaining = http.CanonicalHeaderKey(RemainingHeader)
	canonicalReset     = http.CanonicalHeaderKey(ResetHeader)
)

func setHeaders(h http.Header, v Verdict) {
	values := []string{strconv.Itoa(v.Limit), strconv.Itoa(v.Remaining), strconv.FormatInt(v.Reset.UnixMilli(), 10)} // one piece of memory for all
	h[canonicalLimit], h[canonicalRemaining], h[canonicalReset] = values[0:1:1], values[1:2:2], values[2:3:3]
}

// retryAfter is in whole seconds, so that who waits as long does not come a moment too early.
func retryAfter(rest time.Duration) int {
	return max(1, int((rest+time.Second-1)/time.Second))
}

// isProbe is true for what is asked for the sake of the service and not of a client.
func isProbe(path string) bool {
	return path == contract.LivezPath || path == contract.ReadyzPath || path == contract.HealthPath
}
