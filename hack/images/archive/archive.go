// Package archive writes container images as OCI archives, without a container engine or a registry. The same files
// give the same bytes wherever and whenever they are packed. It owns the form of an image, not what goes into it.
package archive

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// format is part of every fingerprint; it changes when the same Image is to be packed differently.
const format = "2"

// Image describes what an archive holds.
type Image struct {
	// Name is the full name with its tag, such as localhost/mirubato/scores:1.0.0.
	Name string
	// Entrypoint and Arguments start it; User is the number it runs as, with that of its group, such as "65532:65532".
	Entrypoint []string
	Arguments  []string
	User       string
	// StopSignal is sent to stop it; empty means SIGTERM.
	StopSignal string
	// Environment is in the form NAME=value.
	Environment []string
	// Labels describe it to people and scanners.
	Labels map[string]string
	// Architecture is that of its programs, as Go names it; empty means this machine's.
	Architecture string
	// Created is when it was made, as its own description says; zero means the beginning of 1970. Files carry that in any case.
	Created time.Time
	Files   []File
}

// File is one entry of an image's only layer. The directories above it are made with mode 0755 and belong to root, as
// every file does.
type File struct {
	// Path is absolute within the image.
	Path string
	// Source is the file of this machine whose content it gets; empty for Content, Target and directories.
	Source  string
	Content []byte
	// Target makes it a symbolic link.
	Target string
	// Mode holds the permissions, and fs.ModeDir for a directory.
	Mode fs.FileMode
}

// Write packs image into the file at name unless it holds the very same already, which written tells.
func Write(name string, image Image) (written bool, err error) {
	wanted, err := fingerprint(image)
	if err != nil {
		return false, err
	}
	stamp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".stamp")
	if present, err := os.ReadFile(stamp); err == nil && string(present) == wanted {
		if _, err := os.Stat(name); err == nil {
			return false, nil
		}
	}
	packed, err := assemble(image)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return false, fmt.Errorf("making the directory of images: %w", err)
	}
	if err := writeFile(name, func(w io.Writer) error { return writeLayout(w, image.Name, packed) }); err != nil {
		return false, err
	}
	if err := os.WriteFile(stamp, []byte(wanted), 0o644); err != nil {
		return false, fmt.Errorf("noting what was packed: %w", err)
	}
	return true, nil
}

// fingerprint is a hash of all that decides the bytes of the archive.
func fingerprint(image Image) (string, error) {
	sum := sha256.New()
	described, err := json.Marshal(image)
	if err != nil {
		return "", fmt.Errorf("describing image %s: %w", image.Name, err)
	}
	fmt.Fprintf(sum, "%s %s %s\n", format, runtime.Version(), described)
	for _, file := range image.Files {
		if file.Source == "" {
			continue
		}
		if err := copyFile(sum, file.Source); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func assemble(image Image) (v1.Image, error) {
	packed, err := compress(image.Files)
	if err != nil {
		return nil, fmt.Errorf("packing %s: %w", image.Name, err)
	}
	layer, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil },
		tarball.WithMediaType(types.OCILayer),
	)
	if err != nil {
		return nil, fmt.Errorf("making the layer of %s: %w", image.Name, err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	assembled, err := mutate.Append(base, mutate.Addendum{Layer: layer, MediaType: types.OCILayer})
	if err != nil {
		return nil, fmt.Errorf("adding the layer of %s: %w", image.Name, err)
	}
	config, err := assembled.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of %s: %w", image.Name, err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", cmp.Or(image.Architecture, runtime.GOARCH)
	config.Created = v1.Time{Time: epoch}
	if !image.Created.IsZero() {
		config.Created.Time = image.Created.UTC()
	}
	config.Config = v1.Config{
		Entrypoint: image.Entrypoint, Cmd: image.Arguments, User: image.User, Env: image.Environment, WorkingDir: "/",
		StopSignal: image.StopSignal, Labels: image.Labels,
	}
	assembled, err = mutate.ConfigFile(assembled, config)
	if err != nil {
		return nil, fmt.Errorf("configuring %s: %w", image.Name, err)
	}
	return assembled, nil
}

// epoch is the time that every file carries.
var epoch = time.Unix(0, 0).UTC()

// compress packs files into a layer. Speed counts more than size here: an archive travels a few centimetres.
func compress(files []File) ([]byte, error) {
	var packed bytes.Buffer
	compressor, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("choosing the compression: %w", err)
	}
	writer := tar.NewWriter(compressor)
	for _, file := range withParents(files) {
		if err := addFile(writer, file); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(writer.Close(), compressor.Close()); err != nil {
		return nil, fmt.Errorf("finishing the layer: %w", err)
	}
	return packed.Bytes(), nil
}

// withParents adds the directories that are missing and sorts everything, directories before what is in them.
func withParents(files []File) []File {
	all := map[string]File{}
	for _, file := range files {
		for dir := path.Dir(file.Path); dir != "/" && dir != "."; dir = path.Dir(dir) {
			if _, present := all[dir]; !present {
				all[dir] = File{Path: dir, Mode: fs.ModeDir | 0o755}
			}
		}
		all[file.Path] = file
	}
	sorted := make([]File, 0, len(all))
	for _, file := range all {
		sorted = append(sorted, file)
	}
	slices.SortFunc(sorted, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return sorted
}

func addFile(writer *tar.Writer, file File) error {
	header := &tar.Header{
		Name: strings.TrimPrefix(file.Path, "/"), Mode: int64(file.Mode.Perm()), ModTime: epoch, Format: tar.FormatPAX,
	}
	switch {
	case file.Mode.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
	case file.Target != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, file.Target, 0o777
	default:
		header.Typeflag, header.Size = tar.TypeReg, int64(len(file.Content))
	}
	if file.Mode&fs.ModeSticky != 0 {
		header.Mode |= 0o1000
	}
	if file.Source != "" {
		info, err := os.Stat(file.Source)
		if err != nil {
			return fmt.Errorf("looking at a file of the image: %w", err)
		}
		header.Size = info.Size()
	}
	if err := writer.WriteHeader(header); err != nil {
		return fmt.Errorf("packing %s: %w", file.Path, err)
	}
	if file.Source != "" {
		return copyFile(writer, file.Source)
	}
	if _, err := writer.Write(file.Content); err != nil {
		return fmt.Errorf("packing %s: %w", file.Path, err)
	}
	return nil
}

func copyFile(w io.Writer, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("opening a file of the image: %w", err)
	}
	defer file.Close()
	if _, err := io.Copy(w, file); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// writeFile writes beside the final name first, so that a reader never sees half an archive.
func writeFile(name string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("making an archive: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // after success there is nothing under this name
	if err := errors.Join(write(file), file.Chmod(0o644), file.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(file.Name(), name); err != nil {
		return fmt.Errorf("putting an archive in place: %w", err)
	}
	return nil
}
