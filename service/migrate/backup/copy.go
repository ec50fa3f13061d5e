package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

// Copy is a database on a scratch server, for trying things on. Close removes it.
type Copy struct {
	// URL leads to it, as a superuser. It is of use in this process only.
	URL     string
	scratch *scratch
}

// Close ends the scratch server and removes what it kept.
func (c *Copy) Close(ctx context.Context) error { return c.scratch.stop(ctx) }

// CopyBackup restores a backup of the database, which lies in a directory or in the bucket of an s3:// URL, into a scratch server in the directory scratchDir, and makes sure that it is what
// its manifest says. The database is only asked for its roles, which a backup names and does not hold.
func CopyBackup(ctx context.Context, databaseURL, location, name, scratchDir string) (*Copy, error) {
	from, err := openStorage(ctx, location)
	if err != nil {
		return nil, err
	}
	defer func() { _ = from.close() }() // it was only read
	manifest, err := from.manifest(ctx, name)
	if err != nil {
		return nil, err
	}
	return newCopy(ctx, databaseURL, scratchDir, func(ctx context.Context, _, empty migrate.Access) error {
		return restoreAndCompare(ctx, empty, from, manifest)
	})
}

// CopySchema copies the schema of a database and the record of its applied migrations, and no other rows.
func CopySchema(ctx context.Context, databaseURL, scratchDir string) (*Copy, error) {
	return newCopy(ctx, databaseURL, scratchDir, func(ctx context.Context, database, empty migrate.Access) error {
		if err := copySection(ctx, database, empty, "--schema-only", "--no-subscriptions"); err != nil {
			return err
		}
		record, err := findRecord(ctx, database)
		if err != nil || len(record) == 0 {
			return err
		}
		args := []string{"--data-only"}
		for _, table := range record {
			args = append(args, "--table="+table)
		}
		return copySection(ctx, database, empty, args...)
	})
}

// findRecord returns the tables that say what was applied, if they are there.
func findRecord(ctx context.Context, access migrate.Access) ([]string, error) {
	db, err := access.Open()
	if err != nil {
		return nil, readFailure(ctx, access, err)
	}
	defer func() { _ = db.Close() }()
	tables, err := readColumn(ctx, db, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
		WHERE schemaname || '.' || tablename IN ('`+strings.Join(migrate.OwnTables(), "', '")+`')`)
	if err != nil {
		return nil, readFailure(ctx, access, err)
	}
	return tables, nil
}

// copySection carries over what pg_dump writes with args, which is no larger than a schema.
func copySection(ctx context.Context, from, to migrate.Access, args ...string) error {
	var dump bytes.Buffer
	args = append([]string{"--format=custom", "--no-password", "--lock-wait-timeout=60s"}, args...)
	if err := runTool(ctx, tool{name: "pg_dump", access: from, args: args, stdout: &dump}); err != nil {
		return err
	}
	return runTool(ctx, tool{name: "pg_restore", access: to, stdin: &dump, args: []string{"--exit-on-error", "--no-password", "--dbname=" + to.Database()}})
}

// newCopy makes a database with the surroundings of the real one, and fills it. Its errors are *migrate.Error.
func newCopy(ctx context.Context, databaseURL, scratchDir string, fill func(ctx context.Context, database, empty migrate.Access) error) (*Copy, error) {
	database, err := migrate.ParseAccess(databaseURL)
	if err != nil {
		return nil, err
	}
	roles, e, err := readSurroundings(ctx, database)
	if err != nil {
		return nil, asFailure(ctx, err)
	}
	s, err := startScratch(ctx, scratchDir)
	if err != nil {
		return nil, asFailure(ctx, err)
	}
	empty, err := s.newCopy(ctx, roles, e)
	if err == nil {
		err = fill(ctx, database, empty)
	}
	if err != nil {
		return nil, errors.Join(asFailure(ctx, err), s.stop(ctx))
	}
	return &Copy{URL: s.server.URL(copyName), scratch: s}, nil
}

// restoreAndCompare restores a backup into an empty database and compares it with the manifest.
func restoreAndCompare(ctx context.Context, into migrate.Access, from storage, manifest contract.BackupReport) error {
	dump, err := from.dump(ctx, manifest.Name)
	if err != nil {
		return err
	}
	defer func() { _ = dump.Close() }() // it was only read
	if err := restoreDump(ctx, into, dump, manifest.Files[0]); err != nil {
		return err
	}
	return compare(ctx, into, manifest)
}

// compare says whether a database has the rows and the schema that a manifest tells of.
func compare(ctx context.Context, restored migrate.Access, manifest contract.BackupReport) error {
	got, err := readContent(ctx, restored)
	if err != nil {
		return err
	}
	differ := tableDifferences(manifest.Tables, got.tables)
	if got.fingerprint != manifest.Fingerprint {
		differ = append(differ, fmt.Sprintf("the schema has the fingerprint %s and had %s", got.fingerprint, manifest.Fingerprint))
	}
	if len(differ) > 0 {
		return differError(differ)
	}
	return nil
}
