package main

import (
	"errors"
	"testing"

	"github.com/mirubato/mirubato/hack/debian"
	"github.com/mirubato/mirubato/hack/images/postgres"
)

// TestEveryFileOfMigrateHasAPackage finds the Debian packages of all that migrate holds besides our program, and of each of them its licence.
func TestEveryFileOfMigrateHasAPackage(t *testing.T) {
	installation, err := postgres.Find("/")
	if errors.Is(err, postgres.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	files, err := installation.Files(t.Context(), postgres.Backup)
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	held := map[string]bool{}
	for _, file := range files {
		if file.Source != "" {
			sources = append(sources, file.Source)
			held[file.Path] = true
		}
	}
	owners, err := debian.Owners(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, owner := range owners {
		found[owner.Name] = true
		if !held[debian.CopyrightFile(owner.Name)] {
			t.Errorf("migrate holds files of %s without its licence, %s", owner.Name, debian.CopyrightFile(owner.Name))
		}
	}
	if shared := debian.Licences + "/GPL-3"; !held[shared] {
		t.Errorf("migrate lacks %s, which licences of packages name", shared)
	}
	for _, name := range []string{"libc6", "libgcc-s1", "libpq5", "dash"} {
		if !found[name] {
			t.Errorf("%s is not among the packages of migrate: %v", name, owners)
		}
	}
}
