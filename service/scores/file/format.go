package file

import (
	"bytes"
	"encoding/xml"
	"mime"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Format is a kind of files.
type Format string

// The formats.
const (
	// MusicXML is plain MusicXML.
	MusicXML Format = "musicxml"
	// CompressedMusicXML is MusicXML in a zip archive.
	CompressedMusicXML Format = "mxl"
	// PDF is pictures of pages.
	PDF Format = "pdf"
)

// kind is what makes a format.
type kind struct {
	format Format
	// mediaTypes are how it may be declared, its own one first.
	mediaTypes []string
	extensions []string
	// begins reports whether a content that begins so may be of the format.
	begins func(head []byte) bool
	// name is what a person calls it.
	name string
}

// headSize is how much of a file is looked at to tell its format.
const headSize = 8 << 10

func kinds() []kind {
	return []kind{
		{MusicXML, []string{"application/vnd.recordare.musicxml+xml", "application/xml", "text/xml"}, []string{".musicxml", ".xml"}, isMusicXML, "MusicXML"},
		{CompressedMusicXML, []string{"application/vnd.recordare.musicxml", "application/vnd.recordare.musicxml+zip", "application/zip", "application/x-zip-compressed"}, []string{".mxl"}, isZip, "compressed MusicXML"},
		{PDF, []string{"application/pdf"}, []string{".pdf"}, isPDF, "PDF"},
	}
}

// undeclared are the types that programs send which do not know the type.
func undeclared(mediaType string) bool {
	return mediaType == "" || mediaType == "application/octet-stream" || mediaType == "binary/octet-stream"
}

// MediaType is how the format is declared.
func (f Format) MediaType() string {
	for _, k := range kinds() {
		if k.format == f {
			return k.mediaTypes[0]
		}
	}
	return "application/octet-stream"
}

// formatOf finds the format on which the name of a file, its declared type and the beginning of its content agree. A type that
// says nothing declares nothing. Faults: UnsupportedMedia.
func formatOf(fileName, declared string, head []byte) (Format, error) {
	extension := strings.ToLower(path.Ext(fileName))
	var found *kind
	for _, k := range kinds() {
		if slices.Contains(k.extensions, extension) {
			found = &k
			break
		}
	}
	if found == nil {
		return "", fault.New(fault.UnsupportedMedia, "The name of the file must end in .musicxml, .xml, .mxl or .pdf")
	}
	mediaType, _, err := mime.ParseMediaType(declared)
	if declared != "" && err != nil {
		return "", fault.New(fault.UnsupportedMedia, "The declared type of the file is malformed")
	}
	if !undeclared(mediaType) && !slices.Contains(found.mediaTypes, mediaType) {
		return "", fault.New(fault.UnsupportedMedia, "The file is called "+extension+", which is "+found.name+", but declared as something else; declare it as "+found.mediaTypes[0])
	}
	if !found.begins(head) {
		return "", fault.New(fault.UnsupportedMedia, "The file is called "+extension+", but its content is not "+found.name)
	}
	return found.format, nil
}

func isZip(head []byte) bool { return bytes.HasPrefix(head, []byte("PK\x03\x04")) }

// isPDF allows for what some programs write before the header, as readers do.
func isPDF(head []byte) bool {
	const within = 1024
	return bytes.Contains(head[:min(len(head), within)], []byte("%PDF-"))
}

// isMusicXML looks for the first element. A content whose first element is not in sight, or that is encoded in a way in which it cannot
// be seen here, is left to those who read all of it.
func isMusicXML(head []byte) bool {
	if bytes.HasPrefix(head, []byte("\xfe\xff")) || bytes.HasPrefix(head, []byte("\xff\xfe")) {
		return true
	}
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	if !bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("<")) {
		return false
	}
	dec := xml.NewDecoder(bytes.NewReader(head))
	dec.Strict = false
	for {
		token, err := dec.RawToken()
		if err != nil {
			return bytes.Contains(head, []byte("<?xml"))
		}
		if start, ok := token.(xml.StartElement); ok {
			return strings.HasPrefix(start.Name.Local, "score-")
		}
	}
}

// maxName is the length of a file's name in characters.
const maxName = 255

// plainName is the name of a file without the directories that it was in and without what cannot be shown.
func plainName(given string) string {
	given = path.Base(strings.ReplaceAll(given, `\`, "/"))
	given = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.In(r, unicode.Bidi_Control) {
			return -1
		}
		return r
	}, given)
	given = strings.TrimSpace(given)
	if runes := []rune(given); len(runes) > maxName {
		extension := []rune(path.Ext(given))
		if len(extension) > 16 {
			extension = nil
		}
		given = string(runes[:maxName-len(extension)]) + string(extension)
	}
	if given == "." || given == "/" {
		return ""
	}
	return given
}
