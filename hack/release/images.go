package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/mirubato/mirubato/hack/debian"
	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/images/recipe"
	"github.com/mirubato/mirubato/hack/release/sbom"
)

// Images of a release, and the architectures that they are for.
var (
	imageNames    = []string{"operator", "scores", "migrate"}
	architectures = []string{"amd64", "arm64"}
)

// images makes one archive an image, for all architectures that it can be made for, and a list of parts for each of them.
func (r *release) images(ctx context.Context) error {
	for _, name := range imageNames {
		var images []archive.Image
		for _, architecture := range architecturesOf(name) {
			fmt.Printf("         compiling %s for linux/%s\n", name, architecture)
			image, err := recipe.Prepare(ctx, r.recipe(architecture), name)
			if err != nil {
				return fmt.Errorf("%s for %s: %w", name, architecture, err)
			}
			images = append(images, image)
		}
		file := fmt.Sprintf("%s-%s.tar", name, r.Version)
		digests, err := archive.WriteIndex(r.file(file), images...)
		if err != nil {
			return err
		}
		for _, image := range images {
			if err := r.listImage(ctx, name, image, digests.Images[image.Architecture]); err != nil {
				return err
			}
		}
		r.pulled = append(r.pulled, images[0].Name+"@"+digests.Index)
		fmt.Printf("         %s is for linux/%s\n", file, strings.Join(architecturesOf(name), ", linux/"))
		if slices.Contains(recipe.NativeOnly, name) {
			fmt.Printf("         (%s holds the Debian packages of the machine that makes it; make it for others on such a machine)\n", name)
		}
	}
	return os.WriteFile(r.file("images.txt"), []byte(strings.Join(r.pulled, "\n")+"\n"), 0o644)
}

func architecturesOf(image string) []string {
	if slices.Contains(recipe.NativeOnly, image) {
		return []string{runtime.GOARCH}
	}
	return architectures
}

func (r *release) recipe(architecture string) recipe.Options {
	return recipe.Options{
		Repository: r.Repository, Out: r.Work, Version: r.Version, Registry: r.Registry, Architecture: architecture,
		Source: r.Source, Revision: r.origin.Revision, Created: r.origin.Created,
	}
}

// listImage writes what an image was made of: the modules of its program, and the Debian packages of its other files.
func (r *release) listImage(ctx context.Context, name string, image archive.Image, digest string) error {
	var parts []sbom.Part
	var foreign []string
	for _, file := range image.Files {
		switch {
		case file.Source == "":
		case strings.HasPrefix(file.Source, r.Work+string(filepath.Separator)):
			modules, err := sbom.OfProgram(file.Source)
			if err != nil {
				return err
			}
			parts = append(parts, modules...)
		default:
			foreign = append(foreign, file.Source)
		}
	}
	owners, err := debian.Owners(ctx, foreign)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		parts = append(parts, sbom.Debian(owner.Name, owner.Version, owner.Architecture, owner.Release))
	}
	subject := sbom.Subject{
		Name: r.Registry + "/" + name, Version: r.Version, Container: true, SHA256: strings.TrimPrefix(digest, "sha256:"),
		Licence: image.Labels["org.opencontainers.image.licenses"], Created: r.origin.Created,
	}
	return r.writeList(fmt.Sprintf("%s-%s-linux-%s.cdx.json", name, r.Version, image.Architecture), subject, parts)
}

func (r *release) writeList(name string, subject sbom.Subject, parts []sbom.Part) error {
	var text strings.Builder
	if err := sbom.Write(&text, subject, parts); err != nil {
		return err
	}
	return os.WriteFile(r.file(name), []byte(text.String()), 0o644)
}
