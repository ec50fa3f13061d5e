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

// Options say how Middleware treats requests. All fields but Synthetic, CORS and Draining are required.
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
}

// Fixed returns a function that returns always the same, for options that may change in a service whose do not.
func Fixed[T any](v T) func() T { return func() T { return v } }

// writeSlack is what a client gets beyond the timeout to send its request and to take the answer.
const writeSlack = 15 * time.Second

// Middleware puts around next what every request needs: an identity, one log line, metrics, recovery from panics, the
// standard headers, a deadline and a limit for the body.
func Middleware(o Options, next http.Handler) http.Handler {
	inner := recoverPanics(crossOrigin(o.CORS, limits(o, next)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		rec := newRecord(r)
		sw := &statusWriter{ResponseWriter: w, started: started}
		r = r.WithContext(timing.With(context.WithValue(r.Context(), recordKey{}, rec), &sw.parts))
		standardHeaders(o, rec, w.Header())
		observer := o.observer(r)
		observer.RequestStarted()
		defer func() {
			took := time.Since(started)
			observer.RequestFinished(rec.Route, r.Method, sw.result(), took)
			logRequest(o.Logger, r, rec, sw, took)
		}()
		inner.ServeHTTP(sw, r)
	})
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
	if o.Synthetic != nil && r.Header.Get(contract.SyntheticHeader) != "" {
		return o.Synthetic
	}
	return o.Observer
}

func standardHeaders(o Options, rec *Record, h http.Header) {
	h.Set(contract.ReleaseHeader, o.Release)
	h.Set(canonicalRequestID, rec.RequestID)
	for name, value := range constantHeaders {
		h[name] = value
	}
	if o.Draining != nil && o.Draining() {
		h.Set("Connection", "close")
	}
}

func limits(o Options, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timeout := o.RequestTimeout()
		// The server was told once how long an answer may take. Not every http.ResponseWriter is a server's.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout + writeSlack))
		ctx, cancel := context.WithTimeout(r.Context(), timeoutFor(r, timeout))
		defer cancel()
		r = r.WithContext(ctx)
		// A route that takes more, or refuses what says that it is more, finds what it needs in the record.
		rec := RecordOf(ctx)
		rec.body, rec.maxBody = r.Body, o.MaxBody
		r.Body = http.MaxBytesReader(w, r.Body, o.MaxBody)
		next.ServeHTTP(w, r)
	})
}

// TimeoutHeader carries how many milliseconds a caller waits for the answer, so that nobody works on what nobody will
// read. It is relative because clocks differ.
const TimeoutHeader = "X-Request-Timeout-Ms"

// timeoutFor is the timeout, or what the caller waits if that is less. What is no positive number is not heeded.
func timeoutFor(r *http.Request, timeout time.Duration) time.Duration {
	given := r.Header.Get(TimeoutHeader)
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
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
		// What the service took until it began to answer.
		w.Header().Set("Server-Timing", w.parts.Header(time.Since(w.started)))
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
