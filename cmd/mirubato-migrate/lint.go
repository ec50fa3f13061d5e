package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/migrate/lint"
)

// errBlocked is returned when a finding keeps the files from being applied.
var errBlocked = errors.New("findings of level block keep the files from being applied")

func newLintCommand(getenv func(string) string) *cobra.Command {
	var (
		format   string
		applied  int64
		database bool
	)
	cmd := &cobra.Command{
		Use:   "lint FILES...",
		Short: "Judge migration files before they run; changes nothing",
		Long: "Judge migration files, or all .sql files of directories: do they break the release before, do they lock or rewrite tables\n" +
			"that are in use, can they be applied and applied again. Exit codes: 0 nothing blocks, 1 something does, 2 wrong flags or\n" +
			"files, 3 the database of --database could not be read.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case !slices.Contains(lint.Formats(), format):
				return fmt.Errorf("--format is %q: it must be one of %s", format, strings.Join(lint.Formats(), ", "))
			case applied < 0:
				return fmt.Errorf("--applied is %d: it must be the number of a migration, or 0 for none", applied)
			case applied > 0 && database:
				return errors.New("--applied and --database exclude each other: the database knows what it has applied")
			}
			files, err := readFiles(args)
			if err != nil {
				return err
			}
			known, err := catalogue(cmd.Context(), files, applied, database, getenv)
			if err != nil {
				return err
			}
			report := lint.Run(files, known)
			if err := lint.Write(cmd.OutOrStdout(), report, format); err != nil {
				return fmt.Errorf("printing the report: %w", err)
			}
			if report.Blocks() {
				return errBlocked
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", strings.Join(lint.Formats(), ", "))
	cmd.Flags().Int64Var(&applied, "applied", 0, "version up to which the files have been applied where they will run: those are known and not judged (default none)")
	cmd.Flags().BoolVar(&database, "database", false,
		"read tables, sizes and applied files from the database of $"+contract.EnvDatabaseURLFile+" or $"+envDatabaseURL)
	return cmd
}

// catalogue returns what is known of the database beside the files; nil if nothing is.
func catalogue(ctx context.Context, files []lint.File, applied int64, database bool, getenv func(string) string) (*lint.Catalogue, error) {
	if applied > 0 {
		return lint.Replay(slices.DeleteFunc(slices.Clone(files), func(f lint.File) bool {
			version, err := migrate.FileVersion(filepath.Base(f.Name))
			return err != nil || version > applied
		})), nil
	}
	if !database {
		return nil, nil
	}
	url, err := databaseURL(getenv)
	if err != nil {
		return nil, migrate.NewError(contract.DatabaseUnreachable, err.Error())
	}
	access, err := migrate.ParseAccess(url)
	if err != nil {
		return nil, err
	}
	db, err := access.Open()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	known, err := lint.ReadCatalogue(ctx, db)
	if err != nil {
		return nil, access.Failure(ctx, contract.DatabaseUnreachable, "reading the catalogue", err)
	}
	return known, nil
}

// readFiles takes files as they are named and the .sql files at the top of directories. Each is read once.
func readFiles(paths []string) ([]lint.File, error) {
	var files []lint.File
	seen := map[string]bool{}
	for _, path := range paths {
		names := []string{path}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, fileError(path, err)
		case info.IsDir():
			if names, err = filepath.Glob(filepath.Join(escapeGlob(path), "*.sql")); err != nil {
				return nil, fmt.Errorf("listing the directory %s: %w", path, err)
			}
			if len(names) == 0 {
				return nil, fmt.Errorf("the directory %s has no .sql file at its top", path)
			}
		}
		for _, name := range names {
			if clean := filepath.Clean(name); seen[clean] {
				continue
			}
			seen[filepath.Clean(name)] = true
			content, err := readFile(name)
			if err != nil {
				return nil, err
			}
			files = append(files, lint.File{Name: name, Content: content})
		}
	}
	return files, nil
}

// escapeGlob makes a pattern that stands for a path as it is.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// readFile reads no more of a file than it takes to see that it is too long; lint says so.
func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fileError(name, err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, lint.MaxFileSize+1))
	if err != nil {
		return nil, fileError(name, err)
	}
	return content, nil
}

func fileError(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the file %s does not exist", name)
	}
	return fmt.Errorf("reading %s: %w", name, err)
}
