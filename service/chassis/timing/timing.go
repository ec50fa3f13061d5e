// Package timing adds up what the parts of a request took, such as its questions to the database. It owns the sums and
// how they are written for the client; whoever does a part says how long it was.
package timing

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// Parts are the parts of one request. The zero value has none. They may be added to by many goroutines, also after the
// answer was written.
type Parts struct {
	mu    sync.Mutex
	names []string
	took  []time.Duration
}

// Key is the key of the *Parts that Add adds to, for contexts that carry them by themselves.
type Key struct{}

// With returns a context under which Add adds to parts.
func With(ctx context.Context, parts *Parts) context.Context {
	return context.WithValue(ctx, Key{}, parts)
}

// Add adds to what a part of the request of ctx took. The name is a token of RFC 9110; names come from the code and are
// few. Outside of a request it does nothing.
func Add(ctx context.Context, name string, took time.Duration) {
	parts, ok := ctx.Value(Key{}).(*Parts)
	if !ok {
		return
	}
	parts.mu.Lock()
	defer parts.mu.Unlock()
	for i, known := range parts.names {
		if known == name {
			parts.took[i] += took
			return
		}
	}
	parts.names, parts.took = append(parts.names, name), append(parts.took, took)
}

// Header returns the value of Server-Timing (W3C Server Timing): the total, and each part in the order in which it was
// first met, in milliseconds with one decimal. Parts may overlap, and one can take longer than the total.
func (p *Parts) Header(total time.Duration) string {
	const room = 64
	text := append(make([]byte, 0, room), "total"...)
	text = appendDuration(text, total)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, name := range p.names {
		text = append(append(text, ", "...), name...)
		text = appendDuration(text, p.took[i])
	}
	return string(text)
}

func appendDuration(text []byte, d time.Duration) []byte {
	const microsPerMilli = 1000
	return strconv.AppendFloat(append(text, ";dur="...), float64(d.Microseconds())/microsPerMilli, 'f', 1, 64)
}
