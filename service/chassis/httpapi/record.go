package httpapi

import (
	"context"
	"net/http"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Record is what is known of one request. Layers add to it on the way down and Middleware writes it as one log line
// on the way up. It belongs to the goroutine that serves the request.
type Record struct {
	// RequestID identifies the request in logs and in the answer.
	RequestID string
	// Route is the pattern that matched, such as "GET /api/scores/{id}"; empty until the Router has decided.
	Route string
	// UserID is the subject of a verified token; empty for an anonymous caller.
	UserID string
	// Fault is why the request was not served; nil when it was.
	Fault *fault.Error

	ifNoneMatch string
	isRead      bool
}

type recordKey struct{}

// RecordOf returns the record of the request that ctx belongs to. Outside of Middleware it returns an empty one that
// nobody reads, so callers need not check.
func RecordOf(ctx context.Context) *Record {
	if rec, ok := ctx.Value(recordKey{}).(*Record); ok {
		return rec
	}
	return &Record{}
}

func newRecord(r *http.Request) *Record {
	return &Record{
		RequestID:   requestID(r.Header.Get(RequestIDHeader)),
		ifNoneMatch: r.Header.Get("If-None-Match"),
		isRead:      r.Method == http.MethodGet || r.Method == http.MethodHead,
	}
}
