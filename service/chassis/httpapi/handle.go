package httpapi

import (
	"context"
	"net/http"

	"github.com/go-kit/kit/endpoint"
	kithttp "github.com/go-kit/kit/transport/http"
)

// Handle makes an HTTP handler of one operation: decode reads the request, call does the work, respond says how its
// result is answered. The error of either of the first two is answered by WriteError.
func Handle[Req, Res any](
	decode func(*http.Request) (Req, error),
	call func(context.Context, Req) (Res, error),
	respond func(Res) Response,
) http.Handler {
	return kithttp.NewServer(
		endpointOf(call),
		func(_ context.Context, r *http.Request) (any, error) { return decode(r) },
		func(ctx context.Context, w http.ResponseWriter, res any) error {
			respond(res.(Res)).Write(ctx, w)
			return nil
		},
		kithttp.ServerErrorEncoder(func(ctx context.Context, err error, w http.ResponseWriter) { WriteError(ctx, w, err) }),
		kithttp.ServerErrorHandler(alreadyLogged{}),
	)
}

// endpointOf is the only place that asserts a request type.
func endpointOf[Req, Res any](call func(context.Context, Req) (Res, error)) endpoint.Endpoint {
	return func(ctx context.Context, req any) (any, error) { return call(ctx, req.(Req)) }
}

// alreadyLogged keeps go-kit from logging errors a second time: the access log holds them.
type alreadyLogged struct{}

func (alreadyLogged) Handle(context.Context, error) {}
