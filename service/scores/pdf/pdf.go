// Package pdf owns what is known of a score from its PDF: the number of its pages, their size and its title. It reads the few objects
// that say so, wherever they lie in the file, and draws nothing and runs nothing. Files are hostile until read: memory, depth and
// work are bounded by limits of this package and not by the file.
package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mirubato/mirubato/service/scores/refusal"
)

// Analysis is what a PDF says of itself.
type Analysis struct {
	// Version is that of the file's header, such as "1.7".
	Version string `json:"version"`
	// Bytes is the size of the file.
	Bytes int64 `json:"bytes"`
	// Pages is the number of pages that can be reached, at least 1.
	Pages int `json:"pages"`
	// Title and Author are one line each, of at most 255 characters; empty if the file does not say.
	Title  string `json:"title,omitempty"`
	Author string `json:"author,omitempty"`
	// Width and Height are those of the first page as it is shown, in points: 1/72 inch. 0 if the file does not say.
	Width  float64 `json:"width,omitempty"`
	Height float64 `json:"height,omitempty"`
}

// Analyse reads a PDF of the given size in bytes. A file that is not analysed ends in a *refusal.Error; any other error is that of r
// or of the context, and trying again may help. It uses some 30 MB of memory at most, and for most files much less. It may be
// called by many goroutines.
func Analyse(ctx context.Context, r io.ReaderAt, size int64) (Analysis, error) {
	source := refusal.NewSource(ctx, r)
	a, err := analyse(source, size)
	if failed := source.Failed(); failed != nil {
		return Analysis{}, fmt.Errorf("reading a PDF: %w", failed)
	}
	if err != nil {
		return Analysis{}, err
	}
	return a, nil
}

func analyse(r io.ReaderAt, size int64) (Analysis, error) {
	f := &file{r: r, size: size, inflatable: maxInflated, readable: maxObjects, seen: map[int64]bool{}}
	version, err := f.header()
	if err != nil {
		return Analysis{}, err
	}
	start, err := f.start()
	if err != nil {
		return Analysis{}, err
	}
	if err := f.readSections(start); err != nil {
		return Analysis{}, err
	}
	if f.trailer["Encrypt"] != nil {
		return Analysis{}, refusal.New(refusal.Encrypted, "The PDF is protected by a password; save it without protection")
	}
	root, err := f.dictionary(f.trailer["Root"])
	if err != nil {
		return Analysis{}, err
	}
	a := Analysis{Version: version, Bytes: size}
	if err := f.countPages(root["Pages"], &a); err != nil {
		return Analysis{}, err
	}
	// A title that cannot be read is no reason to refuse the pages.
	info, err := f.dictionary(f.trailer["Info"])
	var refused *refusal.Error
	if err != nil && !errors.As(err, &refused) {
		return Analysis{}, err
	}
	a.Title, a.Author = f.text(info["Title"]), f.text(info["Author"])
	return a, nil
}

// header finds the version of the file, and where it begins: mail programs and web servers have put lines before it.
func (f *file) header() (string, error) {
	if f.size <= 0 {
		return "", refusal.New(refusal.Empty, "The file is empty")
	}
	head, err := f.bytes(0, 1024)
	if err != nil {
		return "", err
	}
	at := bytes.Index(head, []byte("%PDF-"))
	if at < 0 {
		return "", refusal.New(refusal.WrongType, "The file is no PDF")
	}
	f.base = int64(at)
	version := head[at+len("%PDF-"):]
	end := bytes.IndexFunc(version, func(c rune) bool { return (c < '0' || c > '9') && c != '.' })
	if end < 1 || end > 8 {
		return "", refusal.New(refusal.Malformed, "The PDF does not say of which version it is")
	}
	return string(version[:end]), nil
}

// start returns where the file says that its last table of objects lies.
func (f *file) start() (int64, error) {
	tail, err := f.bytes(max(0, f.size-2048), 2048)
	if err != nil {
		return 0, err
	}
	at := bytes.LastIndex(tail, []byte("startxref"))
	if at < 0 {
		return 0, refusal.New(refusal.Truncated, "The PDF ends too early: its table of contents, which stands at the end, is missing")
	}
	l := lexer{data: tail[at+len("startxref"):]}
	start, ok := l.integer()
	if !ok || start < 0 || start >= f.size {
		return 0, damaged("it does not say where its table of objects is")
	}
	return start, nil
}

func damaged(how string) error {
	return refusal.New(refusal.Malformed, "The PDF is damaged: %s", how)
}
