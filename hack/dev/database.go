package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/mirubato/mirubato/hack/debian"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

const databaseName = "scores"

// startDatabase starts the private server of this repository, and installs PostgreSQL where it is missing and may be.
func startDatabase(ctx context.Context, h *home, out io.Writer) (*pgserver.Server, error) {
	cfg := pgserver.Config{Dir: h.path("postgres"), Durable: true}
	server, err := pgserver.Start(ctx, cfg)
	if errors.Is(err, pgserver.ErrNotInstalled) && mayInstall() {
		fmt.Fprintln(out, "Installing PostgreSQL (once)")
		if err := installPostgreSQL(ctx, h); err != nil {
			return nil, err
		}
		server, err = pgserver.Start(ctx, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("starting the database: %w", err)
	}
	if err := server.EnsureDatabase(ctx, databaseName); err != nil {
		stopDatabase(ctx, server, out)
		return nil, err
	}
	return server, nil
}

// stopDatabase shuts the server down also when the context of the run has ended.
func stopDatabase(ctx context.Context, server *pgserver.Server, out io.Writer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		fmt.Fprintln(out, "stopping the database:", err)
	}
}

func mayInstall() bool {
	_, err := exec.LookPath("apt-get")
	return err == nil && os.Geteuid() == 0
}

// installPostgreSQL keeps what apt-get says for when it goes wrong. Debian's own server is not started by this.
func installPostgreSQL(ctx context.Context, h *home) error {
	path := h.path("install.log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("installing PostgreSQL: %w", err)
	}
	defer func() { _ = log.Close() }() // only read by people
	if err := debian.Ensure(ctx, log, "postgresql"); err != nil {
		return fmt.Errorf("installing PostgreSQL: %w\n%s", err, tail(path))
	}
	return nil
}
