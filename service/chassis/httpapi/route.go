package httpapi

import (
	"net/http"
	"slices"
	"time"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Access says whom a route serves. What a caller may do with a thing is decided behind the route, by the domain.
type Access int

// The accesses. The zero value is none of them, so that a route cannot be open by oversight.
const (
	// Open: everybody; nobody is asked who they are.
	Open Access = iota + 1
	// Anyone: everybody; whoever shows a token must show a valid one.
	Anyone
	// Callers: whoever shows a valid token.
	Callers
	// Admins: whoever shows a valid token with the role admin.
	Admins
)

// Class is a kind of routes that callers may use less often than others.
type Class string

// The classes.
const (
	// ClassAuth: the route checks a password.
	ClassAuth Class = "auth"
	// ClassUpload: the route takes files, or changes many things at once.
	ClassUpload Class = "upload"
)

// Guard keeps a route's access.
type Guard interface {
	// Guard returns a handler that lets through to next only those whom the access admits. It panics on an access that it
	// does not know.
	Guard(access Access, next http.Handler) http.Handler
}

// Route is one operation of an API: how it is reached, whom it serves, and what goes in and comes out. Handlers are
// registered from it and the API's document is made of it, so the two cannot tell different stories.
type Route struct {
	// Method is an HTTP method in upper case; a GET route serves HEAD as well.
	Method string
	// Path is a path pattern of http.ServeMux, such as /api/scores/{id}.
	Path string
	// Access says whom the route serves; it must be given.
	Access Access

	// Class says that the route needs a stricter limit than others; empty for most.
	Class Class

	// Name identifies the operation to generators of clients, such as "listScores". It is unique in an API.
	Name string
	// Group is the heading under which the document shows the route.
	Group string
	// Summary is one short sentence without a full stop.
	Summary string
	// Description says what Summary has no room for; empty when there is nothing more.
	Description string

	// Params is a struct that describes the parameters, nil if there are none. A field's tag path, query or header names the
	// parameter; further tags say its rules, such as minimum, maximum, enum, format, default and description.
	Params any
	// Request is any value of the type that the body is read into, nil if no body is read.
	Request any
	// Consumes are the media types of a body that is not JSON and that Handler reads by itself; Request is then nil.
	Consumes []string
	// MaxBody is how many bytes a body may have, if more than others.
	MaxBody int64
	// Patience is how long a request may take, if longer than others: it moves a file. It is cut off all the same if nothing moves.
	Patience time.Duration
	// Rules is a struct whose validate tags are the rules of those fields of Request that have the same JSON names, nil if the
	// tags stand in Request itself.
	Rules any
	// Partial says that every field of the body may be left out, as in a change.
	Partial bool
	// Status is the status of a success.
	Status int
	// Response is any value of the type of a success's body, nil if it has none. The body is JSON unless MediaType says otherwise.
	Response any
	// MediaType is the type of a success's body when it is not JSON; of several, separated by ", ", the request chooses one.
	MediaType string
	// Others are further answers that are no faults, by status.
	Others map[int]any
	// Versioned says that a success carries the thing's version as ETag; a read then answers If-None-Match, a write heeds
	// If-Match.
	Versioned bool
	// Sharing says whom an answer may serve besides the one who asked; only reads may be shared.
	Sharing Sharing
	// Kept is called for each request that was answered by a kept answer, without Handler; nil if nobody needs to know.
	Kept func(*http.Request)
	// Sensitive says that the body holds a secret, so that nothing is kept of it, not even a hash; such a route heeds no
	// idempotency key.
	Sensitive bool
	// Faults are the codes that the route may answer, besides those that follow from the other fields (see AllFaults).
	Faults []fault.Code

	// Handler serves the route to those whom Access admits.
	Handler http.Handler
}

// Pattern is the route as http.ServeMux knows it.
func (r Route) Pattern() string { return r.Method + " " + r.Path }

// IsRead reports whether the route changes nothing.
func (r Route) IsRead() bool { return r.Method == http.MethodGet }

// IdempotencyKeyHeader carries a name that the client gives to a write, so that sending it again does not do it again.
// ReplayedHeader goes with an answer that was kept from the first time.
const (
	IdempotencyKeyHeader = "X-Idempotency-Key"
	ReplayedHeader       = "X-Idempotency-Replayed"
)

// TakesKey reports whether the route heeds an idempotency key, where they are in use: it is a write of a known caller, and its body may be
// held in memory.
func (r Route) TakesKey() bool {
	return !r.IsRead() && r.Consumes == nil && !r.Sensitive && (r.Access == Callers || r.Access == Admins)
}

// AllFaults returns every code that the route may answer: its own and those that its access, parameters, body and
// versions bring with them.
func (r Route) AllFaults() []fault.Code {
	all := append([]fault.Code{fault.Internal, fault.Unavailable, fault.Timeout}, r.Faults...)
	if !isProbe(r.Path) {
		all = append(all, fault.RateLimited)
	}
	if r.Access != Open {
		all = append(all, fault.Unauthenticated)
	}
	if r.Access == Admins {
		all = append(all, fault.Denied)
	}
	if r.Params != nil {
		all = append(all, fault.Invalid)
	}
	if r.Request != nil || r.Consumes != nil {
		all = append(all, fault.Invalid, fault.UnsupportedMedia, fault.SlowRequest)
	}
	if !r.IsRead() {
		all = append(all, fault.TooLarge)
		if r.Versioned {
			all = append(all, fault.PreconditionFailed)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Wrapper puts around a route's handler what the route asks for; it returns the handler itself if that is nothing.
type Wrapper func(Route, http.Handler) http.Handler

// Mount registers routes: the guard comes first, then the wrappers in their order, then the handler. It panics on a
// route that has no access or no handler, shares answers to writes, or contradicts another one.
func (rt *Router) Mount(guard Guard, routes []Route, wrappers ...Wrapper) {
	for _, r := range routes {
		if r.Handler == nil {
			panic("httpapi: the route " + r.Pattern() + " has no handler")
		}
		if r.Sharing != Unshared && !r.IsRead() {
			panic("httpapi: the route " + r.Pattern() + " changes something, so its answers cannot be shared")
		}
		h := r.Handler
		for _, wrap := range slices.Backward(wrappers) {
			h = wrap(r, h)
		}
		rt.Handle(r.Pattern(), transfer(r, guard.Guard(r.Access, h)))
		rt.routes = append(rt.routes, r)
	}
}

// Routes returns the routes that were mounted, in their order.
func (rt *Router) Routes() []Route { return slices.Clone(rt.routes) }

// OpenGuard keeps the access Open and no other; it is for routers of which nobody is asked who they are.
type OpenGuard struct{}

// Guard implements Guard.
func (OpenGuard) Guard(access Access, next http.Handler) http.Handler {
	if access != Open {
		panic("httpapi: a route that asks for a caller needs a guard that can tell")
	}
	return next
}
