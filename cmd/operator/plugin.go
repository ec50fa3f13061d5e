package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/plugin"
)

// exitCode ends the program with a code that pipelines know; what there is to say has been said.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// pluginCommand makes the operator's image one that pipelines within a cluster can watch and steer Microservices with, in the name
// of the pod's ServiceAccount. No image beside it is needed, and it holds no more than it did.
func pluginCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "plugin COMMAND",
		Short:              "What kubectl mirubato does, for pods of pipelines: plugin wait NAME, for instance",
		DisableFlagParsing: true, // they are the plugin's
		RunE: func(cmd *cobra.Command, args []string) error {
			streams := plugin.Streams{In: os.Stdin, Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}
			if code := plugin.Run(cmd.Context(), streams, version, args); code != plugin.ExitOK {
				return exitCode(code)
			}
			return nil
		},
	}
}
