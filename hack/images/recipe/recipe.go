// Package recipe knows how each image of this repository is made: which program it holds and how it is started. It
// owns the list of images and their names; building and packing are done by the packages program and archive.
package recipe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/images/program"
)

// Registry precedes the names of all images. Nothing answers there, so that an image which was not loaded fails at once
// instead of being looked for.
const Registry = "localhost/mirubato/"

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

// image is how one image is made from one Go program.
type image struct {
	// module is the directory of the Go module, below the repository.
	module    string
	pkg       string
	arguments []string
}

var images = map[string]image{
	"operator": {module: ".", pkg: "./cmd/operator"},
	"scores":   {module: ".", pkg: "./cmd/scores", arguments: []string{"serve"}},
	"migrate":  {module: ".", pkg: "./cmd/mirubato-migrate"},
	"pause":    {module: "hack", pkg: "./images/pause"},
}

// Names lists the images in the order of the alphabet.
func Names() []string {
	var names []string
	for name := range images {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Build makes the image called name.
func Build(ctx context.Context, options Options, name string) (Result, error) {
	recipe, known := images[name]
	if !known {
		return Result{}, fmt.Errorf("there is no image %q; there are %s", name, strings.Join(Names(), ", "))
	}
	work := filepath.Join(options.Out, ".programs")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return Result{}, fmt.Errorf("making the directory of programs: %w", err)
	}
	overlay := ""
	if options.Migrations != "" && name == "scores" {
		overlay = filepath.Join(work, "overlay.json")
		target := filepath.Join(options.Repository, "service", "scores", "migrations")
		if err := program.WriteOverlay(overlay, target, options.Migrations); err != nil {
			return Result{}, err
		}
	}
	// The program's name is the last element of its package, in the image as here.
	binary := filepath.Join(work, filepath.Base(recipe.pkg))
	module := filepath.Join(options.Repository, recipe.module)
	if err := program.Build(ctx, module, recipe.pkg, binary, overlay); err != nil {
		return Result{}, err
	}
	return Pack(options, name, recipe.describe(binary))
}

// describe is the image without its name.
func (i image) describe(binary string) archive.Image {
	inside := "/" + filepath.Base(i.pkg)
	return archive.Image{
		Entrypoint: []string{inside},
		Arguments:  i.arguments,
		User:       unprivileged,
		Files:      []archive.File{{Path: inside, Source: binary, Mode: 0o755}},
	}
}

// Pack gives image the name that belongs to name and writes its archive.
func Pack(options Options, name string, image archive.Image) (Result, error) {
	image.Name = Registry + name + ":" + options.Version
	result := Result{Path: filepath.Join(options.Out, name+".tar"), Image: image.Name}
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
