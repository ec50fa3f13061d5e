package image

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Kind is what went wrong, and so what ends it.
type Kind string

// The kinds.
const (
	// Invalid: no registry would understand the reference. Only another one helps.
	Invalid Kind = "Invalid"
	// NotFound: the registry has no such image. It may be pushed yet.
	NotFound Kind = "NotFound"
	// Unauthorized: the registry does not let the operator see the image. Some registries say so of images that do not exist.
	Unauthorized Kind = "Unauthorized"
	// Unreachable: there is no answer, or one that says to come back later. Ask again.
	Unreachable Kind = "Unreachable"
)

// Error says why a tag has no digest. Its text names the image and is the same as long as the same thing is wrong.
type Error struct {
	Kind  Kind
	Image string
	// Cause in words for a person, Fix what that person can do; empty if nothing but waiting helps.
	Cause, Fix string
	// Err is what the library said. It is for logs.
	Err error
}

// Error names the image and the cause.
func (e *Error) Error() string { return e.Image + ": " + e.Cause }

// Unwrap returns what the library said.
func (e *Error) Unwrap() error { return e.Err }

// Waiting says what a Microservice waits for.
func (e *Error) Waiting() *v1alpha1.WaitingFor {
	return &v1alpha1.WaitingFor{Type: v1alpha1.WaitRegistry, Message: e.Error(), Unblock: e.Fix}
}

// explain finds the kind and the words for an error of the library.
func explain(reference, registry string, timeout time.Duration, credentials bool, err error) *Error {
	out := &Error{Image: reference, Err: err}
	var status *transport.Error
	if errors.As(err, &status) {
		explainStatus(out, registry, status.StatusCode, credentials)
		return out
	}
	out.Kind = Unreachable
	out.Fix = "check the name of the registry in spec.image, and that the operator's namespace may reach it"
	var lookup *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		out.Cause = fmt.Sprintf("the registry %s does not answer within %s", registry, timeout)
	case errors.As(err, &lookup) && lookup.IsNotFound:
		out.Cause = fmt.Sprintf("the registry %s is a name that does not exist", registry)
	default:
		out.Cause = fmt.Sprintf("the registry %s cannot be reached, or does not answer as one", registry)
	}
	return out
}

func explainStatus(out *Error, registry string, status int, credentials bool) {
	switch status {
	case http.StatusNotFound:
		out.Kind = NotFound
		out.Cause = fmt.Sprintf("the registry %s has no such image", registry)
		out.Fix = "push the image, or correct spec.image"
	case http.StatusUnauthorized, http.StatusForbidden:
		out.Kind = Unauthorized
		out.Cause = fmt.Sprintf("the registry %s does not let the operator see it, or has no such image", registry)
		out.Fix = "name a Secret with credentials for " + registry + " in spec.workload.imagePullSecrets, or correct spec.image"
		if credentials {
			out.Fix = "check the credentials for " + registry + " in the Secrets of spec.workload.imagePullSecrets, or correct spec.image"
		}
	case http.StatusTooManyRequests:
		out.Kind = Unreachable
		out.Cause = fmt.Sprintf("the registry %s has been asked too often", registry)
		out.Fix = "wait, or name a digest in spec.image, which needs no question"
	default:
		out.Kind = Unreachable
		out.Cause = fmt.Sprintf("the registry %s answers with status %d", registry, status)
		out.Fix = "mend the registry, or name a digest in spec.image, which needs no question"
	}
}
