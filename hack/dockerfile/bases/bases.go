// Package bases makes, without a registry, what stands in for the two images that the Dockerfile begins with: the smallest Debian of
// the machine's own release, and the same with gcc and Go. It owns what is in them; the Dockerfile finds them under the names that it
// says itself.
package bases

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mirubato/mirubato/hack/dockerfile/buildah"
)

// Names of the images, as the Dockerfile says them.
type Names struct{ Debian, Go string }

// builderPackages are what images called golang have besides Go, as far as this repository needs it.
var builderPackages = []string{"gcc", "libc6-dev", "git", "ca-certificates"}

// authorities is the file of the certificates that apt believes.
const authorities = "/etc/ssl/certs/ca-certificates.crt"

// Fresh tells whether the images that Make has left are those that it would make.
func Fresh(dir string, m Machine, names Names) bool {
	present, err := os.ReadFile(stamp(dir))
	return err == nil && string(present) == m.fingerprint(names)
}

func stamp(dir string) string { return filepath.Join(dir, "bases") }

// Make makes both images anew in the engine, whose other images are forgotten. It works in dir, and what is printed goes to log.
func Make(ctx context.Context, engine buildah.Engine, dir string, m Machine, names Names, log io.Writer) error {
	if err := os.Remove(stamp(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting the images before: %w", err)
	}
	if err := engine.Clear(); err != nil {
		return err
	}
	work := filepath.Join(dir, "work")
	defer func() { _ = os.RemoveAll(work) }() // what is left is overwritten the next time
	if err := os.MkdirAll(work, 0o700); err != nil {
		return fmt.Errorf("making the directory of an image: %w", err)
	}
	command := exec.CommandContext(ctx, "mmdebstrap", m.debootstrap(filepath.Join(work, "root.tar"))...)
	command.Stdout, command.Stderr = log, log
	command.Env = append(os.Environ(), "TMPDIR="+work)
	if err := command.Run(); err != nil {
		return fmt.Errorf("mmdebstrap: %w", err)
	}
	for _, image := range []struct{ name, text string }{{names.Debian, debian}, {names.Go, m.builder(names)}} {
		file := filepath.Join(work, "Dockerfile")
		if err := os.WriteFile(file, []byte(image.text), 0o600); err != nil {
			return fmt.Errorf("describing %s: %w", image.name, err)
		}
		if err := engine.Build(ctx, buildah.Build{File: file, Context: work, Tag: Local(image.name)}); err != nil {
			return fmt.Errorf("making %s: %w", image.name, err)
		}
	}
	if err := os.WriteFile(stamp(dir), []byte(m.fingerprint(names)), 0o600); err != nil {
		return fmt.Errorf("noting what was made: %w", err)
	}
	return nil
}

// Local is the name under which the engine finds an image that is called name in a Dockerfile, before it would ask a registry.
func Local(name string) string { return "localhost/" + name }

// debootstrap are the arguments that make the file system of the smallest Debian. Like the images called debian, it has of packages'
// documentation nothing but the licences, and nobody waits until a disk has it.
func (m Machine) debootstrap(tar string) []string {
	args := []string{
		"--mode=root", "--variant=minbase", "--format=tar",
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright", "--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=force-unsafe-io",
	}
	for _, option := range m.Options {
		args = append(args, "--aptopt="+option)
	}
	if strings.Contains(strings.Join(m.Sources, "\n"), " https:") {
		args = append(args, "--include=ca-certificates", "--customize-hook=copy-in "+authorities+" "+filepath.Dir(authorities))
	}
	return append(append(args, m.Codename, tar), m.Sources...)
}

// debian forbids packages to start services, as the images called debian do: there is no network of its own here that would hide them.
const debian = `FROM scratch
ADD root.tar /
RUN printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["bash"]
`

// builder has the settings of the images called golang. Compiler and modules are the machine's: Volumes brings them, and nothing is downloaded.
func (m Machine) builder(names Names) string {
	return fmt.Sprintf(`FROM %s
RUN apt-get update && apt-get install --yes --no-install-recommends %s && rm -rf /var/lib/apt/lists/*
ENV GOLANG_VERSION=%s GOTOOLCHAIN=local GOPATH=/go GOPROXY=off
ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /go
`, names.Debian, strings.Join(builderPackages, " "), strings.TrimPrefix(m.Go, "go"))
}

// Volumes are what commands in the image called golang see of this machine: compiler and modules, both unchangeable, and at cache what the
// compiler has compiled there before, which is not shared with the machine's.
func (m Machine) Volumes(cache string) []string {
	return []string{m.Root + ":/usr/local/go:ro", m.Modules + ":/go/pkg/mod:ro", cache + ":/root/.cache/go-build"}
}
