package program

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOverlayAddsAFileThatTheCompilerSees(t *testing.T) {
	module, extra, work := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(module, "go.mod"), "module example.com/service\n\ngo 1.26.0\n")
	write(t, filepath.Join(module, "main.go"), `package main

import (
	"embed"
	"fmt"
)

//go:embed migrations/*.sql
var files embed.FS

func main() {
	entries, _ := files.ReadDir("migrations")
	for _, entry := range entries {
		fmt.Println(entry.Name())
	}
}
`)
	migrations := filepath.Join(module, "migrations")
	if err := os.Mkdir(migrations, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(migrations, "00001_first.sql"), "-- one")
	write(t, filepath.Join(extra, "00002_second.sql"), "-- two")
	write(t, filepath.Join(extra, "notes.txt"), "not a migration")

	overlay, output := filepath.Join(work, "overlay.json"), filepath.Join(work, "service")
	if err := WriteOverlay(overlay, migrations, extra); err != nil {
		t.Fatal(err)
	}
	if err := Build(t.Context(), Program{Dir: module, Package: ".", Output: output, Overlay: overlay}); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), output).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("00001_first.sql\n00002_second.sql\n", string(out)); diff != "" {
		t.Errorf("embedded files (-want +got):\n%s", diff)
	}
}

func TestOverlayNeedsMigrations(t *testing.T) {
	if err := WriteOverlay(filepath.Join(t.TempDir(), "overlay.json"), "/service/migrations", t.TempDir()); err == nil {
		t.Error("a directory without migrations was taken")
	}
}

func TestArguments(t *testing.T) {
	for name, tc := range map[string]struct {
		program Program
		want    []string
	}{
		"Go alone": {
			program: Program{Package: "./cmd/scores", Output: "out/scores"},
			want:    []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", "out/scores", "./cmd/scores"},
		},
		"with a version": {
			program: Program{Package: "./cmd/operator", Output: "out/operator", Version: "1.2.0"},
			want: []string{
				"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=1.2.0", "-o", "out/operator", "./cmd/operator",
			},
		},
		"with C": {
			program: Program{Package: "./cmd/a", Output: "out/a", C: true},
			want: []string{
				"build", "-trimpath", "-buildvcs=false", "-tags", "netgo,osusergo", "-ldflags", "-s -w -linkmode external -extldflags -static",
				"-o", "out/a", "./cmd/a",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, arguments(tc.program)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDockerfileBuildsAlike looks for the commands of this package in the Dockerfile.
func TestDockerfileBuildsAlike(t *testing.T) {
	content, err := os.ReadFile("../../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(content), "\\\n\t", "")
	for _, p := range []Program{
		{Package: "./cmd/operator", Version: "${VERSION}"}, {Package: "./cmd/scores", Version: "${VERSION}"}, {Package: "./cmd/mirubato-migrate", C: true},
	} {
		p.Output = "/out/"
		args := arguments(p)
		for i, arg := range args {
			if strings.Contains(arg, " ") {
				args[i] = `"` + arg + `"`
			}
		}
		if want := "go " + strings.Join(args, " "); !strings.Contains(text, want) {
			t.Errorf("the Dockerfile does not run:\n%s", want)
		}
	}
}

// TestCIsLinkedStatically keeps the promise to images without a C library.
func TestCIsLinkedStatically(t *testing.T) {
	module := t.TempDir()
	write(t, filepath.Join(module, "go.mod"), "module example.com/service\n\ngo 1.26.0\n")
	write(t, filepath.Join(module, "main.go"), "package main\n\n// int two(void) { return 2; }\nimport \"C\"\n\nfunc main() { println(C.two()) }\n")
	output := filepath.Join(t.TempDir(), "service")
	if err := Build(t.Context(), Program{Dir: module, Package: ".", Output: output, C: true}); err != nil {
		t.Fatal(err)
	}
	file, err := elf.Open(output)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it needs the libraries %v, error %v", libraries, err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
