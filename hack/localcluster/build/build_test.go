package build

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/hack/localcluster/progress"
)

func TestFollowCountsPackagesAndKeepsMessages(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	tick := func() time.Time { clock = clock.Add(time.Second); return clock }
	packages := map[string]bool{"a": true, "b": true, "example.com/c": true}
	said := follow(strings.NewReader("a\ngo: downloading example.com/c v1.0.0\n# b\nb.go:1: broken\nexample.com/c\n"),
		packages, tick, progress.New(&out))
	if diff := cmp.Diff("# b\nb.go:1: broken\n", said); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestMakeBuildsOnce(t *testing.T) {
	source, bin := t.TempDir(), t.TempDir()
	write(t, filepath.Join(source, "go.mod"), "module example.com/tool\n\ngo 1.26.0\n")
	write(t, filepath.Join(source, "main.go"), "package main\n\nvar version string\n\nfunc main() { print(version) }\n")
	program := Program{
		Source: source, Output: filepath.Join(bin, "tool"), LDFlags: []string{"-X main.version=1"}, Links: []string{"other"},
	}
	report := progress.New(&bytes.Buffer{})
	steps := []struct {
		name   string
		before func()
		built  bool
	}{
		{name: "the first time it is built", before: func() {}, built: true},
		{name: "nothing changed", before: func() {}, built: false},
		{name: "other flags", before: func() { program.LDFlags = []string{"-X main.version=2"} }, built: true},
		{name: "another source", before: func() { write(t, filepath.Join(source, "more.go"), "package main\n") }, built: true},
		{name: "the program is gone", before: func() { os.Remove(program.Output) }, built: true},
	}
	for _, step := range steps {
		step.before()
		built, err := program.Make(t.Context(), report)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if built != step.built {
			t.Errorf("%s: built %v, want %v", step.name, built, step.built)
		}
	}
	if target, err := os.Readlink(filepath.Join(bin, "other")); err != nil || target != "tool" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
}

func TestMakeShowsWhatTheCompilerSays(t *testing.T) {
	source := t.TempDir()
	write(t, filepath.Join(source, "go.mod"), "module example.com/tool\n\ngo 1.26.0\n")
	write(t, filepath.Join(source, "main.go"), "package main\n\nfunc main() { missing() }\n")
	program := Program{Source: source, Output: filepath.Join(t.TempDir(), "tool")}
	_, err := program.Make(t.Context(), progress.New(&bytes.Buffer{}))
	if err == nil || !strings.Contains(err.Error(), "undefined: missing") {
		t.Errorf("got %v, want the compiler's message", err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
