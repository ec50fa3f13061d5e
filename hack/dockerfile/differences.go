package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/mirubato/mirubato/hack/images/archive"
)

// seen is what an image holds, as far as it is compared.
type seen struct {
	config       v1.Config
	architecture string
	files        map[string]content // by path
	// personal are files that no two machines should have in common.
	personal []string
}

// personal are the directories of databases and private keys, which packages may make when they are installed.
var personal = []string{"/etc/ssl/private/", "/var/lib/postgresql/"}

type content struct {
	data []byte
	mode int64
}

func (c content) sum() string {
	sum := sha256.Sum256(c.data)
	return hex.EncodeToString(sum[:])
}

// compared are the files that have to be the same, whatever machine they are made on: the program, and what is in the repository.
func compared(image archive.Image) []archive.File {
	var files []archive.File
	for _, file := range image.Files {
		if file.Path == image.Entrypoint[0] || len(file.Content) > 0 && !strings.HasPrefix(file.Path, "/etc/") {
			files = append(files, file)
		}
	}
	return files
}

// read takes the image's settings, and of wanted what is there.
func read(image v1.Image, wanted []archive.File) (seen, error) {
	described, err := image.ConfigFile()
	if err != nil {
		return seen{}, fmt.Errorf("reading the settings of an image: %w", err)
	}
	out := seen{config: described.Config, architecture: described.Architecture, files: map[string]content{}}
	flat := mutate.Extract(image)
	defer flat.Close()
	reader := tar.NewReader(flat)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, fmt.Errorf("reading the files of an image: %w", err)
		}
		inside := path.Clean("/" + header.Name)
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if slices.ContainsFunc(personal, func(directory string) bool { return strings.HasPrefix(inside, directory) }) {
			out.personal = append(out.personal, inside)
		}
		if !slices.ContainsFunc(wanted, func(file archive.File) bool { return file.Path == inside }) {
			continue
		}
		data, err := io.ReadAll(reader)
		if err != nil {
			return out, fmt.Errorf("reading %s of an image: %w", inside, err)
		}
		out.files[inside] = content{data: data, mode: header.Mode & 0o777}
	}
}

// differences says in one line each what of the image that was built is not as in the one that is made without an engine, whose program
// is read from this machine.
func differences(made archive.Image, built seen) []string {
	problems := differentSettings(made, built)
	if len(built.personal) > 0 {
		problems = append(problems, fmt.Sprintf("it has %d files that belong to a single machine, such as %s", len(built.personal), built.personal[0]))
	}
	for _, file := range compared(made) {
		got, found := built.files[file.Path]
		if !found {
			problems = append(problems, "it has no "+file.Path)
			continue
		}
		want := file.Content
		if file.Source != "" {
			var err error
			if want, err = os.ReadFile(file.Source); err != nil {
				problems = append(problems, fmt.Sprintf("what to compare %s with: %v", file.Path, err))
				continue
			}
		}
		if mode := int64(file.Mode.Perm()); got.mode != mode {
			problems = append(problems, fmt.Sprintf("%s has the mode %o, not %o", file.Path, got.mode, mode))
		}
		if !bytes.Equal(want, got.data) {
			problems = append(problems, fmt.Sprintf("%s differs from that of make images: %s", file.Path, why(want, got.data)))
		}
		if file.Path == made.Entrypoint[0] {
			problems = append(problems, linked(file.Path, got.data)...)
		}
	}
	return problems
}

func differentSettings(made archive.Image, built seen) []string {
	var problems []string
	for _, setting := range []struct {
		name      string
		want, got any
	}{
		{"user", made.User, built.config.User},
		{"entrypoint", made.Entrypoint, built.config.Entrypoint},
		{"arguments", made.Arguments, built.config.Cmd},
		{"working directory", "/", built.config.WorkingDir},
		{"architecture", made.Architecture, built.architecture},
	} {
		if want, got := fmt.Sprint(setting.want), fmt.Sprint(setting.got); want != got {
			problems = append(problems, fmt.Sprintf("its %s is %s, not %s", setting.name, got, want))
		}
	}
	for _, entry := range made.Environment {
		if !slices.Contains(built.config.Env, entry) {
			problems = append(problems, fmt.Sprintf("its environment lacks %s: %q", entry, built.config.Env))
		}
	}
	var labels []string
	for name, want := range made.Labels {
		if got := built.config.Labels[name]; got != want {
			labels = append(labels, fmt.Sprintf("its label %s is %q, not %q", name, got, want))
		}
	}
	slices.Sort(labels)
	return append(problems, labels...)
}

// linked wants a program that needs nothing but the kernel.
func linked(name string, program []byte) []string {
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return []string{fmt.Sprintf("%s is no program for Linux: %v", name, err)}
	}
	libraries, err := file.ImportedLibraries()
	hasLoader := slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	if err != nil || len(libraries) > 0 || hasLoader {
		return []string{fmt.Sprintf("%s is not linked statically: it needs %v", name, libraries)}
	}
	return nil
}

// why compares what the compiler has noted of two programs.
func why(want, got []byte) string {
	noted := [2]string{}
	for i, program := range [][]byte{want, got} {
		info, err := buildinfo.Read(bytes.NewReader(program))
		if err != nil {
			return fmt.Sprintf("%d bytes in place of %d", len(got), len(want))
		}
		noted[i] = info.String()
	}
	for one := range strings.Lines(noted[0]) {
		if !strings.Contains(noted[1], one) {
			return fmt.Sprintf("its %q is missing or another one", strings.TrimSpace(strings.ReplaceAll(one, "\t", " ")))
		}
	}
	switch {
	case noted[0] != noted[1]:
		return "the compiler has noted more of it"
	case strings.Contains(noted[0], "CGO_ENABLED=1"):
		return "modules and settings are the same; gcc, binutils and libc6-dev of this machine may be older than Debian's: apt-get upgrade"
	default:
		return "modules and settings are the same; flags of the linker, which it does not note, may differ"
	}
}
