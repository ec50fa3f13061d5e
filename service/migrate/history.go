package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pressly/goose/v3/database"
)

// The tables that say what was applied. The first is goose's own, so that its tools can read it; the second adds what
// goose does not keep.
const (
	versionTable  = "public.goose_db_version"
	checksumTable = "public.mirubato_migration_checksums"
)

// history is what the database says about itself, by version.
type history map[int64]record

// record is one applied migration. Name, checksum and time are empty if something else than this package applied it.
type record struct {
	name      string
	checksum  string
	appliedAt time.Time
}

// current returns the highest applied version, 0 for none.
func (h history) current() int64 {
	var highest int64
	for v := range h {
		highest = max(highest, v)
	}
	return highest
}

// querier is what a connection, a pool and a transaction have in common.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Version returns the schema version of a database: the highest number applied, 0 for none.
func Version(ctx context.Context, db *sql.DB) (int64, error) {
	h, err := readHistory(ctx, db)
	if err != nil {
		return 0, classify(ctx, err)
	}
	return h.current(), nil
}

// AppliedChecksums returns the versions that a database has applied, with their checksums. A checksum is empty where something else than this
// package applied the file. Its error is an *Error.
func AppliedChecksums(ctx context.Context, db *sql.DB) (map[int64]string, error) {
	h, err := readHistory(ctx, db)
	if err != nil {
		return nil, classify(ctx, err)
	}
	checksums := make(map[int64]string, len(h))
	for version, r := range h {
		checksums[version] = r.checksum
	}
	return checksums, nil
}

// readHistory changes nothing: tables that are not there have no rows.
func readHistory(ctx context.Context, db querier) (history, error) {
	h, err := queryHistory(ctx, db)
	if err != nil {
		return nil, &databaseError{act: "reading which migrations were applied", cause: err}
	}
	return h, nil
}

func queryHistory(ctx context.Context, db querier) (h history, err error) {
	versions, checksums, err := findTables(ctx, db)
	if err != nil || !versions {
		return history{}, err
	}
	query := "SELECT DISTINCT version_id, '', '', NULL::timestamptz FROM " + versionTable + " WHERE is_applied AND version_id > 0"
	if checksums {
		query = "SELECT DISTINCT v.version_id, coalesce(c.name, ''), coalesce(c.checksum, ''), c.applied_at FROM " + versionTable +
			" v LEFT JOIN " + checksumTable + " c USING (version_id) WHERE v.is_applied AND v.version_id > 0"
	}
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	h = history{}
	for rows.Next() {
		var (
			version   int64
			r         record
			appliedAt sql.NullTime
		)
		if err := rows.Scan(&version, &r.name, &r.checksum, &appliedAt); err != nil {
			return nil, err
		}
		r.appliedAt = appliedAt.Time
		h[version] = r
	}
	return h, rows.Err()
}

func findTables(ctx context.Context, db querier) (versions, checksums bool, err error) {
	const query = "SELECT to_regclass($1) IS NOT NULL, to_regclass($2) IS NOT NULL"
	err = db.QueryRowContext(ctx, query, versionTable, checksumTable).Scan(&versions, &checksums)
	return versions, checksums, err
}

// newStore returns goose's store for the version table.
func newStore() (database.Store, error) {
	store, err := database.NewStore(database.DialectPostgres, versionTable)
	if err != nil {
		return nil, fmt.Errorf("preparing the version table: %w", err)
	}
	return store, nil
}

// prepareTables makes the tables that are missing, in one transaction.
func prepareTables(ctx context.Context, conn *sql.Conn) error {
	if err := tryPrepareTables(ctx, conn); err != nil {
		return &databaseError{act: "preparing the tables that say what was applied", cause: err}
	}
	return nil
}

func tryPrepareTables(ctx context.Context, conn *sql.Conn) error {
	store, err := newStore()
	if err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // without effect after Commit
	versions, _, err := findTables(ctx, tx)
	if err != nil {
		return err
	}
	if !versions {
		if err := store.CreateVersionTable(ctx, tx); err != nil {
			return err
		}
		// goose takes a table without version 0 for a broken one.
		if err := store.Insert(ctx, tx, database.InsertRequest{Version: 0}); err != nil {
			return err
		}
	}
	for _, statement := range []string{
		"CREATE TABLE IF NOT EXISTS " + checksumTable + ` (
			version_id bigint PRIMARY KEY,
			name text NOT NULL,
			checksum text NOT NULL,
			applied_at timestamptz NOT NULL DEFAULT now()
		)`,
		// goose's own tools can take a version back; they leave our row behind, which would stop the next attempt.
		"DELETE FROM " + checksumTable + " c WHERE NOT EXISTS (SELECT FROM " + versionTable + " v WHERE v.version_id = c.version_id)",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// adopt keeps the checksum of a file that was applied without one, by something else than this package: from now on
// an edit is noticed.
func adopt(ctx context.Context, conn *sql.Conn, f file) error {
	const statement = "INSERT INTO " + checksumTable + " (version_id, name, checksum) VALUES ($1, $2, $3)"
	if _, err := conn.ExecContext(ctx, statement, f.version, f.name, f.checksum); err != nil {
		return &databaseError{act: "keeping the checksum of " + f.name, cause: err}
	}
	return nil
}

// checksumStore is goose's store for applying one file: it records the checksum with the version.
type checksumStore struct {
	database.Store
	file file
}

// Insert writes both rows in one statement: a NO TRANSACTION file has no transaction to hold two together. The primary
// key of the second row is a fence: should two runs ever apply the same file, because the first lost its lock with
// its connection, the second is rolled back here.
func (s *checksumStore) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	const statement = "WITH version AS (INSERT INTO " + versionTable + " (version_id, is_applied) VALUES ($1, true)) " +
		"INSERT INTO " + checksumTable + " (version_id, name, checksum) VALUES ($1, $2, $3)"
	if req.Version != s.file.version {
		return fmt.Errorf("recording version %d while applying %s", req.Version, s.file.name)
	}
	_, err := db.ExecContext(ctx, statement, s.file.version, s.file.name, s.file.checksum)
	return err
}
