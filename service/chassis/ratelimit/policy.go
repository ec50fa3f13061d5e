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
	// counts is what the requests are counted under: two rules with the same one share a count. A window of another length is another
	// count, so that a change of it holds at once.
	counts string
	limit  Limit
}

func newRule(name, counts string, l settings.Limit) rule {
	limit := Limit{Requests: int(l.Requests), Window: l.Window.Std()}
	return rule{name: name, counts: counts + "\x00" + limit.Window.String() + "\x00", limit: limit}
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
		address:  newRule("address", "address", *s.Address),
		fallback: newRule("default", "caller", *s.Default),
		tiers:    map[settings.Tier]rule{},
		classes: map[httpapi.Class]rule{
			httpapi.ClassAuth:   newRule("auth", "class auth", *s.Classes.Auth),
			httpapi.ClassUpload: newRule("upload", "class upload", *s.Classes.Upload),
		},
		routes: map[string]rule{},
	}
	for _, t := range s.Tiers {
		p.tiers[t.Tier] = newRule(string(t.Tier), "caller", t.Limit)
	}
	for _, r := range s.Routes {
		p.routes[r.Route] = newRule("route", "route "+r.Route, r.Limit)
	}
	for _, network := range s.TrustedProxies {
		if parsed, err := netip.ParsePrefix(network); err == nil { // it was validated
			p.trusted = append(p.trusted, parsed)
		}
	}
	return p
}

// rules are what a request to a route counts against besides its address, the stricter ones first: what they refuse uses up nothing
// of the others; a stricter one has a limit of 0 requests where there is none.
func (p *policy) rules(caller auth.Identity, pattern string, class httpapi.Class) (special, general rule) {
	tier := settings.TierAnonymous
	if !caller.IsAnonymous() {
		tier = settings.Tier(caller.Role)
	}
	general, ok := p.tiers[tier]
	if !ok {
		general = p.fallback
	}
	if special, ok = p.routes[pattern]; !ok {
		special = p.classes[class]
	}
	return special, general
}

// keyOf is what a rule counts for one client: the account, or else where the request comes from. The two cannot be mistaken for each other.
func keyOf(r rule, caller auth.Identity, address netip.Addr) Key {
	text := append(make([]byte, 0, 256), r.counts...)
	if caller.IsAnonymous() {
		text = appendClient(append(text, "address "...), address)
	} else {
		text = append(append(text, "account "...), caller.ID...)
	}
	sum := sha256.Sum256(text)
	return Key(sum[:len(Key{})])
}

// appendClient appends what of an address counts as one client.
func appendClient(text []byte, address netip.Addr) []byte {
	if !address.IsValid() {
		return append(text, address.String()...) // those whose address is not known are one client
	}
	return clientOf(address).AppendTo(text)
}
