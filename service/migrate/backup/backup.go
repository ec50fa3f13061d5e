package backup

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

// DefaultKeep is how many verified backups stay.
const DefaultKeep = 5

// dumpPerDatabase is how many times the size of a database its dump may have. It is nearly always less than once: a dump is compressed
// and holds no indexes; what the database had compressed better is what makes the difference.
const dumpPerDatabase = 2

// Config says what to back up and where to.
type Config struct {
	// DatabaseURL leads to the database, as a role that may read all of it. It is a secret.
	DatabaseURL string
	// Location is an existing directory, or the s3:// URL of an existing bucket as objects.Open takes it, whose prefix, if there is one,
	// ends in a slash. Several runs may use it at once.
	Location string
	// Scratch is an existing directory with room for a copy of the database.
	Scratch string
	// Keep is how many verified backups stay, at least 1; Protected are names that stay besides.
	Keep      int
	Protected []string
	// Log gets one record for each thing that happens.
	Log *slog.Logger
}

// Run makes a backup, proves it, and removes the oldest ones that are too many. The report is complete also when the error,
// always a *migrate.Error, is not nil. When ctx ends, the programs are stopped and nothing is left behind.
func Run(ctx context.Context, cfg Config) (contract.BackupReport, error) {
	r := &run{Config: cfg, report: NewReport(nil)}
	r.report.Started = time.Now().UTC()
	err := r.run(ctx)
	r.report.Finished = time.Now().UTC()
	if err != nil {
		failure := asFailure(ctx, err)
		r.report.Error = &failure.MigrationError
		return r.report, failure
	}
	return r.report, nil
}

// NewReport is the report of a run that has done nothing; failure may be nil.
func NewReport(failure *migrate.Error) contract.BackupReport {
	report := contract.BackupReport{ReportVersion: contract.BackupReportVersion, Method: contract.BackupByDump}
	if failure != nil {
		report.Error = &failure.MigrationError
	}
	return report
}

func asFailure(ctx context.Context, err error) *migrate.Error {
	if ctx.Err() != nil {
		return migrate.NewError(contract.Interrupted, "the run was told to stop; nothing is left of it")
	}
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return failure
	}
	return migrate.NewError(contract.BackupFailed, err.Error())
}

// run is one call of Run.
type run struct {
	Config
	access  migrate.Access
	storage storage
	draft   draft
	report  contract.BackupReport
	// most is how many bytes the dump is expected to have at most.
	most int64
}

func (r *run) run(ctx context.Context) (err error) {
	if r.storage, err = openStorage(ctx, r.Location); err != nil {
		return err
	}
	defer func() { _ = r.storage.close() }() // what was written is there by then
	r.report.Location = r.Location           // which has proved to hold no credentials
	if r.access, err = migrate.ParseAccess(r.DatabaseURL); err != nil {
		return err
	}
	if r.draft, err = r.storage.begin(ctx, r.report.Started); err != nil {
		return err
	}
	defer func() {
		if discardErr := r.draft.discard(ctx); err == nil {
			err = discardErr
		}
	}()
	database, err := r.dump(ctx)
	if err != nil {
		return err
	}
	if err := r.verify(ctx, database); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r.report.Name, r.report.Verified, r.report.Finished = r.draft.name(), true, time.Now().UTC()
	if err := r.draft.publish(ctx, r.report); err != nil {
		r.report.Name, r.report.Verified = "", false
		return err
	}
	r.Log.InfoContext(ctx, "keeping the backup", "backup", r.report.Name, "bytes", r.report.Size)
	r.report.Removed, err = removeExpired(ctx, r.storage, r.Keep, r.report.Name, r.Protected)
	return err
}

// dump writes the dump and returns what the database held in the snapshot of it.
func (r *run) dump(ctx context.Context) (database content, err error) {
	started := time.Now()
	db, err := r.access.Open()
	if err != nil {
		return database, r.access.Failure(ctx, contract.BackupFailed, "connecting to the database", err)
	}
	defer func() { _ = db.Close() }()
	tx, err := begin(ctx, db)
	if err != nil {
		return database, r.access.Failure(ctx, contract.BackupFailed, "connecting to the database", err)
	}
	defer func() { _ = tx.Rollback() }() // it has only read
	if err := r.describe(ctx, tx); err != nil {
		return database, err
	}
	r.Log.InfoContext(ctx, "reading the database", "database", r.report.Database, "server", r.report.ServerVersion, "snapshot", r.report.Snapshot)
	if database, err = r.readSource(ctx, tx); err != nil {
		return database, err
	}
	r.Log.InfoContext(ctx, "dumping the database", "tables", r.report.TableCount, "rows", r.report.Rows)
	if err := r.writeDump(ctx); err != nil {
		return database, err
	}
	if database.later, err = readSequences(ctx, tx); err != nil {
		return database, r.failure(ctx, err)
	}
	r.report.DumpDuration = time.Since(started)
	return database, nil
}

func (r *run) readSource(ctx context.Context, tx *sql.Tx) (database content, err error) {
	if database.sequences, err = readSequences(ctx, tx); err != nil {
		return database, r.failure(ctx, err)
	}
	if database.tables, err = readTables(ctx, tx); err != nil {
		return database, r.failure(ctx, err)
	}
	r.report.Tables, r.report.TableCount = database.tables, len(database.tables)
	for _, table := range database.tables {
		r.report.Rows += table.Rows
	}
	database.schema, err = readSchema(ctx, r.access, r.report.Snapshot)
	return database, err
}

// describe fills in what identifies the database and the moment, and refuses a server that the tools do not know.
func (r *run) describe(ctx context.Context, tx *sql.Tx) error {
	const query = `SELECT pg_export_snapshot(), current_database(), current_setting('server_version'),
		current_setting('server_version_num')::int / 10000,
		coalesce(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text, ''),
		has_function_privilege('pg_control_system()', 'EXECUTE'), pg_database_size(current_database())`
	var (
		major int
		mayID bool
		size  int64
	)
	err := tx.QueryRowContext(ctx, query).Scan(&r.report.Snapshot, &r.report.Database, &r.report.ServerVersion, &major, &r.report.LSN, &mayID, &size)
	if err == nil && mayID {
		err = tx.QueryRowContext(ctx, "SELECT system_identifier::text FROM pg_control_system()").Scan(&r.report.SystemIdentifier)
	}
	if err != nil {
		return r.access.Failure(ctx, contract.BackupFailed, "describing the database", err)
	}
	r.most = dumpPerDatabase * size
	tools, toolMajor, err := toolVersion(ctx)
	if err != nil {
		return err
	}
	r.report.ToolVersion = tools
	return checkVersions(r.report.ServerVersion, major, tools, toolMajor)
}

// checkVersions refuses a server newer than the tools, which they would refuse themselves, with fewer words.
func checkVersions(server string, serverMajor int, tools string, toolMajor int) error {
	if serverMajor <= toolMajor {
		return nil
	}
	return migrate.NewError(contract.ServerTooNew, fmt.Sprintf(
		"the server is PostgreSQL %s and the tools of this image are of %s, which cannot dump it: use a migrate image built with PostgreSQL %d or newer",
		server, tools, serverMajor))
}

// writeDump streams the dump to the storage and hashes it on the way, so that what the storage does to it is noticed.
func (r *run) writeDump(ctx context.Context) error {
	sum := sha256.New()
	counted := &counter{}
	err := r.draft.write(ctx, r.most, func(to io.Writer) error {
		return runTool(ctx, tool{name: "pg_dump", access: r.access, stdout: io.MultiWriter(to, sum, counted), args: []string{
			"--format=custom", "--compress=1", "--no-subscriptions", "--no-password", "--lock-wait-timeout=60s", "--snapshot=" + r.report.Snapshot,
		}})
	})
	r.report.Size = counted.bytes
	r.report.Files = []contract.BackupFile{{Name: dumpFile, Size: counted.bytes, SHA256: hex.EncodeToString(sum.Sum(nil))}}
	return err
}

// counter counts what is written to it.
type counter struct{ bytes int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.bytes += int64(len(p))
	return len(p), nil
}

// failure is one of reading the database.
func (r *run) failure(ctx context.Context, err error) error {
	return readFailure(ctx, r.access, err)
}

// verify restores the dump into a scratch server and compares.
func (r *run) verify(ctx context.Context, database content) (err error) {
	started := time.Now()
	roles, encoding, err := readSurroundings(ctx, r.access)
	if err != nil {
		return err
	}
	s, err := startScratch(ctx, r.Scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	r.Log.InfoContext(ctx, "restoring the dump into a scratch server", "bytes", r.report.Size)
	dump, err := r.draft.read(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = dump.Close() }() // it was only read
	restored, err := s.newCopy(ctx, roles, encoding)
	if err != nil {
		return err
	}
	if err := restoreDump(ctx, restored, dump, r.report.Files[0]); err != nil {
		return err
	}
	r.Log.InfoContext(ctx, "comparing the copy with the database")
	found, err := readContent(ctx, restored)
	if err != nil {
		return err
	}
	if differ := differences(database, found.content); len(differ) > 0 {
		return differError(differ)
	}
	r.report.SchemaVersion, r.report.Fingerprint = found.version, found.fingerprint
	r.report.VerifyDuration = time.Since(started)
	return nil
}
