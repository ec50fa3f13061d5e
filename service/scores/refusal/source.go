package refusal

import (
	"context"
	"errors"
	"io"
)

// Source is a file that is being read. It ends when its context does, and remembers what its storage failed with: that is no fault
// of the file, whatever the readers above make of it. It is for one goroutine.
type Source struct {
	ctx    context.Context
	r      io.ReaderAt
	failed error
}

// NewSource returns a source that reads r.
func NewSource(ctx context.Context, r io.ReaderAt) *Source { return &Source{ctx: ctx, r: r} }

// ReadAt is that of io.ReaderAt.
func (s *Source) ReadAt(p []byte, off int64) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.failed = err
		return 0, err
	}
	n, err := s.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed = err
	}
	return n, err
}

// Failed returns the error of the context or of the storage, nil if there was none.
func (s *Source) Failed() error { return s.failed }
