package clusters

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Away says why a cluster cannot be used. It is made of texts that stay the same from one attempt to the next.
type Away struct {
	Reason  string
	Unblock string
}

// connecting is the state before the first attempt has ended.
var connecting = &Away{Reason: "it is being connected to"}

// WaitingFor is what an environment in the cluster waits for.
func (a *Away) WaitingFor(key Key) *v1alpha1.WaitingFor {
	return &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitCluster,
		Message: fmt.Sprintf("the cluster of Secret %s is away: %s", key.Secret, a.Reason),
		Unblock: a.Unblock,
	}
}

// Trouble is Away for an error of a call to a cluster; nil for errors that another attempt, or another pass, ends by itself.
func Trouble(err error) *Away {
	if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) || !remote(err) {
		return nil
	}
	return &Away{Reason: reasonOf(err), Unblock: unblockOf(err)}
}

// remote reports whether an error comes from a server, or from the way to it.
func remote(err error) bool {
	var (
		status  apierrors.APIStatus
		request *url.Error
		network net.Error
		groups  *apiutil.ErrResourceDiscoveryFailed
	)
	return errors.As(err, &status) || errors.As(err, &request) || errors.As(err, &network) || errors.As(err, &groups) ||
		meta.IsNoMatchError(err) || errors.Is(err, context.DeadlineExceeded)
}

// reasons tell what an error of the way to an API server, or of its own, comes to. The first that holds counts.
var reasons = []struct {
	holds func(error) bool
	text  string
}{
	{apierrors.IsUnauthorized, "its API server refuses the credentials of the kubeconfig"},
	{meta.IsNoMatchError, "its API server does not know a kind that the operator needs"},
	{isUntrusted, "its API server shows a certificate that the kubeconfig does not trust"},
	{isUnresolved, "the name of its API server cannot be resolved"},
	{func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }, "its API server refuses connections"},
	{isTimeout, "its API server does not answer in time"},
	{isOverloaded, "its API server is not able to answer"},
}

// reasonOf leaves out what differs from one attempt to the next, such as ports.
func reasonOf(err error) string {
	for _, reason := range reasons {
		if reason.holds(err) {
			return reason.text
		}
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		const most = 300
		text := status.Status().Message
		return "its API server says: " + text[:min(len(text), most)]
	}
	return "its API server cannot be reached"
}

func isUntrusted(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	return errors.As(err, &authority) || errors.As(err, &name) || errors.As(err, &invalid)
}

func isUnresolved(err error) bool {
	var resolution *net.DNSError
	return errors.As(err, &resolution)
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || apierrors.IsTimeout(err) ||
		apierrors.IsServerTimeout(err) || errors.As(err, &network) && network.Timeout()
}

func isOverloaded(err error) bool {
	return apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err)
}

func unblockOf(err error) string {
	switch {
	case apierrors.IsUnauthorized(err):
		return "renew the credentials in the Secret"
	case apierrors.IsForbidden(err), meta.IsNoMatchError(err):
		return "in that cluster: kubectl apply --server-side -k config/remote"
	}
	return "bring it back, or correct the kubeconfig in the Secret"
}
