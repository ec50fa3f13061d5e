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
	// values are those of the headers, which lie here so that they take no memory of their own.
	values [3]string
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
		if err := g.apply(r.Context(), w, req, p.address, auth.Identity{}); err != nil {
			httpapi.WriteError(r.Context(), w, err)
			return
		}
		next.ServeHTTP(w, httpapi.Attach(r, requestKey{}, req))
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
		special, general := req.policy.rules(caller, pattern, route.Class)
		for _, rule := range [...]rule{special, general} {
			if rule.limit.Requests == 0 {
				continue
			}
			if err := g.apply(r.Context(), w, req, rule, caller); err != nil {
				httpapi.WriteError(r.Context(), w, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// apply counts the request against a rule and sets the headers. It returns why the request is refused.
func (g *Guard) apply(ctx context.Context, w http.ResponseWriter, req *request, r rule, caller auth.Identity) error {
	v, err := g.spend(ctx, req.policy, keyOf(r, caller, req.address), r.limit)
	if err != nil {
		return err
	}
	g.limiter.cfg.Observer.LimitDecided(r.name, v)
	if first := req.strictest.Limit == 0; first || !v.Allowed || v.Remaining < req.strictest.Remaining {
		req.strictest = v
		req.setHeaders(w.Header())
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

// setHeaders tells of the strictest limit.
func (r *request) setHeaders(h http.Header) {
	var room [64]byte // three numbers, and one piece of memory for all
	text, ends := room[:0], [3]int{}
	for i, number := range [...]int64{int64(r.strictest.Limit), int64(r.strictest.Remaining), r.strictest.Reset.UnixMilli()} {
		text = strconv.AppendInt(text, number, 10)
		ends[i] = len(text)
	}
	all := string(text)
	r.values = [...]string{all[:ends[0]], all[ends[0]:ends[1]], all[ends[1]:]}
	h[canonicalLimit], h[canonicalRemaining], h[canonicalReset] = r.values[0:1:1], r.values[1:2:2], r.values[2:3:3]
}

// retryAfter is in whole seconds, so that who waits as long does not come a moment too early.
func retryAfter(rest time.Duration) int {
	return max(1, int((rest+time.Second-1)/time.Second))
}

// isProbe is true for what is asked for the sake of the service and not of a client.
func isProbe(path string) bool {
	return path == contract.LivezPath || path == contract.ReadyzPath || path == contract.HealthPath
}
