package httpapi

import (
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Router is a http.ServeMux that answers in JSON where the mux would answer in plain text: 404 for an address that
// does not exist (there are no redirects to a cleaned path) and 405 with Allow for a method that is not served there. It
// tells the record of the request which pattern matched. Register all routes before the first request.
type Router struct {
	mux     *http.ServeMux
	methods []string
	routes  []Route
}

// NewRouter returns a router without routes.
func NewRouter() *Router {
	rt := &Router{mux: http.NewServeMux()}
	rt.mux.HandleFunc(anyAddress, rt.unmatched)
	return rt
}

const anyAddress = "/"

// Handle registers a route. The pattern is that of http.ServeMux and names its method, such as "GET /api/scores/{id}";
// a GET route serves HEAD as well. It panics on a pattern that is malformed or contradicts another one.
func (rt *Router) Handle(pattern string, h http.Handler) {
	method, _, ok := strings.Cut(pattern, " ")
	if !ok {
		panic("httpapi: the pattern " + pattern + " names no method")
	}
	if !slices.Contains(rt.methods, method) {
		rt.methods = append(rt.methods, method)
	}
	if method == http.MethodGet && !slices.Contains(rt.methods, http.MethodHead) {
		rt.methods = append(rt.methods, http.MethodHead)
	}
	slices.Sort(rt.methods)
	rt.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		RecordOf(r.Context()).Route = pattern
		h.ServeHTTP(w, r)
	})
}

// ServeHTTP implements http.Handler.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !isCleanPath(r.URL.EscapedPath()) {
		rt.notFound(w, r)
		return
	}
	rt.mux.ServeHTTP(w, r)
}

// isCleanPath is false for the paths that the mux would redirect.
func isCleanPath(p string) bool {
	return p == "/" || strings.HasPrefix(p, "/") && path.Clean(p) == strings.TrimSuffix(p, "/")
}

// unmatched finds out whether the address is unknown or only the method.
func (rt *Router) unmatched(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range rt.methods {
		probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := rt.mux.Handler(probe); pattern != "" && pattern != anyAddress {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		rt.notFound(w, r)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	WriteError(r.Context(), w, fault.New(fault.MethodNotAllowed, "The method "+shorten(r.Method, 32)+" is not allowed here"))
}

func (rt *Router) notFound(w http.ResponseWriter, r *http.Request) {
	writeFault(r.Context(), w, fault.New(fault.NotFound, "Not Found"),
		"The requested endpoint "+shorten(r.URL.Path, 256)+" does not exist")
}

// shorten bounds what of a client's input is echoed or logged.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
