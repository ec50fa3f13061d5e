package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// connector makes connections with the URL that is in force at the moment, so that a rotated password is picked up
// without a restart.
type connector struct {
	cfg Config

	mu   sync.Mutex
	url  string
	made *pq.Connector
}

// Connect implements driver.Connector. Whatever keeps a connection from being made, the service can only wait for it to
// be mended.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	made, err := c.current()
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, unavailable, err)
	}
	conn, err := made.Connect(ctx)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, unavailable, fmt.Errorf("connecting: %w", err))
	}
	return conn, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &pq.Driver{} }

func (c *connector) current() (*pq.Connector, error) {
	url, err := c.cfg.URL.Read()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made != nil && c.url == url {
		return c.made, nil
	}
	made, err := newConnector(url, c.cfg)
	if err != nil {
		return nil, err
	}
	c.url, c.made = url, made
	return made, nil
}

func newConnector(url string, cfg Config) (*pq.Connector, error) {
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
		parsed.ApplicationName = cfg.ApplicationName
	}
	// Statements that are not prepared then take one round trip instead of two.
	parsed.BinaryParameters = true
	if parsed.Runtime == nil {
		parsed.Runtime = map[string]string{}
	}
	setDefault(parsed.Runtime, "statement_timeout", cfg.StatementTimeout)
	setDefault(parsed.Runtime, "idle_in_transaction_session_timeout", idleInTransaction)
	made, err := pq.NewConnectorConfig(parsed)
	if err != nil {
		return nil, fmt.Errorf("preparing to connect: %w", err)
	}
	made.Dialer(dialer{patience: cfg.StatementTimeout + connectTimeout})
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
	return &patientConn{Conn: conn, patience: d.patience}, nil
}

// patientConn bounds each read. The server answers within its statement timeout or not at all; without the bound, a
// server that loses its network would hold the goroutine of a request far beyond its deadline, since a cancelled
// context makes the driver ask that same server to cancel.
type patientConn struct {
	net.Conn
	patience time.Duration
	// bounded is true while the driver has set a deadline of its own, as it does during the handshake. A connection is
	// used by one goroutine at a time.
	bounded bool
}

// SetDeadline implements net.Conn.
func (c *patientConn) SetDeadline(t time.Time) error {
	c.bounded = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

// Read implements net.Conn.
func (c *patientConn) Read(p []byte) (int, error) {
	if !c.bounded {
		if err := c.SetReadDeadline(time.Now().Add(c.patience)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(p)
}
