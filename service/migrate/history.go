package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pressly/goose/v3/database"
)

// The tables that say what was applied. The first is goose's own, so that its tools can read it; the second adds what
// goose does not keep, and the third has one row about the whole database.
const (
	versionTable  = "public.goose_db_version"
	checksumTable = "public.mirubato_migration_checksums"
	ownerTable    = "public.mirubato_migration_owner"
)

// ownTables are no part of the schema that the files make.
var ownTables = []string{versionTable, checksumTable, ownerTable, backfillTable}

// OwnTables returns the names, with their schema, of the tables that this package keeps in a database. They may be missing.
func OwnTables() []string { return slices.Clone(ownTables) }

// history is what the database says about itself, by version.
type history map[int64]record

// record is one applied migration. Name, checksum, phase and time are empty if something else than this package applied it.
type record struct {
	name      string
	checksum  string
	phase     Phase
	appliedAt time.Time
}

// state is all that the database says about itself.
type state struct {
	history history
	// owner is the lock id that has claimed the database, empty if none has.
	owner string
	// initial is plan.initial of the run that began with an empty database.
	initial int64
	// attempt is the version of the index build that was begun last, whether or not it has ended.
	attempt int64
	// backfills say how far each has come; nil if their table is not there.
	backfills map[string]progress
}

// contractMigration is one that was applied.
type contractMigration struct {
	version int64
	name    string
}

// floor returns the highest contract migration that was applied; the zero value if there is none.
func (h history) floor() contractMigration {
	var floor contractMigration
	for version, r := range h {
		if r.phase == Contract && version > floor.version {
			floor = contractMigration{version, r.name}
		}
	}
	return floor
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

// readState is readHistory with the rest.
func readState(ctx context.Context, db querier) (state, error) {
	h, err := readHistory(ctx, db)
	if err != nil {
		return state{}, err
	}
	s := state{history: h}
	if s.owner, s.initial, s.attempt, err = queryOwner(ctx, db); err != nil {
		return state{}, &databaseError{act: "reading whose database it is", cause: err}
	}
	if s.backfills, err = readBackfills(ctx, db); err != nil {
		return state{}, &databaseError{act: "reading how far the backfills have come", cause: err}
	}
	return s, nil
}

func queryHistory(ctx context.Context, db querier) (h history, err error) {
	versions, checksums, err := findTables(ctx, db)
	if err != nil || !versions {
		return history{}, err
	}
	query := "SELECT DISTINCT version_id, '', '', '', NULL::timestamptz FROM " + versionTable + " WHERE is_applied AND version_id > 0"
	if checksums {
		// The phase is read as a field of the row, because the tables of earlier versions of this program have no such column.
		query = "SELECT DISTINCT v.version_id, coalesce(c.name, ''), coalesce(c.checksum, ''), coalesce(to_jsonb(c) ->> 'phase', ''), c.applied_at FROM " +
			versionTable + " v LEFT JOIN " + checksumTable + " c USING (version_id) WHERE v.is_applied AND v.version_id > 0"
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
		if err := rows.Scan(&version, &r.name, &r.checksum, &r.phase, &appliedAt); err != nil {
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

// prepareTables makes the tables that are missing, in one transaction, and keeps what plan says of a database that begins empty.
func prepareTables(ctx context.Context, conn *sql.Conn, initial int64) error {
	if err := tryPrepareTables(ctx, conn, initial); err != nil {
		return &databaseError{act: "preparing the tables that say what was applied", cause: err}
	}
	return nil
}

func tryPrepareTables(ctx context.Context, conn *sql.Conn, initial int64) error {
	store, err := newStore()
	if err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // without effect after Commit
	// Runs with another lock id may be here too.
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", lockKey("tables")); err != nil {
		return err
	}
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
			phase text,
			applied_at timestamptz NOT NULL DEFAULT now()
		)`,
		// Only if it has to be: a dump of the database would hold this statement up.
		"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = '" + checksumTable + "'::regclass AND attname = 'phase') " +
			"THEN ALTER TABLE " + checksumTable + " ADD COLUMN phase text; END IF; END $$",
		"CREATE TABLE IF NOT EXISTS " + ownerTable + ` (
			one boolean PRIMARY KEY DEFAULT true CHECK (one),
			owner text NOT NULL DEFAULT '',
			initial_version bigint NOT NULL DEFAULT 0,
			attempt bigint NOT NULL DEFAULT 0,
			claimed_at timestamptz
		)`,
		"INSERT INTO " + ownerTable + " DEFAULT VALUES ON CONFLICT DO NOTHING",
		createBackfillTable,
		// goose's own tools can take a version back; they leave our row behind, which would stop the next attempt.
		"DELETE FROM " + checksumTable + " c WHERE NOT EXISTS (SELECT FROM " + versionTable + " v WHERE v.version_id = c.version_id)",
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE "+ownerTable+" SET initial_version = $1 WHERE initial_version <> $1", initial); err != nil {
		return err
	}
	return tx.Commit()
}

// adopt completes the record of a file that was applied by something else than this package, or by an earlier version of it: from now
// on an edit is noticed.
func adopt(ctx context.Context, conn *sql.Conn, f file) error {
	const statement = "INSERT INTO " + checksumTable + " (version_id, name, checksum, phase) VALUES ($1, $2, $3, $4) " +
		"ON CONFLICT (version_id) DO UPDATE SET phase = excluded.phase"
	if _, err := conn.ExecContext(ctx, statement, f.version, f.name, f.checksum, f.phase); err != nil {
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
		"INSERT INTO " + checksumTable + " (version_id, name, checksum, phase) VALUES ($1, $2, $3, $4)"
	if req.Version != s.file.version {
		return fmt.Errorf("recording version %d while applying %s", req.Version, s.file.name)
	}
	_, err := db.ExecContext(ctx, statement, s.file.version, s.file.name, s.file.checksum, s.file.phase)
	return err
}
