package postgres

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// trace begins the span of a statement if the request of ctx is traced, and returns how it ends. The span tells the
// statement's name and never its text or values, by the names of OpenTelemetry's conventions for database clients.
func trace(ctx context.Context, statement string) (context.Context, func(error)) {
	parent := oteltrace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(error) {}
	}
	ctx, span := parent.TracerProvider().Tracer("github.com/mirubato/mirubato/service/chassis/postgres").Start(ctx, statement,
		oteltrace.WithSpanKind(oteltrace.SpanKindClient),
		oteltrace.WithAttributes(
			attribute.String("db.system.name", "postgresql"), attribute.String("db.query.summary", statement)))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, string(fault.CodeOf(err)))
		}
		span.End()
	}
}
