package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestWriteIsReproducibleAndOnlyOnce(t *testing.T) {
	source := filepath.Join(t.TempDir(), "program")
	write(t, source, "one")
	image := Image{Name: "localhost/test:1", Entrypoint: []string{"/program"}, User: "1:1", Files: []File{
		{Path: "/program", Source: source, Mode: 0o755},
	}}
	first, second := filepath.Join(t.TempDir(), "a.tar"), filepath.Join(t.TempDir(), "b.tar")
	ensure(t, first, image, true)
	ensure(t, first, image, false)

	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(source, later, later); err != nil {
		t.Fatal(err)
	}
	ensure(t, second, image, true)
	if !bytes.Equal(read(t, first), read(t, second)) {
		t.Error("the same files were packed into different bytes")
	}

	write(t, source, "two")
	ensure(t, first, image, true)
	image.Arguments = []string{"serve"}
	ensure(t, first, image, true)
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	ensure(t, first, image, true)
}

func TestArchiveIsReadByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.tar")
	image := Image{
		Name: "localhost/test:1", Entrypoint: []string{"/program"}, Arguments: []string{"serve"}, User: "65532:65532",
		Environment: []string{"A=b"}, StopSignal: "SIGINT",
		Files: []File{{Path: "/program", Content: []byte("x"), Mode: 0o755}},
	}
	ensure(t, path, image, true)
	tag, err := name.NewTag(image.Name)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := tarball.ImageFromPath(path, &tag)
	if err != nil {
		t.Fatal(err)
	}
	config, err := loaded.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	got := Image{
		Name: image.Name, Entrypoint: config.Config.Entrypoint, Arguments: config.Config.Cmd, User: config.Config.User,
		Environment: config.Config.Env, StopSignal: config.Config.StopSignal, Files: image.Files,
	}
	if diff := cmp.Diff(image, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestIdentify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "image.tar")
	ensure(t, path, Image{Name: "localhost/test:1"}, true)
	got, err := Identify(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Name != "localhost/test:1" || len(got[0].Digest) != len("sha256:")+64 {
		t.Errorf("got %v", got)
	}
	write(t, path, "no archive")
	if got, err := Identify(path); err == nil {
		t.Errorf("of a text file: got %v, want an error", got)
	}
}

func TestLayer(t *testing.T) {
	packed, err := compress([]File{
		{Path: "/usr/bin/tool", Content: []byte("x"), Mode: 0o755},
		{Path: "/bin", Target: "usr/bin"},
		{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
	})
	if err != nil {
		t.Fatal(err)
	}
	decompressed, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Name, Link string
		Mode       int64
	}
	var got []entry
	for reader := tar.NewReader(decompressed); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !header.ModTime.Equal(epoch) || header.Uid != 0 {
			t.Errorf("%s has time %v and owner %d", header.Name, header.ModTime, header.Uid)
		}
		got = append(got, entry{header.Name, header.Linkname, header.Mode})
	}
	want := []entry{
		{"bin", "usr/bin", 0o777}, {"tmp/", "", 0o1777}, {"usr/", "", 0o755}, {"usr/bin/", "", 0o755}, {"usr/bin/tool", "", 0o755},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func ensure(t testing.TB, path string, image Image, want bool) {
	t.Helper()
	written, err := Write(path, image)
	if err != nil {
		t.Fatal(err)
	}
	if written != want {
		t.Errorf("written %v, want %v", written, want)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
