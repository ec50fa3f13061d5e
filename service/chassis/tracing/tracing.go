// Package tracing sends a span of each request to an OpenTelemetry collector, if there is one. It owns the exporter and
// what a span says; without a collector it costs nothing.
package tracing

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/telemetry"
)

// Tracing sends spans. The zero value sends none. It may be used by many goroutines.
type Tracing struct {
	provider *sdktrace.TracerProvider
}

// Start returns tracing to the collector whose OTLP over HTTP is at the endpoint, such as http://collector:4318; an
// empty endpoint is no collector. It does not connect: a collector that is away loses spans and disturbs nobody. The
// other variables of OpenTelemetry, such as OTEL_TRACES_SAMPLER, are heeded.
func Start(ctx context.Context, endpoint string, info telemetry.Info) (*Tracing, error) {
	if endpoint == "" {
		return &Tracing{}, nil
	}
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" {
		return nil, fmt.Errorf("starting traces: %q is no URL", endpoint)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address.JoinPath("v1", "traces").String()))
	if err != nil {
		return nil, fmt.Errorf("starting traces: %w", err)
	}
	process := resource.NewSchemaless(
		attribute.String("service.name", info.Service), attribute.String("service.version", info.Version),
		attribute.String("deployment.environment.name", info.Environment), attribute.String("release", info.Release),
	)
	return &Tracing{provider: sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter), sdktrace.WithResource(process),
	)}, nil
}

// Stop sends what is left.
func (t *Tracing) Stop(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("ending traces: %w", err)
	}
	return nil
}

// Handler puts a span around each request, below the span that the caller names in the header traceparent. It belongs
// between httpapi.Middleware and the router.
func (t *Tracing) Handler(next http.Handler) http.Handler {
	if t.provider == nil {
		return next
	}
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer describe(r.Context())
		next.ServeHTTP(w, r)
	})
	return otelhttp.NewHandler(named, "request",
		otelhttp.WithTracerProvider(t.provider), otelhttp.WithPropagators(propagation.TraceContext{}))
}

// describe says of the span what is known only after the request was routed.
func describe(ctx context.Context) {
	span, rec := trace.SpanFromContext(ctx), httpapi.RecordOf(ctx)
	span.SetAttributes(attribute.String("request.id", rec.RequestID))
	if rec.Route != "" {
		span.SetName(rec.Route)
		_, path, _ := strings.Cut(rec.Route, " ")
		span.SetAttributes(attribute.String("http.route", path))
	}
	if rec.Fault != nil {
		span.SetAttributes(attribute.String("error.type", string(rec.Fault.Code)))
	}
}
