package httpapi

import (
	"io"
	"net/http"
	"time"
)

// stalled is how long a file that is on its way may stand still.
const stalled = 15 * time.Second

// transfer keeps bodies to what the route takes, and gives a route that moves files the time for it.
func transfer(route Route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := RecordOf(r.Context())
		most := rec.maxBody
		if route.MaxBody > 0 {
			most = route.MaxBody
		}
		if most > 0 && r.ContentLength > most {
			// The body is left unread, so the connection cannot serve another request.
			w.Header().Set("Connection", "close")
			WriteError(r.Context(), w, bodyFault(&http.MaxBytesError{Limit: most}))
			return
		}
		if route.MaxBody > 0 && rec.body != nil {
			r.Body = http.MaxBytesReader(w, rec.body, most)
		}
		if route.Patience > 0 {
			ctx, cancel := Outlast(r.Context(), route.Patience)
			defer cancel()
			moving := &moving{ResponseWriter: w, body: r.Body, deadlines: http.NewResponseController(w)}
			r = r.WithContext(ctx)
			r.Body, w = moving, moving
		}
		next.ServeHTTP(w, r)
	})
}

// moving moves the deadlines of the connection on while something moves.
type moving struct {
	http.ResponseWriter
	body      io.ReadCloser
	deadlines *http.ResponseController
	moved     time.Time
}

// move allows for the next piece. The deadlines are set once a second at most. Not every http.ResponseWriter is a server's.
func (m *moving) move() {
	now := time.Now()
	if now.Sub(m.moved) < time.Second {
		return
	}
	m.moved = now
	_ = m.deadlines.SetReadDeadline(now.Add(stalled))
	_ = m.deadlines.SetWriteDeadline(now.Add(2 * stalled)) // an answer follows what is read
}

// Read implements io.Reader on the body.
func (m *moving) Read(p []byte) (int, error) {
	m.move()
	return m.body.Read(p)
}

// Close implements io.Closer.
func (m *moving) Close() error { return m.body.Close() }

// Write implements http.ResponseWriter.
func (m *moving) Write(p []byte) (int, error) {
	m.move()
	return m.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (m *moving) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// BodyFault says why a body that a handler reads by itself could not be read to its end. Its codes are TooLarge, SlowRequest and
// Invalid.
func BodyFault(err error) error { return bodyFault(err) }
