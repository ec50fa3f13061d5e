// Package podclient is how the operator asks the pods of a service: for their metrics, with smoke tests and with requests of
// its own making. Pods run what their owners want, so nothing that they answer is trusted: answers are bounded in size and
// time, redirects are not followed, no proxy, cookie or credential of the operator is used.
//
// It knows nothing of what is asked, nor of what an answer means.
package podclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Pod is one pod that can be asked.
type Pod struct {
	Name string
	// UID tells a pod from another one that has taken its name.
	UID string
	// IP is empty until the pod has one.
	IP string
}

// ErrNoAddress is returned for a pod that cannot be asked yet.
var ErrNoAddress = errors.New("the pod has no address yet")

// Endpoints say where a pod is reached. Another cluster may need another way than Direct.
type Endpoints interface {
	// BaseURL of a port of a pod, such as http://10.0.0.7:9090, without a slash at its end. The error is ErrNoAddress for a
	// pod without an address.
	BaseURL(pod Pod, port int) (string, error)
}

// Direct reaches a pod by its IP.
type Direct struct{}

// BaseURL implements Endpoints.
func (Direct) BaseURL(pod Pod, port int) (string, error) {
	if net.ParseIP(pod.IP) == nil {
		return "", fmt.Errorf("pod %s: %w", pod.Name, ErrNoAddress)
	}
	return "http://" + net.JoinHostPort(pod.IP, strconv.Itoa(port)), nil
}

// Request is one request to whatever URL names.
type Request struct {
	// Method is GET if it is empty.
	Method string
	// URL with scheme and host, mostly Endpoints.BaseURL and a path.
	URL    string
	Header http.Header
	Body   []byte
	// MaxBody is how many bytes the answer's body may have; 0 means that the body is not read at all.
	MaxBody int64
}

// Response is a whole answer. A redirect is one.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// TooLargeError says that an answer had more bytes than the request allowed.
type TooLargeError struct{ Max int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer is larger than %d bytes", e.Max)
}

// Client asks. It may be used by many goroutines.
type Client struct {
	http *http.Client
}

// The time limit of a request is that of its context; these bound what a context cannot, or what would outlive it.
const (
	dialTimeout = 2 * time.Second
	idleTimeout = 30 * time.Second
	// maxHeader is in bytes.
	maxHeader = 64 << 10
	// maxIdlePerPod keeps a connection open from one reading to the next.
	maxIdlePerPod = 2
	maxIdle       = 200
)

// Dial connects to an address within a time that no context has to set.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: dialTimeout, KeepAlive: idleTimeout}).DialContext(ctx, network, address)
}

// New returns a client.
func New() *Client { return NewThrough(Dial) }

// NewThrough returns a client that connects in a way of its own to the addresses that Endpoints name.
func NewThrough(dial func(ctx context.Context, network, address string) (net.Conn, error)) *Client {
	return &Client{http: &http.Client{
		Transport: &http.Transport{
			// A proxy of the environment is for the world outside and would see what pods answer.
			Proxy:                  nil,
			DialContext:            dial,
			MaxIdleConns:           maxIdle,
			MaxIdleConnsPerHost:    maxIdlePerPod,
			IdleConnTimeout:        idleTimeout,
			TLSHandshakeTimeout:    dialTimeout,
			MaxResponseHeaderBytes: maxHeader,
		},
		// A pod must not make the operator ask somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do sends a request once and reads the answer, whatever its status, until ctx ends. The error is *TooLargeError if the body
// had more bytes than allowed; any other error means that there was no whole answer.
func (c *Client) Do(ctx context.Context, r Request) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return Response{}, err
	}
	for name, values := range r.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host // the field decides, not the header
	}
	res, err := c.http.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer res.Body.Close()
	answer := Response{Status: res.StatusCode, Header: res.Header}
	if r.MaxBody == 0 {
		return answer, nil
	}
	// One byte more than allowed tells a body that fits from one that does not.
	answer.Body, err = io.ReadAll(io.LimitReader(res.Body, r.MaxBody+1))
	switch {
	case err != nil:
		return Response{}, fmt.Errorf("reading the answer: %w", err)
	case int64(len(answer.Body)) > r.MaxBody:
		return Response{}, &TooLargeError{Max: r.MaxBody}
	}
	return answer, nil
}
