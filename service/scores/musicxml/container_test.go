package musicxml_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/scores/musicxml"
	"github.com/mirubato/mirubato/service/scores/refusal"
)

// file is an entry of an archive.
type file struct {
	name, content string
	change        func(*zip.FileHeader)
}

// archive is a zip of files, in order.
func archive(t *testing.T, files ...file) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		if f.change != nil {
			f.change(h)
		}
		entry, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(entry, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func container(path string) file {
	return file{name: "META-INF/container.xml", content: `<?xml version="1.0"?><container><rootfiles><rootfile full-path="` + path + `"/><rootfile full-path="score.pdf" media-type="application/pdf"/></rootfiles></container>`}
}

func TestACompressedScoreIsReadLikeAPlainOne(t *testing.T) {
	plain := score(common+whole, whole)
	compressed := archive(t, file{name: "mimetype", content: "application/vnd.recordare.musicxml"}, container("scores/one.musicxml"), file{name: "scores/one.musicxml", content: plain}, file{name: "score.pdf"})
	if diff := cmp.Diff(analyse(t, plain), analyse(t, compressed)); diff != "" {
		t.Errorf("compressed beside plain (-plain +compressed):\n%s", diff)
	}
}

func TestContainersThatAreRefused(t *testing.T) {
	music := file{name: "score.xml", content: score(common + whole)}
	good := archive(t, container("score.xml"), music)
	many := make([]file, 30_000)
	for i := range many {
		many[i] = file{name: fmt.Sprintf("%d.xml", i)}
	}
	for name, tc := range map[string]struct {
		file   string
		reason refusal.Reason
	}{
		"no container.xml":            {file: archive(t, music), reason: refusal.Malformed},
		"a container.xml of nothing":  {file: archive(t, file{name: "META-INF/container.xml"}, music), reason: refusal.Malformed},
		"one that names nothing":      {file: archive(t, file{name: "META-INF/container.xml", content: "<container/>"}, music), reason: refusal.Malformed},
		"one that names what is not":  {file: archive(t, container("other.xml"), music), reason: refusal.Malformed},
		"one that is too large":       {file: archive(t, file{name: "META-INF/container.xml", content: "<container>" + strings.Repeat(" ", 1<<20) + "</container>"}, music), reason: refusal.TooLarge},
		"a way out of the archive":    {file: archive(t, container("../score.xml"), music), reason: refusal.Forbidden},
		"an absolute way":             {file: archive(t, container("/etc/passwd"), music), reason: refusal.Forbidden},
		"an entry outside":            {file: archive(t, container("score.xml"), music, file{name: "../../evil"}), reason: refusal.Forbidden},
		"an absolute entry":           {file: archive(t, container("score.xml"), music, file{name: "/evil"}), reason: refusal.Forbidden},
		"an entry with backslashes":   {file: archive(t, container("score.xml"), music, file{name: `..\evil`}), reason: refusal.Forbidden},
		"a link":                      {file: archive(t, container("link.xml"), music, file{name: "link.xml", content: "/etc/passwd", change: func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }}), reason: refusal.Forbidden},
		"two of the same name":        {file: archive(t, container("score.xml"), music, music), reason: refusal.Forbidden},
		"a password":                  {file: encrypted(good), reason: refusal.Encrypted},
		"more files than are read":    {file: archive(t, many...), reason: refusal.TooLarge},
		"a bomb":                      {file: archive(t, container("score.xml"), file{name: "score.xml", content: strings.Repeat(" ", 257<<20)}), reason: refusal.TooLarge},
		"a bomb that lies":            {file: lying(archive(t, container("score.xml"), file{name: "score.xml", content: strings.Replace(music.content, "<part-list>", strings.Repeat("<!-- -->", 1<<20)+"<part-list>", 1)})), reason: refusal.Malformed},
		"an archive in an archive":    {file: archive(t, container("score.xml"), file{name: "score.xml", content: good}), reason: refusal.WrongType},
		"an archive that is cut off":  {file: good[:len(good)-30], reason: refusal.Truncated},
		"only the beginning of one":   {file: "PK\x03\x04", reason: refusal.Truncated},
		"a score that is cut off":     {file: archive(t, container("score.xml"), file{name: "score.xml", content: music.content[:len(music.content)/2]}), reason: refusal.Truncated},
		"a score that is empty":       {file: archive(t, container("score.xml"), file{name: "score.xml"}), reason: refusal.Empty},
		"bytes that were changed":     {file: archive(t, container("score.xml"), file{name: "score.xml", content: music.content, change: func(h *zip.FileHeader) { h.Method = zip.Store }}), reason: refusal.Malformed},
		"a method of nobody's":        {file: strings.ReplaceAll(good, "\x08\x00\x08\x00", "\x08\x00\x63\x00"), reason: refusal.Unsupported},
		"a document of an office":     {file: archive(t, file{name: "[Content_Types].xml"}, file{name: "word/document.xml"}), reason: refusal.Malformed},
		"a score that is something":   {file: archive(t, container("score.xml"), file{name: "score.xml", content: "hello"}), reason: refusal.WrongType},
		"a MuseScore document, whole": {file: archive(t, container("score.mscx"), file{name: "score.mscx", content: "<museScore/>"}), reason: refusal.WrongType},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "bytes that were changed" {
				tc.file = strings.Replace(tc.file, "<step>C", "<step>D", 1)
			}
			a, err := musicxml.Analyse(t.Context(), strings.NewReader(tc.file), int64(len(tc.file)))
			var refused *refusal.Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v and %+v, want a refusal", err, a)
			}
			if refused.Reason != tc.reason {
				t.Errorf("got %s: %v, want %s", refused.Reason, err, tc.reason)
			}
		})
	}
}

// encrypted sets the flag of a password in all entries of a directory.
func encrypted(archive string) string {
	b := []byte(archive)
	for at := 0; ; {
		next := bytes.Index(b[at:], []byte("PK\x01\x02"))
		if next < 0 {
			return string(b)
		}
		at += next + 8
		b[at] |= 1
	}
}

// lying makes the directory say that its last entry is of 100 bytes.
func lying(archive string) string {
	b := []byte(archive)
	at := bytes.LastIndex(b, []byte("PK\x01\x02"))
	copy(b[at+24:], []byte{100, 0, 0, 0})
	return string(b)
}
