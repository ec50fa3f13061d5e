package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

// envDatabaseURL is the development twin of contract.EnvDatabaseURLFile.
const envDatabaseURL = "DATABASE_URL"

// config is every flag of both commands; each uses those that it has registered.
type config struct {
	dir                  string
	lockID               string
	advisoryLockWait     time.Duration
	statementLockTimeout time.Duration
	retries              int
	report               string
	format               string
	phase                string
}

func (c *config) addDir(flags *pflag.FlagSet, getenv func(string) string) {
	fallback := cmp.Or(getenv(contract.EnvMigrationsDir), contract.MigrationsDir)
	flags.StringVar(&c.dir, "dir", fallback, "directory of the migration files ($"+contract.EnvMigrationsDir+")")
}

func (c *config) addUp(flags *pflag.FlagSet) {
	flags.StringVar(&c.lockID, "lock-id", migrate.DefaultLockID, "name of the lock; runs that share a database must agree on it")
	flags.DurationVar(&c.advisoryLockWait, "advisory-lock-wait", migrate.DefaultAdvisoryLockWait, "how long to wait for another run; 0s tries once")
	flags.DurationVar(&c.statementLockTimeout, "statement-lock-timeout", migrate.DefaultStatementLockTimeout,
		"how long a statement may wait for a table while everybody else queues behind it")
	flags.IntVar(&c.retries, "retries", migrate.DefaultRetries, "how often a file that was kept from a lock is tried again")
}

func (c *config) addPhase(flags *pflag.FlagSet) {
	flags.StringVar(&c.phase, "phase", string(migrate.Expand),
		"expand, or contract: what removes things that only older releases need, none of which may be running any more")
}

func (c *config) addReport(flags *pflag.FlagSet) {
	flags.StringVar(&c.report, "report", "", "file that gets the report too, cut to what a termination message holds (default none)")
}

func (c *config) addStatus(flags *pflag.FlagSet) {
	flags.StringVar(&c.format, "format", "text", "text or json")
}

// validateUp names the flag that is wrong.
func (c *config) validateUp() error {
	problems := []error{c.validatePhase()}
	if strings.TrimSpace(c.lockID) == "" {
		problems = append(problems, errors.New("--lock-id must not be empty"))
	}
	if c.advisoryLockWait < 0 || c.advisoryLockWait > 24*time.Hour {
		problems = append(problems, fmt.Errorf("--advisory-lock-wait is %s: it must be between 0s and 24h", c.advisoryLockWait))
	}
	if c.statementLockTimeout < time.Millisecond || c.statementLockTimeout > time.Hour {
		problems = append(problems, fmt.Errorf("--statement-lock-timeout is %s: it must be between 1ms and 1h", c.statementLockTimeout))
	}
	if c.retries < 0 || c.retries > 1000 {
		problems = append(problems, fmt.Errorf("--retries is %d: it must be between 0 and 1000", c.retries))
	}
	return errors.Join(problems...)
}

func (c *config) validatePhase() error {
	if phase := migrate.Phase(c.phase); phase != "" && phase != migrate.Expand && phase != migrate.Contract {
		return fmt.Errorf("--phase is %q: it must be expand or contract", c.phase)
	}
	return nil
}

func (c *config) validateStatus() error {
	if c.format != "text" && c.format != "json" {
		return fmt.Errorf("--format is %q: it must be text or json", c.format)
	}
	return nil
}

// open returns what both commands work with. Its error is a *migrate.Error: these are not mistakes of whoever wrote
// the command line, but of an image without migrations or a Secret without the key, and belong into the report.
func (c *config) open(getenv func(string) string) (migrate.Config, error) {
	info, err := os.Stat(c.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return migrate.Config{}, migrate.NewError(contract.InvalidMigrations, "the directory "+c.dir+" of --dir does not exist")
	case err != nil:
		return migrate.Config{}, migrate.NewError(contract.InvalidMigrations, "the directory of --dir cannot be read: "+err.Error())
	case !info.IsDir():
		return migrate.Config{}, migrate.NewError(contract.InvalidMigrations, c.dir+" of --dir is not a directory")
	}
	url, err := databaseURL(getenv)
	if err != nil {
		return migrate.Config{}, unreachable(err)
	}
	// Read again for every connection, because the file changes when the password is rotated.
	read := func() (string, error) { return databaseURL(getenv) }
	return migrate.Config{DatabaseURL: url, ReadURL: read, Files: os.DirFS(c.dir), Phase: migrate.Phase(c.phase)}, nil
}

// openUp is open with the flags of addUp.
func (c *config) openUp(getenv func(string) string, log *slog.Logger) (migrate.Config, error) {
	work, err := c.open(getenv)
	if err != nil {
		return work, err
	}
	work.LockID = c.lockID
	work.AdvisoryLockWait = negativeForZero(c.advisoryLockWait)
	work.StatementLockTimeout = c.statementLockTimeout
	work.Retries = negativeForZero(c.retries)
	work.Log = log
	return work, nil
}

// unreachable is a variable or a file that does not lead to a database.
func unreachable(err error) *migrate.Error {
	return migrate.NewError(contract.DatabaseUnreachable, err.Error())
}

// databaseURL reads the file that the operator mounts, or else the value itself. Its errors never hold the value.
func databaseURL(getenv func(string) string) (string, error) {
	path := getenv(contract.EnvDatabaseURLFile)
	if path == "" {
		if url := getenv(envDatabaseURL); url != "" {
			return url, nil
		}
		return "", fmt.Errorf("no database is named: set %s to a file that holds the connection URL, or %s to the URL itself",
			contract.EnvDatabaseURLFile, envDatabaseURL)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the file that %s names: %w", contract.EnvDatabaseURLFile, err)
	}
	if strings.TrimSpace(string(content)) == "" {
		return "", fmt.Errorf("%s, which %s names, is empty", path, contract.EnvDatabaseURLFile)
	}
	return string(content), nil
}

// negativeForZero translates a flag, where 0 is a value like any other, for a Config, where it means the default.
func negativeForZero[N ~int | ~int64](n N) N {
	if n == 0 {
		return -1
	}
	return n
}
