package debian

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestCopyright(t *testing.T) {
	root := t.TempDir()
	docs := filepath.Join(root, "usr/share/doc")
	for name, target := range map[string]string{"libone1": "one-base", "libtwo1": "libone1"} {
		if err := os.MkdirAll(filepath.Join(docs, "one-base"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(docs, name)); err != nil {
			t.Fatal(err)
		}
	}
	own := filepath.Join(docs, "one-base", "copyright")
	if err := os.WriteFile(own, []byte("licence"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one-base", "libone1", "libtwo1"} {
		if got, err := Copyright(root, name); err != nil || got != own {
			t.Errorf("%s: got %q, error %v, want %q", name, got, err, own)
		}
	}
	if _, err := Copyright(root, "stripped"); !errors.Is(err, errNoCopyright) {
		t.Errorf("without a file: got %v, want %v", err, errNoCopyright)
	}
}
