package postgres

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mirubato/mirubato/hack/images/archive"
)

// errNoLibrary says that a library which a program names is not on this machine.
var errNoLibrary = errors.New("no such library")

// libraryFiles returns every shared library that the ELF files at paths need, directly or through another one, and the
// loader that starts them. The files are read, not run.
func libraryFiles(paths []string) ([]archive.File, error) {
	found := map[string]archive.File{} // by the path in the image
	pending := slices.Clone(paths)
	for len(pending) > 0 {
		path := pending[0]
		pending = pending[1:]
		needs, err := readNeeds(path)
		if err != nil {
			return nil, err
		}
		if needs.loader != "" {
			// Every top directory of the loader's path is a link to the one below /usr.
			inside := "/usr" + strings.TrimPrefix(needs.loader, "/usr")
			found[inside] = archive.File{Path: inside, Source: needs.loader, Mode: 0o755}
		}
		for _, name := range needs.libraries {
			library, err := locate(name, needs.directories())
			if err != nil {
				return nil, fmt.Errorf("looking for what %s needs: %w", path, err)
			}
			if _, known := found[library]; !known {
				found[library] = archive.File{Path: library, Source: library, Mode: 0o755}
				pending = append(pending, library)
			}
		}
	}
	files := make([]archive.File, 0, len(found))
	for _, file := range found {
		files = append(files, file)
	}
	slices.SortFunc(files, func(a, b archive.File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// needs is what an ELF file asks of the system that runs it.
type needs struct {
	libraries []string
	loader    string
	runpath   []string
	machine   elf.Machine
}

func readNeeds(path string) (needs, error) {
	file, err := elf.Open(path)
	if err != nil {
		return needs{}, fmt.Errorf("reading what %s needs: %w", path, err)
	}
	defer file.Close()
	n := needs{machine: file.Machine}
	if n.libraries, err = file.ImportedLibraries(); err != nil {
		return needs{}, fmt.Errorf("reading what %s needs: %w", path, err)
	}
	// Neither entry has to be there.
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		paths, err := file.DynString(tag)
		if err != nil {
			return needs{}, fmt.Errorf("reading where %s looks: %w", path, err)
		}
		for _, p := range paths {
			n.runpath = append(n.runpath, strings.Split(strings.ReplaceAll(p, "$ORIGIN", filepath.Dir(path)), ":")...)
		}
	}
	for _, program := range file.Progs {
		if program.Type != elf.PT_INTERP {
			continue
		}
		name := make([]byte, program.Filesz)
		if _, err := program.ReadAt(name, 0); err != nil {
			return needs{}, fmt.Errorf("reading the loader of %s: %w", path, err)
		}
		n.loader = strings.TrimRight(string(name), "\x00")
	}
	return n, nil
}

// multiarch names Debian's directories of libraries.
var multiarch = map[elf.Machine]string{elf.EM_X86_64: "x86_64-linux-gnu", elf.EM_AARCH64: "aarch64-linux-gnu"}

func (n needs) directories() []string {
	return append(slices.Clone(n.runpath), filepath.Join("/usr/lib", multiarch[n.machine]), "/usr/lib", "/usr/lib64")
}

func locate(name string, directories []string) (string, error) {
	for _, dir := range directories {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w in %s", name, errNoLibrary, strings.Join(directories, ", "))
}
