package ratelimit

import (
	"crypto/sha256"
	"net/netip"

	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// rule is a limit and what it is counted as.
type rule struct {
	// name is what metrics call it.
	name string
	// counts is what the requests are counted under: two rules with the same one share a count.
	counts string
	limit  Limit
}

// policy is what the settings make of rate limits, ready to be applied.
type policy struct {
	fleet    bool
	trusted  []netip.Prefix
	address  rule
	fallback rule
	tiers    map[settings.Tier]rule
	classes  map[httpapi.Class]rule
	routes   map[string]rule
}

// newPolicy takes settings with all defaults.
func newPolicy(s *settings.RateLimits) *policy {
	p := &policy{
		fleet:    *s.Scope == settings.ScopeFleet,
		address:  rule{name: "address", counts: "address", limit: limitOf(*s.Address)},
		fallback: rule{name: "default", counts: "caller", limit: limitOf(*s.Default)},
		tiers:    map[settings.Tier]rule{},
		classes: map[httpapi.Class]rule{
			httpapi.ClassAuth:   {name: "auth", counts: "class auth", limit: limitOf(*s.Classes.Auth)},
			httpapi.ClassUpload: {name: "upload", counts: "class upload", limit: limitOf(*s.Classes.Upload)},
		},
		routes: map[string]rule{},
	}
	for _, t := range s.Tiers {
		p.tiers[t.Tier] = rule{name: string(t.Tier), counts: "caller", limit: limitOf(t.Limit)}
	}
	for _, r := range s.Routes {
		p.routes[r.Route] = rule{name: "route", counts: "route " + r.Route, limit: limitOf(r.Limit)}
	}
	for _, network := range s.TrustedProxies {
		if parsed, err := netip.ParsePrefix(network); err == nil { // it was validated
			p.trusted = append(p.trusted, parsed)
		}
	}
	return p
}

func limitOf(l settings.Limit) Limit {
	return Limit{Requests: int(l.Requests), Window: l.Window.Std()}
}

// rules are what a request to a route counts against besides its address, the stricter ones first: what they refuse uses up nothing
// of the others.
func (p *policy) rules(caller auth.Identity, route httpapi.Route) []rule {
	tier := settings.TierAnonymous
	if !caller.IsAnonymous() {
		tier = settings.Tier(caller.Role)
	}
	general, ok := p.tiers[tier]
	if !ok {
		general = p.fallback
	}
	special, ok := p.routes[route.Pattern()]
	if !ok {
		special, ok = p.classes[route.Class]
	}
	if !ok {
		return []rule{general}
	}
	return []rule{special, general}
}

// keyOf is what a rule counts for one client. A window of another length is another count, so that a change of it holds at once.
func keyOf(r rule, client string) Key {
	text := make([]byte, 0, 256)
	text = append(text, r.counts...)
	text = append(text, 0)
	text = append(text, r.limit.Window.String()...)
	text = append(text, 0)
	text = append(text, client...)
	sum := sha256.Sum256(text)
	return Key(sum[:len(Key{})])
}

// client is whom a request is counted for: the account, or else where it comes from. The two cannot be mistaken for each other.
func client(caller auth.Identity, address netip.Addr) string {
	if caller.IsAnonymous() {
		return "address " + clientOf(address).String()
	}
	return "account " + caller.ID
}
