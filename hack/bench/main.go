// Command bench compares the service with two others that do the same work on the same PostgreSQL in the same run: plain
// net/http with the same statements, which shows what the layers of the service cost, and Hono on Node, the stack that
// the architecture was first written for. Before anything is measured all must give the same answers.
//
// It owns the comparison: servers, load, figures, table and plot. All load stays on the loopback interface, and -length
// and -rounds bound it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"
)

// config is what can be chosen on the command line.
type config struct {
	bin, dir, sources, docs, work string
	length                        time.Duration
	rounds, clients, rows         int
}

func main() {
	var cfg config
	flag.StringVar(&cfg.bin, "bin", ".local/bin", "directory of the programs scores and plain")
	flag.StringVar(&cfg.dir, "dir", ".local/bench", "directory for the database, the Node modules and the results")
	flag.StringVar(&cfg.sources, "sources", "hack/bench/hono", "directory of the Node program")
	flag.StringVar(&cfg.docs, "docs", "", "directory in which performance.md and performance.svg are brought up to date; empty is none")
	flag.DurationVar(&cfg.length, "length", 5*time.Second, "how long one measurement lasts, at most 1m")
	flag.IntVar(&cfg.rounds, "rounds", 5, "how many rounds are made, 1 to 20")
	flag.IntVar(&cfg.clients, "clients", 32, "how many connections a load has, 1 to 256")
	flag.StringVar(&cfg.work, "work", "", "the only work that is measured, such as write; empty is all")
	flag.IntVar(&cfg.rows, "rows", 5000, "how many scores the library holds, 100 to 1000000")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // the process ends, and with it the signals
	}
}

func (c config) check() error {
	switch {
	case c.length < 100*time.Millisecond || c.length > time.Minute:
		return fmt.Errorf("-length %s: must be from 100ms to 1m", c.length)
	case c.rounds < 1 || c.rounds > 20:
		return fmt.Errorf("-rounds %d: must be from 1 to 20", c.rounds)
	case c.clients < 1 || c.clients > 256:
		return fmt.Errorf("-clients %d: must be from 1 to 256", c.clients)
	case c.rows < 100 || c.rows > 1_000_000:
		return fmt.Errorf("-rows %d: must be from 100 to 1000000", c.rows)
	}
	return c.checkWork()
}

func (c config) checkWork() error {
	switch {
	case c.work == "":
		return nil
	case !slices.ContainsFunc(tasks(), func(t task) bool { return t.Work == c.work }):
		return fmt.Errorf("-work %q: must be one of %q, %q, %q, %q, %q", c.work, cachedRead, read, list, write, mix)
	case c.docs != "":
		return errors.New("-docs: the table in docs is of all works; leave -work out")
	}
	return nil
}

func run(ctx context.Context, cfg config) (err error) {
	if err := cfg.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.dir, 0o755); err != nil {
		return fmt.Errorf("making a place for the results: %w", err)
	}
	w, err := newWorld(ctx, cfg)
	if err != nil {
		return err
	}
	defer w.close(context.WithoutCancel(ctx))
	fmt.Println("Checking that all give the same answers")
	for _, c := range w.contenders {
		if err := w.agree(ctx, c); err != nil {
			return fmt.Errorf("%s does not keep the contract: %w", c.name, err)
		}
	}
	report, err := w.measure(ctx)
	if err != nil {
		return err
	}
	if err := report.write(filepath.Join(cfg.dir, "results.json")); err != nil {
		return err
	}
	if err := report.record(); err != nil {
		return err
	}
	fmt.Print(report.table())
	if cfg.docs == "" {
		return nil
	}
	return report.document(cfg.docs)
}
