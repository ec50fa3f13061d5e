package migrate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"

	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// attempt applies one file once, over a connection that nothing else uses: whatever the file does to its session is
// gone before the next one.
func (r *runner) attempt(ctx context.Context, f file) error {
	lockTimeout := r.StatementLockTimeout
	if !f.transactional {
		// A concurrent build waits for every older transaction of the database. A timeout would cancel it there, and
		// leave an invalid index behind.
		lockTimeout = 0
	}
	t, sent := r.target, &trace{}
	t.wrap = func(c driver.Connector) driver.Connector {
		if r.Wrap != nil {
			c = r.Wrap(f.name, c)
		}
		return sent.wrap(c)
	}
	db := t.open(lockTimeout)
	defer func() { _ = db.Close() }()
	if f.index != nil {
		if built, err := r.beginIndex(ctx, db, f); err != nil || built {
			return err
		}
	}
	sent.reset()
	stop := r.watch(ctx, db, f)
	err := applyFile(ctx, db, r.Config, f)
	seen := stop()
	if err == nil {
		return nil
	}
	failure := &databaseError{act: "applying it", migration: f.name, line: sent.line(f, err), cause: err}
	if f.index != nil && ctx.Err() == nil {
		if left, lookErr := findInvalidIndex(ctx, db, *f.index); lookErr == nil && left != "" {
			failure.hint = "it left the invalid index " + left + " behind, which the next attempt drops first"
		}
	}
	failure.hint = joinHints(failure.hint, seen.hint(err))
	return failure
}

func joinHints(hints ...string) string {
	return strings.Join(slices.DeleteFunc(hints, func(h string) bool { return h == "" }), "; ")
}

func applyFile(ctx context.Context, db *sql.DB, cfg Config, f file) error {
	store, err := newStore()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectCustom, db, cfg.Files,
		goose.WithStore(&checksumStore{Store: store, file: f}),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()),
	)
	if err != nil {
		return invalid(f.name, err)
	}
	_, err = provider.ApplyVersion(ctx, f.version, true)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		return partial.Err
	}
	return err
}

// beginIndex makes sure that the build finds its name free, or not needed any more: between the end of a build, which is in no
// transaction, and the record of it an earlier attempt may have died. It then only keeps the record.
func (r *runner) beginIndex(ctx context.Context, db *sql.DB, f file) (built bool, err error) {
	if err := r.dropInvalidIndex(ctx, db, f); err != nil {
		return false, err
	}
	failure := func(err error) error {
		return &databaseError{act: "beginning to build its index", migration: f.name, cause: err}
	}
	var there bool
	const query = "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = $1 AND i.indrelid = to_regclass($2))"
	if err := db.QueryRowContext(ctx, query, f.index.name, f.index.table).Scan(&there); err != nil {
		return false, failure(err)
	}
	if there && r.begun == f.version {
		r.Log.WarnContext(ctx, "keeping the record of an index that an earlier attempt has built", "migration", f.name)
		store := checksumStore{file: f}
		if err := store.Insert(ctx, db, database.InsertRequest{Version: f.version}); err != nil {
			return false, failure(err)
		}
		return true, nil
	}
	if there { // somebody else's: the statement says what is wrong
		return false, nil
	}
	if _, err := db.ExecContext(ctx, "UPDATE "+ownerTable+" SET attempt = $1", f.version); err != nil {
		return false, failure(err)
	}
	r.begun = f.version
	return false, nil
}

// dropInvalidIndex removes what an earlier attempt at this very file has left. Without it, the file would fail because
// the name is taken, or, with IF NOT EXISTS, would take the invalid index for its work.
func (r *runner) dropInvalidIndex(ctx context.Context, db *sql.DB, f file) error {
	name, err := findInvalidIndex(ctx, db, *f.index)
	if err == nil && name != "" {
		r.Log.WarnContext(ctx, "dropping the invalid index of an earlier attempt", "migration", f.name, "index", name)
		_, err = db.ExecContext(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+name)
	}
	if err != nil {
		return &databaseError{act: "removing the invalid index of an earlier attempt", migration: f.name, cause: err}
	}
	return nil
}

// findInvalidIndex returns the quoted name, with its schema, of the index if it is there and not valid, or "".
func findInvalidIndex(ctx context.Context, db *sql.DB, index concurrentIndex) (string, error) {
	const query = `SELECT n.nspname, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT i.indisvalid AND c.relname = $1 AND i.indrelid = to_regclass($2)`
	var schema, name string
	err := db.QueryRowContext(ctx, query, index.name, index.table).Scan(&schema, &name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return pq.QuoteIdentifier(schema) + "." + pq.QuoteIdentifier(name), nil
}

// listInvalidIndexes returns the quoted names of all indexes that no reader uses and nobody is building. Those of partitioned tables are
// left out: they become valid when the last partition has its own.
func listInvalidIndexes(ctx context.Context, db querier) (names []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT n.nspname, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_'
		AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = i.indrelid AND p.index_relid IN (0, i.indexrelid))
		ORDER BY 1, 2`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var schema, name string
		if err := rows.Scan(&schema, &name); err != nil {
			return nil, err
		}
		names = append(names, pq.QuoteIdentifier(schema)+"."+pq.QuoteIdentifier(name))
	}
	return names, rows.Err()
}
