// Command dev runs the service alone, for people who write a client: a private PostgreSQL, the schema, a small
// catalogue of real works, and as many instances of the service as asked for, on the loopback interface.
//
// It owns that ensemble and nothing outside .local; what it starts ends with it, however it ends. Data stay from run to
// run. docs/development.md is the manual.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mirubato/mirubato/test/results"
)

const stopPatience = 15 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	cfg, err := loadConfig(os.Getenv)
	if err == nil {
		err = run(ctx, cfg, os.Stdout)
	}
	interrupted := ctx.Err() != nil
	stop()
	if err != nil && !interrupted {
		fmt.Fprintln(os.Stderr, "\nmake dev:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends or something dies.
func run(ctx context.Context, cfg config, out io.Writer) error {
	began := time.Now()
	home, err := openHome(cfg.Root, cfg.Local)
	if err != nil {
		return err
	}
	defer home.close()
	if err := home.stopLeftovers(); err != nil {
		return err
	}
	if err := cfg.checkPorts(ctx); err != nil {
		return err
	}

	// Building and starting the database take most of the time, and do not need each other.
	first := !home.isBuilt()
	if first {
		fmt.Fprintln(out, "Building the service; on a new machine this takes most of a minute, later a second.")
	}
	building, cancelBuild := context.WithCancel(ctx)
	defer cancelBuild()
	built := make(chan error, 1)
	go func() { built <- home.build(building) }()
	database, err := startDatabase(ctx, home, out)
	if err != nil {
		cancelBuild()
		return errors.Join(err, ignoreCancelled(<-built))
	}
	defer stopDatabase(ctx, database, out)
	if err := <-built; err != nil {
		return err
	}

	s := service{home: home, config: cfg, databaseURL: database.URL(databaseName)}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	defer s.stop()
	if err := s.start(ctx); err != nil {
		return err
	}
	added, err := seed(ctx, s.addresses()[0].api(), s.tokens)
	if err != nil {
		return err
	}
	if err := s.writeEnvironment(); err != nil {
		return err
	}
	defer home.removeEnvironment()

	took := time.Since(began)
	s.announce(out, added, took)
	if err := record(home, first, took); err != nil {
		return err
	}
	return s.supervise(ctx, database)
}

// ignoreCancelled keeps quiet about a build that was ended because there is no database.
func ignoreCancelled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// record keeps the figure that a developer feels.
func record(home *home, first bool, took time.Duration) error {
	figure := results.Figure{Name: "make dev again, until it serves", Value: took.Seconds(), Unit: "s", Bound: "< 5", Command: "make dev"}
	if first {
		figure.Name, figure.Bound = "make dev the first time, until it serves", "< 60"
	}
	return results.Write(home.results(), figure)
}
