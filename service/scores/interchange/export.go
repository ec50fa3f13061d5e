package interchange

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/scores"
)

// Destination is where an export goes.
type Destination interface {
	io.Writer
	// Begin is called before the first byte, with the number of scores that follow.
	Begin(total int64) error
	// Flush is called when what was written so far shall arrive.
	Flush() error
}

// busyFor is when to try again while others export.
const busyFor = 5 * time.Second

// Export writes all scores of the caller, the oldest first, as they were at one moment. It holds no more than a part of them in memory.
// When it returns an error after Begin, what was written is not complete. Faults: Unauthenticated, and Unavailable while others export.
func (s *Service) Export(ctx context.Context, caller auth.Identity, format Format, to Destination) error {
	if err := requireCaller(caller); err != nil {
		return err
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		busy := fault.New(fault.Unavailable, "Others are exporting; try again in a moment")
		busy.RetryAfter = busyFor
		return busy
	}
	out := newWriter(format, to)
	return s.repo.Export(ctx, caller.ID,
		func(total int64) error {
			if err := to.Begin(total); err != nil {
				return err
			}
			return out.head()
		},
		func(page []scores.Score) error {
			for i := range page {
				if err := out.score(&page[i]); err != nil {
					return fmt.Errorf("writing %s: %w", page[i].ID, err)
				}
			}
			return out.flush()
		})
}

// writer writes scores in one format.
type writer struct {
	format Format
	to     Destination
	out    *bufio.Writer
	json   *json.Encoder
}

func newWriter(format Format, to Destination) *writer {
	const size = 32 << 10
	out := bufio.NewWriterSize(to, size)
	w := &writer{format: format, to: to, out: out, json: json.NewEncoder(out)}
	// Nobody shows it as HTML, and six bytes for one would make lines longer than an import takes.
	w.json.SetEscapeHTML(false)
	return w
}

func (w *writer) head() error {
	if w.format != CSV {
		return nil
	}
	if _, err := w.out.WriteString(byteOrderMark); err != nil {
		return err
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return writeRecord(w.out, names)
}

func (w *writer) score(s *scores.Score) error {
	if w.format != CSV {
		return w.json.Encode(s)
	}
	cells, err := cellsOf(s)
	if err != nil {
		return err
	}
	return writeRecord(w.out, cells)
}

func (w *writer) flush() error {
	if err := w.out.Flush(); err != nil {
		return err
	}
	return w.to.Flush()
}
