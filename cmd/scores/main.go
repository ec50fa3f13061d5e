// Command scores is the sheet-music library: the REST service and what belongs to its operation. It owns the wiring
// and the configuration; docs/service.md describes both.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = ""

func main() {
	ctx, stop := signalled(os.Exit)
	err := newCommand(os.Getenv).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "scores:", err)
		os.Exit(1)
	}
}

// signalled returns a context that ends at the first SIGTERM or SIGINT. The second one ends the process at once, for
// whoever does not want to wait for the requests that are still running.
func signalled(exit func(int)) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-signals
		cancel()
		<-signals
		exit(1)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}

func newCommand(getenv func(string) string) *cobra.Command {
	root := &cobra.Command{
		Use:           "scores",
		Short:         "A sheet-music library",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       buildVersion(),
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newServeCommand(getenv), newMigrateCommand(getenv), newMigrationsCommand(), newTokenCommand(getenv),
		newUserCommand(getenv), newNotesCommand(getenv))
	return root
}

// buildVersion is what the linker was told, or else what the Go command knows.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
