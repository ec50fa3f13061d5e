package postgres

import "context"

// available is what the server has for one database and role: all its connections, but for those that it keeps back and those of
// other databases, and no more than the database and the role are allowed.
const available = `select greatest(0, least(
	current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		- coalesce(current_setting('reserved_connections', true)::int, 0)
		- (select count(*)::int from pg_stat_activity where backend_type = 'client backend' and datname is distinct from current_database()),
	(select nullif(datconnlimit, -1) from pg_database where datname = current_database()),
	(select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user)))`

// Available returns how many connections the database has for all pods of this service together, those that they have already
// included. It does not wait for the pool.
func (db *DB) Available(ctx context.Context) (int64, error) {
	var n int64
	if err := db.probe.QueryRowContext(ctx, available).Scan(&n); err != nil {
		return 0, translate(ctx, "connections available", err)
	}
	return n, nil
}
