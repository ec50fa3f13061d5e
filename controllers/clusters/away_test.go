package clusters_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mirubato/mirubato/controllers/clusters"
)

func TestWhatKeepsAClusterAwayIsSaidInTheSameWords(t *testing.T) {
	request := func(cause error) error {
		return fmt.Errorf("reading pods: %w", &url.Error{Op: "Get", URL: "https://west.example.com:6443/api", Err: cause})
	}
	pods := schema.GroupResource{Resource: "pods"}
	for name, tc := range map[string]struct {
		err           error
		want, unblock string
	}{
		"refused":        {request(&net.OpError{Op: "dial", Addr: &net.TCPAddr{Port: 40123}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}), "its API server refuses connections", "bring it back"},
		"silent":         {request(context.DeadlineExceeded), "its API server does not answer in time", "bring it back"},
		"slow":           {request(&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}), "its API server does not answer in time", "bring it back"},
		"unknown":        {request(&net.DNSError{Name: "west.example.com", Err: "no such host"}), "the name of its API server cannot be resolved", "correct the kubeconfig"},
		"not trusted":    {request(x509.UnknownAuthorityError{}), "its API server shows a certificate that the kubeconfig does not trust", "correct the kubeconfig"},
		"lost":           {request(errors.New("read tcp 10.0.0.1:4711: connection reset by peer")), "its API server cannot be reached", "bring it back"},
		"not let in":     {apierrors.NewUnauthorized("the token has expired"), "its API server refuses the credentials of the kubeconfig", "renew the credentials"},
		"not allowed":    {apierrors.NewForbidden(pods, "", errors.New("no")), "its API server says: pods is forbidden", "config/remote"},
		"not installed":  {fmt.Errorf("looking: %w", &meta.NoKindMatchError{}), "its API server does not know a kind that the operator needs", "config/remote"},
		"overloaded":     {apierrors.NewTooManyRequests("later", 1), "its API server is not able to answer", "bring it back"},
		"not to be done": {apierrors.NewBadRequest("no such field"), "its API server says: no such field", "correct the kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			away := clusters.Trouble(tc.err)
			if away == nil || !strings.HasPrefix(away.Reason, tc.want) || !strings.Contains(away.Unblock, tc.unblock) {
				t.Fatalf("%+v, want %q and %q", away, tc.want, tc.unblock)
			}
			for _, changing := range []string{"40123", "4711"} {
				if strings.Contains(away.Reason, changing) {
					t.Errorf("%q is another text at the next attempt", away.Reason)
				}
			}
		})
	}
	for name, err := range map[string]error{
		"nothing":       nil,
		"a conflict":    apierrors.NewConflict(pods, "a", errors.New("it has changed")),
		"gone already":  fmt.Errorf("removing: %w", apierrors.NewNotFound(pods, "a")),
		"there already": apierrors.NewAlreadyExists(pods, "a"),
		"our own fault": errors.New("release scores-1 is gone"),
		"the end of us": context.Canceled,
	} {
		if away := clusters.Trouble(err); away != nil {
			t.Errorf("%s is taken for a cluster that is away: %+v", name, away)
		}
	}
}
