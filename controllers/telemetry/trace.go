package telemetry

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Tracer sends the way of each release through its environments as a trace: a span of the time between the cut and the first step,
// and below it one of each step in each environment. A span is sent when it has ended, so that a release can be watched on its way,
// and its IDs follow from what it tells, so that no process has to remember what another has sent. It is safe for concurrent use; a nil
// Tracer sends nothing.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// NewTracer sends to the collector whose OTLP over HTTP is at the endpoint, such as http://collector:4318; without an endpoint it is
// nil. headers are those of each request, in the form of OTEL_EXPORTER_OTLP_HEADERS. It does not connect: a collector that is away loses
// spans and holds up nothing.
func NewTracer(endpoint, headers, version string) (*Tracer, error) {
	if endpoint == "" {
		return nil, nil //nolint:nilnil // a nil Tracer is one that sends nothing
	}
	address, err := url.Parse(endpoint)
	if err != nil || address.Host == "" {
		return nil, fmt.Errorf("starting traces: %q is no URL", endpoint)
	}
	exporter, err := newCollector(address, headers)
	if err != nil {
		return nil, fmt.Errorf("starting traces: %w", err)
	}
	return tracerTo(exporter, version), nil
}

func tracerTo(exporter sdktrace.SpanExporter, version string) *Tracer {
	process := resource.NewSchemaless(attribute.String("service.name", "mirubato-operator"), attribute.String("service.version", version))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter), sdktrace.WithResource(process), sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithIDGenerator(told{}),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/mirubato/mirubato")}
}

// Stop sends what is left.
func (t *Tracer) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("ending traces: %w", err)
	}
	return nil
}

// span is a part of a trace. Its key is what no other of the same release has; the root's is empty.
type span struct {
	key, name  string
	from, to   time.Time
	attributes []attribute.KeyValue
	events     []event
	// failure is why the release failed here.
	failure string
}

type event struct {
	name       string
	at         time.Time
	attributes []attribute.KeyValue
}

// spansOf are those that a stored status tells the end of.
func spansOf(w Written) []span {
	var out []span
	if len(w.Before.Environments) == 0 && len(w.Release.Status.Environments) > 0 {
		out = append(out, rootOf(w.Release))
	}
	for _, environment := range w.Release.Status.Environments {
		out = append(out, stepsOf(w, environment)...)
	}
	return out
}

// rootOf ends with the first step: what comes after it may last for weeks, and is to be seen meanwhile.
func rootOf(rel *v1alpha1.Release) span {
	cut := rel.CreationTimestamp.Time
	first := cut
	for _, environment := range rel.Status.Environments {
		if len(environment.Steps) > 0 && (first.Equal(cut) || environment.Steps[0].Time.Time.Before(first)) {
			first = environment.Steps[0].Time.Time
		}
	}
	return span{name: "release " + rel.Name, from: cut, to: later(cut, first), attributes: []attribute.KeyValue{
		attribute.String("k8s.namespace.name", rel.Namespace),
		attribute.String("mirubato.microservice", rel.Spec.Microservice),
		attribute.Int64("mirubato.release", rel.Spec.Number),
	}}
}

func stepsOf(w Written, after v1alpha1.ReleaseEnvironmentStatus) []span {
	told := happenedIn(w, after)
	var out []span
	for _, left := range told.stays {
		out = append(out, stepSpan(after, left))
	}
	// What a release stays in has no end to wait for.
	for _, came := range told.steps {
		switch came {
		case v1alpha1.StepVerified, v1alpha1.StepRejected, v1alpha1.StepSuperseded:
			at := timeOf(after, came)
			end := stepSpan(after, stay{step: came, from: at})
			if told.rejection != nil && came == v1alpha1.StepRejected {
				end.failure = cmp.Or(told.rejection.Message, string(told.rejection.Reason))
				end.attributes = append(end.attributes, attribute.String("error.type", string(told.rejection.Reason)))
			}
			out = append(out, end)
		}
	}
	return out
}

// timeOf is when a step began. That another release was asked for is not written down as a step; it was when the last one was under way.
func timeOf(record v1alpha1.ReleaseEnvironmentStatus, step v1alpha1.Step) time.Time {
	var last time.Time
	for _, began := range record.Steps {
		last = began.Time.Time
		if began.Step == step {
			return last
		}
	}
	return last
}

func stepSpan(record v1alpha1.ReleaseEnvironmentStatus, s stay) span {
	to := s.from.Add(s.took)
	return span{
		key:  fmt.Sprintf("%s/%s/%d", record.Name, s.step, s.from.Unix()),
		name: record.Name + ": " + string(s.step),
		from: s.from, to: to,
		attributes: []attribute.KeyValue{
			attribute.String("deployment.environment.name", record.Name), attribute.String("mirubato.step", string(s.step)),
		},
		events: eventsIn(record, s.from, to),
	}
}

// eventsIn are the readings of the analysis and the smoke tests of a time that has a length.
func eventsIn(record v1alpha1.ReleaseEnvironmentStatus, from, to time.Time) []event {
	within := func(at time.Time) bool { return !at.Before(from) && at.Before(to) }
	var out []event
	for _, sample := range record.Analysis {
		if within(sample.Time.Time) {
			out = append(out, event{"analysis", sample.Time.Time, []attribute.KeyValue{
				attribute.String("mirubato.verdict", string(sample.Verdict)), attribute.Int("mirubato.weight", int(sample.Weight)),
				attribute.Int64("mirubato.canary.requests", sample.CanaryRequests), attribute.Int64("mirubato.canary.errors", sample.CanaryErrors),
				attribute.Int64("mirubato.stable.requests", sample.StableRequests), attribute.Int64("mirubato.stable.errors", sample.StableErrors),
			}})
		}
	}
	for _, test := range record.SmokeTests {
		if within(test.Time.Time) {
			out = append(out, event{"smoke test", test.Time.Time, []attribute.KeyValue{
				attribute.String("mirubato.smoke_test", test.Name), attribute.String("mirubato.smoke_test.target", string(test.Target)),
				attribute.Bool("mirubato.smoke_test.passed", test.Passed), attribute.Int("mirubato.smoke_test.attempts", int(test.Attempts)),
			}})
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// send sends what a stored status tells. A status that is told twice makes the same spans.
func (t *Tracer) send(w Written) {
	if t == nil {
		return
	}
	for _, s := range spansOf(w) {
		t.sendSpan(string(w.Release.UID), s)
	}
}

func (t *Tracer) sendSpan(release string, s span) {
	id := identityOf(release, s.key)
	ctx := context.WithValue(context.Background(), identityKey{}, id)
	options := []trace.SpanStartOption{trace.WithTimestamp(s.from), trace.WithAttributes(s.attributes...)}
	if s.key != "" {
		root := identityOf(release, "")
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: root.trace, SpanID: root.span, TraceFlags: trace.FlagsSampled, Remote: true,
		}))
	}
	_, sent := t.tracer.Start(ctx, s.name, options...)
	for _, e := range s.events {
		sent.AddEvent(e.name, trace.WithTimestamp(e.at), trace.WithAttributes(e.attributes...))
	}
	if s.failure != "" {
		sent.SetStatus(codes.Error, s.failure)
	}
	sent.End(trace.WithTimestamp(s.to))
}

// identity is that of a span.
type identity struct {
	trace trace.TraceID
	span  trace.SpanID
}

func identityOf(release, key string) identity {
	of, in := sha256.Sum256([]byte(release)), sha256.Sum256([]byte(release+"/"+key))
	return identity{trace: trace.TraceID(of[:16]), span: trace.SpanID(in[:8])}
}

type identityKey struct{}

// told is a generator of IDs that takes those which the caller has decided.
type told struct{}

// NewIDs implements sdktrace.IDGenerator.
func (told) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, _ := ctx.Value(identityKey{}).(identity)
	return id.trace, id.span
}

// NewSpanID implements sdktrace.IDGenerator.
func (told) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	id, _ := ctx.Value(identityKey{}).(identity)
	return id.span
}
