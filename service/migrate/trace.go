package migrate

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/lib/pq"
)

// trace remembers the statement of a file that was sent last, so that an error can name its line. The zero value is ready.
type trace struct {
	mu    sync.Mutex
	count int
	text  string
}

func (t *trace) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count, t.text = 0, ""
}

func (t *trace) see(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	t.text = text
}

// line returns where in the file the statement is that the database has refused with err, and 0 if it was none of the file's.
func (t *trace) line(f file, err error) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	refused, ok := errors.AsType[*pq.Error](err)
	if !ok || t.count == 0 || t.count > len(f.statements) {
		return 0
	}
	return f.statements[t.count-1].Line + linesBefore(t.text, refused.Position)
}

// linesBefore counts the ends of lines before a position as PostgreSQL gives it: the number of a character, from 1. It is 0 for none.
func linesBefore(text, position string) int {
	n, err := strconv.Atoi(position)
	runes := []rune(text)
	if err != nil || n < 1 || n > len(runes)+1 {
		return 0
	}
	return strings.Count(string(runes[:n-1]), "\n")
}

// wrap puts the trace around connections.
func (t *trace) wrap(c driver.Connector) driver.Connector { return tracedConnector{c, t} }

type tracedConnector struct {
	driver.Connector
	trace *trace
}

// Connect is driver.Connector.
func (c tracedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := made.(session)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's connection is a %T, which cannot be traced", made), made.Close())
	}
	return tracedConn{full, c.trace}, nil
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

type tracedConn struct {
	session
	trace *trace
}

// ExecContext is driver.ExecerContext. Statements with arguments are the engine's own.
func (c tracedConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 0 {
		c.trace.see(text)
	} else {
		c.trace.reset()
	}
	return c.session.ExecContext(ctx, text, args)
}
