package telemetry

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mirubato/mirubato/api/contract"
)

// requests counts and times one kind of requests.
type requests struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec

	mu    sync.RWMutex
	bound map[requestKey]boundRequest
}

// requestKey is one combination of labels. Their number is bounded: routes and methods are those that are registered.
type requestKey struct {
	route, method string
	status        int
}

// boundRequest spares each request the look-up of its labels, which costs more than the counting itself.
type boundRequest struct {
	total   prometheus.Counter
	seconds prometheus.Observer
}

func newRequests(registry prometheus.Registerer, total, duration, which string) *requests {
	labels := []string{contract.RouteLabel, "method", contract.StatusLabel}
	r := &requests{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: total, Help: "Requests served, by route, method and status." + which,
		}, labels),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: duration, Help: "Time from the arrival of a request to its answer." + which,
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, labels),
		bound: map[requestKey]boundRequest{},
	}
	registry.MustRegister(r.total, r.duration)
	return r
}

func (r *requests) finished(key requestKey, took time.Duration) {
	b := r.bind(key)
	b.total.Inc()
	b.seconds.Observe(took.Seconds())
}

func (r *requests) bind(key requestKey) boundRequest {
	key.method = knownMethod(key.method)
	r.mu.RLock()
	b, ok := r.bound[key]
	r.mu.RUnlock()
	if ok {
		return b
	}
	labels := []string{pathOf(key.route), key.method, strconv.Itoa(key.status)}
	b = boundRequest{total: r.total.WithLabelValues(labels...), seconds: r.duration.WithLabelValues(labels...)}
	r.mu.Lock()
	r.bound[key] = b
	r.mu.Unlock()
	return b
}

// RequestStarted counts a request as in flight.
func (m *Metrics) RequestStarted() { m.inFlight.Inc() }

// RequestFinished counts a request as served.
func (m *Metrics) RequestFinished(route, method string, status int, took time.Duration) {
	m.inFlight.Dec()
	m.requests.finished(requestKey{route: route, method: method, status: status}, took)
}

// Synthetic measures requests that nobody needs: apart, in metrics of their own, so that they are not taken for users.
type Synthetic struct{ metrics *Metrics }

// Synthetic returns the observer of such requests.
func (m *Metrics) Synthetic() Synthetic { return Synthetic{m} }

// RequestStarted counts a request as in flight: it is work like any other.
func (s Synthetic) RequestStarted() { s.metrics.RequestStarted() }

// RequestFinished counts a request as served.
func (s Synthetic) RequestFinished(route, method string, status int, took time.Duration) {
	s.metrics.inFlight.Dec()
	s.metrics.synthetic.finished(requestKey{route: route, method: method, status: status}, took)
}

// knownMethod keeps clients from inventing label values.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return method
	}
	return "other"
}

func pathOf(route string) string {
	if route == "" {
		return "unmatched"
	}
	if _, path, ok := strings.Cut(route, " "); ok {
		return path
	}
	return route
}
