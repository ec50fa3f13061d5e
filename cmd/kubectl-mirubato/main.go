// Command kubectl-mirubato is the plugin that kubectl runs as "kubectl mirubato". It owns signals and the exit code; what the
// commands do is package plugin's.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/mirubato/mirubato/plugin"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := plugin.Run(ctx, plugin.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, version, os.Args[1:])
	stop()
	os.Exit(code)
}
