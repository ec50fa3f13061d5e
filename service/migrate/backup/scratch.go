package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/migrate"
)

// scratchStopPatience is how long the scratch server may take to end; its data is thrown away.
const scratchStopPatience = 15 * time.Second

// copyName is the database on the scratch server.
const copyName = "copy"

// scratch is a server that nobody else can reach, with the roles of the real one and one copy of a database.
type scratch struct {
	dir    string
	server *pgserver.Server
}

func startScratch(ctx context.Context, parent string) (*scratch, error) {
	dir, err := os.MkdirTemp(parent, "pg")
	if err != nil {
		return nil, scratchError("making a directory for the scratch server", err)
	}
	server, err := pgserver.Start(ctx, pgserver.Config{Dir: dir, Socket: true})
	if err != nil {
		return nil, errors.Join(scratchError("starting the scratch server", err), os.RemoveAll(dir))
	}
	return &scratch{dir: dir, server: server}, nil
}

func scratchError(act string, err error) error {
	return migrate.NewError(contract.StorageUnavailable, act+" in the directory of --scratch: "+err.Error())
}

func (s *scratch) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), scratchStopPatience)
	defer cancel()
	if err := errors.Join(s.server.Stop(ctx), os.RemoveAll(s.dir)); err != nil {
		return scratchError("removing the scratch server", err)
	}
	return nil
}

// encoding is how a database stores and sorts text.
type encoding struct{ name, collate, ctype string }

// readSurroundings returns the roles of the server, which owners and privileges name, and the encoding of the database.
func readSurroundings(ctx context.Context, access migrate.Access) (roles []string, e encoding, err error) {
	db, err := access.Open()
	if err != nil {
		return nil, e, readFailure(ctx, access, err)
	}
	defer func() { _ = db.Close() }()
	if e, err = readEncoding(ctx, db); err != nil {
		return nil, e, readFailure(ctx, access, err)
	}
	roles, err = readColumn(ctx, db, "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1")
	if err != nil {
		return nil, e, readFailure(ctx, access, err)
	}
	return roles, e, nil
}

func readEncoding(ctx context.Context, db querier) (e encoding, err error) {
	const query = "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()"
	err = db.QueryRowContext(ctx, query).Scan(&e.name, &e.collate, &e.ctype)
	return e, err
}

// create is the statement that makes an empty database which stores and sorts text so.
func (e encoding) create(database string) string {
	return "CREATE DATABASE " + pq.QuoteIdentifier(database) + " TEMPLATE template0 ENCODING " + pq.QuoteLiteral(e.name) +
		" LC_COLLATE " + pq.QuoteLiteral(e.collate) + " LC_CTYPE " + pq.QuoteLiteral(e.ctype)
}

// newCopy makes the roles and an empty database. Where this machine does not know the locale, texts are sorted by bytes.
func (s *scratch) newCopy(ctx context.Context, roles []string, e encoding) (migrate.Access, error) {
	admin, err := migrate.ParseAccess(s.server.URL("postgres"))
	if err != nil {
		return migrate.Access{}, err
	}
	db, err := admin.Open()
	if err != nil {
		return migrate.Access{}, scratchError("connecting to the scratch server", err)
	}
	defer func() { _ = db.Close() }()
	for _, role := range roles {
		if role == admin.User() {
			continue
		}
		if _, err := db.ExecContext(ctx, "CREATE ROLE "+pq.QuoteIdentifier(role)); err != nil {
			return migrate.Access{}, admin.Failure(ctx, contract.BackupFailed, "making the roles on the scratch server", err)
		}
	}
	_, err = db.ExecContext(ctx, e.create(copyName))
	if err != nil && ctx.Err() == nil {
		e.collate, e.ctype = "C", "C"
		_, err = db.ExecContext(ctx, e.create(copyName))
	}
	if err != nil {
		return migrate.Access{}, admin.Failure(ctx, contract.BackupFailed, "making a database on the scratch server", err)
	}
	return admin.WithDatabase(copyName), nil
}

// restoreDump feeds a dump to pg_restore and makes sure that it was the one that the manifest tells of.
func restoreDump(ctx context.Context, access migrate.Access, dump io.Reader, file contract.BackupFile) error {
	sum := sha256.New()
	read := io.TeeReader(dump, sum)
	err := runTool(ctx, tool{name: "pg_restore", access: access, stdin: read, args: []string{
		"--exit-on-error", "--no-password", "--dbname=" + access.Database(),
	}})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// pg_restore stops reading where it thinks the end is, or at the first damage.
	if _, drainErr := io.Copy(io.Discard, read); drainErr != nil {
		return storageError("reading the dump", drainErr)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != file.SHA256 {
		return damaged(got, file)
	}
	if failure, ok := errors.AsType[*migrate.Error](err); ok && failure.Code == contract.BackupFailed {
		return migrate.NewError(contract.BackupFailed, "restoring the dump: "+failure.Message)
	}
	return err
}

func damaged(sum string, file contract.BackupFile) error {
	return migrate.NewError(contract.BackupDiffers, "the dump is damaged: its SHA-256 is "+sum+" and was "+file.SHA256+" when it was written")
}

// found is what a copy holds, with what the engine of migrations says about it.
type found struct {
	content
	version     int64
	fingerprint string
}

func readContent(ctx context.Context, access migrate.Access) (f found, err error) {
	db, err := access.Open()
	if err != nil {
		return f, readFailure(ctx, access, err)
	}
	defer func() { _ = db.Close() }()
	tx, err := begin(ctx, db)
	if err != nil {
		return f, readFailure(ctx, access, err)
	}
	defer func() { _ = tx.Rollback() }() // it has only read
	if f.tables, err = readTables(ctx, tx); err != nil {
		return f, readFailure(ctx, access, err)
	}
	if f.sequences, err = readSequences(ctx, tx); err != nil {
		return f, readFailure(ctx, access, err)
	}
	if f.version, err = migrate.Version(ctx, db); err != nil {
		return f, err
	}
	if f.fingerprint, err = migrate.Fingerprint(ctx, db); err != nil {
		return f, err
	}
	f.schema, err = readSchema(ctx, access, "")
	return f, err
}

func readFailure(ctx context.Context, access migrate.Access, err error) error {
	act := "reading the database"
	failure := access.Failure(ctx, contract.BackupFailed, act, err)
	if failure.SQLState == "42501" { // insufficient_privilege
		failure.Message += "; grant the role " + access.User() + " SELECT on it, or use the owner's"
	}
	return failure
}

func differError(differ []string) error {
	const most = 5
	text := strings.Join(differ[:min(most, len(differ))], "; ")
	if len(differ) > most {
		text += fmt.Sprintf("; and %d more", len(differ)-most)
	}
	return migrate.NewError(contract.BackupDiffers, "the restored copy is not equal to the database: "+text)
}
