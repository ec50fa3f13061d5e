package recipe

import (
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/hack/images/archive"
)

func TestNamesOfImagesAndArchives(t *testing.T) {
	options := Options{Out: "images", Version: "1.2.0"}
	got := []string{options.Image("scores"), options.Archive("scores")}
	if diff := cmp.Diff([]string{"localhost/mirubato/scores:1.2.0", "images/scores-1.2.0.tar"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBuildNamesWhatThereIs(t *testing.T) {
	_, err := Build(t.Context(), Options{Out: t.TempDir(), Version: "1"}, "score")
	if err == nil || !strings.Contains(err.Error(), "scores") {
		t.Errorf("got %v, want the images that there are", err)
	}
}

func TestBuildOfAProgram(t *testing.T) {
	repository, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	options := Options{Repository: repository, Out: t.TempDir(), Version: "1"}
	first, err := Build(t.Context(), options, "pause")
	if err != nil {
		t.Fatal(err)
	}
	const most = 3 << 20
	if !first.Written || first.Bytes > most {
		t.Errorf("got %+v, want an archive of less than %d bytes", first, most)
	}
	identities, err := archive.Identify(first.Path)
	if err != nil {
		t.Fatal(err)
	}
	if len(identities) != 1 || identities[0].Name != "localhost/mirubato/pause:1" {
		t.Errorf("the archive holds %v", identities)
	}
	again, err := Build(t.Context(), options, "pause")
	if err != nil {
		t.Fatal(err)
	}
	if again.Written {
		t.Error("an archive that was up to date was written again")
	}
}

func TestForeignArchitecturesOfDebianAreRefused(t *testing.T) {
	foreign := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	for _, name := range NativeOnly {
		if _, err := Prepare(t.Context(), Options{Out: t.TempDir(), Architecture: foreign}, name); !errors.Is(err, errNative) {
			t.Errorf("%s for %s: got %v, want %v", name, foreign, err, errNative)
		}
	}
}

func TestLabels(t *testing.T) {
	options := Options{Version: "1.2.0", Source: "https://example.com/source", Revision: "abc", Created: time.Unix(0, 0)}
	for name, want := range map[string]map[string]string{
		"operator": {"licenses": "Apache-2.0", "title": "mirubato-operator", "created": "1970-01-01T00:00:00Z"},
		"migrate":  {"licenses": "", "title": "mirubato-migrate", "version": "1.2.0", "revision": "abc", "source": "https://example.com/source"},
	} {
		got := labels(options, name)
		for label, value := range want {
			if got["org.opencontainers.image."+label] != value {
				t.Errorf("%s: label %s is %q, want %q", name, label, got["org.opencontainers.image."+label], value)
			}
		}
	}
	for _, name := range Names() {
		if descriptions[name] == "" {
			t.Errorf("image %s has no description", name)
		}
	}
}
