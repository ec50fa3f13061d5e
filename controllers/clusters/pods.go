package clusters

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport/spdy"

	"github.com/mirubato/mirubato/controllers/podclient"
)

// The addresses of another cluster's pods mean nothing here, or somebody else. Its pods are reached through its API server, in the way
// of `kubectl port-forward`, which asks for nothing but the right to do so. Requests pass untouched, so that a smoke test may send any
// header: as pods/proxy has it, one with a token would be taken for the operator's own.

// domain ends the names by which pods of other clusters are called: POD.NAMESPACE.SESSION.pod.invalid, which no resolver knows.
const domain = ".pod.invalid"

// forwardProtocol is the only one that there is.
const forwardProtocol = "portforward.k8s.io"

// forwarded are the pods of a namespace of another cluster.
type forwarded struct{ session, namespace string }

// BaseURL implements podclient.Endpoints.
func (f forwarded) BaseURL(pod podclient.Pod, port int) (string, error) {
	if pod.IP == "" {
		return "", fmt.Errorf("pod %s: %w", pod.Name, podclient.ErrNoAddress)
	}
	return "http://" + net.JoinHostPort(pod.Name+"."+f.namespace+"."+f.session+domain, strconv.Itoa(port)), nil
}

// Dial connects to what Endpoints have named, and to any other address as usual.
func (c *Clusters) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	name, ours := strings.CutSuffix(host, domain)
	if !ours {
		return podclient.Dial(ctx, network, address)
	}
	parts := strings.Split(name, ".")
	if len(parts) < 3 {
		return nil, fmt.Errorf("%s names no pod", host)
	}
	last := len(parts) - 1
	c.mu.Lock()
	f := c.forwarders[parts[last]]
	c.mu.Unlock()
	if f == nil {
		return nil, errors.New("the cluster of the pod is away")
	}
	return f.dial(ctx, parts[last-1], strings.Join(parts[:last-1], "."), port)
}

// forwarder connects to pods through the API server of their cluster.
type forwarder struct {
	server   *url.URL
	client   *http.Client
	upgrader spdy.Upgrader
}

func newForwarder(config *rest.Config) (*forwarder, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	return &forwarder{server: server, client: &http.Client{Transport: transport}, upgrader: upgrader}, nil
}

func (f *forwarder) dial(ctx context.Context, namespace, pod, port string) (net.Conn, error) {
	at := f.server.JoinPath("api", "v1", "namespaces", namespace, "pods", pod, "portforward")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), nil)
	if err != nil {
		return nil, err
	}
	connection, _, err := spdy.Negotiate(f.upgrader, f.client, request, forwardProtocol)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	header.Set(corev1.PortHeader, port)
	header.Set(corev1.PortForwardRequestIDHeader, "0")
	failures, err := connection.CreateStream(header)
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	if err := failures.Close(); err != nil { // nothing is written to it
		return nil, errors.Join(err, connection.Close())
	}
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := connection.CreateStream(header)
	if err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return &stream{channel: data, connection: connection, to: address(pod)}, nil
}

// stream is a connection to a port of a pod. It has no deadlines of its own: its user closes it when the time is over.
type stream struct {
	channel

	connection io.Closer
	to         address
}

// channel is one of those that a connection to an API server is divided into.
type channel interface {
	io.ReadWriter
	Reset() error
}

func (s *stream) Close() error {
	return errors.Join(s.Reset(), s.connection.Close())
}
func (s *stream) LocalAddr() net.Addr              { return address("operator") }
func (s *stream) RemoteAddr() net.Addr             { return s.to }
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

type address string

func (address) Network() string  { return "pod" }
func (a address) String() string { return string(a) }
