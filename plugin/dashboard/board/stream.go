package board

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// beat is how often something is sent, so that the page notices a connection that is gone.
	beat = 10 * time.Second
	// patience is how long a reader may take for a message, if nothing else is said.
	patience = 10 * time.Second
)

// Source says what there is to be told now, and what is closed once there is something else.
type Source func(context.Context) (Message, <-chan struct{}, error)

// Pace is how fast a stream may go.
type Pace struct {
	// Breath is the least time between two messages: what changes faster is told together.
	Breath time.Duration
	// Most is how long the source is not asked if nothing changes. Ten seconds are the most, and what 0 means.
	Most time.Duration
	// Patience is how long a reader may take for a message, 0 meaning ten seconds. One that is slower is left.
	Patience time.Duration
}

// Stream tells the present state and every change, as server-sent events, until the page goes or is too slow, or the source fails. It
// returns the error of the source. If that is at the first time nothing has been answered; later, answered is true, and the page has been
// told the error, worded by say.
func Stream(w http.ResponseWriter, r *http.Request, pace Pace, from Source, say func(error) string) (answered bool, err error) {
	line, changed, err := next(r.Context(), from)
	if err != nil {
		return false, err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	// What was told last is only compared, and may be long.
	var last [sha256.Size]byte
	for {
		if sum := sha256.Sum256(line); sum != last {
			last = sum
		} else {
			line = []byte(": still here\n\n")
		}
		if !pace.send(w, line) || !wait(r.Context(), pace.Breath, nil) || !wait(r.Context(), pace.most(), changed) {
			return true, nil
		}
		if line, changed, err = next(r.Context(), from); err != nil {
			pace.send(w, fmt.Appendf(nil, "event: failed\ndata: %s\n\n", strings.ReplaceAll(say(err), "\n", " "))) // a page that is gone is told nothing
			return true, err
		}
	}
}

// next is the message that there is now, as it is sent.
func next(ctx context.Context, from Source) ([]byte, <-chan struct{}, error) {
	what, changed, err := from(ctx)
	if err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(what)
	if err != nil {
		return nil, nil, err
	}
	return fmt.Appendf(nil, "event: state\ndata: %s\n\n", text), changed, nil
}

func (p Pace) most() time.Duration {
	if p.Most > 0 && p.Most < beat {
		return p.Most
	}
	return beat
}

// send writes a message, within the patience of the pace; false if it cannot be. The deadline is taken back afterwards, since with HTTP/2 it
// would end the stream also while nothing is sent.
func (p Pace) send(w http.ResponseWriter, line []byte) bool {
	to := http.NewResponseController(w)
	_ = to.SetWriteDeadline(time.Now().Add(cmp.Or(p.Patience, patience))) // a writer that knows no deadlines is one of a test
	if _, err := w.Write(line); err != nil || to.Flush() != nil {
		return false
	}
	_ = to.SetWriteDeadline(time.Time{})
	return true
}

// wait returns after a time or as soon as something is closed; false if the context has ended.
func wait(ctx context.Context, most time.Duration, closed <-chan struct{}) bool {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-closed:
	}
	return true
}
