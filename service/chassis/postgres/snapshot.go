package postgres

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// snapshotPatience is how long a snapshot waits for a connection.
const snapshotPatience = 3 * time.Second

// Snapshot calls do, whose reads, with the context that do is given, all see the database as it was at the first of them. Nothing
// can be written. Unlike a transaction it is not bounded as a whole, only each of its statements is: it lasts as long as ctx and
// holds a connection all the while, so whoever calls it bounds how many there are. Between two statements it must not rest longer
// than ten seconds, or the server ends it. Errors other than do's are faults.
func (db *DB) Snapshot(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := &transaction{db: db, each: db.reads}
	err := db.reads.Do(ctx, true, func(context.Context) (err error) {
		// The transaction lives as long as the context that it begins with, so waiting for its connection is bounded another way.
		patience := time.AfterFunc(snapshotPatience, func() { cancel(errNoConnection) })
		defer patience.Stop()
		t.tx, err = db.pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		if errors.Is(context.Cause(ctx), errNoConnection) {
			return fault.Wrap(fault.Unavailable, unavailable, errNoConnection)
		}
		if err != nil {
			return translate(ctx, "begin", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// It has changed nothing, so it does not matter how it ends.
	defer func() { _ = t.tx.Rollback() }()
	return do(context.WithValue(ctx, transactionKey{}, t))
}

var errNoConnection = errors.New("no connection became free")
