package telemetry

import (
	"net/http"
	"slices"
	"strings"
)

// verbs of the requests that change something. A server-side apply is a patch.
var verbs = map[string]string{
	http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
}

// How a write ended.
const (
	writeDone     = "done"
	writeConflict = "conflict"
	writeRefused  = "refused"
	writeFailed   = "failed"
)

// Transport counts the writes that go through next, as the API server sees them: those of client-go that no code of the operator
// asks for, such as events and the Lease, are among them. It is for rest.Config.Wrap.
func (r *Recorder) Transport(next http.RoundTripper) http.RoundTripper {
	return transport{next: next, recorder: r}
}

type transport struct {
	next     http.RoundTripper
	recorder *Recorder
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(req)
	if verb, writes := verbs[req.Method]; writes {
		t.recorder.events.writes.WithLabelValues(resourceOf(req.URL.Path), verb, writeOutcome(res, err)).Inc()
	}
	return res, err
}

func writeOutcome(res *http.Response, err error) string {
	switch {
	case err != nil || res.StatusCode >= http.StatusInternalServerError:
		return writeFailed
	case res.StatusCode == http.StatusConflict:
		return writeConflict
	case res.StatusCode >= http.StatusBadRequest:
		return writeRefused
	}
	return writeDone
}

// resourceOf names what a path of the API is about: the resource, with the subresource if there is one. Names and namespaces are
// left out; what is no path of a resource is "other".
func resourceOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	// A proxy may stand before the API server, with a path of its own.
	root := slices.IndexFunc(parts, func(part string) bool { return part == "api" || part == "apis" })
	if root < 0 {
		return otherName
	}
	skip := root + 2 // api/v1/...
	if parts[root] == "apis" {
		skip++ // apis/GROUP/VERSION/...
	}
	if len(parts) <= skip {
		return otherName
	}
	parts = parts[skip:]
	const scope = 2 // namespaces/NAME/...
	if parts[0] == "namespaces" && len(parts) > scope {
		parts = parts[scope:]
	}
	const subresource = 2 // RESOURCE/NAME/SUBRESOURCE
	if len(parts) > subresource {
		return parts[0] + "/" + parts[subresource]
	}
	return parts[0]
}
