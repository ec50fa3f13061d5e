package archive

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nameAnnotation is where containerd looks for the full name of an image in an archive.
const nameAnnotation = "io.containerd.image.name"

// tagAnnotation is where the OCI's own programs look for the tag.
const tagAnnotation = "org.opencontainers.image.ref.name"

const indexFile = "index.json"

// writeLayout writes an OCI layout as a tar file, with the list that docker load wants beside it, so that containerd,
// kind and Docker all take it.
func writeLayout(w io.Writer, name string, image v1.Image) error {
	blobs, err := blobsOf(image)
	if err != nil {
		return err
	}
	index, err := json.Marshal(indexOf(name, types.OCIManifestSchema1, blobs[0]))
	if err != nil {
		return fmt.Errorf("encoding the index: %w", err)
	}
	list, err := dockerList(name, blobs[1], blobs[2:])
	if err != nil {
		return err
	}
	return writeTar(w, index, list, blobs)
}

// blobsOf returns the manifest of an image, its configuration and its layers, in this order.
func blobsOf(image v1.Image) ([][]byte, error) {
	manifest, err := image.RawManifest()
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	config, err := image.RawConfigFile()
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, fmt.Errorf("listing the layers: %w", err)
	}
	blobs := [][]byte{manifest, config}
	for _, layer := range layers {
		blob, err := readLayer(layer)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, blob)
	}
	return blobs, nil
}

// indexOf is the entry of a layout: it names the one thing in it.
func indexOf(name string, kind types.MediaType, blob []byte) v1.IndexManifest {
	_, tag, _ := strings.Cut(path.Base(name), ":")
	return v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests: []v1.Descriptor{{
			MediaType: kind, Size: int64(len(blob)), Digest: digest(blob),
			Annotations: map[string]string{nameAnnotation: name, tagAnnotation: tag},
		}},
	}
}

// dockerList is the manifest.json of docker save.
func dockerList(name string, config []byte, layers [][]byte) ([]byte, error) {
	paths := make([]string, 0, len(layers))
	for _, layer := range layers {
		paths = append(paths, blobPath(layer))
	}
	list, err := json.Marshal([]map[string]any{{"Config": blobPath(config), "RepoTags": []string{name}, "Layers": paths}})
	if err != nil {
		return nil, fmt.Errorf("encoding the list of images: %w", err)
	}
	return list, nil
}

// writeTar puts the index first, where it is found without reading the rest. Of blobs that are the same one is written, and no list
// of docker save if list is nil.
func writeTar(w io.Writer, index, list []byte, blobs [][]byte) error {
	writer := tar.NewWriter(w)
	written := map[string]bool{}
	add := func(name string, data []byte) error {
		if data == nil || written[name] {
			return nil
		}
		written[name] = true
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o644, ModTime: epoch}
		if err := writer.WriteHeader(header); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		if _, err := writer.Write(data); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		return nil
	}
	err := errors.Join(
		add("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)), add(indexFile, index), add("manifest.json", list),
	)
	for _, blob := range blobs {
		err = errors.Join(err, add(blobPath(blob), blob))
	}
	return errors.Join(err, writer.Close())
}

func readLayer(layer v1.Layer) ([]byte, error) {
	reader, err := layer.Compressed()
	if err != nil {
		return nil, fmt.Errorf("opening a layer: %w", err)
	}
	defer reader.Close()
	blob, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("reading a layer: %w", err)
	}
	return blob, nil
}

func digest(blob []byte) v1.Hash {
	hash, _, err := v1.SHA256(bytes.NewReader(blob))
	if err != nil {
		panic(err) // reading from memory does not end early
	}
	return hash
}

func blobPath(blob []byte) string { return "blobs/sha256/" + digest(blob).Hex }

// Identity is what an archive holds: the full name of its image and the digest of its manifest.
type Identity struct{ Name, Digest string }

// Identify reads the identities of the images in the archive at name, without unpacking them. There is at
// least one; an archive that is no OCI layout is an error.
func Identify(name string) ([]Identity, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening an archive: %w", err)
	}
	defer file.Close()
	reader := tar.NewReader(file)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s is no OCI archive: it has no %s", name, indexFile)
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if header.Name == indexFile {
			break
		}
	}
	index, err := v1.ParseIndexManifest(reader)
	if err != nil {
		return nil, fmt.Errorf("decoding the index of %s: %w", name, err)
	}
	if len(index.Manifests) == 0 {
		return nil, fmt.Errorf("%s holds no image", name)
	}
	var identities []Identity
	for _, manifest := range index.Manifests {
		identities = append(identities, Identity{Name: manifest.Annotations[nameAnnotation], Digest: manifest.Digest.String()})
	}
	return identities, nil
}
