package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/lib/pq"
)

func quoted(name string) string { return pq.QuoteIdentifier(name) }

// observe reads all that preflight judges.
func (c *checker) observe(ctx context.Context, db *sql.DB, p plan) (s surroundings, err error) {
	if s.pooled, err = isPooled(ctx, db); err != nil {
		return s, &databaseError{act: "looking for a connection pooler", cause: err}
	}
	for _, part := range []struct {
		act  string
		read func(context.Context, *sql.DB, *surroundings) error
	}{
		{"describing the server", readServer},
		{"reading the rights of the role", readRights},
		{"looking at other sessions", readSessions},
		{"listing the tables", func(ctx context.Context, db *sql.DB, s *surroundings) error {
			return readTables(ctx, db, s, c.report.Schema.Current)
		}},
		{"looking for another run", func(ctx context.Context, db *sql.DB, s *surroundings) error {
			s.running, err = lockHolder(ctx, db, lockKey(c.LockID))
			return err
		}},
		{"looking for invalid indexes", func(ctx context.Context, db *sql.DB, s *surroundings) error {
			s.invalid, err = listInvalidIndexes(ctx, db)
			return err
		}},
		{"measuring tables", func(ctx context.Context, db *sql.DB, s *surroundings) error { return readBuilds(ctx, db, s, p.pending) }},
	} {
		if err := part.read(ctx, db, &s); err != nil {
			return s, &databaseError{act: part.act, cause: err}
		}
	}
	return s, nil
}

// isPooled says whether two connections that are open at once, the second in a transaction, are answered by the same session of the
// server. A pooler in transaction mode lends the session of the first, which is idle, to the second.
func isPooled(ctx context.Context, db *sql.DB) (bool, error) {
	idle, err := db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = idle.Close() }()
	var first, second int
	if err := idle.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&first); err != nil {
		return false, err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // it has only read
	if err := tx.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&second); err != nil {
		return false, err
	}
	return first == second, nil
}

func readServer(ctx context.Context, db *sql.DB, s *surroundings) error {
	var mayID bool
	err := db.QueryRowContext(ctx, `SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000,
		current_database(), session_user, pg_is_in_recovery(), current_setting('transaction_read_only')::bool,
		pg_database_size(current_database()), has_function_privilege('pg_control_system()', 'EXECUTE'),
		pg_has_role('pg_read_all_stats', 'USAGE')`).Scan(&s.identity.ServerVersion, &s.major, &s.identity.Name, &s.identity.Role,
		&s.standby, &s.readOnly, &s.identity.Bytes, &mayID, &s.seesOthers)
	if err != nil || !mayID {
		return err
	}
	return db.QueryRowContext(ctx, "SELECT system_identifier::text FROM pg_control_system()").Scan(&s.identity.System)
}

// readRights asks for what a run needs itself: its tables are in the schema public.
func readRights(ctx context.Context, db *sql.DB, s *surroundings) error {
	var schema sql.NullBool
	err := db.QueryRowContext(ctx, `SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'public'`).Scan(&schema)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		s.missing = append(s.missing, "find the schema public, which is not there")
	case err != nil:
		return err
	case !schema.Bool:
		s.missing = append(s.missing, "create tables in the schema public")
	}
	for _, table := range ownTables {
		var may bool
		err := db.QueryRowContext(ctx, `SELECT coalesce(bool_and(has_table_privilege(t, 'SELECT') AND has_table_privilege(t, 'INSERT')
			AND pg_has_role(c.relowner, 'USAGE')), true) FROM (SELECT to_regclass($1) AS t) AS named JOIN pg_class c ON c.oid = t`, table).Scan(&may)
		if err != nil {
			return err
		}
		if !may {
			s.missing = append(s.missing, "change "+table+", which another role owns")
		}
	}
	return nil
}

func readSessions(ctx context.Context, db *sql.DB, s *surroundings) (err error) {
	const sessions = `SELECT pid, coalesce(application_name, ''), coalesce(state, ''), round(extract(epoch FROM clock_timestamp() - xact_start)),
		coalesce(application_name, '') = 'pg_dump' FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
		AND (application_name = 'pg_dump' OR clock_timestamp() - xact_start > make_interval(secs => $1)) ORDER BY xact_start`
	rows, err := db.QueryContext(ctx, sessions, oldTransaction.Seconds())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			pid                int
			application, state string
			age                float64
			dump               bool
		)
		if err := rows.Scan(&pid, &application, &state, &age, &dump); err != nil {
			return err
		}
		if dump {
			s.dumps = append(s.dumps, "server process "+strconv.Itoa(pid))
			continue
		}
		s.old = append(s.old, describeSession(pid, application, state, age))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	s.prepared, err = column(ctx, db, `SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared`)
	return err
}

func readTables(ctx context.Context, db *sql.DB, s *surroundings, current int64) (err error) {
	const tables = `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
		AND c.oid NOT IN (SELECT to_regclass(own) FROM unnest($1::text[]) AS own WHERE to_regclass(own) IS NOT NULL)
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`
	if s.foreign, err = column(ctx, db, tables+` AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1`, pq.Array(ownTables)); err != nil {
		return err
	}
	if current == 0 {
		s.unknownTables, err = column(ctx, db, tables+` ORDER BY 1`, pq.Array(ownTables))
	}
	return err
}

func readBuilds(ctx context.Context, db *sql.DB, s *surroundings, pending []file) error {
	for _, f := range pending {
		if f.index == nil {
			continue
		}
		b := indexBuild{file: f.name, index: f.index.name, table: f.index.table}
		err := db.QueryRowContext(ctx, "SELECT coalesce(pg_table_size(to_regclass($1)), 0)", f.index.table).Scan(&b.bytes)
		if err != nil {
			return fmt.Errorf("%s: %w", f.index.table, err)
		}
		s.builds = append(s.builds, b)
	}
	return nil
}

// column reads one column of texts.
func column(ctx context.Context, db querier, query string, args ...any) (values []string, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, rows.Err()
}
