package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Response is an answer before it is written. Make it with OK, Created, List or NoContent and refine it with the With
// methods, which return a changed copy.
type Response struct {
	status int
	header [][2]string
	etag   string
	shared bool
	body   any
	// raw is sent as it is instead of body, as mediaType.
	raw       []byte
	mediaType string
}

// OK is a 200 that carries data.
func OK[T any](data T) Response {
	return Response{status: http.StatusOK, body: Envelope[T]{Success: true, Data: data}}
}

// OKMessage is a 200 that carries data and a sentence for a person.
func OKMessage[T any](data T, message string) Response {
	return Response{status: http.StatusOK, body: Envelope[T]{Success: true, Data: data, Message: message}}
}

// Created is a 201 that carries the new thing and the path at which it now lives.
func Created[T any](location string, data T) Response {
	return Response{
		status: http.StatusCreated,
		body:   Envelope[T]{Success: true, Data: data, Message: "Created successfully"},
	}.WithHeader("Location", location)
}

// AcceptedFor is a 202 that carries a thing with which something will be done later, and the task to watch, which lives at location.
func AcceptedFor[T any](location, taskID string, data T) Response {
	return Response{
		status: http.StatusAccepted,
		body:   Accepted[T]{Success: true, Data: data, Message: "Request accepted for processing", TaskID: taskID},
	}.WithHeader("Location", location)
}

// List is a 200 that carries one page of a list.
func List[T any](items []T, page Pagination) Response {
	if items == nil {
		items = []T{}
	}
	return Response{status: http.StatusOK, body: ListEnvelope[T]{Success: true, Data: items, Pagination: page}}
}

// NoContent is a 204.
func NoContent() Response { return Response{status: http.StatusNoContent} }

// JSON is an answer with any status and a body that is no envelope; probes use it.
func JSON(status int, body any) Response { return Response{status: status, body: body} }

// Bytes is a 200 that carries something other than JSON, which must not be changed afterwards.
func Bytes(mediaType string, raw []byte) Response {
	return Response{status: http.StatusOK, raw: raw, mediaType: mediaType}
}

// WithStatus answers with another status than the constructor's.
func (r Response) WithStatus(status int) Response {
	r.status = status
	return r
}

// WithETag sets an entity tag, quotes included, for a client that asks whether it has the present state already.
func (r Response) WithETag(etag string) Response {
	r.etag = etag
	return r
}

// WithHeader adds a header.
func (r Response) WithHeader(name, value string) Response {
	r.header = append(r.header[:len(r.header):len(r.header)], [2]string{name, value})
	return r
}

// WithVersion sets a strong ETag made of the version of the thing, and lets a client that already has this version be
// answered with 304. The answer may then be kept by the caller's own cache, which has to ask before each use.
func (r Response) WithVersion(version int64) Response {
	r.etag = ETag(version)
	return r.WithHeader("Cache-Control", CacheControl{Private: true}.String()).WithHeader("Vary", "Authorization")
}

// Shared says that everybody who may ask gets this same answer, so that it may serve others as well, where the route says so
// too. Without a version the content itself makes the ETag. Unless a cache in front decides otherwise, the answer is the caller's.
func (r Response) Shared() Response {
	r.shared = true
	return r.WithHeader("Cache-Control", CacheControl{Private: true}.String()).WithHeader("Vary", "Authorization")
}

// ETag is the entity tag of a version.
func ETag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// buffers are reused between answers; one that grew large is left to the garbage collector.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxPooledBuffer = 64 << 10

// Write sends the answer. The body is encoded before the status is sent, so that an answer that cannot be encoded
// becomes a clean 500.
func (r Response) Write(ctx context.Context, w http.ResponseWriter) {
	RecordOf(ctx).Shared = r.shared
	r.setHeaders(w.Header())
	if r.status == http.StatusOK && Has(ctx, r.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	switch {
	case r.raw != nil:
		send(w, r.status, r.mediaType, r.raw)
		return
	case r.body == nil:
		w.WriteHeader(r.status)
		return
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= maxPooledBuffer {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	if err := json.NewEncoder(buf).Encode(r.body); err != nil {
		for _, h := range r.header {
			w.Header().Del(h[0])
		}
		w.Header().Del("ETag")
		buf.Reset()
		WriteError(ctx, w, fmt.Errorf("encoding the answer: %w", err))
		return
	}
	if r.shared && r.etag == "" {
		etag := contentTag(buf.Bytes())
		w.Header().Set("ETag", etag)
		if r.status == http.StatusOK && Has(ctx, etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	send(w, r.status, "application/json; charset=utf-8", buf.Bytes())
}

// contentTag is the entity tag of a content: the first half of its SHA-256 in hexadecimal.
func contentTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:len(sum)/2]) + `"`
}

func (r Response) setHeaders(h http.Header) {
	if r.etag != "" {
		h.Set("ETag", r.etag)
	}
	for _, line := range r.header {
		if line[0] == "Vary" {
			addVary(h, line[1]) // others vary the answer as well
			continue
		}
		h.Set(line[0], line[1])
	}
}

func addVary(h http.Header, name string) {
	if !slices.Contains(h["Vary"], name) {
		h.Add("Vary", name)
	}
}

func send(w http.ResponseWriter, status int, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// An error here means that the client is gone; nobody is left to tell.
	_, _ = w.Write(body)
}

// matchesETag compares an If-None-Match header weakly, as RFC 9110 section 13.1.2 wants.
func matchesETag(header, etag string) bool {
	if header == "" {
		return false
	}
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == "*" || candidate == etag {
			return true
		}
	}
	return false
}

// IfMatch reads the If-Match header of a request: the version that the client wants to change. It returns 0 when any version
// will do. A tag that this service never issues cannot match and is a PreconditionFailed fault.
func IfMatch(r *http.Request) (int64, error) {
	header := strings.TrimSpace(r.Header.Get("If-Match"))
	if header == "" || header == "*" {
		return 0, nil
	}
	unquoted, ok := strings.CutPrefix(header, `"`)
	if ok {
		unquoted, ok = strings.CutSuffix(unquoted, `"`)
	}
	version, err := strconv.ParseInt(unquoted, 10, 64)
	if !ok || err != nil || version < 1 {
		return 0, fault.New(fault.PreconditionFailed, "If-Match names no version of this resource; send the ETag of one answer")
	}
	return version, nil
}
