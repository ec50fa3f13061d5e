// Package restclient calls another service of the fleet: it speaks the envelopes, codes and headers of package httpapi
// from the other side. It hands on the identity of the request, its trace and how long its caller will wait, turns the
// other service's errors into faults, and makes each call under a resilience.Shield. It owns no address and no
// operation; a service describes those that it uses as Operations.
package restclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	kithttp "github.com/go-kit/kit/transport/http"
	"go.opentelemetry.io/otel/propagation"

	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/resilience"
	"github.com/mirubato/mirubato/service/chassis/secret"
)

// maxAnswer is how many bytes of an answer are read.
const maxAnswer = 8 << 20

// Config says whom to call. All fields but Token are required.
type Config struct {
	// Base is the address of the service, such as http://dictionary.dictionary.svc:8080.
	Base *url.URL
	// Shield protects the calls. It judges by Judge.
	Shield *resilience.Shield
	// Token is shown to the other service; the zero value shows none.
	Token secret.Source
	// Conns is how many connections are kept open when they are idle.
	Conns int
}

// Client calls one other service. It may be used by many goroutines.
type Client struct {
	cfg  Config
	http *http.Client
}

// New returns a client. It does not connect before it is used.
func New(cfg Config) *Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = cfg.Conns, cfg.Conns
	return &Client{cfg: cfg, http: &http.Client{
		Transport: transport,
		// Services of the fleet do not redirect, and a token must not follow to wherever an answer points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Operation is one thing that the other service does.
type Operation[Req any] struct {
	// Method is GET, POST, PUT or DELETE.
	Method string
	// Path returns the path below Base, with its parts, and the query; nil is none.
	Path func(Req) ([]string, url.Values)
	// Body returns what is sent as JSON; nil if nothing is.
	Body func(Req) any
	// Repeatable says that doing it twice is the same as doing it once. A GET need not say it.
	Repeatable bool
}

// Call makes a function of an operation: it sends the request and returns the data of the answer. Its error is a
// fault: the one that the other service answered with, or Unavailable or Timeout if it did not answer.
func Call[Req, Res any](c *Client, op Operation[Req]) func(context.Context, Req) (Res, error) {
	send := kithttp.NewExplicitClient(
		func(ctx context.Context, req any) (*http.Request, error) { return op.request(ctx, c.cfg, req.(Req)) },
		decode[Res], kithttp.SetClient(c.http),
	).Endpoint()
	repeatable := op.Repeatable || op.Method == http.MethodGet
	return func(ctx context.Context, req Req) (Res, error) {
		var result Res
		err := c.cfg.Shield.Do(ctx, repeatable, func(ctx context.Context) error {
			answer, err := send(ctx, req)
			if err != nil {
				return translate(c.cfg.Shield.Dependency(), err)
			}
			result = answer.(Res)
			return nil
		})
		return result, err
	}
}

// request describes what is sent.
func (op Operation[Req]) request(ctx context.Context, cfg Config, req Req) (*http.Request, error) {
	parts, query := op.Path(req)
	escaped := make([]string, len(parts))
	for i, part := range parts {
		if part == "" || part == "." || part == ".." {
			return nil, fmt.Errorf("%q is no part of a path", part) // it would lead elsewhere
		}
		escaped[i] = url.PathEscape(part)
	}
	address := cfg.Base.JoinPath(escaped...)
	address.RawQuery = query.Encode()
	var body io.Reader
	if op.Body != nil {
		encoded, err := json.Marshal(op.Body(req))
		if err != nil {
			return nil, fmt.Errorf("encoding a request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, op.Method, address.String(), body)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	return r, setHeaders(ctx, cfg, r.Header, body != nil)
}

// setHeaders hands on what the other service may know of the request that is being served here.
func setHeaders(ctx context.Context, cfg Config, h http.Header, hasBody bool) error {
	h.Set("Accept", "application/json")
	if hasBody {
		h.Set("Content-Type", "application/json")
	}
	if id := httpapi.RecordOf(ctx).RequestID; id != "" {
		h.Set(httpapi.RequestIDHeader, id)
	}
	if deadline, ok := ctx.Deadline(); ok {
		h.Set(httpapi.TimeoutHeader, strconv.FormatInt(max(time.Until(deadline).Milliseconds(), 1), 10))
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
	if !cfg.Token.Given() {
		return nil
	}
	token, err := cfg.Token.Read()
	if err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	h.Set("Authorization", "Bearer "+token)
	return nil
}

// decode reads an answer: the data of a success, or the fault of anything else.
func decode[Res any](_ context.Context, res *http.Response) (any, error) {
	var result Res
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer: %w", err)
	case res.StatusCode >= http.StatusMultipleChoices:
		return nil, faultOf(res, body)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	case res.StatusCode == http.StatusNoContent:
		return result, nil
	}
	var envelope httpapi.Envelope[Res]
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, fmt.Errorf("understanding the answer: %w", err)
	}
	if !envelope.Success {
		return nil, errors.New("understanding the answer: it has no envelope")
	}
	return envelope.Data, nil
}
