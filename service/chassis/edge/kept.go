package edge

import (
	"encoding/binary"
	"net/http"
	"slices"
)

// keptHeaders are those headers of an answer that belong to its content, and not to the request that it was made for.
var keptHeaders = []string{
	"Content-Type", "Content-Length", "Etag", "Cache-Control", "Vary", "Content-Security-Policy", "Last-Modified",
}

// kept is an answer. Encoded, it is
//
//	status: uint16, flags: 1 byte, number of header lines: 1 byte
//	for each line the index of its name in keptHeaders: 1 byte, and its value as a text; the tags as a text; the body
//
// where a text is its length in a uint16 and its bytes.
type kept struct {
	status int
	// shared says that it is the same for everybody, stale that it was made of what is out of date.
	shared, stale bool
	header        http.Header
	// tags are those of what it is made of, joined by commas.
	tags string
	body []byte
}

const (
	flagShared = 1 << iota
	flagStale
)

func (k kept) encode() []byte {
	b := make([]byte, 4, 512+len(k.body))
	binary.LittleEndian.PutUint16(b, uint16(k.status)) //nolint:gosec // a status has three digits
	if k.shared {
		b[2] |= flagShared
	}
	if k.stale {
		b[2] |= flagStale
	}
	for i, name := range keptHeaders {
		for _, value := range k.header[name] {
			b[3]++
			b = appendText(append(b, byte(i)), value)
		}
	}
	return append(appendText(b, k.tags), k.body...)
}

// describe puts the header of the answer into h, where others may vary it as well.
func (k kept) describe(h http.Header, control string) {
	for name, values := range k.header {
		switch {
		case name == "Vary":
			for _, value := range values {
				if !slices.Contains(h["Vary"], value) {
					h.Add("Vary", value)
				}
			}
		case name == "Cache-Control" && k.shared:
			h.Set(name, control)
		default:
			h[name] = values
		}
	}
}

func appendText(b []byte, text string) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(text))) //nolint:gosec // header lines are short
	return append(b, text...)
}

// decode reads what encode wrote. The body lies in b.
func decode(b []byte) kept {
	k := kept{
		status: int(binary.LittleEndian.Uint16(b)), shared: b[2]&flagShared != 0, stale: b[2]&flagStale != 0,
		header: make(http.Header, b[3]),
	}
	lines := b[3]
	b = b[4:]
	text := func() string {
		size := 2 + int(binary.LittleEndian.Uint16(b))
		value := string(b[2:size])
		b = b[size:]
		return value
	}
	for range lines {
		name := keptHeaders[b[0]]
		b = b[1:]
		k.header[name] = append(k.header[name], text())
	}
	k.tags = text()
	k.body = b
	return k
}

// recorder is a http.ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

func (r *recorder) result() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}
