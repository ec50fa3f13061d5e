// Package plugin is what "kubectl mirubato" does: it shows Microservices and their Releases, and gives the orders that the
// operator carries out.
//
// It owns the commands, their flags and their exit codes. It works with the rights of whoever calls it and with nothing else:
// what it shows is read from the API server, what it orders is an annotation, a field of the spec or an Approval that the
// caller might write as well. How things look on a screen is package screen's.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// The exit codes. Pipelines depend on them.
const (
	// ExitOK: done, or what was asked for is so.
	ExitOK = 0
	// ExitFailed: the cluster refused, could not be reached, or something is not there.
	ExitFailed = 1
	// ExitUsage: the command line is wrong; nothing was done.
	ExitUsage = 2
	// ExitRejected: the release that was waited for has been rejected.
	ExitRejected = 3
	// ExitTimeout: what was waited for has not come in time.
	ExitTimeout = 4
	// ExitPerson: what was waited for needs a person first.
	ExitPerson = 5
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// coded is an error with an exit code of its own.
type coded struct {
	code int
	err  error
}

func (c coded) Error() string { return c.err.Error() }
func (c coded) Unwrap() error { return c.err }

// usage is an error in the command line.
func usage(format string, args ...any) error { return coded{ExitUsage, fmt.Errorf(format, args...)} }

// Run carries out a command line and returns the exit code. Errors are written to streams.Err, on one line where they allow.
func Run(ctx context.Context, streams Streams, version string, args []string) int {
	root := command(&session{streams: streams, version: version, now: time.Now}) //nolint:contextcheck // commands are given theirs by ExecuteContext
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	fmt.Fprintln(streams.Err, "error:", plain(err))
	var c coded
	if errors.As(err, &c) {
		return c.code
	}
	return ExitFailed
}

// session is what all commands share.
type session struct {
	streams Streams
	version string
	now     func() time.Time
	target  target
	// connected is the cluster, if that was settled before the command: orders from the dashboard go where it looks.
	connected *cluster
}

func command(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-mirubato",
		Short: "Watch and steer Microservices",
		Long: `Watch and steer Microservices with your own rights in the cluster.

Exit codes: 0 done; 1 refused, unreachable or not found; 2 wrong command line; of wait also 3 rejected,
4 not in time, 5 a person has to act first; of restore also 4.`,
		Version:       s.version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl mirubato"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("there is no command %q; kubectl mirubato --help lists them", args[0])
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetIn(s.streams.In)
	root.SetOut(s.streams.Out)
	root.SetErr(s.streams.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; %s --help shows what there is", err, cmd.CommandPath())
	})
	s.target.bind(root.PersistentFlags())
	root.AddGroup(&cobra.Group{ID: groupWatch, Title: "Watch:"}, &cobra.Group{ID: groupSteer, Title: "Steer:"})
	root.AddCommand(
		statusCommand(s), whyCommand(s), planCommand(s), historyCommand(s), diffCommand(s), settingsCommand(s), migrationsCommand(s), backupsCommand(s), logsCommand(s), waitCommand(s), reportCommand(s), dashboardCommand(s),
		approveCommand(s), abortCommand(s), retryCommand(s), holdCommand(s), rollbackCommand(s), resumeCommand(s), pauseCommand(s), restoreCommand(s),
		versionCommand(s),
	)
	completeNames(s, root)
	return root
}

const (
	groupWatch = "watch"
	groupSteer = "steer"
)

// exactly refuses another number of arguments, naming what they are.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		return usage("%s takes %s, not %s: %s", cmd.CommandPath(), count(len(names), "argument"), numeral(len(args)), cmd.UseLine())
	}
}

// between refuses fewer or more arguments.
func between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return usage("%s takes %d to %d arguments, not %s: %s", cmd.CommandPath(), least, most, numeral(len(args)), cmd.UseLine())
	}
}

func numeral(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
