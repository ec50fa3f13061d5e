package bundle

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	modified = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	packed   = []File{{Path: "kubectl-mirubato", Content: []byte("program"), Mode: 0o755}, {Path: "LICENSE", Content: []byte("text"), Mode: 0o644}}
)

func TestTarGz(t *testing.T) {
	decompressed, err := gzip.NewReader(bytes.NewReader(twice(t, TarGz)))
	if err != nil {
		t.Fatal(err)
	}
	reader := tar.NewReader(decompressed)
	var got []File
	for header, err := reader.Next(); err == nil; header, err = reader.Next() {
		content, err := io.ReadAll(reader)
		if err != nil || !header.ModTime.Equal(modified) {
			t.Errorf("%s is of %v, error %v", header.Name, header.ModTime, err)
		}
		got = append(got, File{Path: header.Name, Content: content, Mode: fs.FileMode(header.Mode)})
	}
	if diff := cmp.Diff(packed, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestZip(t *testing.T) {
	content := twice(t, Zip)
	reader, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	var got []File
	for _, entry := range reader.File {
		opened, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(opened)
		if err != nil || !entry.Modified.Equal(modified) {
			t.Errorf("%s is of %v, error %v", entry.Name, entry.Modified, err)
		}
		got = append(got, File{Path: entry.Name, Content: content, Mode: entry.Mode()})
	}
	if diff := cmp.Diff(packed, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// twice packs the same files two times, the second time as somebody in another zone would.
func twice(t testing.TB, pack func(io.Writer, time.Time, []File) error) []byte {
	t.Helper()
	var first, second bytes.Buffer
	if err := pack(&first, modified, packed); err != nil {
		t.Fatal(err)
	}
	if err := pack(&second, modified.In(time.FixedZone("east", 3600)), packed); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same files gave different archives")
	}
	return first.Bytes()
}
