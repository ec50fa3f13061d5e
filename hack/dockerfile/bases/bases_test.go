package bases

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSources(t *testing.T) {
	got := parseSources([]byte("Debian http://deb.example.com/debian/ bookworm main\nOther https://other.example.com x main\n" +
		"Debian http://deb.example.com/debian-security/ bookworm-security main\nDebian http://deb.example.com/debian/ bookworm main\n"))
	want := []string{"deb http://deb.example.com/debian-security/ bookworm-security main", "deb http://deb.example.com/debian/ bookworm main"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseOptions(t *testing.T) {
	got := parseOptions([]byte("Acquire \"\";\nAcquire::http \"\";\nAcquire::http::Proxy \"http://proxy.example.com:3128\";\nAcquire::httpsx \"1\";\n" +
		"Acquire::Check-Date \"false\";\nAcquire::IndexTargets::deb::Packages::Optional \"0\";\nAcquire::Retries \"3\";\n"))
	want := []string{`Acquire::http::Proxy "http://proxy.example.com:3128";`, `Acquire::Check-Date "false";`, `Acquire::Retries "3";`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseCodename(t *testing.T) {
	if got := parseCodename([]byte("ID=debian\nVERSION_CODENAME=bookworm\nVERSION=\"12 (bookworm)\"\n")); got != "bookworm" {
		t.Errorf("got %q", got)
	}
}

func TestDebootstrapBelievesTheMachinesAuthorities(t *testing.T) {
	for source, want := range map[string]bool{"deb http://deb.example.com/debian x main": false, "deb https://deb.example.com/debian x main": true} {
		args := Machine{Codename: "x", Sources: []string{source}, Options: []string{`Acquire::Retries "3";`}}.debootstrap("root.tar")
		if got := slices.Contains(args, "--include=ca-certificates"); got != want {
			t.Errorf("%s: certificates are included: %t, want %t", source, got, want)
		}
		if last := args[len(args)-3:]; !slices.Equal(last, []string{"x", "root.tar", source}) || !slices.Contains(args, `--aptopt=Acquire::Retries "3";`) {
			t.Errorf("got %q", args)
		}
	}
}

func TestImagesAreMadeAgainWhenTheMachineChanges(t *testing.T) {
	names := Names{Debian: "debian:12.1-slim", Go: "golang:1.26.8-bookworm"}
	machine := Machine{
		Codename: "bookworm", Sources: []string{"deb http://deb.example.com/debian x main"}, Go: "go1.26.8",
		Installed: parseInstalled([]byte("zlib1g 1\nlibc6-dev 2.36-9\nbinutils 2.40-2\n")),
	}
	if diff := cmp.Diff([]string{"binutils 2.40-2", "libc6-dev 2.36-9"}, machine.Installed); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	dir := t.TempDir()
	if Fresh(dir, machine, names) {
		t.Error("there are images where nothing was made")
	}
	if err := os.WriteFile(stamp(dir), []byte(machine.fingerprint(names)), 0o600); err != nil {
		t.Fatal(err)
	}
	if !Fresh(dir, machine, names) {
		t.Error("nothing has changed, and the images are to be made again")
	}
	for name, change := range map[string]func(*Machine, *Names){
		"a package was upgraded":     func(m *Machine, _ *Names) { m.Installed = []string{"libc6-dev 2.36-10"} },
		"there is another Go":        func(m *Machine, _ *Names) { m.Go = "go1.26.9" },
		"packages come from a proxy": func(m *Machine, _ *Names) { m.Options = []string{`Acquire::http::Proxy "http://proxy.example.com";`} },
		"the Dockerfile names other": func(_ *Machine, n *Names) { n.Debian = "debian:12.2-slim" },
	} {
		other, otherNames := machine, names
		change(&other, &otherNames)
		if Fresh(dir, other, otherNames) {
			t.Errorf("%s, and the images stay", name)
		}
	}
}

func TestBuilderBeginsWithTheOtherImage(t *testing.T) {
	text := Machine{Go: "go1.26.8"}.builder(Names{Debian: "debian:12.1-slim"})
	for _, want := range []string{"FROM debian:12.1-slim\n", "GOLANG_VERSION=1.26.8 ", " gcc libc6-dev "} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
}
