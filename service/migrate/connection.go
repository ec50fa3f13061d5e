package migrate

import (
	"database/sql"
	"database/sql/driver"
	"net"
	"strconv"
	"strings"
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
	// wrap, if not nil, gets every connector that open makes.
	wrap func(driver.Connector) driver.Connector
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
	return target{config: cfg}, nil
}

// act names what connecting is, for messages.
func (t target) act() string {
	return "connecting to the database at " + net.JoinHostPort(t.config.Host, strconv.Itoa(int(t.config.Port)))
}

// open returns a pool whose sessions wait at most lockTimeout for a table; zero is without end. The settings go with
// the connection rather than in statements, so that no file can leave them behind for the next one.
func (t target) open(lockTimeout time.Duration) (*sql.DB, error) {
	cfg := t.config.Clone()
	for name, value := range map[string]string{
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
	} {
		if cfg.Runtime == nil {
			cfg.Runtime = map[string]string{}
		}
		cfg.Runtime[name] = value
	}
	var connector driver.Connector
	connector, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, &databaseError{act: t.act(), cause: err}
	}
	if t.wrap != nil {
		connector = t.wrap(connector)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(2) // one to work, one to look around beside it
	return db, nil
}

// redact is the last safeguard: no text that leaves this package holds the password.
func (t target) redact(text string) string {
	if t.config.Password == "" {
		return text
	}
	return strings.ReplaceAll(text, t.config.Password, "***")
}
