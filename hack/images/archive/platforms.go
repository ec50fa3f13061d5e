package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// errNames is returned by WriteIndex for images that cannot be one.
var errNames = errors.New("images of several architectures must share their name")

// Digests of what WriteIndex has written, each in the form sha256:...
type Digests struct {
	// Index is that of the image for all architectures, by which it is pulled.
	Index string
	// Images are those of the single ones, by architecture.
	Images map[string]string
}

// WriteIndex packs the images of several architectures, which have the same name, into one archive: whoever pulls that name
// gets the one that fits. The labels of the first one describe the whole. A file at name is replaced.
func WriteIndex(name string, images ...Image) (Digests, error) {
	out := Digests{Images: map[string]string{}}
	inner := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	var blobs [][]byte
	for _, image := range images {
		if image.Name != images[0].Name {
			return out, fmt.Errorf("%w: %s and %s", errNames, images[0].Name, image.Name)
		}
		packed, err := assemble(image)
		if err != nil {
			return out, err
		}
		own, err := blobsOf(packed)
		if err != nil {
			return out, fmt.Errorf("%s for %s: %w", image.Name, image.Architecture, err)
		}
		described := v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Size: int64(len(own[0])), Digest: digest(own[0]),
			Platform: &v1.Platform{OS: "linux", Architecture: image.Architecture},
		}
		inner.Manifests = append(inner.Manifests, described)
		inner.Annotations = maps.Clone(images[0].Labels)
		out.Images[image.Architecture] = described.Digest.String()
		blobs = append(blobs, own...)
	}
	encoded, err := json.Marshal(inner)
	if err != nil {
		return out, fmt.Errorf("encoding the list of architectures: %w", err)
	}
	entry, err := json.Marshal(indexOf(images[0].Name, types.OCIImageIndex, encoded))
	if err != nil {
		return out, fmt.Errorf("encoding the index: %w", err)
	}
	out.Index = digest(encoded).String()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return out, fmt.Errorf("making the directory of images: %w", err)
	}
	return out, writeFile(name, func(w io.Writer) error { return writeTar(w, entry, nil, append([][]byte{encoded}, blobs...)) })
}
