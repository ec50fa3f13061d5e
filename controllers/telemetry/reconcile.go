package telemetry

import (
	"context"
	"errors"
	"net"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Why passes end with an error, where the API server does not say it.
const (
	reasonCanceled    = "Canceled"    // the operator ends
	reasonTimeout     = "Timeout"     // no answer in time
	reasonUnreachable = "Unreachable" // no connection
	reasonOther       = "Other"
)

// reasons are all values of the label. Those of the API server are its own words.
var reasons = []string{
	reasonCanceled, reasonTimeout, reasonUnreachable, reasonOther,
	string(metav1.StatusReasonConflict), string(metav1.StatusReasonAlreadyExists), string(metav1.StatusReasonNotFound),
	string(metav1.StatusReasonForbidden), string(metav1.StatusReasonUnauthorized), string(metav1.StatusReasonInvalid),
	string(metav1.StatusReasonTooManyRequests), string(metav1.StatusReasonInternalError), string(metav1.StatusReasonServiceUnavailable),
	string(metav1.StatusReasonServerTimeout),
}

// Reconciler returns one that does what inner does and counts its errors by reason.
func (r *Recorder) Reconciler(inner reconcile.Reconciler) reconcile.Reconciler {
	return reconcile.Func(func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		result, err := inner.Reconcile(ctx, req)
		if err != nil {
			r.events.errors.WithLabelValues(reasonOf(err)).Inc()
		}
		return result, err
	})
}

// reasonOf is one of reasons, whatever the API server says.
func reasonOf(err error) string {
	said := string(apierrors.ReasonForError(err))
	for _, reason := range reasons {
		if said == reason {
			return reason
		}
	}
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return reasonCanceled
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return reasonTimeout
	case errors.As(err, &network):
		return reasonUnreachable
	}
	return reasonOther
}
