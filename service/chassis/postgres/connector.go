package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// connector makes connections with the URL and the statement timeout that are in force at the moment, so that a rotated
// password and a changed timeout are picked up without a restart.
type connector struct {
	cfg      Config
	rotation rotation
	// timeout is the statement timeout.
	timeout atomic.Int64

	mu   sync.Mutex
	last *target
}

// Connect implements driver.Connector. Whatever keeps a connection from being made, the service can only wait for it to
// be mended.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	timeout := c.timeout.Load()
	wire := &wire{}
	wire.end, _ = ctx.Deadline()
	conn, led, err := c.open(context.WithValue(ctx, wireKey{}, wire))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, unavailable, notConnected{err})
	}
	return &connection{pqConn: conn, wire: wire, made: timeout, url: led.url, connector: c}, nil
}

// wire is where the dialer leaves the network connection that a new connection uses, since the driver keeps it to itself,
// and where it finds until when its first user waits.
type wire struct {
	conn *patientConn
	end  time.Time
}

type wireKey struct{}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &pq.Driver{} }

func (c *connector) current() (*target, error) {
	url, err := c.cfg.URL.Read()
	if err != nil {
		return nil, err
	}
	timeout := time.Duration(c.timeout.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && c.last.url == url && c.last.timeout == timeout {
		return c.last, nil
	}
	made, err := newConnector(url, c.cfg.ApplicationName, timeout)
	if err != nil {
		return nil, err
	}
	c.last = &target{url: url, timeout: timeout, made: made}
	return c.last, nil
}

// pqConn is what the driver's connections implement beyond driver.Conn. All of it must be passed through: whatever is
// missing, database/sql does in a slower way.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// connection is a connection that is given up when the statement timeout or the URL that it was made with no longer holds,
// and whose reads end with the context of its user.
type connection struct {
	pqConn
	wire      *wire
	made      int64
	url       string
	connector *connector
}

// ResetSession implements driver.SessionResetter. It is called with the context of the next user before the connection
// is used again.
func (c *connection) ResetSession(ctx context.Context) error {
	c.connector.look() //nolint:contextcheck // what it tries goes on after this user
	if c.made != c.connector.timeout.Load() || c.connector.rotation.isOutdated(c.url) {
		return driver.ErrBadConn
	}
	if c.wire.conn != nil {
		c.wire.conn.end, _ = ctx.Deadline()
	}
	return c.pqConn.ResetSession(ctx)
}

// IsValid implements driver.Validator. It is called when the connection goes back to the pool, where it might lie unused for minutes.
func (c *connection) IsValid() bool {
	return c.made == c.connector.timeout.Load() && !c.connector.rotation.isOutdated(c.url) && c.pqConn.IsValid()
}

func newConnector(url, application string, statementTimeout time.Duration) (*pq.Connector, error) {
	if url == "" {
		return nil, errors.New("the database URL is empty")
	}
	parsed, err := pq.NewConfig(url)
	if err != nil {
		// The parser's error quotes the URL, and with it the password.
		return nil, errors.New("the database URL cannot be understood; it has the form postgres://user:password@host:port/name?sslmode=require")
	}
	if parsed.ConnectTimeout <= 0 {
		parsed.ConnectTimeout = connectTimeout
	}
	if parsed.ApplicationName == "" {
		parsed.ApplicationName = application
	}
	// Statements that are not prepared then take one round trip instead of two.
	parsed.BinaryParameters = true
	if parsed.Runtime == nil {
		parsed.Runtime = map[string]string{}
	}
	setDefault(parsed.Runtime, "statement_timeout", statementTimeout)
	setDefault(parsed.Runtime, "idle_in_transaction_session_timeout", idleInTransaction)
	made, err := pq.NewConnectorConfig(parsed)
	if err != nil {
		return nil, fmt.Errorf("preparing to connect: %w", err)
	}
	made.Dialer(dialer{patience: statementTimeout + readSlack})
	return made, nil
}

func setDefault(runtime map[string]string, name string, d time.Duration) {
	if _, ok := runtime[name]; !ok {
		runtime[name] = strconv.FormatInt(d.Milliseconds(), 10)
	}
}

// dialer makes network connections that give up on a server which has vanished.
type dialer struct{ patience time.Duration }

// Dial implements pq.Dialer.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer.
func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	patient := &patientConn{Conn: conn, patience: d.patience}
	if wire, ok := ctx.Value(wireKey{}).(*wire); ok {
		wire.conn, patient.end = patient, wire.end
	}
	return patient, nil
}

// patientConn bounds each read. The server answers within its statement timeout or not at all; without the bound, a
// server that loses its network would hold the goroutine of a request far beyond its deadline, since a cancelled
// context makes the driver ask that same server to cancel.
type patientConn struct {
	net.Conn
	patience time.Duration
	// end is the deadline of the present user; zero is none.
	end time.Time
	// bounded is true while the driver has set a deadline of its own, as it does during the handshake. A connection is
	// used by one goroutine at a time.
	bounded bool
}

// SetDeadline implements net.Conn.
func (c *patientConn) SetDeadline(t time.Time) error {
	c.bounded = !t.IsZero()
	if c.bounded {
		t = c.within(t)
	}
	return c.Conn.SetDeadline(t)
}

// Read implements net.Conn.
func (c *patientConn) Read(p []byte) (int, error) {
	if !c.bounded {
		if err := c.SetReadDeadline(c.within(time.Now().Add(c.patience))); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}

// within is the time, or the end of the present user if that is earlier.
func (c *patientConn) within(t time.Time) time.Time {
	if end := c.end.Add(endSlack); !c.end.IsZero() && end.Before(t) {
		return end
	}
	return t
}
