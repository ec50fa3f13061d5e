package recipe

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/hack/dockerfile/stages"
	"github.com/mirubato/mirubato/hack/images/archive"
)

const root = "../../.."

func described(t testing.TB) stages.File {
	t.Helper()
	return stages.Read(read(t, "Dockerfile"))
}

// the returns what follows the only instruction of that name.
func the(t testing.TB, stage stages.Stage, name string) string {
	t.Helper()
	found := stage.All(name)
	if len(found) > 1 {
		t.Errorf("there are several %s: %q", name, found)
	}
	return strings.Join(found, "\n")
}

func read(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestDockerfileStartsTheSamePrograms compares how containers of either image start.
func TestDockerfileStartsTheSamePrograms(t *testing.T) {
	type start struct {
		User                  string
		Entrypoint, Arguments []string
	}
	for name, image := range map[string]archive.Image{
		"operator": programImage("./cmd/operator", "", nil),
		"scores":   programImage("./cmd/scores", "", []string{"serve"}),
		"migrate":  {User: unprivileged, Entrypoint: []string{"/mirubato-migrate"}},
	} {
		stage := described(t).Stage(name)
		got := start{User: the(t, stage, "USER")}
		for instruction, field := range map[string]*[]string{"ENTRYPOINT": &got.Entrypoint, "CMD": &got.Arguments} {
			if text := the(t, stage, instruction); text != "" {
				if err := json.Unmarshal([]byte(text), field); err != nil {
					t.Errorf("%s: %s %s: %v", name, instruction, text, err)
				}
			}
		}
		if diff := cmp.Diff(start{image.User, image.Entrypoint, image.Arguments}, got); diff != "" {
			t.Errorf("%s (-recipe +Dockerfile):\n%s", name, diff)
		}
		own := labels(Options{Version: "${VERSION}"}, name)
		for _, label := range []string{"title", "version", "description", "vendor", "licenses"} {
			label = "org.opencontainers.image." + label
			if value := own[label]; value != "" && !strings.Contains(the(t, stage, "LABEL"), label+`="`+value+`"`) {
				t.Errorf("%s lacks the label %s=%q", name, label, value)
			}
		}
		if want := "LICENSE " + licenceFile; !slices.Contains(stage.All("COPY"), want) {
			t.Errorf("%s has no COPY %s", name, want)
		}
	}
}

// TestDockerfileHasWhatTheProgramsNeed asks the compiler for the directories, and expects each to be copied, and sent to the builder.
func TestDockerfileHasWhatTheProgramsNeed(t *testing.T) {
	var copied []string
	for _, stage := range described(t).Stages {
		for _, rest := range stage.All("COPY") {
			if words := strings.Fields(rest); !strings.HasPrefix(rest, "--from=") {
				copied = append(copied, words[:len(words)-1]...)
			}
		}
	}
	sent := strings.Fields(strings.ReplaceAll(read(t, ".dockerignore"), "!", ""))
	for _, path := range copied {
		if !slices.Contains(sent, path) {
			t.Errorf(".dockerignore keeps %s from being copied", path)
		}
	}
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.ImportPath}}{{end}}{{end}}",
		"./cmd/operator", "./cmd/scores", "./cmd/mirubato-migrate")
	command.Dir = root
	listed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(listed))
	if len(packages) < 10 {
		t.Fatalf("the programs are made of %q", packages)
	}
	for _, pkg := range packages {
		directory := strings.TrimPrefix(pkg, "github.com/mirubato/mirubato/")
		if !slices.ContainsFunc(copied, func(path string) bool { return directory == path || strings.HasPrefix(directory, path+"/") }) {
			t.Errorf("the Dockerfile does not copy %s", directory)
		}
	}
}

// TestDockerfilePinsWhatItBeginsWith compares the builder with go.mod, and wants full versions of one release of Debian.
func TestDockerfilePinsWhatItBeginsWith(t *testing.T) {
	builder := regexp.MustCompile(`^golang:(\d+\.\d+\.\d+)-bookworm$`).FindStringSubmatch(described(t).Base("build"))
	if builder == nil {
		t.Fatalf("the builder is %q, which is no full version of Go on bookworm", described(t).Base("build"))
	}
	if base := described(t).Base("migrate"); !regexp.MustCompile(`^debian:12\.\d+-slim$`).MatchString(base) {
		t.Errorf("migrate begins with %q, which is no full version of bookworm", base)
	}
	named := regexp.MustCompile(`(?m)^toolchain go(\S+)$`).FindStringSubmatch(read(t, "go.mod"))
	if named == nil || named[1] != builder[1] {
		t.Errorf("the Dockerfile builds with Go %s, go.mod names %q as what releases are compiled by", builder[1], named)
	}
}
