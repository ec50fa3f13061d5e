package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/timing"
)

// Observer measures requests. Its methods are called by many goroutines.
type Observer interface {
	// RequestStarted is called before a request is routed.
	RequestStarted()
	// RequestFinished is called once for each RequestStarted. Route is the pattern that matched, "" if none did.
	RequestFinished(route, method string, status int, took time.Duration)
}

// Options say how Middleware treats requests. All fields but Synthetic, CORS, Draining and WriteTimeout are required.
type Options struct {
	Logger   *slog.Logger
	Observer Observer
	// Synthetic measures requests with contract.SyntheticHeader; nil means that Observer does.
	Synthetic Observer
	// Release is sent with every answer.
	Release string
	// RequestTimeout returns what a request may take; then its context ends.
	RequestTimeout func() time.Duration
	// MaxBody is how many bytes of a body are read, where a route says nothing else.
	MaxBody int64
	// CORS is asked at each request whose pages may call; nil means that no page of another origin may.
	CORS func() CORS
	// Draining asks clients to open their next connection elsewhere while it returns true; nil means never.
	Draining func() bool
	// WriteTimeout is what the server allows a request by itself; where RequestTimeout comes to the same, the connection is not told
	// again. 0 is for a server that does not say.
	WriteTimeout time.Duration
}

// Fixed returns a function that returns always the same, for options that may change in a service whose do not.
func Fixed[T any](v T) func() T { return func() T { return v } }

// writeSlack is what a client gets beyond the timeout to send its request and to take the answer.
const writeSlack = 15 * time.Second

// Middleware puts around next what every request needs: an identity, one log line, metrics, recovery from panics, the
// standard headers, a deadline and a limit for the body.
func Middleware(o Options, next http.Handler) http.Handler {
	inner := recoverPanics(crossOrigin(o.CORS, next))
	standard := newStandardHeaders(o)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e, r := o.begin(w, r)
		standard.set(e, w.Header())
		observer := o.observer(r)
		observer.RequestStarted()
		defer func() {
			e.context.end()
			took := time.Since(e.started)
			observer.RequestFinished(e.record.Route, r.Method, e.result(), took)
			logRequest(o.Logger, r, e, took)
		}()
		inner.ServeHTTP(&e.statusWriter, r)
	})
}

// exchange is a request and its answer: all that Middleware keeps of them, in one piece of memory.
type exchange struct {
	statusWriter
	record  Record
	context requestContext
	// requestID is the value of a header.
	requestID [1]string
	// attrs are those of the line in the log.
	attrs [mostAttrs]slog.Attr
}

// begin returns what is kept of the request, and the request with its deadline and the limit of its body.
func (o *Options) begin(w http.ResponseWriter, r *http.Request) (*exchange, *http.Request) {
	e := &exchange{statusWriter: statusWriter{ResponseWriter: w, started: time.Now()}, record: newRecord(r)}
	timeout := o.RequestTimeout()
	if timeout+writeSlack != o.WriteTimeout {
		// The server was told once how long an answer may take. Not every http.ResponseWriter is a server's.
		_ = http.NewResponseController(w).SetWriteDeadline(e.started.Add(timeout + writeSlack))
	}
	c := &e.context
	c.client, c.deadline, c.record, c.parts = r.Context(), e.started.Add(timeoutFor(r, timeout)), &e.record, &e.parts
	r = r.WithContext(c) //nolint:contextcheck // it is that of the request, with more around it
	// A route that takes more, or refuses what says that it is more, finds what it needs in the record.
	e.record.body, e.record.maxBody = r.Body, o.MaxBody
	if r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(&e.statusWriter, r.Body, o.MaxBody)
	}
	return e, r
}

// constantHeaders stand on every answer unless a handler sets others. Answers share the slices, so that they cost nothing; whoever
// adds to one gets another slice.
var constantHeaders = http.Header{
	"X-Content-Type-Options":  {"nosniff"},
	"X-Frame-Options":         {"DENY"},
	"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
	"Referrer-Policy":         {"no-referrer"},
	"Cache-Control":           {CacheControl{}.String()},
}

func (o *Options) observer(r *http.Request) Observer {
	if o.Synthetic != nil && valueOf(r.Header, contract.SyntheticHeader) != "" {
		return o.Synthetic
	}
	return o.Observer
}

// standardHeaders stand on every answer.
type standardHeaders struct {
	constant []header
	draining func() bool
}

// header is a line of a header, in the spelling of http.Header.
type header struct {
	name  string
	value []string
}

func newStandardHeaders(o Options) standardHeaders {
	s := standardHeaders{
		constant: []header{{http.CanonicalHeaderKey(contract.ReleaseHeader), []string{o.Release}}},
		draining: o.Draining,
	}
	for name, value := range constantHeaders {
		s.constant = append(s.constant, header{name, value})
	}
	return s
}

func (s *standardHeaders) set(e *exchange, h http.Header) {
	e.requestID[0] = e.record.RequestID
	h[canonicalRequestID] = e.requestID[:]
	for _, line := range s.constant {
		h[line.name] = line.value
	}
	if s.draining != nil && s.draining() {
		h.Set("Connection", "close")
	}
}

// valueOf is http.Header.Get for a name in the spelling of http.Header, which need not be looked for then.
func valueOf(h http.Header, canonical string) string {
	if values := h[canonical]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// TimeoutHeader carries how many milliseconds a caller waits for the answer, so that nobody works on what nobody will
// read. It is relative because clocks differ.
const TimeoutHeader = "X-Request-Timeout-Ms"

// timeoutFor is the timeout, or what the caller waits if that is less. What is no positive number is not heeded.
func timeoutFor(r *http.Request, timeout time.Duration) time.Duration {
	given := valueOf(r.Header, TimeoutHeader)
	if given == "" {
		return timeout
	}
	waits, err := strconv.ParseInt(given, 10, 32)
	if err != nil || waits <= 0 {
		return timeout
	}
	return min(timeout, time.Duration(waits)*time.Millisecond)
}

// recoverPanics answers a panic with 500, or ends the connection when the answer had already begun, since a half answer must not
// look like a whole one.
func recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer answerPanic(r.Context(), w)
		next.ServeHTTP(w, r)
	})
}

// answerPanic is deferred; recover works only in the deferred function itself.
func answerPanic(ctx context.Context, w http.ResponseWriter) {
	cause := recover()
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause)
	}
	err := fault.Wrap(fault.Internal, "Internal server error", fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
	if sw, ok := w.(*statusWriter); ok && sw.status != 0 {
		RecordOf(ctx).Fault = err
		panic(http.ErrAbortHandler)
	}
	WriteError(ctx, w, err)
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	started time.Time
	parts   timing.Parts
	status  int
	bytes   int64
	// timing is the value of a header.
	timing [1]string
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
		// What the service took until it began to answer.
		w.timing[0] = w.parts.Header(time.Since(w.started))
		w.Header()["Server-Timing"] = w.timing[:]
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// result is the status that the client sees; a handler that wrote nothing answers 200.
func (w *statusWriter) result() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
