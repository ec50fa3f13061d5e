// Package fault owns the one error type in which a service says why it did not do what it was asked. A fault has a
// code that programs act on, a message that the client may read, and a cause that only the log may hold. It knows
// nothing of HTTP: package httpapi turns codes into statuses, package postgres turns SQLSTATEs into codes.
package fault

import (
	"context"
	"errors"
	"time"
)

// Code names the kind of a fault. It is what clients see in the field "code" and what they act on.
type Code string

// The codes. They are few: a new one is added only when a client would do something else on seeing it.
const (
	// Invalid: the input breaks a rule; the same request will fail again. Details name the fields.
	Invalid Code = "VALIDATION_ERROR"
	// Unauthenticated: the request has no token, or one that does not hold.
	Unauthenticated Code = "AUTHENTICATION_ERROR"
	// Denied: the caller may see the thing but not do this to it.
	Denied Code = "AUTHORIZATION_ERROR"
	// NotFound: the thing does not exist or the caller may not know that it does.
	NotFound Code = "NOT_FOUND"
	// MethodNotAllowed: the address exists, the method on it does not.
	MethodNotAllowed Code = "METHOD_NOT_ALLOWED"
	// Conflict: the change contradicts the present state; reading again and deciding anew may help.
	Conflict Code = "CONFLICT"
	// PreconditionFailed: the version that the caller named is not the present one.
	PreconditionFailed Code = "PRECONDITION_FAILED"
	// TooLarge: the body is larger than the service reads.
	TooLarge Code = "PAYLOAD_TOO_LARGE"
	// UnsupportedMedia: the body is not of a type that the service reads.
	UnsupportedMedia Code = "UNSUPPORTED_MEDIA_TYPE"
	// SlowRequest: the client did not send its body in time.
	SlowRequest Code = "REQUEST_TIMEOUT"
	// Canceled: the client went away before the answer was ready. Nobody reads this one but the log.
	Canceled Code = "REQUEST_CANCELED"
	// Timeout: the answer was not ready in time; the same request may succeed later.
	Timeout Code = "TIMEOUT"
	// RateLimited: the client asks too often; the same request may succeed later.
	RateLimited Code = "RATE_LIMIT_EXCEEDED"
	// Unavailable: something the service needs is away; the same request may succeed later.
	Unavailable Code = "SERVICE_ERROR"
	// Internal: a defect. The client sees a fixed text, the log the cause.
	Internal Code = "INTERNAL_ERROR"
)

// Detail points at one field of the input that breaks a rule.
type Detail struct {
	// Field is the JSON name of the field, dotted when nested; empty when the input as a whole is meant.
	Field string `json:"field"`
	// Code names the rule, such as "required" or "unknown_field".
	Code string `json:"code"`
	// Message is one sentence for a person.
	Message string `json:"message"`
}

// Error is a fault. Code and Message are for the client, Err is for the log; Err never reaches a client.
type Error struct {
	Code    Code
	Message string
	Details []Detail
	// RetryAfter is when trying again may help, for Unavailable; 0 leaves it to the encoder.
	RetryAfter time.Duration
	// Err is the cause, nil if there is none beyond the message.
	Err error
}

// New returns a fault without a cause.
func New(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// Wrap returns a fault caused by err.
func Wrap(code Code, message string, err error) *Error {
	return &Error{Code: code, Message: message, Err: err}
}

// InvalidInput returns an Invalid fault with one detail for each field that breaks a rule.
func InvalidInput(message string, details ...Detail) *Error {
	return &Error{Code: Invalid, Message: message, Details: details}
}

// Error is the text for the log: the message and the cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Of returns the outermost fault in the chain of err. An error without one becomes Internal, except that the end of a context
// becomes Timeout or Canceled. It returns nil only for a nil error.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Wrap(Timeout, "The request took too long", err)
	case errors.Is(err, context.Canceled):
		return Wrap(Canceled, "The client closed the request", err)
	}
	return Wrap(Internal, "Internal server error", err)
}

// CodeOf returns the code of err as Of sees it, and "" for nil.
func CodeOf(err error) Code {
	if f := Of(err); f != nil {
		return f.Code
	}
	return ""
}
