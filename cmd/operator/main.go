// Command operator runs the controllers of Mirubato. It owns their wiring: flags, caches, leader election and health.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	_ "time/tzdata" // windows name zones, and the image holds nothing but this program

	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // registries, Prometheus and collectors are behind https, and the image holds no certificates of authorities
	ctrl "sigs.k8s.io/controller-runtime"
)

// version is set by the linker.
var version = "dev"

// gcPercent has garbage collected when the heap has grown by half, not doubled as is the default. The operator mostly waits: it has
// processor time to spare, and memory is what it costs at rest. GOGC overrides it.
const gcPercent = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if err := command().ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		if code := exitCode(0); errors.As(err, &code) {
			os.Exit(int(code))
		}
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var config Config
	cmd := &cobra.Command{
		Use:           "operator",
		Short:         "Carry Microservices through their environments",
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		// Nobody types in an image without a shell.
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.Validate(); err != nil {
				return err
			}
			return serve(cmd.Context(), config)
		},
	}
	config.Bind(cmd.Flags(), os.Getenv)
	cmd.AddCommand(checkCommand(), pluginCommand())
	return cmd
}

func serve(ctx context.Context, config Config) error {
	restConfig, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the API server: %w", err)
	}
	return run(ctx, restConfig, config)
}
