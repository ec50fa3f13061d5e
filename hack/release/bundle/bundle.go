// Package bundle packs files into archives that people download: tar.gz and zip. The same files give the same bytes, whenever and
// wherever they are packed.
package bundle

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// File is one file of an archive.
type File struct {
	// Path is relative, with slashes.
	Path    string
	Content []byte
	// Mode holds the permissions.
	Mode fs.FileMode
}

// TarGz writes files to w in their order, each with the time given.
func TarGz(w io.Writer, modified time.Time, files []File) error {
	compressor, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return fmt.Errorf("choosing the compression: %w", err)
	}
	writer := tar.NewWriter(compressor)
	for _, file := range files {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: file.Path, Size: int64(len(file.Content)), Mode: int64(file.Mode.Perm()), ModTime: modified.UTC(),
		}
		if err := writer.WriteHeader(header); err != nil {
			return fmt.Errorf("packing %s: %w", file.Path, err)
		}
		if _, err := writer.Write(file.Content); err != nil {
			return fmt.Errorf("packing %s: %w", file.Path, err)
		}
	}
	return errors.Join(writer.Close(), compressor.Close())
}

// Zip writes files to w in their order, each with the time given.
func Zip(w io.Writer, modified time.Time, files []File) error {
	writer := zip.NewWriter(w)
	for _, file := range files {
		header := &zip.FileHeader{Name: file.Path, Method: zip.Deflate, Modified: modified.UTC()}
		header.SetMode(file.Mode.Perm())
		entry, err := writer.CreateHeader(header)
		if err != nil {
			return fmt.Errorf("packing %s: %w", file.Path, err)
		}
		if _, err := entry.Write(file.Content); err != nil {
			return fmt.Errorf("packing %s: %w", file.Path, err)
		}
	}
	return writer.Close()
}
