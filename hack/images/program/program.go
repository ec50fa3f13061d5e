// Package program builds the programs that go into images: static, stripped, and the same bytes from the same sources.
// It owns the compiler's flags, which the Dockerfile repeats.
package program

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Build compiles the main package pkg of the module in dir into output. overlay, if not empty, is the path of a file as
// WriteOverlay makes it. When nothing changed, this takes as long as Go needs to find that out.
func Build(ctx context.Context, dir, pkg, output, overlay string) error {
	command := exec.CommandContext(ctx, "go", arguments(pkg, output, overlay)...)
	command.Dir = dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOWORK=off")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, stderr.String())
	}
	return nil
}

func arguments(pkg, output, overlay string) []string {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", output}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	return append(args, pkg)
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
