package migrate

import (
	"context"
	"database/sql"
	"strconv"

	"github.com/mirubato/mirubato/api/contract"
)

// Access leads to a database, for the packages that work beside migrations. It keeps the password from being printed.
type Access struct{ target target }

// ParseAccess reads a connection URL; its error is an *Error that does not repeat it.
func ParseAccess(databaseURL string) (Access, error) {
	t, err := parseTarget(databaseURL)
	return Access{t}, err
}

// Open returns a pool of two connections whose statements wait as long as it takes.
func (a Access) Open() (*sql.DB, error) { return a.target.open(0), nil }

// User is the role that the URL names.
func (a Access) User() string { return a.target.config.User }

// Database is the database that the URL names.
func (a Access) Database() string { return a.target.config.Database }

// WithDatabase leads to another database of the same server.
func (a Access) WithDatabase(name string) Access {
	cfg := a.target.config.Clone()
	cfg.Database = name
	return Access{target{config: cfg, passwords: a.target.passwords}}
}

// Environment is what PostgreSQL's own programs need to get there. It holds the password, which no argument may: arguments can
// be seen by everybody on the machine.
func (a Access) Environment() []string {
	c := a.target.config
	env := []string{"PGAPPNAME=" + applicationName}
	for _, v := range []struct{ name, value string }{
		{"PGHOST", c.Host},
		{"PGPORT", strconv.Itoa(int(c.Port))},
		{"PGUSER", c.User},
		{"PGPASSWORD", c.Password},
		{"PGDATABASE", c.Database},
		{"PGPASSFILE", c.Passfile},
		{"PGSSLMODE", string(c.SSLMode)},
		{"PGSSLCERT", c.SSLCert},
		{"PGSSLKEY", c.SSLKey},
		{"PGSSLROOTCERT", c.SSLRootCert},
		{"PGOPTIONS", c.Options},
		{"PGCONNECT_TIMEOUT", strconv.Itoa(int(c.ConnectTimeout.Seconds()))},
	} {
		if v.value != "" {
			env = append(env, v.name+"="+v.value)
		}
	}
	return env
}

// Redact is for text that comes from others, such as programs.
func (a Access) Redact(text string) string { return a.target.redact(text) }

// Failure makes an Error of what a database refused while act was done, such as "reading the tables". A refusal that is
// neither about the way there nor about waiting gets code.
func (a Access) Failure(ctx context.Context, code contract.MigrationErrorCode, act string, err error) *Error {
	if err == nil {
		return nil
	}
	failure := classify(ctx, &databaseError{act: act, cause: err})
	if failure.Code == contract.MigrationFailed {
		failure.Code = code
	}
	failure.Message = a.Redact(failure.Message)
	return failure
}
