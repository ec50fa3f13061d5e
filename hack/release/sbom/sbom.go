// Package sbom lists what a program or an image was made of, as CycloneDX. The Go modules are those that the compiler wrote into the
// program, not those of a go.mod, which also names what only tests need. The same parts give the same bytes.
package sbom

import (
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"io"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"
)

// Subject is what a list is about.
type Subject struct {
	Name, Version string
	// Container is true for an image, false for a program.
	Container bool
	// SHA256 is the digest of the program, or of the image's manifest, in hex.
	SHA256 string
	// Licence is an SPDX expression for what is our own.
	Licence string
	// Created is the time that the list carries.
	Created time.Time
}

// Part is one thing that the subject was made of.
type Part struct {
	Name, Version string
	// Package is its package URL: https://github.com/package-url/purl-spec.
	Package string
}

// OfProgram returns the Go modules in the program at path, with Go's own library.
func OfProgram(path string) ([]Part, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading what %s was built from: %w", path, err)
	}
	return modules(info), nil
}

func modules(info *debug.BuildInfo) []Part {
	version := strings.TrimPrefix(info.GoVersion, "go")
	parts := []Part{{Name: "std", Version: version, Package: "pkg:golang/std@" + version}}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		parts = append(parts, Part{Name: module.Path, Version: module.Version, Package: "pkg:golang/" + module.Path + "@" + url.PathEscape(module.Version)})
	}
	return parts
}

// Debian returns the part that is a Debian package. release is that of the distribution, such as debian-12.
func Debian(name, version, architecture, release string) Part {
	query := url.Values{"arch": {architecture}, "distro": {release}}
	return Part{Name: name, Version: version, Package: "pkg:deb/debian/" + name + "@" + url.PathEscape(version) + "?" + query.Encode()}
}

// Write writes the list of a subject's parts to w.
func Write(w io.Writer, subject Subject, parts []Part) error {
	parts = slices.Clone(parts)
	slices.SortFunc(parts, func(a, b Part) int { return strings.Compare(a.Package, b.Package) })
	parts = slices.Compact(parts)

	kind, root := cyclonedx.ComponentTypeApplication, "pkg:generic/"+subject.Name+"@"+subject.Version
	if subject.Container {
		kind = cyclonedx.ComponentTypeContainer
	}
	component := cyclonedx.Component{
		BOMRef: root, Type: kind, Name: subject.Name, Version: subject.Version,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: subject.SHA256}},
	}
	if subject.Licence != "" {
		component.Licenses = &cyclonedx.Licenses{{Expression: subject.Licence}}
	}
	components, references := make([]cyclonedx.Component, 0, len(parts)), make([]string, 0, len(parts))
	for _, part := range parts {
		components = append(components, cyclonedx.Component{
			BOMRef: part.Package, Type: cyclonedx.ComponentTypeLibrary, Name: part.Name, Version: part.Version, PackageURL: part.Package,
		})
		references = append(references, part.Package)
	}
	list := cyclonedx.NewBOM()
	list.SerialNumber = "urn:uuid:" + serial(subject, parts).String()
	list.Metadata = &cyclonedx.Metadata{Timestamp: subject.Created.UTC().Format(time.RFC3339), Component: &component}
	list.Components = &components
	// What needs what is not known here, only that the subject needs all of them.
	list.Dependencies = &[]cyclonedx.Dependency{{Ref: root, Dependencies: &references}}
	if err := cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(list); err != nil {
		return fmt.Errorf("encoding the parts of %s: %w", subject.Name, err)
	}
	return nil
}

// serial is the number of a list, which is to differ where the content does and only there.
func serial(subject Subject, parts []Part) uuid.UUID {
	return uuid.NewHash(sha256.New(), uuid.NameSpaceURL, fmt.Appendf(nil, "%v %v", subject, parts), 8)
}
