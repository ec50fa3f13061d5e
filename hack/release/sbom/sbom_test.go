package sbom

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
)

func TestModules(t *testing.T) {
	got := modules(&debug.BuildInfo{GoVersion: "go1.26.8", Deps: []*debug.Module{
		{Path: "example.com/a", Version: "v1.0.0+incompatible"},
		{Path: "example.com/b", Version: "v2.0.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v2.0.1"}},
	}})
	want := []Part{
		{Name: "std", Version: "1.26.8", Package: "pkg:golang/std@1.26.8"},
		{Name: "example.com/a", Version: "v1.0.0+incompatible", Package: "pkg:golang/example.com/a@v1.0.0+incompatible"},
		{Name: "example.com/fork", Version: "v2.0.1", Package: "pkg:golang/example.com/fork@v2.0.1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOfProgram reads this test, of which the compiler notes Go's own version but not the modules.
func TestOfProgram(t *testing.T) {
	parts, err := OfProgram(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) == 0 || "go"+parts[0].Version != runtime.Version() {
		t.Errorf("this program is said to be made of %v", parts)
	}
	if _, err := OfProgram("sbom.go"); err == nil {
		t.Error("a text was taken for a program")
	}
}

func TestWrite(t *testing.T) {
	subject := Subject{
		Name: "registry.example.com/mirubato/migrate", Version: "1.2.0", Container: true, SHA256: strings.Repeat("a", 64), Licence: "Apache-2.0",
		Created: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	parts := []Part{Debian("libpq5", "15.14-0+deb12u1", "amd64", "debian-12"), {Name: "std", Version: "1.26.8", Package: "pkg:golang/std@1.26.8"}}
	var once, twice bytes.Buffer
	if err := Write(&once, subject, parts); err != nil {
		t.Fatal(err)
	}
	// In another order, and one twice.
	if err := Write(&twice, subject, []Part{parts[1], parts[0], parts[1]}); err != nil {
		t.Fatal(err)
	}
	if once.String() != twice.String() {
		t.Errorf("the same parts gave:\n%s\nand:\n%s", once.String(), twice.String())
	}
	list := cyclonedx.NewBOM()
	if err := cyclonedx.NewBOMDecoder(&once, cyclonedx.BOMFileFormatJSON).Decode(list); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, component := range *list.Components {
		got = append(got, component.PackageURL)
	}
	if diff := cmp.Diff([]string{"pkg:deb/debian/libpq5@15.14-0+deb12u1?arch=amd64&distro=debian-12", "pkg:golang/std@1.26.8"}, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if list.Metadata.Timestamp != "2026-03-01T12:00:00Z" || list.Metadata.Component.Type != cyclonedx.ComponentTypeContainer {
		t.Errorf("the list is of %+v", list.Metadata)
	}
}
