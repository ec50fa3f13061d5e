package telemetry

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
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// collectorTimeout bounds one request to a collector.
const collectorTimeout = 10 * time.Second

// collector sends spans by OTLP over HTTP in its JSON encoding (https://opentelemetry.io/docs/specs/otlp/#otlphttp). The exporter of the
// OpenTelemetry project links gRPC and the Protobuf runtime, which made the image 6 MB larger and the process as much, for a handful of
// spans a day.
type collector struct {
	url     string
	headers http.Header
	client  *http.Client
}

// newCollector reads from headers what OTEL_EXPORTER_OTLP_HEADERS holds: name=value pairs separated by commas, percent-encoded.
func newCollector(endpoint *url.URL, headers string) (*collector, error) {
	c := &collector{url: endpoint.JoinPath("v1", "traces").String(), headers: http.Header{"Content-Type": {"application/json"}}, client: &http.Client{Timeout: collectorTimeout}}
	for pair := range strings.SplitSeq(headers, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, encoded, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(encoded))
		if err != nil || !found {
			// It may hold a secret, so it is not repeated.
			return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS must be name=value pairs separated by commas, percent-encoded")
		}
		c.headers.Set(strings.TrimSpace(name), value)
	}
	return c, nil
}

// ExportSpans implements sdktrace.SpanExporter.
func (c *collector) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	body, err := json.Marshal(payloadOf(spans))
	if err != nil {
		return fmt.Errorf("encoding spans: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("sending spans: %w", err)
	}
	req.Header = c.headers.Clone()
	answer, err := c.client.Do(req)
	if err != nil {
		return fmt.Errorf("sending spans: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16)) // so that the connection can be used again
	if answer.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("sending spans: the collector answers %s", answer.Status)
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (c *collector) Shutdown(context.Context) error {
	c.client.CloseIdleConnections()
	return nil
}

// The messages of OTLP, as far as they are sent. In JSON IDs are hexadecimal, and integers of 64 bits are texts.
type (
	payload struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resourceMessage `json:"resource"`
		ScopeSpans []scopeSpans    `json:"scopeSpans"`
	}
	resourceMessage struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope scopeMessage  `json:"scope"`
		Spans []spanMessage `json:"spans"`
	}
	scopeMessage struct {
		Name string `json:"name"`
	}
	spanMessage struct {
		TraceID    string         `json:"traceId"`
		SpanID     string         `json:"spanId"`
		ParentID   string         `json:"parentSpanId,omitempty"`
		Name       string         `json:"name"`
		Kind       int            `json:"kind"`
		Start      string         `json:"startTimeUnixNano"`
		End        string         `json:"endTimeUnixNano"`
		Attributes []keyValue     `json:"attributes,omitempty"`
		Events     []eventMessage `json:"events,omitempty"`
		Status     *statusMessage `json:"status,omitempty"`
	}
	eventMessage struct {
		Time       string     `json:"timeUnixNano"`
		Name       string     `json:"name"`
		Attributes []keyValue `json:"attributes,omitempty"`
	}
	statusMessage struct {
		Code    int    `json:"code"`
		Message string `json:"message,omitempty"`
	}
	keyValue struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	}
)

const (
	spanInternal = 1
	statusError  = 2
)

// payloadOf is what is sent of spans, all of which are the operator's.
func payloadOf(spans []sdktrace.ReadOnlySpan) payload {
	out := scopeSpans{Scope: scopeMessage{Name: spans[0].InstrumentationScope().Name}}
	for _, s := range spans {
		out.Spans = append(out.Spans, messageOf(s))
	}
	return payload{ResourceSpans: []resourceSpans{{
		Resource:   resourceMessage{Attributes: keyValues(spans[0].Resource().Attributes())},
		ScopeSpans: []scopeSpans{out},
	}}}
}

func messageOf(s sdktrace.ReadOnlySpan) spanMessage {
	out := spanMessage{
		TraceID: s.SpanContext().TraceID().String(), SpanID: s.SpanContext().SpanID().String(),
		Name: s.Name(), Kind: spanInternal, Start: nanoseconds(s.StartTime()), End: nanoseconds(s.EndTime()), Attributes: keyValues(s.Attributes()),
	}
	if s.Parent().IsValid() {
		out.ParentID = s.Parent().SpanID().String()
	}
	for _, e := range s.Events() {
		out.Events = append(out.Events, eventMessage{Time: nanoseconds(e.Time), Name: e.Name, Attributes: keyValues(e.Attributes)})
	}
	if s.Status().Code == codes.Error {
		out.Status = &statusMessage{Code: statusError, Message: s.Status().Description}
	}
	return out
}

func nanoseconds(at time.Time) string { return strconv.FormatInt(at.UnixNano(), 10) }

func keyValues(attributes []attribute.KeyValue) []keyValue {
	out := make([]keyValue, 0, len(attributes))
	for _, a := range attributes {
		var value map[string]any
		switch a.Value.Type() {
		case attribute.BOOL:
			value = map[string]any{"boolValue": a.Value.AsBool()}
		case attribute.INT64:
			value = map[string]any{"intValue": strconv.FormatInt(a.Value.AsInt64(), 10)}
		default:
			value = map[string]any{"stringValue": a.Value.String()}
		}
		out = append(out, keyValue{Key: string(a.Key), Value: value})
	}
	return out
}
