package buildah

import (
	"bytes"
	"io"
	"sync"
)

// most is how many of the last bytes of an output an error repeats.
const most = 4000

// tail writes to a log and keeps the end, from the beginning of a line. It may be written to from several goroutines.
type tail struct {
	mu   sync.Mutex
	log  io.Writer
	kept bytes.Buffer
}

func newTail(log io.Writer) *tail { return &tail{log: log} }

func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept.Write(text)
	if over := t.kept.Len() - most; over > 0 {
		t.kept.Next(over)
		if end := bytes.IndexByte(t.kept.Bytes(), '\n'); end >= 0 && end < t.kept.Len()-1 {
			t.kept.Next(end + 1)
		}
	}
	return t.log.Write(text)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept.String()
}
