package backup

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

// MaxDatabaseName is how many bytes the name of a database to be made may have: what follows it meanwhile must fit as well.
const MaxDatabaseName = 50

// unproven follows the name of a database until what was restored into it has been compared.
const unproven = "_unproven"

// mark begins the comment of a database that a restore has made, by which a later run knows what an earlier one has left.
const mark = "mirubato-migrate: restored from backup "

// RestoreConfig says which backup to restore where.
type RestoreConfig struct {
	// DatabaseURL leads to any database of the server, as a role that may make databases and act as the owners that the backup
	// names. The new database stores and sorts text as that one does. It is a secret.
	DatabaseURL string
	// Location is the directory or the s3:// URL where the backup lies, Name is its name.
	Location, Name string
	// Database is the name of the database to make, of 1 to MaxDatabaseName bytes. It must not be there.
	Database string
	// Log gets one record for each thing that happens.
	Log *slog.Logger
}

// Restore makes a new database from a backup. The dump is read and its checksum compared before anything is made. The database has its
// name only when its rows and its schema are those of the manifest; until then it is called Database with _unproven behind it, and is
// dropped when anything fails. A run that was killed leaves that one, and the next run for the same name removes it. Restore never
// changes a database that it has not made. The report is complete also when the error, always a *migrate.Error, is not nil.
func Restore(ctx context.Context, cfg RestoreConfig) (contract.RestoreReport, error) {
	r := &restoration{RestoreConfig: cfg, report: NewRestoreReport(cfg.Name, cfg.Database, nil)}
	r.report.Started = time.Now().UTC()
	err := r.run(ctx)
	r.report.Finished = time.Now().UTC()
	if err != nil {
		failure := asFailure(ctx, err)
		if r.left != "" {
			failure.Message += "; the database " + r.left + " is left: run the same again, which removes it, or drop it"
		}
		r.report.Error = &failure.MigrationError
		return r.report, failure
	}
	r.report.Restored = true
	return r.report, nil
}

// NewRestoreReport is the report of a run that has done nothing; failure may be nil.
func NewRestoreReport(name, database string, failure *migrate.Error) contract.RestoreReport {
	report := contract.RestoreReport{ReportVersion: contract.RestoreReportVersion, Backup: name, Database: database}
	if failure != nil {
		report.Error = &failure.MigrationError
	}
	return report
}

// restoration is one call of Restore.
type restoration struct {
	RestoreConfig
	access   migrate.Access
	storage  storage
	db       *sql.DB
	manifest contract.BackupReport
	report   contract.RestoreReport
	// left is a database that could not be dropped after a failure.
	left string
}

// unfinished is how the database is called until it has been compared.
func (r *restoration) unfinished() string { return r.Database + unproven }

func (r *restoration) run(ctx context.Context) (err error) {
	if r.access, err = migrate.ParseAccess(r.DatabaseURL); err != nil {
		return err
	}
	if r.storage, err = openStorage(ctx, r.Location); err != nil {
		return err
	}
	defer func() { _ = r.storage.close() }() // it was only read
	if err := r.readBackup(ctx); err != nil {
		return err
	}
	if r.db, err = r.access.Open(); err != nil {
		return readFailure(ctx, r.access, err)
	}
	defer func() { _ = r.db.Close() }()
	if err := r.makeRoom(ctx); err != nil {
		return err
	}
	if err := r.create(ctx); err != nil {
		return err
	}
	if err = r.fill(ctx); err == nil {
		r.Log.InfoContext(ctx, "giving the database its name", "database", r.Database)
		err = r.change(ctx, "ALTER DATABASE "+pq.QuoteIdentifier(r.unfinished())+" RENAME TO "+pq.QuoteIdentifier(r.Database))
	}
	if err != nil {
		// With force: what is connected is this run's own, such as a program that has not noticed yet that it was stopped.
		if r.change(context.WithoutCancel(ctx), "DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(r.unfinished())+" WITH (FORCE)") != nil {
			r.left = r.unfinished()
		}
		return err
	}
	r.Log.InfoContext(ctx, "keeping the database: it is equal to what was backed up", "database", r.Database, "rows", r.manifest.Rows)
	return nil
}

// readBackup reads the manifest and all of the dump, so that damage is found before a server has worked for nothing.
func (r *restoration) readBackup(ctx context.Context) error {
	manifest, err := r.storage.manifest(ctx, r.Name)
	if err != nil {
		return err
	}
	r.manifest = manifest
	r.report.Taken, r.report.Size, r.report.TableCount, r.report.Rows = manifest.Started, manifest.Size, manifest.TableCount, manifest.Rows
	r.report.SchemaVersion, r.report.Fingerprint = manifest.SchemaVersion, manifest.Fingerprint
	r.Log.InfoContext(ctx, "checking the dump", "backup", r.Name, "bytes", manifest.Size)
	dump, err := r.storage.dump(ctx, r.Name)
	if err != nil {
		return err
	}
	defer func() { _ = dump.Close() }() // it was only read
	sum := sha256.New()
	if _, err := io.Copy(sum, whileWanted{ctx, dump}); err != nil {
		return storageError("reading the dump", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != manifest.Files[0].SHA256 {
		return damaged(got, manifest.Files[0])
	}
	return nil
}

// whileWanted reads until its context ends.
type whileWanted struct {
	ctx context.Context
	in  io.Reader
}

func (w whileWanted) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.in.Read(p)
}

// makeRoom refuses a database that is there, and removes what a run that was killed has left.
func (r *restoration) makeRoom(ctx context.Context) error {
	_, exists, err := r.comment(ctx, r.Database)
	switch {
	case err != nil:
		return err
	case exists:
		return migrate.NewError(contract.TargetExists,
			"the database "+r.Database+" is there already: restore into another one, or drop it yourself if nobody needs it")
	}
	comment, exists, err := r.comment(ctx, r.unfinished())
	switch {
	case err != nil:
		return err
	case !exists:
		return nil
	case !strings.HasPrefix(comment, mark):
		return migrate.NewError(contract.TargetExists, "the database "+r.unfinished()+
			" is there already, and no restore is known to have made it: restore into another one, or drop it yourself if nobody needs it")
	}
	// Without force: whoever is at work on it keeps a connection to it.
	if _, err := r.db.ExecContext(ctx, "DROP DATABASE "+pq.QuoteIdentifier(r.unfinished())); err != nil {
		if isRefusal(err, pqerror.ObjectInUse) {
			return migrate.NewError(contract.LockNotAcquired, "another restore into "+r.Database+" is at work: wait for it, or restore into another database")
		}
		return r.access.Failure(ctx, contract.BackupFailed, "removing what an earlier run has left", err)
	}
	r.report.Removed = r.unfinished()
	r.Log.InfoContext(ctx, "removing what an earlier run has left", "database", r.unfinished())
	return nil
}

func isRefusal(err error, code pqerror.Code) bool {
	refused, ok := errors.AsType[*pq.Error](err)
	return ok && refused.Code == code
}

// comment is that of a database, if it exists.
func (r *restoration) comment(ctx context.Context, database string) (comment string, exists bool, err error) {
	const query = "SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = $1"
	err = r.db.QueryRowContext(ctx, query, database).Scan(&comment)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, readFailure(ctx, r.access, err)
	}
	return comment, true, nil
}

func (r *restoration) create(ctx context.Context) error {
	e, err := readEncoding(ctx, r.db)
	if err != nil {
		return readFailure(ctx, r.access, err)
	}
	r.Log.InfoContext(ctx, "making a database", "database", r.unfinished())
	_, err = r.db.ExecContext(ctx, e.create(r.unfinished()))
	switch {
	case isRefusal(err, pqerror.InsufficientPrivilege):
		return migrate.NewError(contract.BackupFailed, "the role "+r.access.User()+
			" may not make databases: use a role that may, or let this one for as long as it takes (ALTER ROLE ... CREATEDB)")
	case isRefusal(err, pqerror.DuplicateDatabase):
		return migrate.NewError(contract.LockNotAcquired, "another restore into "+r.Database+" has just begun: wait for it, or restore into another database")
	case err != nil:
		return r.access.Failure(ctx, contract.BackupFailed, "making the database", err)
	}
	return nil
}

// fill restores and compares. Meanwhile it keeps a connection to the database, which tells other runs that somebody is at work; the
// comment, which lets them remove it, comes only after that.
func (r *restoration) fill(ctx context.Context) (err error) {
	into := r.access.WithDatabase(r.unfinished())
	hold, err := into.Open()
	if err != nil {
		return readFailure(ctx, into, err)
	}
	defer func() { err = errors.Join(err, hold.Close()) }()
	held, err := hold.Conn(ctx)
	if err != nil {
		return readFailure(ctx, into, err)
	}
	defer func() { _ = held.Close() }() // hold.Close comes next and closes it for good
	if err := r.change(ctx, "COMMENT ON DATABASE "+pq.QuoteIdentifier(r.unfinished())+" IS "+pq.QuoteLiteral(mark+r.Name)); err != nil {
		return err
	}
	dump, err := r.storage.dump(ctx, r.Name)
	if err != nil {
		return err
	}
	defer func() { _ = dump.Close() }() // it was only read
	read := &progress{in: dump, size: r.manifest.Size, tell: func(percent int64) {
		r.Log.InfoContext(ctx, "restoring the dump", "percent", percent)
	}}
	if err := restoreDump(ctx, into, read, r.manifest.Files[0]); err != nil {
		return err
	}
	r.Log.InfoContext(ctx, "comparing the database with the manifest", "tables", r.manifest.TableCount, "rows", r.manifest.Rows)
	return compare(ctx, into, r.manifest)
}

func (r *restoration) change(ctx context.Context, text string) error {
	if _, err := r.db.ExecContext(ctx, text); err != nil {
		return r.access.Failure(ctx, contract.BackupFailed, "making the database", err)
	}
	return nil
}

// progress tells at each tenth how much of size bytes was read. The end of the reading is not the end of the work: indexes come last.
type progress struct {
	in         io.Reader
	size, read int64
	tell       func(percent int64)
	begun      bool
	tenths     int64
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	p.read += int64(n)
	if tenths := p.read * 10 / max(1, p.size); tenths > p.tenths || !p.begun {
		p.begun, p.tenths = true, tenths
		p.tell(min(100, tenths*10))
	}
	return n, err
}
