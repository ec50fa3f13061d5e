package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/hack/images/program"
	"github.com/mirubato/mirubato/hack/release/bundle"
	"github.com/mirubato/mirubato/hack/release/sbom"
)

const pluginName = "kubectl-mirubato"

// platform is a system that the plugin is made for.
type platform struct{ os, architecture string }

var platforms = []platform{
	{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// program is the name of the plugin's file there.
func (p platform) program() string {
	if p.os == "windows" {
		return pluginName + ".exe"
	}
	return pluginName
}

// archive is the name of what is downloaded.
func (p platform) archive(version string) string {
	extension := ".tar.gz"
	if p.os == "windows" {
		extension = ".zip"
	}
	return fmt.Sprintf("%s-%s-%s-%s%s", pluginName, version, p.os, p.architecture, extension)
}

// plugin makes kubectl's plugin for every platform, and the manifest by which Krew installs it.
func (r *release) plugin(ctx context.Context) error {
	sums := map[platform]string{}
	for _, p := range platforms {
		fmt.Printf("         compiling %s for %s/%s\n", pluginName, p.os, p.architecture)
		sum, err := r.pluginFor(ctx, p)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", p.os, p.architecture, err)
		}
		sums[p] = sum
	}
	manifest, err := yaml.Marshal(krew(r.config, sums))
	if err != nil {
		return fmt.Errorf("encoding the manifest for Krew: %w", err)
	}
	return os.WriteFile(r.file("mirubato.yaml"), manifest, 0o644)
}

// pluginFor packs the plugin and returns the SHA-256 of the archive in hex.
func (r *release) pluginFor(ctx context.Context, p platform) (string, error) {
	built := program.Program{
		Dir: r.Repository, Package: "./cmd/kubectl-mirubato", Version: r.Version, OS: p.os, Architecture: p.architecture,
		Output: filepath.Join(r.Work, p.os+"-"+p.architecture, p.program()),
	}
	if err := program.Build(ctx, built); err != nil {
		return "", err
	}
	content, err := os.ReadFile(built.Output)
	if err != nil {
		return "", fmt.Errorf("reading the plugin: %w", err)
	}
	licence, err := os.ReadFile(filepath.Join(r.Repository, "LICENSE"))
	if err != nil {
		return "", fmt.Errorf("reading the licence: %w", err)
	}
	pack := bundle.TarGz
	if p.os == "windows" {
		pack = bundle.Zip
	}
	var packed bytes.Buffer
	if err := pack(&packed, r.origin.Created, []bundle.File{
		{Path: p.program(), Content: content, Mode: 0o755}, {Path: "LICENSE", Content: licence, Mode: 0o644},
	}); err != nil {
		return "", err
	}
	if err := os.WriteFile(r.file(p.archive(r.Version)), packed.Bytes(), 0o644); err != nil {
		return "", err
	}
	parts, err := sbom.OfProgram(built.Output)
	if err != nil {
		return "", err
	}
	subject := sbom.Subject{Name: pluginName, Version: r.Version, SHA256: sum(content), Licence: "Apache-2.0", Created: r.origin.Created}
	if err := r.writeList(fmt.Sprintf("%s-%s-%s-%s.cdx.json", pluginName, r.Version, p.os, p.architecture), subject, parts); err != nil {
		return "", err
	}
	return sum(packed.Bytes()), nil
}

func sum(content []byte) string {
	hash := sha256.Sum256(content)
	return hex.EncodeToString(hash[:])
}

// krew describes the plugin as https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/ wants it.
func krew(c config, sums map[platform]string) map[string]any {
	var available []any
	for _, p := range platforms {
		available = append(available, map[string]any{
			"selector": map[string]any{"matchLabels": map[string]any{"os": p.os, "arch": p.architecture}},
			"uri":      c.Downloads + "/" + p.archive(c.Version),
			"sha256":   sums[p],
			"bin":      p.program(),
		})
	}
	return map[string]any{
		"apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
		"kind":       "Plugin",
		"metadata":   map[string]any{"name": "mirubato"},
		"spec": map[string]any{
			"version":          "v" + c.Version,
			"homepage":         c.Source,
			"shortDescription": "Watch and steer releases of Microservices",
			"description": "Shows where Microservices are on their way through their environments and why, what a changed file would do,\n" +
				"and the evidence of releases. Approves, aborts, retries, holds and rolls back; waits in pipelines.\n" +
				"Works with the rights of whoever calls it.\n",
			"caveats":   "The cluster must run the Mirubato operator; `kubectl mirubato version` says whether both go together.\n",
			"platforms": available,
		},
	}
}
