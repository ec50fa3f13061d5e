// Command entrypoint starts a PostgreSQL server in a container: it makes the server's files on the first start, gives it
// the databases and users that a file lists, and then becomes the server. Its arguments are passed on to the server.
//
// While databases are made the server listens to the administrator's socket only, so that a client that gets a
// connection finds everything in place.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mirubato/mirubato/hack/images/postgres"
)

// startTimeout bounds how long the server may take to answer before databases are made; it may have to recover first.
const startTimeout = 5 * time.Minute

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		slog.Error("starting PostgreSQL", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	data := os.Getenv(postgres.DataVariable)
	if data == "" {
		return fmt.Errorf("%s is not set; it names the directory of the server's files", postgres.DataVariable)
	}
	if err := ensureData(ctx, data); err != nil {
		return err
	}
	databases, err := readDatabases(os.Getenv(postgres.DatabasesVariable))
	if err != nil {
		return err
	}
	server, err := exec.LookPath("postgres")
	if err != nil {
		return fmt.Errorf("looking for the server: %w", err)
	}
	arguments := append([]string{"postgres", "-D", data}, args...)
	if len(databases) > 0 {
		if err := furnish(ctx, server, arguments[1:], databases); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("stopped before the server started: %w", ctx.Err())
	}
	// From here on this process is the server, which handles signals itself.
	return syscall.Exec(server, arguments, os.Environ())
}

// ensureData makes the files of a server unless they are there. They are made beside their place and moved, so that an
// interrupted attempt leaves nothing that looks complete.
func ensureData(ctx context.Context, data string) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		// A volume that is mounted for a group may have been opened to it since, which the server refuses.
		if err := os.Chmod(data, 0o700); err != nil {
			return fmt.Errorf("closing the server's files to others: %w", err)
		}
		return nil
	}
	unfinished := data + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("removing an unfinished attempt: %w", err)
	}
	command := exec.CommandContext(ctx, "initdb", "--pgdata", unfinished, "--username", "postgres",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--auth-local", "peer", "--auth-host", "scram-sha-256")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("making the server's files: %w", err)
	}
	if err := os.Remove(data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("making room for the server's files: %w", err)
	}
	if err := os.Rename(unfinished, data); err != nil {
		return fmt.Errorf("putting the server's files in place: %w", err)
	}
	return nil
}

func readDatabases(path string) ([]postgres.Database, error) {
	if path == "" {
		return nil, nil
	}
	encoded, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the list of databases: %w", err)
	}
	var databases []postgres.Database
	if err := json.Unmarshal(encoded, &databases); err != nil {
		return nil, fmt.Errorf("decoding the list of databases: %w", err)
	}
	return databases, nil
}

// furnish runs the server without a network for as long as it takes to make databases.
func furnish(ctx context.Context, server string, args []string, databases []postgres.Database) (err error) {
	private := append(args[:len(args):len(args)], "-c", "listen_addresses=")
	command := exec.CommandContext(ctx, server, private...)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGINT) }
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting the server to make databases: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	defer func() {
		_ = command.Process.Signal(syscall.SIGINT) // it may have ended, which Wait tells
		if waitErr := <-ended; err == nil && waitErr != nil {
			err = fmt.Errorf("stopping the server after making databases: %w", waitErr)
		}
	}()
	if err := awaitServer(ctx, ended); err != nil {
		return err
	}
	for _, database := range databases {
		if err := ensureDatabase(ctx, open, database); err != nil {
			return err
		}
	}
	return nil
}

// open connects to a database as the administrator.
func open(database string) (*sql.DB, error) {
	return sql.Open("postgres", fmt.Sprintf("host=%s user=postgres dbname=%s sslmode=disable", postgres.SocketDir, quote(database)))
}

// awaitServer returns when the server answers. What it puts into ended is put back for whoever collects it.
func awaitServer(ctx context.Context, ended chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	db, err := open("postgres")
	if err != nil {
		return fmt.Errorf("preparing a connection: %w", err)
	}
	defer db.Close()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case exit := <-ended:
			ended <- exit
			return fmt.Errorf("the server ended before it answered: %w", errors.Join(exit, err))
		case <-ctx.Done():
			return fmt.Errorf("waiting for the server: %w", errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
