package musicxml

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/mirubato/mirubato/service/scores/refusal"
)

// declared finds the encoding that an XML declaration names.
var declared = regexp.MustCompile(`^<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']`)

// encodingOf returns what text is written in by the names that music programs give; nil is UTF-8.
func encodingOf(name string) (encoding.Encoding, bool) {
	switch strings.ToLower(name) {
	case "utf-8", "utf8", "us-ascii", "ascii", "":
		return nil, true
	case "iso-8859-1", "latin1", "latin-1", "iso8859-1", "windows-1252", "cp1252":
		// As browsers do: what Latin 1 leaves free is used by those who mean Windows' superset of it.
		return charmap.Windows1252, true
	case "iso-8859-2":
		return charmap.ISO8859_2, true
	case "iso-8859-15", "latin-9":
		return charmap.ISO8859_15, true
	case "windows-1250":
		return charmap.Windows1250, true
	case "windows-1251":
		return charmap.Windows1251, true
	case "macintosh", "macroman", "x-mac-roman":
		return charmap.Macintosh, true
	default:
		return nil, false
	}
}

// toUTF8 returns the text in UTF-8, without a byte order mark. A byte order mark is believed before a declaration, as XML wants it.
func toUTF8(r *bufio.Reader) (io.Reader, error) {
	head, err := r.Peek(256)
	if len(head) == 0 {
		if err == io.EOF {
			return nil, refusal.New(refusal.Empty, "The file is empty")
		}
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, err := r.Discard(3)
		return r, err
	case bytes.HasPrefix(head, []byte("\xfe\xff")), bytes.HasPrefix(head, []byte("\xff\xfe")):
		return unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder().Reader(r), nil
	case bytes.HasPrefix(head, []byte("\x00<\x00")):
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder().Reader(r), nil
	case bytes.HasPrefix(head, []byte("<\x00")):
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder().Reader(r), nil
	}
	match := declared.FindSubmatch(head)
	if match == nil {
		return r, nil
	}
	name := string(match[1])
	// A declaration that can be read as ASCII is not in UTF-16, whatever it says: the text was converted and the declaration was not.
	if strings.HasPrefix(strings.ToLower(name), "utf-16") {
		return r, nil
	}
	known, ok := encodingOf(name)
	if !ok {
		return nil, refusal.New(refusal.Unsupported, "The file is encoded as %q, which is not read; save it as UTF-8", name)
	}
	if known == nil {
		return r, nil
	}
	return known.NewDecoder().Reader(r), nil
}
