// Package program builds the programs that go into images: static, stripped, and the same bytes from the same sources.
// It owns the compiler's flags, which the Dockerfile repeats.
package program

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// A Program is a main package and how to compile it.
type Program struct {
	// Dir is the directory of the module, Package the package in it.
	Dir, Package string
	// Output is where the program goes.
	Output string
	// Overlay, if not empty, is the path of a file as WriteOverlay makes it.
	Overlay string
	// C is true for one that links C code, statically like the rest. It needs gcc and the archive of the C library, and is
	// built for this machine's architecture only.
	C bool
	// Version, if not empty, is what the program's variable main.version says.
	Version string
	// OS and Architecture are those that the program is for, as Go names them; empty means linux, and this machine's.
	OS, Architecture string
}

// Build compiles a program. When nothing changed, this takes as long as Go needs to find that out.
func Build(ctx context.Context, p Program) error {
	command := exec.CommandContext(ctx, "go", arguments(p)...)
	command.Dir = p.Dir
	command.Env = append(os.Environ(),
		"GOOS="+cmp.Or(p.OS, "linux"), "GOARCH="+cmp.Or(p.Architecture, runtime.GOARCH), "GOWORK=off")
	if p.C {
		// PostgreSQL's grammar takes gcc twice as long at its default of -O2, for a parser that reads some files in a Job.
		command.Env = append(command.Env, "CGO_ENABLED=1", "CGO_CFLAGS=-O1 -g0")
	} else {
		command.Env = append(command.Env, "CGO_ENABLED=0")
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", p.Package, err, stderr.String())
	}
	return nil
}

func arguments(p Program) []string {
	link := "-s -w"
	if p.Version != "" {
		link += " -X main.version=" + p.Version
	}
	args := []string{"build", "-trimpath", "-buildvcs=false"}
	if p.C {
		// Go's own resolver and user database: those of a static C library would look for shared ones.
		args = append(args, "-tags", "netgo,osusergo")
		link += " -linkmode external -extldflags -static"
	}
	args = append(args, "-ldflags", link, "-o", p.Output)
	if p.Overlay != "" {
		args = append(args, "-overlay", p.Overlay)
	}
	return append(args, p.Package)
}

// WriteOverlay writes to name what makes the compiler see the SQL files of extra as if they lay in target, beside those
// that do. So a test builds the next version of a service, which has one more migration. A file of the same name is
// replaced.
func WriteOverlay(name, target, extra string) error {
	replaced, err := overlay(target, extra)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(map[string]any{"Replace": replaced}, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the overlay: %w", err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return fmt.Errorf("writing the overlay: %w", err)
	}
	return nil
}

func overlay(target, extra string) (map[string]string, error) {
	extra, err := filepath.Abs(extra)
	if err != nil {
		return nil, fmt.Errorf("finding the migrations: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(extra, "*.sql"))
	if err != nil {
		return nil, fmt.Errorf("listing the migrations: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no .sql file in %s", extra)
	}
	replaced := map[string]string{}
	for _, file := range files {
		replaced[filepath.Join(target, filepath.Base(file))] = file
	}
	return replaced, nil
}
