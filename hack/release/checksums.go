package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// checksums is the last file of a release: a directory without it is not complete.
func (r *release) checksums(context.Context) error {
	entries, err := os.ReadDir(r.Out) // in the order of names
	if err != nil {
		return fmt.Errorf("listing the release: %w", err)
	}
	var text strings.Builder
	for _, entry := range entries {
		content, err := os.ReadFile(r.file(entry.Name()))
		if err != nil {
			return fmt.Errorf("reading a file of the release: %w", err)
		}
		fmt.Fprintf(&text, "%s  %s\n", sum(content), entry.Name())
	}
	return os.WriteFile(r.file("SHA256SUMS"), []byte(text.String()), 0o644)
}
