// Package mxl owns the compressed container of MusicXML, a zip archive in which META-INF/container.xml names the score. It
// finds the score and opens it as a stream. It writes nothing to disk, reads no entry but those two, and knows nothing of
// music.
package mxl

import (
	"archive/zip"
	"compress/flate"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/mirubato/mirubato/service/scores/refusal"
)

const (
	// maxDirectory is how many bytes of the archive's directory are read: some 10,000 entries, each of which costs memory.
	maxDirectory = 1 << 20
	// maxContainer is the largest container.xml.
	maxContainer = 64 << 10
	containerXML = "META-INF/container.xml"
)

// mediaTypes are what scores are marked as; an unmarked entry is a score as well.
var mediaTypes = map[string]bool{
	"": true, "application/vnd.recordare.musicxml+xml": true, "application/vnd.recordare.musicxml": true,
	"application/xml": true, "text/xml": true,
}

// errDirectory ends the reading of a directory that is too long.
var errDirectory = errors.New("the directory of the archive is too long")

// Open returns the score in the archive, uncompressed, which may be at most maxSize bytes. The reader ends in an error if the
// entry is damaged or not of the size it claims. Errors are refusals, or those of r.
func Open(r io.ReaderAt, size, maxSize int64) (io.ReadCloser, error) {
	budget := &budgeted{r: r, left: maxDirectory}
	archive, err := zip.NewReader(budget, size)
	if err != nil {
		return nil, openError(err)
	}
	budget.left = -1
	if err := checkEntries(archive.File); err != nil {
		return nil, err
	}
	name, err := scoreName(archive.File)
	if err != nil {
		return nil, err
	}
	score, err := entry(archive.File, name)
	if err != nil {
		return nil, err
	}
	if score == nil {
		return nil, refusal.New(refusal.Malformed, "The archive does not hold the score that its container.xml names")
	}
	if score.UncompressedSize64 > uint64(max(maxSize, 0)) {
		return nil, refusal.New(refusal.TooLarge, "The score in the archive is larger than %d MiB", maxSize>>20)
	}
	return open(score)
}

func openError(err error) error {
	switch {
	case errors.Is(err, errDirectory):
		return refusal.New(refusal.TooLarge, "The archive holds too many files")
	case errors.Is(err, zip.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return refusal.New(refusal.Truncated, "The archive is damaged or its end is missing").Because(err)
	case errors.Is(err, zip.ErrAlgorithm):
		return refusal.New(refusal.Unsupported, "The archive is compressed in a way that MusicXML does not allow").Because(err)
	default:
		return err
	}
}

// checkEntries refuses an archive that could do harm to whoever unpacks it, although that is not done here: its author meant no
// good, or its owner will want to know.
func checkEntries(files []*zip.File) error {
	for _, f := range files {
		name := strings.TrimSuffix(f.Name, "/")
		if !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00") {
			return refusal.New(refusal.Forbidden, "The archive names a file outside of itself")
		}
		if mode := f.Mode(); mode&fs.ModeType != 0 && !mode.IsDir() {
			return refusal.New(refusal.Forbidden, "The archive holds a link or a device instead of a file")
		}
		if f.Flags&1 != 0 {
			return refusal.New(refusal.Encrypted, "The archive is protected by a password")
		}
	}
	return nil
}

// container is META-INF/container.xml.
type container struct {
	XMLName   xml.Name `xml:"container"`
	RootFiles []struct {
		FullPath  string `xml:"full-path,attr"`
		MediaType string `xml:"media-type,attr"`
	} `xml:"rootfiles>rootfile"`
}

// scoreName reads which entry is the score: the first one that is marked as such, or not marked.
func scoreName(files []*zip.File) (string, error) {
	f, err := entry(files, containerXML)
	if err != nil {
		return "", err
	}
	if f == nil {
		return "", refusal.New(refusal.Malformed, "The archive has no META-INF/container.xml, so it is no compressed MusicXML")
	}
	content, err := open(f)
	if err != nil {
		return "", err
	}
	defer content.Close()
	text, err := io.ReadAll(io.LimitReader(content, maxContainer+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxContainer {
		return "", refusal.New(refusal.TooLarge, "META-INF/container.xml of the archive is too large")
	}
	var c container
	if err := xml.Unmarshal(text, &c); err != nil {
		return "", refusal.New(refusal.Malformed, "META-INF/container.xml of the archive cannot be read").Because(err)
	}
	for _, root := range c.RootFiles {
		if !mediaTypes[root.MediaType] || root.FullPath == "" {
			continue
		}
		if !fs.ValidPath(root.FullPath) || strings.Contains(root.FullPath, "\\") {
			return "", refusal.New(refusal.Forbidden, "META-INF/container.xml names a score outside of the archive")
		}
		return root.FullPath, nil
	}
	return "", refusal.New(refusal.Malformed, "META-INF/container.xml of the archive names no score")
}

// entry returns the one file of that name, nil if there is none.
func entry(files []*zip.File, name string) (*zip.File, error) {
	var found *zip.File
	for _, f := range files {
		if f.Name != name {
			continue
		}
		if found != nil {
			return nil, refusal.New(refusal.Forbidden, "The archive holds two files of the same name")
		}
		found = f
	}
	return found, nil
}

func open(f *zip.File) (io.ReadCloser, error) {
	content, err := f.Open()
	if err != nil {
		return nil, openError(err)
	}
	return stream{content}, nil
}

// stream turns the errors of decompression into refusals.
type stream struct{ io.ReadCloser }

func (s stream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = readError(err)
	}
	return n, err
}

func readError(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat):
		return refusal.New(refusal.Malformed, "The archive is damaged: a file in it is not what its directory says").Because(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refusal.New(refusal.Truncated, "The archive is damaged: a file in it ends too early").Because(err)
	case errors.As(err, &corrupt):
		return refusal.New(refusal.Malformed, "The archive is damaged: a file in it cannot be decompressed").Because(err)
	default:
		return err
	}
}

// budgeted reads no more bytes than are left; -1 is without a limit.
type budgeted struct {
	r    io.ReaderAt
	left int
}

func (b *budgeted) ReadAt(p []byte, off int64) (int, error) {
	if b.left >= 0 && len(p) > b.left {
		return 0, errDirectory
	}
	n, err := b.r.ReadAt(p, off)
	if b.left >= 0 {
		b.left -= n
	}
	return n, err
}
