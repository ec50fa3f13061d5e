package httpapi

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Record is what is known of one request. Layers add to it on the way down and Middleware writes it as one log line
// on the way up. It belongs to the goroutine that serves the request.
type Record struct {
	// RequestID identifies the request in logs and in the answer.
	RequestID string
	// Route is the pattern that matched, such as "GET /api/scores/{id}"; empty until the Router has decided.
	Route string
	// ClientIP is the address of the client if another one than the peer's is known; else empty.
	ClientIP string
	// UserID is the subject of a verified token; empty for an anonymous caller.
	UserID string
	// Shared says that the answer is the same for everybody who may ask, so that it may be kept for others.
	Shared bool
	// Fault is why the request was not served; nil when it was.
	Fault *fault.Error

	ifNoneMatch string
	isRead      bool
	// client ends when the client goes away.
	client context.Context
	// body is the body before it was limited, and maxBody the limit of routes that set none.
	body    io.ReadCloser
	maxBody int64
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

// Detach returns a context whose record is a new one, of a read that names no version, for serving a request on behalf of many.
func Detach(ctx context.Context) (context.Context, *Record) {
	rec := &Record{RequestID: RecordOf(ctx).RequestID, isRead: true}
	return context.WithValue(ctx, recordKey{}, rec), rec
}

// Outlast returns a context for an answer that takes longer than requests may: it has the values of ctx, which a request was given, and ends
// when the client goes away, or after d, or when the function that comes with it is called. Whoever uses it moves the write
// deadline on while the answer makes progress.
func Outlast(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	if client := RecordOf(ctx).client; client != nil {
		stop := context.AfterFunc(client, cancel)
		return lasting, func() {
			stop()
			cancel()
		}
	}
	return lasting, cancel
}

// Has reports whether the client of the request that ctx belongs to has told that it has what the entity tag names, so that
// 304 is the answer to its read.
func Has(ctx context.Context, etag string) bool {
	rec := RecordOf(ctx)
	return rec.isRead && etag != "" && matchesETag(rec.ifNoneMatch, etag)
}

func newRecord(r *http.Request) Record {
	return Record{
		client:      r.Context(),
		RequestID:   requestID(valueOf(r.Header, canonicalRequestID)),
		ifNoneMatch: valueOf(r.Header, "If-None-Match"),
		isRead:      r.Method == http.MethodGet || r.Method == http.MethodHead,
	}
}
