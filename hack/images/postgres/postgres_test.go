package postgres

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFindTakesTheNewest(t *testing.T) {
	root := t.TempDir()
	if _, err := Find(root); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("nothing installed: %v, want ErrNotInstalled", err)
	}
	for _, version := range []string{"9.6", "9", "15", "13"} {
		bin := filepath.Join(root, "usr/lib/postgresql", version, "bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, "postgres"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Find(root)
	if err != nil {
		t.Fatal(err)
	}
	if got.Major != 15 || got.Bin() != filepath.Join(root, "usr/lib/postgresql/15/bin") {
		t.Errorf("got %+v, want 15", got)
	}
}

func TestWalkKeepsLinksWithinATree(t *testing.T) {
	dir, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "shared")
	for path, text := range map[string]string{
		filepath.Join(dir, "UTC"): "utc", elsewhere: "shared", filepath.Join(dir, "man", "page.1"): "page",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"Zulu": "UTC", "stop": elsewhere} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := walk(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 {
		t.Fatalf("got %d files, want three and no manual page: %+v", len(files), files)
	}
	for _, file := range files {
		switch filepath.Base(file.Path) {
		case "Zulu":
			if file.Target != "UTC" {
				t.Errorf("a link beside its target became %+v", file)
			}
		case "stop":
			if file.Source != file.Path || file.Target != "" {
				t.Errorf("a link to elsewhere became %+v, want the file's content", file)
			}
		}
	}
}

func TestLibrariesThatAreMissingAreNamed(t *testing.T) {
	if _, err := locate("libnone.so.1", []string{t.TempDir()}); !errors.Is(err, errNoLibrary) {
		t.Errorf("got %v, want errNoLibrary", err)
	}
}

func TestLibrariesOfLibraries(t *testing.T) {
	files, err := libraryFiles([]string{"/usr/bin/env"})
	if err != nil {
		t.Fatal(err)
	}
	var libc, loader bool
	for _, file := range files {
		if file.Source == "" {
			t.Errorf("%s has no content", file.Path)
		}
		base := filepath.Base(file.Path)
		libc = libc || base == "libc.so.6"
		matched, err := filepath.Match("ld-linux*.so.*", base)
		if err != nil {
			t.Fatal(err)
		}
		loader = loader || matched
	}
	if !libc || !loader {
		t.Errorf("libc %v, loader %v among %+v", libc, loader, files)
	}
}
