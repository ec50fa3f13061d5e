package postgres

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/timing"
)

// Share makes a statement that was sent for several requests part of the one of ctx as well, for which it is as if the statement had been sent
// for it alone: the name is in its trace, and what it took since the request asked is in its times.
func Share(ctx context.Context, name string, since time.Time, err error) {
	timing.Add(ctx, "db", time.Since(since))
	_, end := trace(ctx, name, oteltrace.WithTimestamp(since))
	end(err)
}

// trace begins the span of a statement if the request of ctx is traced, and returns how it ends. The span tells the
// statement's name and never its text or values, by the names of OpenTelemetry's conventions for database clients.
func trace(ctx context.Context, statement string, options ...oteltrace.SpanStartOption) (context.Context, func(error)) {
	parent := oteltrace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(error) {}
	}
	ctx, span := parent.TracerProvider().Tracer("github.com/mirubato/mirubato/service/chassis/postgres").Start(ctx, statement,
		append(options, oteltrace.WithSpanKind(oteltrace.SpanKindClient),
			oteltrace.WithAttributes(
				attribute.String("db.system.name", "postgresql"), attribute.String("db.query.summary", statement)))...)
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, string(fault.CodeOf(err)))
		}
		span.End()
	}
}
