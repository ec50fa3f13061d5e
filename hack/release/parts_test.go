package main

import (
	"errors"
	"testing"

	"github.com/mirubato/mirubato/hack/debian"
	"github.com/mirubato/mirubato/hack/images/postgres"
)

// TestEveryFileOfMigrateHasAPackage finds the Debian packages of all that migrate holds besides our program.
func TestEveryFileOfMigrateHasAPackage(t *testing.T) {
	installation, err := postgres.Find("/")
	if errors.Is(err, postgres.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	files, err := installation.Files(postgres.Backup)
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, file := range files {
		if file.Source != "" {
			sources = append(sources, file.Source)
		}
	}
	owners, err := debian.Owners(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, owner := range owners {
		found[owner.Name] = true
	}
	for _, name := range []string{"libc6", "libpq5", "dash"} {
		if !found[name] {
			t.Errorf("%s is not among the packages of migrate: %v", name, owners)
		}
	}
}
