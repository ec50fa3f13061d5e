package musicxml

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/mirubato/mirubato/service/scores/musicxml/mxl"
	"github.com/mirubato/mirubato/service/scores/refusal"
)

// maxSize is how many bytes of a score are read at most, after decompression. A symphony in full score is some 50 MiB.
const maxSize = 256 << 20

// openScore returns the text of the score in UTF-8, decompressed if the file is.
func openScore(r io.ReaderAt, size int64) (io.ReadCloser, error) {
	if size <= 0 {
		return nil, refusal.New(refusal.Empty, "The file is empty")
	}
	head := make([]byte, min(size, 512))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if kind := kindOf(head); kind != "" {
		return nil, refusal.New(refusal.WrongType, "The file is no MusicXML but %s", kind)
	}
	raw := io.NopCloser(io.NewSectionReader(r, 0, size))
	if bytes.HasPrefix(head, []byte("PK")) {
		var err error
		if raw, err = mxl.Open(r, size, maxSize); err != nil {
			return nil, err
		}
	}
	text, err := toUTF8(bufio.NewReaderSize(raw, 64<<10))
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{text, raw}, nil
}

// kindOf recognizes what people upload by mistake; empty is anything else.
func kindOf(head []byte) string {
	for _, known := range []struct{ magic, kind string }{
		{"%PDF-", "a PDF"},
		{"MThd", "a MIDI file"},
		{"\x89PNG", "a PNG image"},
		{"\xff\xd8\xff", "a JPEG image"},
		{"GIF8", "a GIF image"},
		{"ID3", "an MP3 file"},
		{"RIFF", "a sound or video file"},
		{"OggS", "an Ogg file"},
		{"\xd0\xcf\x11\xe0", "an Office document"},
		{"\x1f\x8b", "a file compressed with gzip"},
		{"Rar!", "a RAR archive"},
		{"7z\xbc\xaf", "a 7-Zip archive"},
		{"ENIGMA BINARY", "a Finale document"},
		{"\x0fSIBELIUS", "a Sibelius document"},
		{"\\version", "a LilyPond source"},
		{"X:", "a file in ABC notation"},
	} {
		if bytes.HasPrefix(head, []byte(known.magic)) {
			return known.kind
		}
	}
	return ""
}
