package musicxml

import (
	"context"
	"fmt"
	"io"

	"github.com/mirubato/mirubato/service/scores/refusal"
)

// Analyse reads a file of MusicXML, plain or compressed, of the given size in bytes. Whether it is compressed is seen from its
// content. A file that is not analysed ends in a *refusal.Error; any other error is that of r or of the context, and trying again
// may help. It reads the file once from its beginning to its end, a compressed one from its directory at the end first, and
// uses some 10 MB of memory, and more for a score of many measures: 100 bytes each. It may be called by many goroutines.
func Analyse(ctx context.Context, r io.ReaderAt, size int64) (Analysis, error) {
	source := refusal.NewSource(ctx, r)
	a, err := analyse(source, size)
	if failed := source.Failed(); failed != nil {
		return Analysis{}, fmt.Errorf("reading a score: %w", failed)
	}
	if err != nil {
		return Analysis{}, err
	}
	return a, nil
}

func analyse(source io.ReaderAt, size int64) (Analysis, error) {
	text, err := openScore(source, size)
	if err != nil {
		return Analysis{}, err
	}
	defer text.Close()
	score := newReader(text)
	if err := score.read(); err != nil {
		return Analysis{}, err
	}
	// A compressed score is what its directory says only when it was read to its end.
	if _, err := io.Copy(io.Discard, text); err != nil {
		return Analysis{}, err
	}
	if len(score.sounding()) == 0 {
		return Analysis{}, refusal.New(refusal.Malformed, "The file has no measure in it")
	}
	return score.analysis(), nil
}
