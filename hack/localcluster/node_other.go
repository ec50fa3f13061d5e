//go:build !linux

package main

import (
	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/hack/localcluster/native"
)

// nodeCommand refuses: a native node needs Linux.
func nodeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "node",
		Hidden: true,
		RunE:   func(*cobra.Command, []string) error { return native.Cluster{Dir: a.dir, Report: a.report}.Check() },
	}
}
