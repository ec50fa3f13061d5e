package recipe

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/hack/images/archive"
)

const root = "../../.."

// instruction is one of a Dockerfile, with what follows its name.
type instruction struct{ name, rest string }

// stages reads the Dockerfile: the instructions of each target.
func stages(t testing.TB) map[string][]instruction {
	t.Helper()
	text := strings.ReplaceAll(read(t, "Dockerfile"), "\\\n", "")
	out, target := map[string][]instruction{}, ""
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "", "#":
			continue
		case "FROM":
			_, target, _ = strings.Cut(rest, " AS ")
		}
		out[target] = append(out[target], instruction{name, strings.Join(strings.Fields(rest), " ")})
	}
	return out
}

// the returns what follows the only instruction of that name.
func the(t testing.TB, instructions []instruction, name string) string {
	t.Helper()
	var found []string
	for _, one := range instructions {
		if one.name == name {
			found = append(found, one.rest)
		}
	}
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
	described := stages(t)
	for name, image := range map[string]archive.Image{
		"operator": programImage("./cmd/operator", "", nil),
		"scores":   programImage("./cmd/scores", "", []string{"serve"}),
		"migrate":  {User: unprivileged, Entrypoint: []string{"/mirubato-migrate"}},
	} {
		got := start{User: the(t, described[name], "USER")}
		for instruction, field := range map[string]*[]string{"ENTRYPOINT": &got.Entrypoint, "CMD": &got.Arguments} {
			if text := the(t, described[name], instruction); text != "" {
				if err := json.Unmarshal([]byte(text), field); err != nil {
					t.Errorf("%s: %s %s: %v", name, instruction, text, err)
				}
			}
		}
		if diff := cmp.Diff(start{image.User, image.Entrypoint, image.Arguments}, got); diff != "" {
			t.Errorf("%s (-recipe +Dockerfile):\n%s", name, diff)
		}
		own := labels(Options{Version: "${VERSION}"}, name)
		for _, label := range []string{"title", "version", "description", "licenses"} {
			label = "org.opencontainers.image." + label
			if value := own[label]; value != "" && !strings.Contains(the(t, described[name], "LABEL"), label+`="`+value+`"`) {
				t.Errorf("%s lacks the label %s=%q", name, label, value)
			}
		}
	}
}

// TestDockerfileHasWhatTheProgramsNeed asks the compiler for the directories, and expects each to be copied, and sent to the builder.
func TestDockerfileHasWhatTheProgramsNeed(t *testing.T) {
	var copied []string
	for _, one := range stages(t)["build"] {
		if words := strings.Fields(one.rest); one.name == "COPY" {
			copied = append(copied, words[:len(words)-1]...)
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

// TestDockerfileUsesTheSameGo compares the builder with go.mod.
func TestDockerfileUsesTheSameGo(t *testing.T) {
	builder := regexp.MustCompile(`FROM golang:(\S+) AS build`).FindStringSubmatch(read(t, "Dockerfile"))
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	if len(builder) != 2 || len(module) != 2 || builder[1] != module[1] {
		t.Errorf("the Dockerfile builds with %q, go.mod wants %q (this is %s)", builder, module, runtime.Version())
	}
}
