// Package postgres is how a service talks to PostgreSQL: a connection pool that follows a rotated URL and never hangs
// on a dead server, statements prepared once, and database errors turned into faults. It owns connections and their
// limits; the SQL belongs to the domains, and schema changes to package migrate.
package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"github.com/mirubato/mirubato/service/chassis/secret"
)

// Config says how to reach the database. All fields are required unless they say otherwise.
type Config struct {
	// URL yields a connection URL. It is read again for each new connection, and every second while connections are used: once
	// another one has led to a connection, those of the one before are given up, after the statement that they are at. One that
	// the server refuses or that cannot be understood leaves the one before in force.
	URL secret.Source
	// ApplicationName is shown in pg_stat_activity, unless the URL sets one.
	ApplicationName string
	// StatementTimeout is when the server gives a statement up, unless the URL sets one. Keep it below the deadline of an
	// attempt: a statement that the server ends keeps its connection, one that the client cancels costs two.
	StatementTimeout time.Duration
	// MaxConns is the size of the pool, busy and idle. One more connection is kept for the probes.
	MaxConns int
	// Observer measures queries.
	Observer Observer
	// Logger is told when another URL comes into force or is no good; nil tells nobody.
	Logger *slog.Logger
	// Reads and Writes protect the statements that read and those that write; nil is no protection. The probes are never
	// kept from asking.
	Reads, Writes Protection
}

// Observer measures queries. It is called by many goroutines.
type Observer interface {
	// ObserveQuery is told the name of a statement, how long it took with waiting for a connection, and how it failed.
	ObserveQuery(name string, took time.Duration, err error)
}

const (
	connectTimeout = 3 * time.Second
	// readSlack is what the server may be late with an answer beyond the statement timeout.
	readSlack = time.Second
	// endSlack is what is left to the driver, after its context has ended, to notice that itself.
	endSlack = 50 * time.Millisecond
	// idleInTransaction frees the locks of a transaction whose owner is gone or stuck.
	idleInTransaction = 10 * time.Second
	connMaxIdle       = 5 * time.Minute
	connMaxLife       = 30 * time.Minute
	// lifeJitter spreads the reconnects of pods that started together.
	lifeJitter = 5 * time.Minute
)

// DB is a pool of connections. It may be used by many goroutines.
type DB struct {
	connector *connector
	pool      *sql.DB
	// probe is one connection apart from the pool: a service whose pool is busy must not look as if its database were
	// away, or the load that keeps it busy moves to the others and takes them down as well.
	probe         *sql.DB
	observer      Observer
	reads, writes Protection
}

// Open returns a pool without connecting, so a database that is away is no error here. A URL that cannot be read or
// understood is one.
func Open(cfg Config) (*DB, error) {
	c := &connector{cfg: cfg, rotation: rotation{logger: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))}}
	c.timeout.Store(int64(cfg.StatementTimeout))
	if _, err := c.current(); err != nil {
		return nil, err
	}
	db := &DB{
		connector: c, pool: newPool(c, cfg.MaxConns), probe: newPool(c, 1), observer: cfg.Observer,
		reads: cfg.Reads, writes: cfg.Writes,
	}
	c.rotation.closeIdle = db.closeIdle
	if db.reads == nil {
		db.reads = unprotected{}
	}
	if db.writes == nil {
		db.writes = unprotected{}
	}
	return db, nil
}

// SetStatementTimeout changes when the server gives a statement up. Connections that were used before are renewed
// before they are used again; one that is being made at this moment serves one statement more.
func (db *DB) SetStatementTimeout(d time.Duration) { db.connector.timeout.Store(int64(d)) }

func newPool(c driver.Connector, conns int) *sql.DB {
	pool := sql.OpenDB(c)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(connMaxIdle)
	pool.SetConnMaxLifetime(connMaxLife + rand.N(lifeJitter)) //nolint:gosec // spreads load, guards nothing
	return pool
}

// closeIdle closes the connections that nobody uses at the moment.
func (db *DB) closeIdle() {
	for pool, conns := range map[*sql.DB]int{db.pool: db.connector.cfg.MaxConns, db.probe: 1} {
		pool.SetMaxIdleConns(0)
		pool.SetMaxIdleConns(conns)
	}
}

// Pool returns the underlying pool, for statistics and tools.
func (db *DB) Pool() *sql.DB { return db.pool }

// Close closes all connections, waiting for statements that run.
func (db *DB) Close() error {
	if err := errors.Join(db.pool.Close(), db.probe.Close()); err != nil {
		return fmt.Errorf("closing database pool: %w", err)
	}
	return nil
}

// SchemaVersion returns the highest migration applied, 0 if the database has never been migrated. It is also the proof that the
// database answers, and does not wait for the pool.
func (db *DB) SchemaVersion(ctx context.Context) (int64, error) {
	var version int64
	err := db.probe.QueryRowContext(ctx,
		`select coalesce(max(version_id), 0) from public.goose_db_version where is_applied`).Scan(&version)
	if isCode(err, pqerror.UndefinedTable) {
		return 0, nil
	}
	if err != nil {
		return 0, translate(ctx, "schema version", err)
	}
	return version, nil
}

// Ask returns nil if the database answers by the end of ctx, whatever it answers. It does not wait for the pool.
func (db *DB) Ask(ctx context.Context) error {
	if _, err := db.probe.ExecContext(ctx, `select 1`); err != nil && pq.As(err) == nil {
		return translate(ctx, "ask", err)
	}
	return nil
}

// ErrNoRows is what a statement that should find one row returns if it finds none.
var ErrNoRows = errors.New("no rows")
