package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Copy writes rows into a table, within the transaction that ctx carries, by COPY: for many rows that is several times faster than
// inserting them. The name is for metrics. Table and columns become part of the statement, so they are constants of the program;
// values are as in a Statement. It returns how many rows there were. Errors are faults.
func (db *DB) Copy(ctx context.Context, name, table string, columns []string, rows iter.Seq[[]any]) (copied int64, err error) {
	t := db.transaction(ctx)
	if t == nil {
		return 0, translate(ctx, name, errors.New("COPY needs a transaction"))
	}
	started := time.Now()
	ctx, end := trace(ctx, name)
	defer func() {
		db.observer.ObserveQuery(name, time.Since(started), err)
		end(err)
	}()
	if copied, err = t.copy(ctx, table, columns, rows); err != nil {
		return 0, translate(ctx, name, err)
	}
	return copied, nil
}

func (t *transaction) copy(ctx context.Context, table string, columns []string, rows iter.Seq[[]any]) (copied int64, err error) {
	into, err := t.tx.PrepareContext(ctx, fmt.Sprintf("copy %s (%s) from stdin", table, strings.Join(columns, ", ")))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, into.Close()) }()
	for row := range rows {
		if _, err := into.ExecContext(ctx, row...); err != nil {
			return 0, err
		}
		copied++
	}
	// Without arguments it ends the rows, and tells of errors in any of them.
	_, err = into.ExecContext(ctx)
	return copied, err
}
