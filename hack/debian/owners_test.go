package debian

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOwners(t *testing.T) {
	got := parseOwners([]byte("diversion by dash from: /bin/sh\nlibc6:amd64: /lib/x86_64-linux-gnu/libc.so.6\ndash, bash: /usr/share/doc\n"))
	if diff := cmp.Diff(map[string]string{"/lib/x86_64-linux-gnu/libc.so.6": "libc6:amd64", "/usr/share/doc": "dash"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseRelease(t *testing.T) {
	if got := parseRelease([]byte("PRETTY_NAME=\"Debian\"\nVERSION_ID=\"12\"\nID=debian\n")); got != "debian-12" {
		t.Errorf("got %q", got)
	}
}

func TestOwners(t *testing.T) {
	owners, err := Owners(t.Context(), []string{"/usr/bin/dash", "/usr/bin/dpkg-query", "/usr/bin/dash"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, owner := range owners {
		names = append(names, owner.Name)
		if owner.Version == "" || owner.Architecture == "" || owner.Release == "" {
			t.Errorf("got %+v, want all of it", owner)
		}
	}
	if diff := cmp.Diff([]string{"dash", "dpkg"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	own := filepath.Join(t.TempDir(), "own")
	if err := os.WriteFile(own, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Owners(t.Context(), []string{own}); !errors.Is(err, errNoOwner) {
		t.Errorf("of a file that no package brought: got %v, want %v", err, errNoOwner)
	}
}
