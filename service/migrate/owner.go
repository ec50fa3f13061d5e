package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/mirubato/mirubato/api/contract"
)

// queryOwner returns whose database it is, state.initial and state.attempt. A database without the table belongs to nobody.
func queryOwner(ctx context.Context, db querier) (owner string, initial, attempt int64, err error) {
	var there bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", ownerTable).Scan(&there); err != nil || !there {
		return "", 0, 0, err
	}
	err = db.QueryRowContext(ctx, "SELECT owner, initial_version, attempt FROM "+ownerTable).Scan(&owner, &initial, &attempt)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, 0, nil
	}
	return owner, initial, attempt, err
}

// checkOwner refuses a database that somebody else has claimed. Two services whose files have the same numbers would each take the other's
// for its own.
func checkOwner(owner, lockID string) error {
	if owner == "" || owner == lockID {
		return nil
	}
	return newError(contract.OwnedByAnother, "", fmt.Sprintf(
		"the database belongs to %q, and this run is for %q: give each Microservice a database of its own; who runs it by hand for %q passes "+
			"--lock-id %s; to hand it over for good, run `mirubato-migrate hand-over --lock-id %s --to %s`",
		owner, lockID, owner, owner, owner, lockID), nil)
}

// claim makes the database the lock id's own. The default id is that of nobody in particular, and claims nothing.
func claim(ctx context.Context, conn *sql.Conn, lockID string) error {
	// In one statement, because runs with another id do not wait for our lock.
	const statement = "UPDATE " + ownerTable + " SET owner = $1, claimed_at = now() WHERE owner = ''"
	if _, err := conn.ExecContext(ctx, statement, lockID); err != nil {
		return &databaseError{act: "claiming the database", cause: err}
	}
	owner, _, _, err := queryOwner(ctx, conn)
	if err != nil {
		return &databaseError{act: "reading whose database it is", cause: err}
	}
	return checkOwner(owner, lockID)
}

// HandOver gives a database that belongs to cfg.LockID to another lock id; to DefaultLockID gives it to nobody. It waits for the lock as
// Up does. Of cfg it uses no files. Its error is an *Error.
func HandOver(ctx context.Context, cfg Config, to string) error {
	cfg = cfg.withDefaults()
	t, err := newTarget(cfg)
	if err != nil {
		return classify(ctx, err)
	}
	if err := handOver(ctx, cfg, t, to); err != nil {
		failure := classify(ctx, err)
		failure.Message = t.redact(failure.Message)
		return failure
	}
	return nil
}

func handOver(ctx context.Context, cfg Config, t target, to string) error {
	l, err := acquire(ctx, t, cfg.LockID, cfg.AdvisoryLockWait, cfg.StatementLockTimeout)
	if err != nil {
		return err
	}
	defer l.release(ctx)
	s, err := readState(ctx, l.conn)
	if err != nil {
		return err
	}
	if err := checkOwner(s.owner, cfg.LockID); err != nil {
		return err
	}
	if err := prepareTables(ctx, l.conn, s.initial); err != nil {
		return err
	}
	owner := to
	if to == DefaultLockID {
		owner = ""
	}
	const statement = "UPDATE " + ownerTable + " SET owner = $1, claimed_at = now() WHERE owner IN ('', $2)"
	if _, err := l.conn.ExecContext(ctx, statement, owner, cfg.LockID); err != nil {
		return &databaseError{act: "handing the database over", cause: err}
	}
	if now, _, _, err := queryOwner(ctx, l.conn); err != nil {
		return &databaseError{act: "reading whose database it is", cause: err}
	} else if now != owner { // somebody without our lock was first
		return checkOwner(now, cfg.LockID)
	}
	cfg.Log.InfoContext(ctx, "handing the database over", slog.String("from", cfg.LockID), slog.String("to", to))
	return nil
}
