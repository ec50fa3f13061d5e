package telemetry

import (
	"io"
	"sync"
	"time"
)

const (
	// linger is how long a line waits for others at most.
	linger = 10 * time.Millisecond
	// batch is how many bytes of lines are written together at most, if a line is not longer by itself.
	batch = 32 << 10
)

// Lines writes lines together, since under load a system call for each costs more than what it tells. A line waits a hundredth of a
// second at most; a logger of NewLogger writes warnings and errors at once, with all that came before. Nobody is kept waiting but by the
// destination itself, and nothing is dropped: a process that is killed takes the lines of its last hundredth of a second along, one
// that ends calls Flush. It may be used by many goroutines.
type Lines struct {
	mu      sync.Mutex
	to      io.Writer
	waiting []byte
	timer   *time.Timer
	due     bool
}

// NewLines returns lines that go to a writer, which only they write to.
func NewLines(to io.Writer) *Lines {
	l := &Lines{to: to, waiting: make([]byte, 0, batch)}
	l.timer = time.AfterFunc(time.Hour, l.lingered)
	l.timer.Stop()
	return l
}

// Write implements io.Writer for one line, or several. An error is that of lines before.
func (l *Lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if len(l.waiting)+len(line) > batch {
		err = l.flush()
	}
	l.waiting = append(l.waiting, line...)
	if !l.due {
		l.due = true
		l.timer.Reset(linger)
	}
	return len(line), err
}

// Flush writes what waits.
func (l *Lines) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flush()
}

func (l *Lines) lingered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.due = false
	_ = l.flush() // there is nobody to tell
}

func (l *Lines) flush() error {
	if len(l.waiting) == 0 {
		return nil
	}
	_, err := l.to.Write(l.waiting)
	if cap(l.waiting) > batch {
		l.waiting = make([]byte, 0, batch) // after a line that was longer than all together may be
	}
	l.waiting = l.waiting[:0]
	return err
}
