package recipe

import (
	"path/filepath"
	"strings"
	"testing"

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
