package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// statusClientClosedRequest is what the log shows when the client went away; it is not in any RFC but widely known.
const statusClientClosedRequest = 499

// Challenge is what RFC 6750 section 3 wants beside a 401 to a request without a token.
const Challenge = `Bearer realm="mirubato"`

// StatusOf returns the HTTP status of a code. A code that it does not know is 500.
func StatusOf(code fault.Code) int { //nolint:gocyclo // a table, one line a code
	switch code {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Denied:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case fault.SlowRequest:
		return http.StatusRequestTimeout
	case fault.Conflict:
		return http.StatusConflict
	case fault.PreconditionFailed:
		return http.StatusPreconditionFailed
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.UnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.Canceled:
		return statusClientClosedRequest
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Timeout:
		return http.StatusGatewayTimeout
	case fault.Internal:
	}
	return http.StatusInternalServerError
}

// WriteError answers with the fault in err and leaves it in the record of the request, where the access log finds it.
// It is the only place where an error becomes an answer. What the client sees of an Internal fault is a fixed text.
func WriteError(ctx context.Context, w http.ResponseWriter, err error) {
	writeFault(ctx, w, fault.Of(err), "")
}

func writeFault(ctx context.Context, w http.ResponseWriter, f *fault.Error, message string) {
	rec := RecordOf(ctx)
	rec.Fault = f
	body := ErrorEnvelope{
		Error: f.Message, Code: f.Code, Message: message, Details: f.Details, RequestID: rec.RequestID,
	}
	switch f.Code {
	case fault.Internal:
		body.Error, body.Message, body.Details = "Internal server error", "An unexpected error occurred", nil
	case fault.Unavailable:
		w.Header().Set("Retry-After", strconv.FormatInt(retryAfter(f), 10))
	case fault.Unauthenticated:
		if w.Header().Get("WWW-Authenticate") == "" {
			w.Header().Set("WWW-Authenticate", Challenge)
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	JSON(StatusOf(f.Code), body).Write(ctx, w)
}

// retryAfter is in whole seconds, at least one.
func retryAfter(f *fault.Error) int64 {
	return max(int64((f.RetryAfter+time.Second-1)/time.Second), 1)
}
