package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/postgres"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/chassis/secret"
	"github.com/mirubato/mirubato/service/chassis/timing"
)

func TestStatementsOfATracedRequestHaveSpans(t *testing.T) {
	db, _ := open(t, secret.FromValue(pgserver.Database(t)), 5*time.Second, 2)
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	var parts timing.Parts
	ctx, request := provider.Tracer("test").Start(timing.With(t.Context(), &parts), "request")
	if _, err := db.Prepared("things.find", `select $1::text`).Exec(ctx, "hush"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Direct("things.break", `select 'hush'::int`).Exec(ctx); err == nil {
		t.Fatal("a broken statement does not fail")
	}
	if _, err := db.Direct("untraced", `select 1`).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	request.End()
	var got []string
	for _, span := range spans.Ended() {
		if span.Name() != "request" && span.Parent().SpanID() != request.SpanContext().SpanID() {
			t.Errorf("%s is not part of the request", span.Name())
		}
		got = append(got, span.Name()+" "+span.Status().Code.String()+" "+span.Status().Description)
		if shown := fmt.Sprint(span.Attributes(), span.Events(), span.Status()); strings.Contains(shown, "hush") {
			t.Errorf("%s tells a value: %s", span.Name(), shown)
		}
	}
	if want := "things.find Unset , things.break Error VALIDATION_ERROR, request Unset "; strings.Join(got, ", ") != want {
		t.Errorf("%s, want %s", strings.Join(got, ", "), want)
	}
	if header := parts.Header(0); !strings.HasPrefix(header, "total;dur=0.0, db;dur=") {
		t.Errorf("the request's parts are %s", header)
	}
}

// A statement that was sent for several requests is in the trace and the times of each as one of its own would be.
func TestASharedStatementIsPartOfEachRequest(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	var parts timing.Parts
	ctx, request := provider.Tracer("test").Start(timing.With(t.Context(), &parts), "request")
	since := time.Now().Add(-20 * time.Millisecond)
	postgres.Share(ctx, "things.find", since, nil)
	postgres.Share(ctx, "things.change", since, fault.New(fault.Unavailable, "away"))
	postgres.Share(t.Context(), "untraced", since, nil)
	request.End()
	all := spans.Ended()
	if len(all) != 3 {
		t.Fatalf("%d spans, want those of two statements and the request", len(all))
	}
	for i, want := range []string{"things.find Unset ", "things.change Error " + string(fault.Unavailable)} {
		span := all[i]
		if got := fmt.Sprintf("%s %s %s", span.Name(), span.Status().Code, span.Status().Description); got != want {
			t.Errorf("span %q, want %q", got, want)
		}
		if span.Parent().SpanID() != request.SpanContext().SpanID() || !span.StartTime().Equal(since) {
			t.Errorf("%s is not part of the request since it came", span.Name())
		}
	}
	if got := parts.Header(0); !strings.Contains(got, "db;dur=4") {
		t.Errorf("times %q, want 40 ms of the database", got)
	}
}
