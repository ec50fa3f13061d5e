package settings

import (
	"net/netip"
	"regexp"
	"time"
)

// RateLimits are how many requests are let through. Each request counts against the limit of its address, against the one of
// its caller, and against the one of its route or class if it has one; the first that is used up refuses it.
type RateLimits struct {
	// scope says what a limit holds for. Default: Fleet.
	// +optional
	Scope *Scope `json:"scope,omitempty"`
	// address is what one client address may ask, whoever calls from there; it is counted before a token is looked at. Default: 1200
	// requests a minute.
	// +optional
	Address *Limit `json:"address,omitempty"`
	// default is what a caller may ask whose tier has no limit of its own: an account, or, without one, a client address. Default: 100
	// requests a minute.
	// +optional
	Default *Limit `json:"default,omitempty"`
	// tiers are what a caller may ask by role. Default: user 120, teacher 600 and admin 600 requests a minute.
	// +optional
	// +listType=map
	// +listMapKey=tier
	// +kubebuilder:validation:MaxItems=4
	Tiers []TierLimit `json:"tiers,omitempty"`
	// classes are what a caller may ask of routes that cost more than others or are worth attacking.
	// +optional
	Classes *ClassLimits `json:"classes,omitempty"`
	// routes are what a caller may ask of single routes. A route's own limit replaces the one of its class.
	// +optional
	// +listType=map
	// +listMapKey=route
	// +kubebuilder:validation:MaxItems=64
	Routes []RouteLimit `json:"routes,omitempty"`
	// trustedProxies are the networks of the proxies in front of the service, such as 10.0.0.0/8. Only they are believed when they say
	// in X-Forwarded-For for whom they ask. Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="self.all(n, isCIDR(n))",message="must be networks such as 10.0.0.0/8 or fd00::/8"
	TrustedProxies []string `json:"trustedProxies,omitempty"`
}

// Scope says what a limit holds for.
//
// +kubebuilder:validation:Enum=Fleet;Pod
type Scope string

// The scopes.
const (
	// ScopeFleet counts over all pods, in the database.
	ScopeFleet Scope = "Fleet"
	// ScopePod counts in each pod by itself.
	ScopePod Scope = "Pod"
)

// Limit is a number of requests in a length of time.
type Limit struct {
	// requests that are let through in one window, 1 to 1000000.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Requests int32 `json:"requests"`
	// window in which they are counted, 1s to 24h. It begins with the first request.
	// +required
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="must be from 1s to 24h"
	Window Duration `json:"window"`
}

// Tier is a kind of caller.
//
// +kubebuilder:validation:Enum=anonymous;user;teacher;admin
type Tier string

// The tiers: who shows no token, and the roles.
const (
	TierAnonymous Tier = "anonymous"
	TierUser      Tier = "user"
	TierTeacher   Tier = "teacher"
	TierAdmin     Tier = "admin"
)

// TierLimit is the limit of each caller of a tier.
type TierLimit struct {
	// tier that the limit holds for.
	// +required
	Tier  Tier `json:"tier"`
	Limit `json:",inline"`
}

// ClassLimits are the limits of routes that need a stricter one.
type ClassLimits struct {
	// auth is for routes that check a password. Default: 5 requests in 5 minutes.
	// +optional
	Auth *Limit `json:"auth,omitempty"`
	// upload is for routes that take files or many changes at once. Default: 10 requests a minute.
	// +optional
	Upload *Limit `json:"upload,omitempty"`
}

// RouteLimit is the limit of one route.
type RouteLimit struct {
	// route is a method and a path pattern as the API's document has them, such as GET /api/scores/{id}.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^(GET|POST|PUT|PATCH|DELETE) /[^ ]*$')",message="must be a method and a path, such as GET /api/scores/{id}"
	Route string `json:"route"`
	Limit `json:",inline"`
}

const (
	maxRequests = 1_000_000
	leastWindow = Duration(time.Second)
	maxWindow   = Duration(24 * time.Hour)
)

func defaultRateLimits() *RateLimits {
	minute := func(requests int32) Limit { return Limit{Requests: requests, Window: Duration(time.Minute)} }
	return &RateLimits{
		Scope:   pointer(ScopeFleet),
		Address: pointer(minute(1200)),
		Default: pointer(minute(100)),
		Tiers: []TierLimit{
			{TierUser, minute(120)}, {TierTeacher, minute(600)}, {TierAdmin, minute(600)},
		},
		Classes: &ClassLimits{
			Auth:   &Limit{Requests: 5, Window: Duration(5 * time.Minute)},
			Upload: pointer(minute(10)),
		},
	}
}

var routeForm = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) /[^ ]*$`)

func (r *RateLimits) validate(p place) {
	if r == nil {
		return
	}
	p.field("scope").demand(r.Scope == nil || *r.Scope == ScopeFleet || *r.Scope == ScopePod, "must be Fleet or Pod")
	r.Address.validate(p.field("address"))
	r.Default.validate(p.field("default"))
	r.validateTiers(p.field("tiers"))
	if c := r.Classes; c != nil {
		c.Auth.validate(p.field("classes.auth"))
		c.Upload.validate(p.field("classes.upload"))
	}
	r.validateRoutes(p.field("routes"))
	r.validateProxies(p.field("trustedProxies"))
}

func (l *Limit) validate(p place) {
	if l == nil {
		return
	}
	p.field("requests").number(&l.Requests, 1, maxRequests)
	p.field("window").duration(&l.Window, leastWindow, maxWindow)
}

func (r *RateLimits) validateTiers(p place) {
	p.length(len(r.Tiers), 4)
	seen := map[Tier]bool{}
	for i, t := range r.Tiers {
		at := p.item(i)
		switch t.Tier {
		case TierAnonymous, TierUser, TierTeacher, TierAdmin:
		default:
			at.field("tier").demand(false, "must be anonymous, user, teacher or admin")
		}
		at.field("tier").demand(!seen[t.Tier], "must not be given twice")
		seen[t.Tier] = true
		t.validate(at)
	}
}

func (r *RateLimits) validateRoutes(p place) {
	p.length(len(r.Routes), 64)
	seen := map[string]bool{}
	for i, route := range r.Routes {
		at := p.item(i)
		at.field("route").demand(len(route.Route) <= 200 && routeForm.MatchString(route.Route),
			"must be a method and a path of at most 200 characters, such as GET /api/scores/{id}")
		at.field("route").demand(!seen[route.Route], "must not be given twice")
		seen[route.Route] = true
		route.validate(at)
	}
}

func (r *RateLimits) validateProxies(p place) {
	p.length(len(r.TrustedProxies), 64)
	seen := map[string]bool{}
	for i, network := range r.TrustedProxies {
		parsed, err := netip.ParsePrefix(network)
		p.item(i).demand(err == nil && !parsed.Addr().Is4In6(), "must be a network, such as 10.0.0.0/8 or fd00::/8")
		p.item(i).demand(!seen[network], "must not be given twice")
		seen[network] = true
	}
}
