package archive

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// TestIndexIsReadByOthers unpacks an archive of two architectures and reads it with another reader of OCI layouts.
func TestIndexIsReadByOthers(t *testing.T) {
	created := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	labels := map[string]string{"org.opencontainers.image.title": "test"}
	image := func(architecture, content string) Image {
		return Image{
			Name: "registry.example.com/test:1.2.0", Entrypoint: []string{"/program"}, User: "65532:65532", Labels: labels, Created: created,
			Architecture: architecture, Files: []File{{Path: "/program", Content: []byte(content), Mode: 0o755}},
		}
	}
	path := filepath.Join(t.TempDir(), "image.tar")
	digests, err := WriteIndex(path, image("amd64", "one"), image("arm64", "two"))
	if err != nil {
		t.Fatal(err)
	}
	read, err := layout.ImageIndexFromPath(unpack(t, path))
	if err != nil {
		t.Fatal(err)
	}
	top, err := read.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	inner, err := read.ImageIndex(top.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if top.Manifests[0].Digest.String() != digests.Index || !cmp.Equal(listed.Annotations, labels) {
		t.Errorf("the layout holds %v with annotations %v, want %s with %v", top.Manifests, listed.Annotations, digests.Index, labels)
	}
	var got []string
	for _, manifest := range listed.Manifests {
		single, err := inner.Image(manifest.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := single.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != manifest.Platform.Architecture || manifest.Digest.String() != digests.Images[config.Architecture] {
			t.Errorf("%s is listed as %v", config.Architecture, manifest)
		}
		if !config.Created.Equal(created) || !cmp.Equal(config.Config.Labels, labels) || config.Config.User != "65532:65532" {
			t.Errorf("%s was made at %v with labels %v, for user %s", config.Architecture, config.Created, config.Config.Labels, config.Config.User)
		}
		if layers, err := single.Layers(); err != nil || len(layers) != 1 {
			t.Errorf("%s has layers %v, error %v", config.Architecture, layers, err)
		}
		got = append(got, config.Architecture)
	}
	if diff := cmp.Diff([]string{"amd64", "arm64"}, got); diff != "" {
		t.Errorf("architectures (-want +got):\n%s", diff)
	}
}

func TestIndexNeedsOneName(t *testing.T) {
	_, err := WriteIndex(filepath.Join(t.TempDir(), "image.tar"), Image{Name: "a:1", Architecture: "amd64"}, Image{Name: "b:1", Architecture: "arm64"})
	if !errors.Is(err, errNames) {
		t.Errorf("got %v, want %v", err, errNames)
	}
}

// unpack returns a directory with the content of an archive.
func unpack(t testing.TB, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := t.TempDir()
	for reader := tar.NewReader(file); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(out, filepath.FromSlash(header.Name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, target, string(content))
	}
}
