// Command packages makes sure that Debian packages are installed: packages NAME...
//
// It says nothing when they are. As root it installs the missing ones, otherwise it names them. What installing means
// belongs to the package debian; here it is only tried again, because package servers fail now and then.
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

	"github.com/mirubato/mirubato/hack/debian"
)

// attempts is how often an installation is tried, with pause between two of them.
const (
	attempts = 3
	pause    = 10 * time.Second
)

// ensurer is debian.Ensure, or a fake in tests.
type ensurer func(ctx context.Context, out io.Writer, packages ...string) error

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := ensure(ctx, debian.Ensure, os.Geteuid() == 0, pause, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "packages:", err)
		os.Exit(1)
	}
}

// ensure tries again only where that can help: without root nothing changes from one attempt to the next.
func ensure(ctx context.Context, install ensurer, isRoot bool, pause time.Duration, packages []string) error {
	for attempt := 1; ; attempt++ {
		err := install(ctx, os.Stdout, packages...)
		if err == nil || !isRoot || attempt == attempts {
			return err
		}
		fmt.Fprintf(os.Stderr, "packages: attempt %d of %d: %v\n", attempt, attempts, err)
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
	}
}
