package restclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/resilience"
)

// answered is an answer that is no success.
type answered struct {
	status  int
	message string
}

func (a *answered) Error() string { return fmt.Sprintf("status %d: %s", a.status, a.message) }

// faultOf is the fault that an answer tells. What is wrong inside the other service, or with how this one called it, is
// nothing that the client of this one could mend, so it becomes Internal or Unavailable; the rest keeps its code.
func faultOf(res *http.Response, body []byte) error {
	var envelope httpapi.ErrorEnvelope
	if err := json.Unmarshal(body, &envelope); err != nil || envelope.Code == "" {
		envelope = httpapi.ErrorEnvelope{Code: codeOf(res.StatusCode), Error: http.StatusText(res.StatusCode)}
	}
	f := &fault.Error{
		Code: envelope.Code, Message: envelope.Error, Details: envelope.Details, RetryAfter: retryAfter(res),
		Err: &answered{status: res.StatusCode, message: envelope.Error},
	}
	switch {
	case res.StatusCode == http.StatusTooManyRequests:
		f.Code = fault.Unavailable
	case f.Code == fault.Unauthenticated, httpapi.StatusOf(f.Code) != res.StatusCode && res.StatusCode < http.StatusInternalServerError:
		f.Code = fault.Internal
	}
	return f
}

// codeOf is the code of an answer that does not say one, such as a proxy's.
func codeOf(status int) fault.Code {
	switch status {
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return fault.Unavailable
	case http.StatusGatewayTimeout:
		return fault.Timeout
	}
	return fault.Internal
}

// retryAfter is 0 if the answer does not say it in seconds.
func retryAfter(res *http.Response) time.Duration {
	seconds, err := strconv.ParseUint(res.Header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// translate turns the errors of the network into faults. Its cause names the other service, its message does not.
func translate(dependency string, err error) error {
	cause := fmt.Errorf("calling %s: %w", dependency, err)
	if f, ok := errors.AsType[*fault.Error](err); ok {
		told := *f
		told.Err = cause
		return &told
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fault.Of(cause)
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return fault.Wrap(fault.Unavailable, "Something that the service needs is not available at the moment", cause)
	}
	return fault.Wrap(fault.Internal, "Internal server error", cause)
}

// Judge says what an error of a call tells about the other service. An answer speaks for it, unless it says that there is
// none: 502, 503 and 504.
func Judge(err error) resilience.Outcome {
	if a, ok := errors.AsType[*answered](err); ok {
		switch a.status {
		case http.StatusServiceUnavailable:
			// Whoever sheds load says this before doing anything, and so do we; asking again at once would add to it.
			return resilience.Failed
		case http.StatusBadGateway, http.StatusGatewayTimeout:
			return resilience.Lost
		}
		return resilience.Served
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return resilience.NotReached
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return resilience.NotReached
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, context.DeadlineExceeded) {
		return resilience.Lost
	}
	return resilience.Served
}
