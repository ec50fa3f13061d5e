package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/mirubato/mirubato/api/contract"
)

// releasePatience bounds the polite end of the connection; the server ends the session anyway.
const releasePatience = 5 * time.Second

// lock is a session's advisory lock. It is bound to the connection: when that is lost, so is the lock, and nothing
// stale can stay behind. Taking it polls, because a session that waits inside the server holds a snapshot, which
// deadlocks with CREATE INDEX CONCURRENTLY in the session that it waits for.
type lock struct {
	db   *sql.DB
	conn *sql.Conn
	key  int64
	pid  int // of the backend that must hold it
}

// lockKey is stable for ever: two releases of this program must agree on it.
func lockKey(id string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("mirubato-migrate/" + id)) // a hash does not fail
	return int64(h.Sum64())                          //nolint:gosec // any 64 bits are a key
}

// acquire returns the lock, or LockNotAcquired after wait.
func acquire(ctx context.Context, t target, id string, wait, statementLockTimeout time.Duration) (*lock, error) {
	l := &lock{db: t.open(statementLockTimeout), key: lockKey(id)}
	if err := l.acquire(ctx, t, wait); err != nil {
		l.release(ctx)
		return nil, err
	}
	return l, nil
}

func (l *lock) acquire(ctx context.Context, t target, wait time.Duration) (err error) {
	if l.conn, err = l.db.Conn(ctx); err != nil {
		return &databaseError{act: t.act(), cause: err}
	}
	deadline := time.Now().Add(wait)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		var got bool
		const try = "SELECT pg_try_advisory_lock($1), pg_backend_pid()"
		if err := l.conn.QueryRowContext(ctx, try, l.key).Scan(&got, &l.pid); err != nil {
			return &databaseError{act: "taking the migration lock", cause: err}
		}
		if got {
			return l.verify(ctx)
		}
		left := time.Until(deadline)
		if left <= 0 {
			return newError(contract.LockNotAcquired, "", fmt.Sprintf(
				"another run holds the migration lock of this database%s; waited %s for it", l.holder(ctx), max(0, wait)), nil)
		}
		if err := sleep(ctx, min(left, jitter(pause))); err != nil {
			return &databaseError{act: "waiting for the migration lock", cause: err}
		}
	}
}

// holder describes the session that has the lock, if it can be seen.
func (l *lock) holder(ctx context.Context) string {
	holder, err := lockHolder(ctx, l.conn, l.key)
	if err != nil || holder == "" {
		return ""
	}
	return " (" + holder + ")"
}

// lockHolder describes the session that has a lock; empty if none has, or none that the role can see.
func lockHolder(ctx context.Context, db querier, key int64) (string, error) {
	const query = `SELECT a.pid, coalesce(a.application_name, '') FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND (l.classid::bigint << 32) | l.objid::bigint = $1 LIMIT 1`
	var (
		pid         int
		application string
	)
	err := db.QueryRowContext(ctx, query, key).Scan(&pid, &application)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("server process %d, application %q", pid, application), nil
}

var errPooler = errors.New("a connection pooler between here and the server gives the lock to a session that is not ours: " +
	"use a connection URL that leads to PostgreSQL itself, or to a pool in session mode")

// verify makes sure that the lock is held by the very session that this connection talks to. It is asked again before
// every file, because the lock goes unnoticed when its connection breaks.
func (l *lock) verify(ctx context.Context) error {
	const query = `SELECT pg_backend_pid() = $1 AND EXISTS (SELECT FROM pg_locks
		WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = pg_backend_pid()
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND (classid::bigint << 32) | objid::bigint = $2)`
	var held bool
	if err := l.conn.QueryRowContext(ctx, query, l.pid, l.key).Scan(&held); err != nil {
		return &databaseError{act: "checking that the migration lock is held", cause: err}
	}
	if !held {
		return newError(contract.LockNotAcquired, "", "checking that the migration lock is held: "+errPooler.Error(), errPooler)
	}
	return nil
}

// release gives the lock up by ending the session, also when ctx is cancelled.
func (l *lock) release(ctx context.Context) {
	if l.conn != nil {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), releasePatience)
		defer cancel()
		// Closing is enough for PostgreSQL, but a pooler would hand the session, lock and all, to the next client.
		_, _ = l.conn.ExecContext(detached, "SELECT pg_advisory_unlock($1)", l.key)
		_ = l.conn.Close()
	}
	_ = l.db.Close()
}

// sleep returns early, with the error of ctx, when that ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// jitter returns between half of d and d, so that several waiting runs do not come back together.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // nothing to guess
}
