package recipe

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mirubato/mirubato/hack/images/archive"
)

// TestSameSourcesGiveTheSameImage builds an image twice, from copies of the sources in different directories whose files have different
// times, and for both architectures.
func TestSameSourcesGiveTheSameImage(t *testing.T) {
	build := func(age time.Duration) (archive.Digests, []byte) {
		t.Helper()
		options := Options{
			Repository: copyOfPause(t, age), Out: t.TempDir(), Version: "1.2.0", Registry: "registry.example.com/mirubato",
			Source: "https://example.com/source", Revision: "0123456789abcdef", Created: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		}
		var images []archive.Image
		for _, architecture := range []string{"amd64", "arm64"} {
			options.Architecture = architecture
			image, err := Prepare(t.Context(), options, "pause")
			if err != nil {
				t.Fatal(err)
			}
			images = append(images, image)
		}
		digests, err := archive.WriteIndex(options.Archive("pause"), images...)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(options.Archive("pause"))
		if err != nil {
			t.Fatal(err)
		}
		return digests, content
	}
	first, once := build(0)
	second, twice := build(30 * 24 * time.Hour)
	if first.Index != second.Index || !bytes.Equal(once, twice) {
		t.Errorf("the same sources gave %v, then %v", first, second)
	}
	if first.Images["amd64"] == first.Images["arm64"] {
		t.Errorf("both architectures are the same image: %v", first)
	}
}

// copyOfPause returns a directory that has what the image called pause is made of, where a repository has it.
func copyOfPause(t testing.TB, age time.Duration) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"LICENSE", "hack/go.mod", "hack/go.sum", "hack/images/pause/main.go"} {
		content, err := os.ReadFile(filepath.Join("..", "..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, content, 0o644); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(target, when, when); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
