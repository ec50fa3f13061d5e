package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/hack/release/bundle"
)

var charts = []string{"mirubato-operator", "mirubato-service"}

// manifests makes install.yaml from config/default, and packs the charts. All of them name the images of this release.
func (r *release) manifests(context.Context) error {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).
		Run(filesys.MakeFsOnDisk(), filepath.Join(r.Repository, "config", "default"))
	if err != nil {
		return fmt.Errorf("building config/default: %w", err)
	}
	text, err := built.AsYaml()
	if err != nil {
		return fmt.Errorf("encoding config/default: %w", err)
	}
	if text, err = located(text, r.Registry, r.Version); err != nil {
		return fmt.Errorf("config/default: %w", err)
	}
	if err := os.WriteFile(r.file("install.yaml"), text, 0o644); err != nil {
		return err
	}
	for _, name := range charts {
		if err := r.chart(name); err != nil {
			return fmt.Errorf("chart %s: %w", name, err)
		}
	}
	return nil
}

// imageOf finds the images of the product as config and charts name them, with a tag or without.
var imageOf = regexp.MustCompile(`([ "])mirubato/(operator|migrate)(?::([0-9A-Za-z.+-]+))?("?)(\s)`)

var errImages = errors.New("none of the product's images is named")

// located returns text with the images of the product found in registry. A tag other than version is an error: config and the charts
// belong to the release that they are part of.
func located(text []byte, registry, version string) ([]byte, error) {
	found := imageOf.FindAllSubmatch(text, -1)
	if len(found) == 0 {
		return nil, errImages
	}
	for _, match := range found {
		if tag := string(match[3]); tag != "" && tag != version {
			return nil, fmt.Errorf("mirubato/%s has the tag %s; releasing %s, it must be that", match[2], tag, version)
		}
	}
	return imageOf.ReplaceAllFunc(text, func(match []byte) []byte {
		return bytes.Replace(match, []byte("mirubato/"), []byte(registry+"/"), 1)
	}), nil
}

// chart packs a chart as helm package does, but with the commit's time on every file.
func (r *release) chart(name string) error {
	directory := filepath.Join(r.Repository, "charts", name)
	files, err := chartFiles(directory, name)
	if err != nil {
		return err
	}
	for i, file := range files {
		switch file.Path {
		case name + "/values.yaml":
			if files[i].Content, err = located(file.Content, r.Registry, r.Version); err != nil {
				return err
			}
		case name + "/Chart.yaml":
			if err := checkVersion(file.Content, r.Version); err != nil {
				return err
			}
		}
	}
	var packed bytes.Buffer
	if err := bundle.TarGz(&packed, r.origin.Created, files); err != nil {
		return err
	}
	return os.WriteFile(r.file(name+"-"+r.Version+".tgz"), packed.Bytes(), 0o644)
}

func checkVersion(chart []byte, version string) error {
	var described struct {
		Version    string `json:"version"`
		AppVersion string `json:"appVersion"`
	}
	if err := yaml.Unmarshal(chart, &described); err != nil {
		return fmt.Errorf("decoding Chart.yaml: %w", err)
	}
	if described.Version != version || described.AppVersion != version {
		return fmt.Errorf("the chart has version %s and appVersion %s; releasing %s, both must be that", described.Version, described.AppVersion, version)
	}
	return nil
}

// chartFiles returns the files of a chart below its name, without those that .helmignore keeps out of a package.
func chartFiles(directory, name string) ([]bundle.File, error) {
	ignored, err := ignoredFiles(filepath.Join(directory, ".helmignore"))
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(directory)
	if err != nil {
		return nil, fmt.Errorf("opening the chart: %w", err)
	}
	defer root.Close()
	var files []bundle.File
	err = fs.WalkDir(root.FS(), ".", func(inside string, found fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case found.IsDir() && slices.Contains(ignored, inside+"/"):
			return fs.SkipDir
		case found.IsDir() || slices.Contains(ignored, inside):
			return nil
		default:
			content, err := fs.ReadFile(root.FS(), inside)
			files = append(files, bundle.File{Path: name + "/" + inside, Content: content, Mode: 0o644})
			return err
		}
	})
	if err != nil {
		return nil, fmt.Errorf("collecting the files: %w", err)
	}
	return files, nil
}

// ignoredFiles reads the names of files and, with a slash behind them, directories. Patterns, of which the charts have none, are an error.
func ignoredFiles(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading what is kept out of the chart: %w", err)
	}
	out := []string{".helmignore"}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if strings.ContainsAny(line, "*?[!") {
			return nil, fmt.Errorf("%s: %q is a pattern; only names are understood", path, line)
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out, nil
}
