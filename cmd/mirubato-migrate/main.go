// Command mirubato-migrate applies the database migrations of a service, whatever language that is written in. It is
// the program of the operator's migration Jobs, and of people who want to see where a database stands.
//
// It owns flags, environment, the report and exit codes; service/migrate does the work.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program; it returns the exit code. What went wrong is on stderr, for a person, besides the report.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	root := newCommand(getenv) //nolint:contextcheck // cobra hands it to the command
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return contract.ExitOK
	}
	fmt.Fprintln(stderr, "mirubato-migrate:", err)
	if _, ok := errors.AsType[*migrate.Error](err); ok {
		return migrate.ExitCode(err)
	}
	if errors.Is(err, errBlocked) {
		return contract.ExitFailed
	}
	// Whatever else comes back is about flags, arguments or variables.
	return contract.ExitUsage
}

func newCommand(getenv func(string) string) *cobra.Command {
	root := &cobra.Command{
		Use:           "mirubato-migrate",
		Short:         "Apply the database migrations of a service",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newLintCommand(getenv))
	root.AddCommand(newUpCommand(getenv), newStatusCommand(getenv), newBackupCommand(getenv), newRehearseCommand(getenv))
	root.AddCommand(newBackupsCommand(getenv), newRestoreCommand(getenv))
	return root
}
