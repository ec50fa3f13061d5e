package postgres

import (
	"context"
	"database/sql"
	"time"
)

// transaction is one transaction, and what is to be done once it has ended.
type transaction struct {
	db    *DB
	tx    *sql.Tx
	after []func()
	// each protects every statement by itself; nil if the whole is protected.
	each Protection
}

// transactionKey is where a context carries its transaction.
type transactionKey struct{}

// Atomically calls do, and makes what its statements do one transaction: they run with the context that do is given,
// one after the other, and all of it happens or nothing. If do returns an error, that error is returned and nothing has
// happened; otherwise the error is the one of the commit, and after a lost connection it is not known whether it
// happened. A transaction in a transaction is the same one. Statements of another DB are not part of it.
//
// The whole is protected like one write that is not sent again. Errors other than do's are faults.
func (db *DB) Atomically(ctx context.Context, do func(context.Context) error) error {
	if db.transaction(ctx) != nil {
		return do(ctx)
	}
	t := &transaction{db: db}
	defer func() {
		for _, f := range t.after {
			f()
		}
	}()
	return db.writes.Do(ctx, false, func(ctx context.Context) error { return db.transact(ctx, t, do) })
}

func (db *DB) transact(ctx context.Context, t *transaction, do func(context.Context) error) (err error) {
	t.tx, err = db.pool.BeginTx(ctx, nil)
	if err != nil {
		return translate(ctx, "begin", err)
	}
	// After a commit it does nothing. If it fails, the connection is lost, and the transaction with it.
	defer func() { _ = t.tx.Rollback() }()
	if err := do(context.WithValue(ctx, transactionKey{}, t)); err != nil {
		return err
	}
	if err := t.tx.Commit(); err != nil {
		return translate(ctx, "commit", err)
	}
	return nil
}

// Within calls do with the transaction of ctx, for a library that brings statements of its own, and measures it as one statement of
// the name. It panics if ctx has no transaction of this DB. What the library returns becomes a fault.
func (db *DB) Within(ctx context.Context, name string, do func(context.Context, *sql.Tx) error) error {
	t := db.transaction(ctx)
	if t == nil {
		panic("postgres: " + name + " needs a transaction")
	}
	started := time.Now()
	err := do(ctx, t.tx)
	if err != nil {
		err = translate(ctx, name, err)
	}
	db.observer.ObserveQuery(name, time.Since(started), err)
	return err
}

// Afterwards calls f when the transaction of ctx has ended, however it did, or at once if there is none. It is for news
// of a change, which nobody may hear before the change can be seen.
func Afterwards(ctx context.Context, f func()) {
	if t, ok := ctx.Value(transactionKey{}).(*transaction); ok {
		t.after = append(t.after, f)
		return
	}
	f()
}

// InTransaction reports whether statements with ctx are part of a transaction of this DB.
func (db *DB) InTransaction(ctx context.Context) bool { return db.transaction(ctx) != nil }

// transaction returns the one of ctx, or nil if it has none on this DB.
func (db *DB) transaction(ctx context.Context) *transaction {
	if t, ok := ctx.Value(transactionKey{}).(*transaction); ok && t.db == db {
		return t
	}
	return nil
}

// onTransaction sends the text as it is: preparing it on the one connection would gain nothing.
type onTransaction struct {
	tx   *sql.Tx
	text string
}

func (q onTransaction) query(ctx context.Context, args []any) (*sql.Rows, error) {
	return q.tx.QueryContext(ctx, q.text, args...)
}

func (q onTransaction) exec(ctx context.Context, args []any) (sql.Result, error) {
	return q.tx.ExecContext(ctx, q.text, args...)
}

// within runs the statement in a transaction. What failed in one cannot be tried again there.
func (s *Statement) within(ctx context.Context, t *transaction, do func(context.Context, querier) error) error {
	call := func(ctx context.Context) error {
		if err := do(ctx, onTransaction{tx: t.tx, text: s.text}); err != nil {
			return translate(ctx, s.name, err)
		}
		return nil
	}
	if t.each == nil {
		return call(ctx)
	}
	return t.each.Do(ctx, false, func(ctx context.Context) error {
		if err := call(ctx); err != nil {
			return brokenOff{err}
		}
		return nil
	})
}
