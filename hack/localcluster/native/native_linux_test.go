package native

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/hack/images/archive"
)

const listed = `REF                              TYPE                                       DIGEST      SIZE     PLATFORMS   LABELS
localhost/mirubato/pause:1       application/vnd.oci.image.manifest.v1+json sha256:aaaa 1.1 MiB  linux/amd64 io.cri-containerd.image=managed
sha256:0123                      application/vnd.oci.image.manifest.v1+json sha256:aaaa 1.1 MiB  linux/amd64 io.cri-containerd.image=managed
`

func TestImagesThatArePresentAreKnown(t *testing.T) {
	present := parseImages(listed)
	for name, tc := range map[string]struct {
		wanted []archive.Identity
		want   bool
	}{
		"the very same":              {wanted: []archive.Identity{{Name: "localhost/mirubato/pause:1", Digest: "sha256:aaaa"}}, want: true},
		"the name with other bytes":  {wanted: []archive.Identity{{Name: "localhost/mirubato/pause:1", Digest: "sha256:bbbb"}}},
		"the bytes under a new name": {wanted: []archive.Identity{{Name: "localhost/mirubato/pause:2", Digest: "sha256:aaaa"}}},
		"one of two": {wanted: []archive.Identity{
			{Name: "localhost/mirubato/pause:1", Digest: "sha256:aaaa"}, {Name: "localhost/mirubato/scores:1", Digest: "sha256:cccc"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := containsAll(present, tc.wanted); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestLineWriter(t *testing.T) {
	var got []string
	if _, err := lineWriter(func(line string) { got = append(got, line) }).Write([]byte("one\n\ntwo\r\n")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", "two"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
