package httpapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mirubato/mirubato/api/contract"
)

// mostAttrs is how many attributes a line has at most.
const mostAttrs = 12

func logRequest(logger *slog.Logger, r *http.Request, e *exchange, took time.Duration) {
	rec, w := &e.record, &e.statusWriter
	level := slog.LevelInfo
	switch {
	case w.result() >= http.StatusInternalServerError:
		level = slog.LevelError
	case isProbe(r.URL.Path):
		level = slog.LevelDebug
	}
	ctx := r.Context()
	if !logger.Enabled(ctx, level) {
		return
	}
	attrs := append(e.attrs[:0],
		slog.String("requestId", rec.RequestID),
		slog.String("method", shorten(r.Method, 32)),
		slog.String("path", shorten(r.URL.Path, 512)),
		slog.String("route", rec.Route),
		slog.Int("status", w.result()),
		slog.Int64("bytes", w.bytes),
		slog.Float64("durationMs", float64(took.Microseconds())/1000),
		slog.String("ip", clientIP(r, rec)),
		slog.String("userAgent", shorten(r.UserAgent(), 256)),
	)
	if r.URL.RawQuery != "" {
		attrs = append(attrs, slog.String("query", loggableQuery(r.URL.RawQuery)))
	}
	if rec.UserID != "" {
		attrs = append(attrs, slog.String("userId", rec.UserID))
	}
	if rec.Fault != nil {
		attrs = append(attrs, slog.Group("error",
			slog.String("code", string(rec.Fault.Code)), slog.String("message", rec.Fault.Error())))
	}
	// The logger would look for the place in the code, which costs as much as all of the line and is always here. That the client's going away
	// has ended ctx is nothing to a handler.
	const message = "Serving request"
	ended := w.started.Add(took)
	if h, ok := logger.Handler().(attrsHandler); ok {
		_ = h.HandleAttrs(ctx, ended, level, message, attrs) // there is nobody to tell
		return
	}
	line := slog.NewRecord(ended, level, message, 0)
	line.AddAttrs(attrs...)
	_ = logger.Handler().Handle(ctx, line)
}

// attrsHandler is a slog.Handler that needs no slog.Record, which would take memory for so many attributes.
type attrsHandler interface {
	HandleAttrs(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error
}

func isProbe(path string) bool {
	switch path {
	case contract.LivezPath, contract.ReadyzPath, contract.HealthPath, contract.MetricsPath:
		return true
	}
	return false
}

// clientIP is the address of the client where a layer that knows the proxies has found it, and else of the peer. Headers that
// claim another one are not believed here, since anybody can send them.
func clientIP(r *http.Request, rec *Record) string {
	if rec.ClientIP != "" {
		return rec.ClientIP
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// loggableQuery hides the values of parameters that a client may have put a secret into by mistake.
func loggableQuery(raw string) string {
	parts := strings.Split(shorten(raw, 512), "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		name = strings.ToLower(name)
		for _, word := range []string{"token", "secret", "password", "key", "auth", "signature"} {
			if strings.Contains(name, word) {
				parts[i] = word + "=(hidden)"
				break
			}
		}
	}
	return strings.Join(parts, "&")
}
