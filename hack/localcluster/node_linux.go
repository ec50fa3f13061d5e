package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/hack/localcluster/node"
)

// nodeCommand is the first process of a native node, started by up in namespaces of its own.
func nodeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "node",
		Short:  "Be the first process of a node; started by up",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return node.Run(cmd.Context(), string(a.dir), os.Stdin)
		},
	}
}
