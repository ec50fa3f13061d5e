package rehearsal

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mirubato/mirubato/api/contract"
)

// connector hands out connections that tell of their statements.
type connector struct {
	driver.Connector
	migration string
	see       func(contract.RehearsedStatement)
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := made.(session)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's connection is a %T, which cannot be watched", made), made.Close())
	}
	return &connection{session: full, from: c}, nil
}

// session is what database/sql may ask of a connection; all of it must go through.
type session interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

// connection is used by one statement at a time.
type connection struct {
	session
	from connector
	// held are the locks after the statement before.
	held []contract.RehearsedLock
}

// ExecContext looks at the files of all tables before and after a statement, and at its locks, within its transaction: nobody else
// could see them. Statements with arguments are the engine's own.
func (c *connection) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) > 0 {
		return c.session.ExecContext(ctx, text, args)
	}
	before, err := c.relations(ctx)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	result, err := c.session.ExecContext(ctx, text, nil)
	statement := contract.RehearsedStatement{Migration: c.from.migration, Statement: shorten(text), Duration: time.Since(started)}
	if err != nil {
		c.from.see(statement) // the transaction answers no more questions
		return nil, err
	}
	after, err := c.relations(ctx)
	if err != nil {
		return nil, err
	}
	held, err := c.locks(ctx, before)
	if err != nil {
		return nil, err
	}
	statement.Rewrites = rewrites(before, after)
	statement.Locks = slices.DeleteFunc(slices.Clone(held), func(l contract.RehearsedLock) bool { return slices.Contains(c.held, l) })
	c.held = held
	c.from.see(statement)
	return result, nil
}

// relation is a table, an index or a materialized view, with the file that it is stored in.
type relation struct{ name, file string }

func (c *connection) relations(ctx context.Context) (map[string]relation, error) {
	rows, err := c.texts(ctx, `SELECT c.oid::text, format('%I.%I', n.nspname, c.relname), c.relfilenode::text
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid >= 16384 AND c.relkind IN ('r', 'i', 'm', 'p', 'S', 'I') AND n.nspname !~ '^pg_toast'`)
	if err != nil {
		return nil, fmt.Errorf("looking at the files of tables: %w", err)
	}
	all := make(map[string]relation, len(rows))
	for _, row := range rows {
		all[row[0]] = relation{name: row[1], file: row[2]}
	}
	return all, nil
}

// locks leaves out what was made in this transaction: nobody can wait for it. What was dropped still has its name in before.
func (c *connection) locks(ctx context.Context, before map[string]relation) ([]contract.RehearsedLock, error) {
	rows, err := c.texts(ctx, `SELECT relation::text, mode FROM pg_catalog.pg_locks
		WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted AND relation >= 16384`)
	if err != nil {
		return nil, fmt.Errorf("looking at the locks: %w", err)
	}
	var held []contract.RehearsedLock
	for _, row := range rows {
		if r, known := before[row[0]]; known {
			held = append(held, contract.RehearsedLock{Relation: r.name, Mode: row[1]})
		}
	}
	slices.SortFunc(held, func(a, b contract.RehearsedLock) int {
		return cmp.Or(cmp.Compare(a.Relation, b.Relation), cmp.Compare(a.Mode, b.Mode))
	})
	return held, nil
}

// texts reads columns of texts.
func (c *connection) texts(ctx context.Context, query string) (all [][]string, err error) {
	rows, err := c.QueryContext(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		row := make([]string, len(values))
		for i, value := range values {
			if raw, ok := value.([]byte); ok {
				value = string(raw)
			}
			row[i] = fmt.Sprint(value)
		}
		all = append(all, row)
	}
}

// rewrites returns the names of what was there before and lies in another file now. It goes by names, because an index of a
// rewritten table is made anew.
func rewrites(before, after map[string]relation) []string {
	was := make(map[string]string, len(before))
	for _, r := range before {
		was[r.name] = r.file
	}
	var names []string
	for _, r := range after {
		if file, known := was[r.name]; known && file != r.file {
			names = append(names, r.name)
		}
	}
	slices.Sort(names)
	return names
}

// shorten makes one line of at most 200 bytes.
func shorten(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-3], "") + "..."
}
