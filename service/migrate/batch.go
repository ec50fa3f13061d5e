package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"
)

// keyset is how the rows of a backfill are found: the columns of a unique key, and their types, by which a key that was kept as text is
// read again.
type keyset struct {
	table string
	key   []string
	types []string
	// until is the greatest key there was when the sweep began, nil if there was no row. Those who add rows meanwhile may be faster.
	until []string
}

// readKeyset makes sure that the key is one by which rows can be passed over: unique, without nulls, and with an index in its order.
func (b backfill) readKeyset(ctx context.Context, db *sql.DB) (keyset, error) {
	k := keyset{table: b.table, key: b.key}
	for _, name := range b.key {
		var (
			kind    string
			notNull bool
		)
		err := db.QueryRowContext(ctx, `SELECT format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
			WHERE attrelid = $1::regclass AND attname = $2 AND attnum > 0 AND NOT attisdropped`, b.table, unquoted(name)).Scan(&kind, &notNull)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return k, fmt.Errorf("the table %s has no column %s", b.table, name)
		case err != nil:
			return k, err
		case !notNull:
			return k, fmt.Errorf("the column %s of %s may be null: rows without a key would be passed over", name, b.table)
		}
		k.types = append(k.types, kind)
	}
	names := make([]string, len(b.key))
	for i, name := range b.key {
		names[i] = unquoted(name)
	}
	var unique bool
	err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = $1::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
		AND ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS c(n, place)
			JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = c.n ORDER BY c.place) = $2::text[])`, b.table, pq.Array(names)).Scan(&unique)
	if err == nil && !unique {
		err = fmt.Errorf("the table %s has no unique index on (%s), in this order", b.table, strings.Join(b.key, ", "))
	}
	return k, err
}

// bounded is the keyset for the rows that there are now.
func (k keyset) bounded(ctx context.Context, db *sql.DB) (keyset, error) {
	query := "SELECT ARRAY[" + k.texts() + "] FROM " + k.table + " ORDER BY " + k.descending() + " LIMIT 1"
	err := db.QueryRowContext(ctx, query).Scan(pq.Array(&k.until))
	if errors.Is(err, sql.ErrNoRows) {
		k.until, err = nil, nil
	}
	return k, err
}

// unquoted takes back what parseOver has quoted.
func unquoted(name string) string { return strings.ReplaceAll(strings.Trim(name, `"`), `""`, `"`) }

// columns is the key as a row; texts the same with each column as text.
func (k keyset) columns() string { return strings.Join(k.key, ", ") }

func (k keyset) texts() string { return strings.Join(k.key, "::text, ") + "::text" }

// descending is the order in which the greatest key comes first.
func (k keyset) descending() string { return strings.Join(k.key, " DESC, ") + " DESC" }

// values are n placeholders from $first on, each read as the type of its column.
func (k keyset) values(first int) string {
	all := make([]string, len(k.types))
	for i, kind := range k.types {
		all[i] = "$" + strconv.Itoa(first+i) + "::text::" + kind
	}
	return "(" + strings.Join(all, ", ") + ")"
}

// upTo is the condition for rows up to a key, whose values are the arguments from $first on.
func (k keyset) upTo(first int) string { return "(" + k.columns() + ") <= " + k.values(first) }

// above is the condition for rows after the last key, whose values are the first arguments; for all rows if there is none.
func (k keyset) above(last []string) string {
	if len(last) == 0 {
		return "true"
	}
	return "(" + k.columns() + ") > " + k.values(1)
}

// lockQuery locks the rows of the next batch, in the order of their keys, and returns how many there are and the last of their keys as
// text. They are locked by a statement of its own, so that the next one sees them as they are now. Its arguments are the last key and
// until.
func (k keyset) lockQuery(last []string, size int) string {
	return "WITH batch AS MATERIALIZED (SELECT " + k.columns() + " FROM " + k.table + " WHERE " + k.above(last) + " AND " + k.upTo(1+len(last)) +
		" ORDER BY " + k.columns() + " LIMIT " + strconv.Itoa(size) + " FOR NO KEY UPDATE) SELECT (SELECT count(*) FROM batch), ARRAY[" +
		k.texts() + "] FROM batch ORDER BY " + k.descending() + " LIMIT 1"
}

// workQuery is the statement of the declaration, for the rows after the last key up to the next one.
func (b backfill) workQuery(k keyset, last []string) string {
	batch := "batch AS MATERIALIZED (SELECT " + k.columns() + " FROM " + k.table + " WHERE " + k.above(last) + " AND " + k.upTo(1+len(last)) + ")"
	word, joint := "WITH ", " "
	if b.recursive {
		word = "WITH RECURSIVE "
	}
	if b.with {
		joint = ", "
	}
	return word + batch + joint + b.body
}

// batchResult is what a batch has come to.
type batchResult struct {
	// rows is how many the batch had; 0 means that the sweep is at its end.
	rows, changed int64
	paused        bool
	progress      progress
}

// runBatch passes over the next rows. What was done and how far it has come is one transaction, so nothing is done twice and nothing left
// out, however a run ends.
func (b backfill) runBatch(ctx context.Context, db *sql.DB, k keyset, size int) (r batchResult, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return r, err
	}
	defer func() { _ = tx.Rollback() }() // without effect after Commit
	row := tx.QueryRowContext(ctx, "SELECT "+progressColumns+" FROM "+backfillTable+" WHERE name = $1 FOR UPDATE", b.name)
	if err := r.progress.scan(row); err != nil {
		return r, err
	}
	if r.progress.paused {
		r.paused = true
		return r, nil
	}
	if k.until == nil {
		return r, nil
	}
	last := r.progress.lastKey
	var upper []string
	err = tx.QueryRowContext(ctx, k.lockQuery(last, size), both(last, k.until)...).Scan(&r.rows, pq.Array(&upper))
	if errors.Is(err, sql.ErrNoRows) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	work := b.workQuery(k, last)
	done, err := tx.ExecContext(ctx, work, both(last, upper)...)
	if err != nil {
		return r, b.refused(work, err)
	}
	if r.changed, err = done.RowsAffected(); err != nil {
		return r, err
	}
	const keep = "UPDATE " + backfillTable + " SET last_key = $2, passed = passed + $3, changed = changed + $4, updated_at = now() WHERE name = $1"
	if _, err := tx.ExecContext(ctx, keep, b.name, pq.Array(upper), r.rows, r.changed); err != nil {
		return r, err
	}
	r.progress.passed += r.rows
	r.progress.changed += r.changed
	return r, tx.Commit()
}

// both are two keys as arguments.
func both(first, second []string) []any {
	all := make([]any, 0, len(first)+len(second))
	for _, text := range slices.Concat(first, second) {
		all = append(all, text)
	}
	return all
}

// nextSize is how many rows the next batch shall have: half of those that took too long, up to twice of those that took less than half of
// what they may. The locks of a batch are held as long as it takes, and others wait for them.
func nextSize(size, most int, took, may time.Duration) int {
	switch {
	case took > may:
		return max(1, size/2)
	case took < may/2:
		return min(2*size, most)
	}
	return size
}
