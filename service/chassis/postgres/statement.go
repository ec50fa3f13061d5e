package postgres

import (
	"context"
	"database/sql"
	"slices"
	"sync"
	"time"

	"github.com/lib/pq/pqerror"

	"github.com/mirubato/mirubato/service/chassis/timing"
)

// Statement is one SQL text with a name for metrics. It may be used by many goroutines.
type Statement struct {
	db   *DB
	name string
	text string
	// prepare is false for texts that vary too much to be worth the server's memory.
	prepare bool
	// protection is the one of reads or the one of writes.
	protection Protection
	repeatable bool

	mu      sync.Mutex
	current *prepared
}

// prepared is one generation of a prepared statement. It is closed when it was replaced and its last user is done.
type prepared struct {
	stmt    *sql.Stmt
	users   int
	retired bool
}

// Prepared returns a statement that is prepared at its first use, once on each connection. The text lists its columns
// explicitly, so that it survives columns being added.
func (db *DB) Prepared(name, text string, traits ...Trait) *Statement {
	s := db.Direct(name, text, traits...)
	s.prepare = true
	return s
}

// Direct returns a statement that is sent as it is, for texts that are put together for a request.
func (db *DB) Direct(name, text string, traits ...Trait) *Statement {
	s := &Statement{db: db, name: name, text: text, protection: db.writes, repeatable: slices.Contains(traits, Repeatable)}
	if isRead(text) {
		s.protection, s.repeatable = db.reads, true
	}
	return s
}

// querier is what *sql.Stmt and *sql.DB have in common once the text is bound.
type querier interface {
	query(ctx context.Context, args []any) (*sql.Rows, error)
	exec(ctx context.Context, args []any) (sql.Result, error)
}

type onStmt struct{ stmt *sql.Stmt }

func (q onStmt) query(ctx context.Context, args []any) (*sql.Rows, error) {
	return q.stmt.QueryContext(ctx, args...)
}

func (q onStmt) exec(ctx context.Context, args []any) (sql.Result, error) {
	return q.stmt.ExecContext(ctx, args...)
}

type onPool struct {
	pool *sql.DB
	text string
}

func (q onPool) query(ctx context.Context, args []any) (*sql.Rows, error) {
	return q.pool.QueryContext(ctx, q.text, args...)
}

func (q onPool) exec(ctx context.Context, args []any) (sql.Result, error) {
	return q.pool.ExecContext(ctx, q.text, args...)
}

// Query calls scan for each row. JSON arguments are passed as string, arrays by pq.Array. Errors are faults, those
// of scan included.
func (s *Statement) Query(ctx context.Context, scan func(*sql.Rows) error, args ...any) error {
	return s.run(ctx, func(ctx context.Context, q querier) error {
		rows, err := q.query(ctx, args)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		begun := false
		for rows.Next() {
			begun = true
			if err := scan(rows); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil && begun {
			return brokenOff{err}
		}
		return rows.Err()
	})
}

// QueryRow scans the first row into dest. It returns ErrNoRows if there is none.
func (s *Statement) QueryRow(ctx context.Context, dest []any, args ...any) error {
	found := false
	err := s.Query(ctx, func(rows *sql.Rows) error {
		if found {
			return nil
		}
		found = true
		return rows.Scan(dest...)
	}, args...)
	if err == nil && !found {
		return ErrNoRows
	}
	return err
}

// Exec returns how many rows the statement touched. The driver may send a statement again when the connection is lost
// before the answer arrives, so a statement must not do harm when it runs twice.
func (s *Statement) Exec(ctx context.Context, args ...any) (int64, error) {
	var touched int64
	err := s.run(ctx, func(ctx context.Context, q querier) error {
		res, err := q.exec(ctx, args)
		if err != nil {
			return err
		}
		touched, err = res.RowsAffected()
		return err
	})
	return touched, err
}

// run calls do in the transaction of ctx or else under the protection of the database, and measures all of it.
func (s *Statement) run(ctx context.Context, do func(context.Context, querier) error) (err error) {
	started := time.Now()
	ctx, end := trace(ctx, s.name)
	defer func() {
		took := time.Since(started)
		s.db.observer.ObserveQuery(s.name, took, err)
		timing.Add(ctx, "db", took)
		end(err)
	}()
	if t := s.db.transaction(ctx); t != nil {
		return s.within(ctx, t, do)
	}
	return s.protection.Do(ctx, s.repeatable, func(ctx context.Context) error { return s.attempt(ctx, do) })
}

// attempt calls do once, or twice if the first time only told that the prepared statement is out of date, which is so
// after a change of the schema and is found before anything is done.
func (s *Statement) attempt(ctx context.Context, do func(context.Context, querier) error) error {
	err := s.once(ctx, do)
	if s.prepare && isCode(err, pqerror.FeatureNotSupported, pqerror.InvalidSQLStatementName) {
		err = s.once(ctx, do)
	}
	if err != nil {
		return translate(ctx, s.name, err)
	}
	return nil
}

func (s *Statement) once(ctx context.Context, do func(context.Context, querier) error) error {
	if !s.prepare {
		return do(ctx, onPool{pool: s.db.pool, text: s.text})
	}
	p, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	err = do(ctx, onStmt{stmt: p.stmt})
	s.release(p, isCode(err, pqerror.FeatureNotSupported, pqerror.InvalidSQLStatementName))
	return err
}

// acquire prepares the statement if nobody has. Preparing happens outside the lock: it may wait for a connection, and those who
// hold one may be waiting for the lock.
func (s *Statement) acquire(ctx context.Context) (*prepared, error) {
	if p := s.share(nil); p != nil {
		return p, nil
	}
	stmt, err := s.db.pool.PrepareContext(ctx, s.text)
	if err != nil {
		return nil, err
	}
	p := s.share(&prepared{stmt: stmt})
	if p.stmt != stmt {
		// Another goroutine was faster. Nobody uses this one, so nothing is lost if closing fails.
		defer func() { _ = stmt.Close() }()
	}
	return p, nil
}

// share returns the current generation, which becomes fresh if there is none, and counts the caller as its user.
func (s *Statement) share(fresh *prepared) *prepared {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		s.current = fresh
	}
	if s.current != nil {
		s.current.users++
	}
	return s.current
}

// release ends one use of p, and retires p if it turned out to be out of date.
func (s *Statement) release(p *prepared, outOfDate bool) {
	s.mu.Lock()
	p.users--
	if outOfDate {
		p.retired = true
		if s.current == p {
			s.current = nil
		}
	}
	last := p.retired && p.users == 0
	s.mu.Unlock()
	if last {
		// It is out of date on every connection; what is left of it ends with them.
		_ = p.stmt.Close()
	}
}
