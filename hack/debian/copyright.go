package debian

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Licences is the directory of the licences that many packages share. Their own files name those instead of repeating them.
const Licences = "/usr/share/common-licenses"

var errNoCopyright = errors.New("a package lacks the file that tells its licence, maybe because this machine was stripped of its documentation")

// CopyrightFile is where the package called name tells its authors and licences, on a machine and in an image.
func CopyrightFile(name string) string { return filepath.Join("/usr/share/doc", name, "copyright") }

// Copyright returns the file that is found at CopyrightFile below root, which is "/" but in tests, with all links followed: packages
// of one source share a directory.
func Copyright(root, name string) (string, error) {
	path, err := filepath.EvalSymlinks(filepath.Join(root, CopyrightFile(name)))
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w: %s; as root: apt-get install --reinstall %s", errNoCopyright, CopyrightFile(name), name)
	}
	if err != nil {
		return "", fmt.Errorf("looking for the licence of %s: %w", name, err)
	}
	return path, nil
}
