package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/scores/migrations"
)

func newMigrationsCommand() *cobra.Command {
	parent := &cobra.Command{Use: "migrations", Short: "Hand over the database migrations of this release"}
	parent.AddCommand(&cobra.Command{
		Use:   "export DIR",
		Short: "Write the migration files into DIR, which is made if it is missing",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return exportMigrations(migrations.Files, migrations.MinimumVersion, args[0])
		},
	})
	return parent
}

// exportMigrations writes each file under a temporary name first, so that a run that is killed leaves no half file
// under a name that would be applied. Beside them it says on which schema this release can run. Running it again changes nothing.
func exportMigrations(files fs.FS, minimum int64, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the files are public and read by another user
		return fmt.Errorf("exporting migrations: %w", err)
	}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return fmt.Errorf("exporting migrations: %w", err)
	}
	for _, entry := range entries {
		content, err := fs.ReadFile(files, entry.Name())
		if err == nil {
			err = exportFile(content, entry.Name(), dir)
		}
		if err != nil {
			return fmt.Errorf("exporting migration %s: %w", entry.Name(), err)
		}
	}
	if err := exportFile([]byte(strconv.FormatInt(minimum, 10)+"\n"), contract.MinimumSchemaFile, dir); err != nil {
		return fmt.Errorf("exporting the lowest schema version: %w", err)
	}
	return nil
}

func exportFile(content []byte, name, dir string) error {
	half := filepath.Join(dir, "."+name+".part")
	if err := os.WriteFile(half, content, 0o644); err != nil { //nolint:gosec // see exportMigrations
		return err
	}
	return os.Rename(half, filepath.Join(dir, name))
}
