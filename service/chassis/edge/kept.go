package edge

import (
	"encoding/binary"
	"net/http"
	"slices"
)

// keptHeaders are those headers of an answer that belong to its content, and not to the request that it was made for.
var keptHeaders = [...]string{
	"Content-Type", "Content-Length", "Etag", "Cache-Control", "Vary", "Content-Security-Policy", "Last-Modified",
}

// kept is an answer. Encoded, it is
//
//	status: uint16, flags: 1 byte, number of texts: 1 byte
//	for each text its length: uint16, and the index of its name in keptHeaders: 1 byte, the tags being tagsIndex
//	the texts, the body
type kept struct {
	status int
	// shared says that it is the same for everybody, stale that it was made of what is out of date.
	shared, stale bool
	// lines are the header, each value with the index of its name in keptHeaders.
	lines []line
	// values are those of the lines as headers hold them; nil if it was just made. Answers share them.
	values []string
	// tags are those of what it is made of, joined by commas.
	tags string
	body []byte
}

// line is a line of a header.
type line struct {
	name  byte
	value string
}

const (
	flagShared = 1 << iota
	flagStale
)

const (
	headSize  = 4
	textSize  = 3
	tagsIndex = byte(len(keptHeaders))
)

// linesOf are the lines of the header that are kept.
func linesOf(h http.Header) []line {
	var lines []line
	for i, name := range keptHeaders {
		for _, value := range h[name] {
			lines = append(lines, line{name: byte(i), value: value})
		}
	}
	return lines
}

func (k kept) encode() []byte {
	texts := append(slices.Clip(k.lines), line{name: tagsIndex, value: k.tags})
	b := make([]byte, headSize, 512+len(k.body))
	binary.LittleEndian.PutUint16(b, uint16(k.status)) //nolint:gosec // a status has three digits
	if k.shared {
		b[2] |= flagShared
	}
	if k.stale {
		b[2] |= flagStale
	}
	b[3] = byte(len(texts)) //nolint:gosec // an answer has few lines
	for _, text := range texts {
		b = append(binary.LittleEndian.AppendUint16(b, uint16(len(text.value))), text.name) //nolint:gosec // lines are short
	}
	for _, text := range texts {
		b = append(b, text.value...)
	}
	return append(b, k.body...)
}

// decode reads what encode wrote. The body lies in b.
func decode(b []byte) kept {
	k := kept{status: int(binary.LittleEndian.Uint16(b)), shared: b[2]&flagShared != 0, stale: b[2]&flagStale != 0}
	sizes := b[headSize : headSize+int(b[3])*textSize]
	start, total := headSize+len(sizes), 0
	for i := 0; i < len(sizes); i += textSize {
		total += int(binary.LittleEndian.Uint16(sizes[i:]))
	}
	texts := string(b[start : start+total]) // one piece of memory for all
	k.lines, k.values = make([]line, 0, b[3]), make([]string, 0, b[3])
	for i := 0; i < len(sizes); i += textSize {
		size := int(binary.LittleEndian.Uint16(sizes[i:]))
		if name := sizes[i+2]; name == tagsIndex {
			k.tags = texts[:size]
		} else {
			k.lines, k.values = append(k.lines, line{name: name, value: texts[:size]}), append(k.values, texts[:size])
		}
		texts = texts[size:]
	}
	k.body = b[start+total:]
	return k
}

// describe puts the header of the answer into h, where others may vary it as well. An answer that is shared says by control who
// may keep it.
func (k kept) describe(h http.Header, control []string) {
	values := k.values
	if values == nil {
		for _, l := range k.lines {
			values = append(values, l.value)
		}
	}
	for i, l := range k.lines {
		switch name := keptHeaders[l.name]; {
		case name == "Vary" && len(h[name]) > 0:
			if !slices.Contains(h[name], l.value) {
				h[name] = append(slices.Clip(h[name]), l.value)
			}
		case name == "Cache-Control" && k.shared:
			h[name] = control
		default:
			h[name] = values[i : i+1 : i+1]
		}
	}
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
