// Package postgres collects the files of an image with PostgreSQL from the packages installed on this machine: programs,
// modules, shared libraries, data and licences, without other documentation, translations, headers and the LLVM compiler. It owns
// what is taken and what is left out; packing is done by the package archive.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mirubato/mirubato/hack/images/archive"
)

// Packages are the Debian packages that bring what Find looks for.
var Packages = []string{"postgresql"}

// Programs of PostgreSQL that images are made of.
var (
	// Server runs a server, makes its first files and tells whether it answers.
	Server = []string{"postgres", "initdb", "psql", "pg_isready"}
	// Backup takes databases out and puts them back, into a server of its own as well.
	Backup = []string{"pg_dump", "pg_restore", "postgres", "initdb"}
)

// Users and groups that an image has besides root: PostgreSQL makes no server for a user without a name.
const (
	// UID is called postgres.
	UID = 999
	// UnprivilegedUID is called nonroot; programs of ours run as it.
	UnprivilegedUID = 65532
)

// Installation is one major version of PostgreSQL on this machine.
type Installation struct {
	Major int
	// lib and share are where its programs and modules, and its data are, here and in an image.
	lib, share string
}

// ErrNotInstalled is returned by Find when there is none.
var ErrNotInstalled = errors.New("no PostgreSQL server is installed; as root: apt-get install postgresql")

// Find returns the newest installation below root, which is "/" but in tests.
func Find(root string) (Installation, error) {
	servers, err := filepath.Glob(filepath.Join(root, "usr/lib/postgresql/*/bin/postgres"))
	if err != nil {
		return Installation{}, fmt.Errorf("looking for PostgreSQL: %w", err)
	}
	var newest Installation
	for _, server := range servers {
		lib := filepath.Dir(filepath.Dir(server))
		if major, err := strconv.Atoi(filepath.Base(lib)); err == nil && major > newest.Major {
			share := filepath.Join(root, "usr/share/postgresql", filepath.Base(lib))
			newest = Installation{Major: major, lib: lib, share: share}
		}
	}
	if newest.Major == 0 {
		return Installation{}, ErrNotInstalled
	}
	return newest, nil
}

// Bin is the directory of the programs.
func (i Installation) Bin() string { return filepath.Join(i.lib, "bin") }

// Files returns everything that programs need to run in an image of their own: a shell, which they start each other
// with, included, and the licences of all of it.
func (i Installation) Files(ctx context.Context, programs []string) ([]archive.File, error) {
	files, err := i.needed(programs)
	if err != nil {
		return nil, err
	}
	told, err := licences(ctx, files)
	if err != nil {
		return nil, fmt.Errorf("collecting licences: %w", err)
	}
	return append(files, told...), nil
}

func (i Installation) needed(programs []string) ([]archive.File, error) {
	files := slices.Concat(system(), accounts())
	var linked []string // what has libraries
	for _, program := range programs {
		linked = append(linked, filepath.Join(i.Bin(), program))
	}
	if slices.Contains(programs, "postgres") {
		modules, err := i.modules()
		if err != nil {
			return nil, err
		}
		data, err := i.data()
		if err != nil {
			return nil, err
		}
		linked, files = append(linked, modules...), append(files, data...)
	}
	for _, path := range linked {
		file, err := entry(path, filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	libraries, err := libraryFiles(append(linked, shell))
	if err != nil {
		return nil, err
	}
	return append(files, libraries...), nil
}

// modules are the extensions of the server, without those that need a whole compiler or SELinux.
func (i Installation) modules() ([]string, error) {
	all, err := filepath.Glob(filepath.Join(i.lib, "lib", "*.so"))
	if err != nil {
		return nil, fmt.Errorf("listing the modules of PostgreSQL: %w", err)
	}
	return slices.DeleteFunc(all, func(path string) bool {
		name := filepath.Base(path)
		return strings.HasPrefix(name, "llvmjit") || name == "sepgsql.so"
	}), nil
}

// data is what the server reads besides its modules: its own catalogue files, time zones and the one locale.
func (i Installation) data() ([]archive.File, error) {
	var files []archive.File
	for _, dir := range []string{i.share, "/usr/share/zoneinfo", "/usr/lib/locale/C.utf8"} {
		tree, err := walk(dir)
		if err != nil {
			return nil, err
		}
		files = append(files, tree...)
	}
	return files, nil
}

const shell = "/usr/bin/dash"

// system is the frame that every program expects. The links are those of Debian, where /bin is part of /usr.
func system() []archive.File {
	return []archive.File{
		{Path: "/bin", Target: "usr/bin"},
		{Path: "/lib", Target: "usr/lib"},
		{Path: "/lib64", Target: "usr/lib64"},
		{Path: "/usr/lib64", Mode: fs.ModeDir | 0o755},
		{Path: shell, Source: shell, Mode: 0o755},
		{Path: "/usr/bin/sh", Target: filepath.Base(shell)},
		{Path: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
	}
}

// accounts names the users: PostgreSQL does not run as a user without a name.
func accounts() []archive.File {
	passwd := fmt.Sprintf("root:x:0:0::/:/bin/sh\npostgres:x:%d:%[1]d::/tmp:/bin/sh\nnonroot:x:%d:%[2]d::/tmp:/bin/sh\n", UID, UnprivilegedUID)
	group := fmt.Sprintf("root:x:0:\npostgres:x:%d:\nnonroot:x:%d:\n", UID, UnprivilegedUID)
	return []archive.File{
		{Path: "/etc/passwd", Content: []byte(passwd), Mode: 0o644},
		{Path: "/etc/group", Content: []byte(group), Mode: 0o644},
	}
}

// walk returns the files and links below dir, without manual pages.
func walk(dir string) ([]archive.File, error) {
	var files []archive.File
	err := filepath.WalkDir(dir, func(path string, found fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if found.IsDir() {
			if found.Name() == "man" {
				return fs.SkipDir
			}
			return nil
		}
		file, err := entry(path, dir)
		if err == nil {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("collecting %s: %w", dir, err)
	}
	return files, nil
}

// entry describes the file at path, found below tree, for the same place in an image. A link out of tree, as package
// maintainers make them, becomes the file that it leads to.
func entry(path, tree string) (archive.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return archive.File{}, fmt.Errorf("looking at a file for an image: %w", err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		if err != nil {
			return archive.File{}, fmt.Errorf("following a link for an image: %w", err)
		}
		end := filepath.Join(filepath.Dir(path), target)
		if !filepath.IsAbs(target) && strings.HasPrefix(end, tree+string(filepath.Separator)) {
			return archive.File{Path: path, Target: target}, nil
		}
		if info, err = os.Stat(path); err != nil {
			return archive.File{}, fmt.Errorf("following a link for an image: %w", err)
		}
	}
	return archive.File{Path: path, Source: path, Mode: info.Mode().Perm()}, nil
}
