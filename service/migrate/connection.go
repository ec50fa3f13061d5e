package migrate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/api/contract"
)

// applicationName is what pg_stat_activity shows of every session of a run.
const applicationName = "mirubato-migrate"

// connectPatience bounds a connection attempt where the URL does not: no context ends one that a silent server holds.
const connectPatience = 10 * time.Second

// target is a database to connect to.
type target struct {
	config pq.Config
	// read, if not nil, returns the URL as it is now; every new connection asks it, so that a password may change during a run.
	read func() (string, error)
	// passwords are all that were used so far.
	passwords *passwords
	// wrap, if not nil, gets every connector that open makes.
	wrap func(driver.Connector) driver.Connector
}

// newTarget reads the URL of a Config.
func newTarget(cfg Config) (target, error) {
	if cfg.ReadURL == nil {
		return parseTarget(cfg.DatabaseURL)
	}
	databaseURL, err := cfg.ReadURL()
	if err != nil {
		return target{}, newError(contract.DatabaseUnreachable, "", err.Error(), err)
	}
	t, err := parseTarget(databaseURL)
	t.read = cfg.ReadURL
	return t, err
}

// current is the configuration for a connection that is made now. A file that cannot be read at this moment, or holds no URL, changes
// nothing.
func (t target) current() pq.Config {
	if t.read == nil {
		return t.config.Clone()
	}
	databaseURL, err := t.read()
	if err != nil {
		return t.config.Clone()
	}
	now, err := parseTarget(databaseURL)
	if err != nil {
		return t.config.Clone()
	}
	t.passwords.add(now.config.Password)
	return now.config
}

// passwords may be used by several goroutines.
type passwords struct {
	mu  sync.Mutex
	all []string
}

func (p *passwords) add(password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if password != "" && !slices.Contains(p.all, password) {
		p.all = append(p.all, password)
	}
}

func (p *passwords) redact(text string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, password := range p.all {
		text = strings.ReplaceAll(text, password, "***")
	}
	return text
}

// parseTarget never repeats what it was given, which may hold a password.
func parseTarget(databaseURL string) (target, error) {
	const shape = "it must look like postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=require"
	if strings.TrimSpace(databaseURL) == "" {
		return target{}, newError(contract.DatabaseUnreachable, "", "the database URL is empty: "+shape, nil)
	}
	cfg, err := pq.NewConfig(strings.TrimSpace(databaseURL))
	if err != nil {
		return target{}, newError(contract.DatabaseUnreachable, "", "the database URL cannot be read: "+shape, nil)
	}
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = connectPatience
	}
	cfg.ApplicationName = applicationName
	t := target{config: cfg, passwords: &passwords{}}
	t.passwords.add(cfg.Password)
	return t, nil
}

// act names what connecting is, for messages.
func (t target) act() string {
	return "connecting to the database at " + net.JoinHostPort(t.config.Host, strconv.Itoa(int(t.config.Port)))
}

// open returns a pool whose sessions wait at most lockTimeout for a table; zero is without end. The settings go with
// the connection rather than in statements, so that no file can leave them behind for the next one.
func (t target) open(lockTimeout time.Duration) *sql.DB {
	var connector driver.Connector = sessions{target: t, settings: map[string]string{
		"lock_timeout":      strconv.FormatInt(lockTimeout.Milliseconds(), 10),
		"statement_timeout": "0", // a migration takes as long as it takes; the Job's deadline bounds it
		// The connection that holds the lock is idle all along.
		"idle_session_timeout": "0",
		// A run that vanishes with its node must not leave its locks behind for hours.
		"idle_in_transaction_session_timeout": "60000",
		"client_connection_check_interval":    "5000",
		"tcp_keepalives_idle":                 "30",
		"tcp_keepalives_interval":             "10",
		"tcp_keepalives_count":                "3",
	}}
	if t.wrap != nil {
		connector = t.wrap(connector)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(2) // one to work, one to look around beside it
	return db
}

// sessions makes connections, each with the URL as it is at that moment.
type sessions struct {
	target   target
	settings map[string]string
}

// Connect is driver.Connector.
func (s sessions) Connect(ctx context.Context) (driver.Conn, error) {
	cfg := s.target.current()
	if cfg.Runtime == nil {
		cfg.Runtime = map[string]string{}
	}
	for name, value := range s.settings {
		cfg.Runtime[name] = value
	}
	connector, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	return connector.Connect(ctx)
}

// Driver is driver.Connector.
func (s sessions) Driver() driver.Driver { return &pq.Driver{} }

// redact is the last safeguard: no text that leaves this package holds the password.
func (t target) redact(text string) string {
	if t.passwords == nil {
		return text
	}
	return t.passwords.redact(text)
}
