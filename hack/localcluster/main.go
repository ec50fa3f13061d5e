// Command localcluster runs a real Kubernetes on one machine: in a Docker engine where one answers, by kind, and
// otherwise natively, as processes of a Linux machine. docs/local-cluster.md says what it makes and where.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mirubato/mirubato/hack/localcluster/progress"
	"github.com/mirubato/mirubato/hack/localcluster/state"
)

// errSaid ends the program with a failure about which everything has been printed.
var errSaid = errors.New("")

func main() {
	log.SetLogger(logr.Discard()) // what the client library says beside its errors is of no use to a person waiting
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintf(os.Stderr, "localcluster: %v\n", err)
		}
		os.Exit(1)
	}
}

// app is what the subcommands share. It is filled in before any of them runs.
type app struct {
	dir    state.Dir
	report *progress.Reporter
}

func newCommand() *cobra.Command {
	a := &app{report: progress.New(os.Stdout)}
	var dir string
	root := &cobra.Command{
		Use:           "localcluster",
		Short:         "A real Kubernetes on one machine",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			if a.dir = state.Dir(dir); dir == "" {
				a.dir, err = state.Find(".")
			}
			return err
		},
	}
	root.PersistentFlags().StringVar(&dir, "state", "", "state directory (default .local at the root of the repository)")
	root.AddCommand(
		a.upCommand(), a.downCommand(), a.statusCommand(), a.loadCommand(), a.databasesCommand(), a.binariesCommand(),
		nodeCommand(a), storageCommand(),
	)
	return root
}
