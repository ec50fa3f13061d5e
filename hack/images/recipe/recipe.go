// Package recipe knows how each image of this repository is made: which program it holds and how it is started. It
// owns the list of images and their names; building and packing are done by the packages program and archive.
package recipe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/images/postgres"
	"github.com/mirubato/mirubato/hack/images/program"
)

// Registry precedes the names of images that are to be pulled from nowhere. Nothing answers there, so that an image which was not
// loaded fails at once instead of being looked for.
const Registry = "localhost/mirubato"

// licenceFile is the licence of this repository in every image. What Debian's packages have brought has licences of its own.
const licenceFile = "/LICENSE"

// unprivileged is the user of programs that need no particular one.
const unprivileged = "65532:65532"

// Options say what to build and where it goes.
type Options struct {
	// Repository is the directory of the root module.
	Repository string
	// Out is the directory of the archives.
	Out string
	// Version is the tag of the images.
	Version string
	// Migrations, if not empty, is a directory whose SQL files are added to those of the scores service.
	Migrations string
	// Registry precedes the names of the images, without a slash at its end; empty means the constant of that name.
	Registry string
	// Architecture is that of the images, as Go names it; empty means this machine's. Those of PostgreSQL and of programs that link C
	// can have no other.
	Architecture string
	// Source and Revision tell on labels where the sources are and which of them these are; empty ones are left out.
	Source, Revision string
	// Created is when the images say they were made; zero means the beginning of 1970, which keeps what is built from being
	// built again.
	Created time.Time
}

// Archive is the path of the archive of the image called name.
func (o Options) Archive(name string) string {
	return filepath.Join(o.Out, name+"-"+o.Version+".tar")
}

// Image is the full name of the image called name.
func (o Options) Image(name string) string {
	return cmp.Or(o.Registry, Registry) + "/" + name + ":" + o.Version
}

// Result is one archive.
type Result struct {
	Path string
	// Image is the full name of the image.
	Image string
	// Bytes is the size of the archive.
	Bytes int64
	// Written is false when the archive was there already.
	Written bool
}

// recipe makes the image called name, without giving it its full name.
type recipe func(ctx context.Context, options Options, name string) (archive.Image, error)

var recipes = map[string]recipe{
	"operator": goProgram(".", "./cmd/operator"),
	"scores":   goProgram(".", "./cmd/scores", "serve"),
	"migrate":  migrateImage,
	"pause":    goProgram("hack", "./images/pause"),
	"postgres": postgresServer,
}

// Names lists the images in the order of the alphabet.
func Names() []string {
	var names []string
	for name := range recipes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Build makes the image called name and writes its archive, unless that is up to date.
func Build(ctx context.Context, options Options, name string) (Result, error) {
	image, err := Prepare(ctx, options, name)
	if err != nil {
		return Result{}, err
	}
	return Pack(options, name, image)
}

// Prepare compiles what the image called name holds and describes the image; nothing is packed.
func Prepare(ctx context.Context, options Options, name string) (archive.Image, error) {
	cook, known := recipes[name]
	if !known {
		return archive.Image{}, fmt.Errorf("there is no image %q; there are %s", name, strings.Join(Names(), ", "))
	}
	if !options.native() && slices.Contains(NativeOnly, name) {
		return archive.Image{}, fmt.Errorf("%w: %s for %s on a machine that is %s", errNative, name, options.Architecture, runtime.GOARCH)
	}
	image, err := cook(ctx, options, name)
	if err != nil {
		return archive.Image{}, err
	}
	licence, err := os.ReadFile(filepath.Join(options.Repository, filepath.Base(licenceFile)))
	if err != nil {
		return archive.Image{}, fmt.Errorf("reading the licence: %w", err)
	}
	image.Files = append(image.Files, archive.File{Path: licenceFile, Content: licence, Mode: 0o644})
	image.Name, image.Architecture = options.Image(name), cmp.Or(options.Architecture, runtime.GOARCH)
	image.Created, image.Labels = options.Created, labels(options, name)
	return image, nil
}

// NativeOnly are the images that can be made for the architecture of this machine only, because they hold Debian's packages as they
// are installed here.
var NativeOnly = []string{"migrate", "postgres"}

var errNative = errors.New("an image with Debian's packages is made for this machine's architecture only")

func (o Options) native() bool {
	return o.Architecture == "" || o.Architecture == runtime.GOARCH
}

// goProgram is the recipe of an image with nothing but one program of ours, which keeps the name of its package. module
// is a directory below the repository.
func goProgram(module, pkg string, arguments ...string) recipe {
	return func(ctx context.Context, options Options, name string) (archive.Image, error) {
		binary, err := build(ctx, options, name, module, pkg)
		if err != nil {
			return archive.Image{}, err
		}
		return programImage(pkg, binary, arguments), nil
	}
}

func programImage(pkg, binary string, arguments []string) archive.Image {
	inside := "/" + filepath.Base(pkg)
	return archive.Image{
		Entrypoint: []string{inside},
		Arguments:  arguments,
		User:       unprivileged,
		Files:      []archive.File{{Path: inside, Source: binary, Mode: 0o755}},
	}
}

// postgresServer is the recipe of a server that finds its databases in a file.
func postgresServer(ctx context.Context, options Options, name string) (archive.Image, error) {
	installation, err := postgres.Find("/")
	if err != nil {
		return archive.Image{}, err
	}
	binary, err := build(ctx, options, name, "hack", "./images/postgres/entrypoint")
	if err != nil {
		return archive.Image{}, err
	}
	return installation.ServerImage(ctx, binary)
}

// migrateImage is the recipe of mirubato-migrate with the programs that it dumps and restores with.
func migrateImage(ctx context.Context, options Options, name string) (archive.Image, error) {
	installation, err := postgres.Find("/")
	if err != nil {
		return archive.Image{}, err
	}
	binary, err := build(ctx, options, name, ".", "./cmd/mirubato-migrate")
	if err != nil {
		return archive.Image{}, err
	}
	return installation.BackupImage(ctx, binary, "/mirubato-migrate")
}

// withC are the packages that link C code.
var withC = map[string]bool{"./cmd/mirubato-migrate": true}

// versioned are the packages whose programs know their version.
var versioned = map[string]bool{"./cmd/operator": true, "./cmd/scores": true}

// build compiles a program to a place of its own for each version, so that building two by turns compiles none twice.
func build(ctx context.Context, options Options, name, module, pkg string) (string, error) {
	work := filepath.Join(options.Out, ".programs")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return "", fmt.Errorf("making the directory of programs: %w", err)
	}
	p := program.Program{
		Dir: filepath.Join(options.Repository, module), Package: pkg, C: withC[pkg], Architecture: options.Architecture,
		Output: filepath.Join(work, name+"-"+options.Version),
	}
	if !options.native() {
		p.Output += "-" + options.Architecture
	}
	if versioned[pkg] {
		p.Version = options.Version
	}
	if options.Migrations != "" && name == "scores" {
		p.Overlay = p.Output + ".overlay.json"
		target := filepath.Join(options.Repository, "service", "scores", "migrations")
		if err := program.WriteOverlay(p.Overlay, target, options.Migrations); err != nil {
			return "", err
		}
	}
	return p.Output, program.Build(ctx, p)
}

// Pack gives image the name that belongs to name and writes its archive, unless that is up to date.
func Pack(options Options, name string, image archive.Image) (Result, error) {
	image.Name = options.Image(name)
	result := Result{Path: options.Archive(name), Image: image.Name}
	written, err := archive.Write(result.Path, image)
	if err != nil {
		return Result{}, err
	}
	info, err := os.Stat(result.Path)
	if err != nil {
		return Result{}, fmt.Errorf("looking at what was packed: %w", err)
	}
	result.Written, result.Bytes = written, info.Size()
	return result, nil
}
