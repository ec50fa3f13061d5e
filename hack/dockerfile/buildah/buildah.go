// Package buildah has Debian's container engine of that name build and run images. It owns how that is kept apart from the machine: a
// storage, settings and temporary files of its own below one directory, mounts that vanish with the process that made them, and no
// registry that is asked. It knows nothing of what is built.
package buildah

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// cache is where the engine notes what it has seen of layers; it cannot be told another place.
const cache = "/var/lib/containers"

// Engine runs one command at a time. It needs root.
type Engine struct {
	dir string
	log io.Writer
}

// settings lie below the directory, from which the engine reads them instead of /etc/containers.
var settings = map[string]string{
	"home/.config/containers/policy.json":     `{"default": [{"type": "insecureAcceptAnything"}]}` + "\n",
	"home/.config/containers/registries.conf": "unqualified-search-registries = []\nshort-name-mode = \"disabled\"\n",
}

// New prepares dir, which is absolute, and finds out whether the engine works there. What it prints goes to log. Close is to be called
// when it is no longer used.
func New(ctx context.Context, dir string, log io.Writer) (Engine, error) {
	e := Engine{dir: dir, log: log}
	for _, sub := range []string{"tmp", "cache"} {
		if err := os.MkdirAll(e.path(sub), 0o700); err != nil {
			return e, fmt.Errorf("preparing the container engine: %w", err)
		}
	}
	for name, text := range settings {
		if err := os.MkdirAll(filepath.Dir(e.path(name)), 0o700); err != nil {
			return e, fmt.Errorf("preparing the container engine: %w", err)
		}
		if err := os.WriteFile(e.path(name), []byte(text), 0o600); err != nil {
			return e, fmt.Errorf("preparing the container engine: %w", err)
		}
	}
	if err := os.MkdirAll(cache, 0o700); err != nil { // to mount on; Close removes it
		return e, fmt.Errorf("preparing the container engine: %w", err)
	}
	if _, err := e.run(ctx, nil, "info"); err != nil {
		e.Close()
		return e, fmt.Errorf("%w\nit needs root, and a file system below %s that overlays can be made on, such as ext4", err, dir)
	}
	if _, err := e.run(ctx, nil, "rm", "--all"); err != nil { // containers of a run that was killed, which keep their images
		e.Close()
		return e, err
	}
	return e, nil
}

func (e Engine) path(name string) string { return filepath.Join(e.dir, name) }

// Close removes what New made outside the directory.
func (Engine) Close() { _ = os.Remove(cache) } // stays if it is not empty: then it is the machine's own

// Clear forgets all images.
func (e Engine) Clear() error {
	if err := errors.Join(os.RemoveAll(e.path("storage")), os.RemoveAll(e.path("run"))); err != nil {
		return fmt.Errorf("removing images: %w", err)
	}
	return nil
}

// Build is an image to be built.
type Build struct {
	// File is the path of the Dockerfile, Context the directory whose files it copies, Target the stage; empty means the last one.
	File, Context, Target string
	// Tag is the name of the image.
	Tag string
	// Arguments are in the form NAME=value, Volumes in the form DIRECTORY:INSIDE:ro. The latter are there while commands are run; they
	// do not decide whether a step is taken from the cache.
	Arguments, Volumes []string
}

// Build builds an image, unless the same steps on the same files have been done before.
func (e Engine) Build(ctx context.Context, b Build) error {
	args := []string{
		"build", "--isolation", "chroot", "--layers", "--pull=never", "--identity-label=false", "--format", "oci", "--file", b.File, "--tag", b.Tag,
	}
	if b.Target != "" {
		args = append(args, "--target", b.Target)
	}
	for _, argument := range b.Arguments {
		args = append(args, "--build-arg", argument)
	}
	for _, volume := range b.Volumes {
		args = append(args, "--volume", volume)
	}
	_, err := e.run(ctx, nil, append(args, b.Context)...)
	return err
}

// Prune removes the steps of images that were built before and have no name any more.
func (e Engine) Prune(ctx context.Context) error {
	_, err := e.run(ctx, nil, "rmi", "--prune")
	return err
}

// Export writes an image to a file, in the form of docker save, without compressing it.
func (e Engine) Export(ctx context.Context, image, file string) error {
	if err := os.RemoveAll(file); err != nil { // the engine adds to what is there
		return fmt.Errorf("exporting %s: %w", image, err)
	}
	_, err := e.run(ctx, nil, "push", "--quiet", image, "docker-archive:"+file+":"+image)
	return err
}

// Run starts command in a container of its own of the image, as the image's user and with its environment, and returns what it has
// printed. The entrypoint is not added.
func (e Engine) Run(ctx context.Context, image string, input io.Reader, command ...string) (output string, err error) {
	name, err := e.run(ctx, nil, "from", "--pull=never", "--quiet", image)
	if err != nil {
		return "", err
	}
	name = strings.TrimSpace(name)
	defer func() {
		_, removed := e.run(context.WithoutCancel(ctx), nil, "rm", name)
		err = errors.Join(err, removed)
	}()
	return e.run(ctx, input, slices.Concat([]string{"run", "--isolation", "chroot", name, "--"}, command)...)
}

// isolated makes what follows its first argument see the private cache, in a namespace of mounts that ends with it: killed, it leaves none.
const isolated = `mount --bind "$1" ` + cache + ` && shift && exec buildah "$@"`

func (e Engine) run(ctx context.Context, input io.Reader, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "unshare", slices.Concat(
		[]string{"--mount", "--propagation", "private", "sh", "-c", isolated, "sh", e.path("cache")},
		[]string{"--root", e.path("storage"), "--runroot", e.path("run"), "--storage-driver", "overlay"}, args)...)
	command.Env = append(environment(os.Environ()), "HOME="+e.path("home"), "TMPDIR="+e.path("tmp"))
	command.Stdin = input
	var out bytes.Buffer
	said := newTail(e.log)
	command.Stdout, command.Stderr = io.MultiWriter(&out, said), said
	fmt.Fprintf(e.log, "\n$ buildah %s\n", strings.Join(args, " "))
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("buildah %s: %w\n%s", args[0], err, said.String())
	}
	return out.String(), nil
}

// environment keeps of the machine's what leads to the network, and programs; settings of engines are not among them.
func environment(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return !slices.Contains([]string{"PATH", "LANG", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}, name)
	})
}
