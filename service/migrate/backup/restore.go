package backup

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

// unproven follows the name of a database until what was restored into it has been compared.
const unproven = "_unproven"

// RestoreConfig says which backup to restore where.
type RestoreConfig struct {
	// DatabaseURL leads to any database of the server, as a role that may make databases and act as the owners that the backup
	// names. It is a secret.
	DatabaseURL string
	// Location and Name are the directory and the name of the backup.
	Location, Name string
	// Database is the name of the database to make. It must not be there.
	Database string
	// Log gets one record for each thing that happens.
	Log *slog.Logger
}

// Restore makes a new database from a backup. It has its name only when its rows and its schema are those of the manifest; until then
// it is called Database with _unproven behind it, and is dropped when anything fails. A run that was killed leaves that one. It never
// changes a database that was there.
func Restore(ctx context.Context, cfg RestoreConfig) error {
	if err := restore(ctx, cfg); err != nil {
		return asFailure(ctx, err)
	}
	return nil
}

func restore(ctx context.Context, cfg RestoreConfig) (err error) {
	access, err := migrate.ParseAccess(cfg.DatabaseURL)
	if err != nil {
		return err
	}
	manifest, err := readManifest(cfg.Location, cfg.Name)
	if err != nil {
		return err
	}
	db, err := access.Open()
	if err != nil {
		return readFailure(ctx, access, err)
	}
	defer func() { _ = db.Close() }()
	unfinished := cfg.Database + unproven
	for _, name := range []string{cfg.Database, unfinished} {
		if err := refuseExisting(ctx, access, db, name); err != nil {
			return err
		}
	}
	cfg.Log.InfoContext(ctx, "restoring", "backup", cfg.Name, "database", unfinished)
	change := func(ctx context.Context, text string) error {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return access.Failure(ctx, contract.BackupFailed, "making the database", err)
		}
		return nil
	}
	if err := change(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(unfinished)+" TEMPLATE template0"); err != nil {
		return err
	}
	if err = restoreAndCompare(ctx, access.WithDatabase(unfinished), cfg.Location, manifest); err == nil {
		err = change(ctx, "ALTER DATABASE "+pq.QuoteIdentifier(unfinished)+" RENAME TO "+pq.QuoteIdentifier(cfg.Database))
	}
	if err != nil {
		return errors.Join(err, change(context.WithoutCancel(ctx), "DROP DATABASE "+pq.QuoteIdentifier(unfinished)+" WITH (FORCE)"))
	}
	cfg.Log.InfoContext(ctx, "the copy is equal to what was backed up", "database", cfg.Database, "rows", manifest.Rows)
	return nil
}

func refuseExisting(ctx context.Context, access migrate.Access, db *sql.DB, name string) error {
	var exists bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return readFailure(ctx, access, err)
	}
	if exists {
		return migrate.NewError(contract.TargetExists, "the database "+name+" is there already: restore into another one, or drop it yourself if nobody needs it")
	}
	return nil
}
