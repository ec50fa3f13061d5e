package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/hack/localcluster/addons"
	"github.com/mirubato/mirubato/hack/localcluster/binaries"
	"github.com/mirubato/mirubato/hack/localcluster/manifest"
	"github.com/mirubato/mirubato/hack/localcluster/state"
	"github.com/mirubato/mirubato/hack/localcluster/storage"
)

func (a *app) upCommand() *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   "up",
		Short: "Start the cluster, or do nothing if it runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			release, err := a.dir.Lock()
			if err != nil {
				return err
			}
			defer release()
			cluster, err := a.choose(cmd.Context(), wanted)
			if err != nil {
				return err
			}
			if err := cluster.Up(cmd.Context()); err != nil {
				return err
			}
			a.printNext()
			return nil
		},
	}
	command.Flags().StringVar(&wanted, "provider", providerAuto,
		"native, kind, or auto: kind when a Docker engine answers, else native")
	return command
}

func (a *app) printNext() {
	fmt.Printf(`
The cluster is up after %.1f s.

  export KUBECONFIG=%s
  %s get nodes

It is stopped by: make down
`, a.report.Elapsed().Seconds(), a.dir.Kubeconfig(), a.dir.Bin("kubectl"))
}

func (a *app) downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster and remove its data; programs and images that were built stay",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			release, err := a.dir.Lock()
			if err != nil {
				return err
			}
			defer release()
			cluster, err := a.present()
			if err != nil {
				return err
			}
			return cluster.Down(cmd.Context())
		},
	}
}

func (a *app) loadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "load ARCHIVE...",
		Short: "Import image archives into the cluster; what is there already is passed over",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, archives []string) error {
			cluster, err := a.present()
			if err != nil {
				return err
			}
			for _, path := range archives {
				err := a.report.Step("loading "+filepath.Base(path), func() error {
					return cluster.Load(cmd.Context(), []string{path})
				})
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) binariesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "binaries",
		Short: "Build Kubernetes and link etcd beside it, for tests with a real API server",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return binaries.EnsureForTests(cmd.Context(), a.dir, a.report)
		},
	}
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say what runs; succeeds only when all is well",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			record, err := a.dir.Load()
			if err != nil {
				fmt.Println("No cluster. Start one by: make cluster-up")
				return errSaid
			}
			return a.printStatus(cmd.Context(), record)
		},
	}
}

func (a *app) printStatus(ctx context.Context, record state.Record) error {
	fmt.Printf("provider     %s\n", record.Provider)
	if record.Provider == state.Native {
		if !record.Init.Alive() {
			fmt.Println("node         ended; start a fresh one by: make cluster-up")
			return errSaid
		}
		fmt.Printf("node         process %d at %s, logs in %s\n", record.Init.PID, record.NodeIP, a.dir.Cluster("logs"))
	}
	fmt.Printf("kubeconfig   export KUBECONFIG=%s\n", a.dir.Kubeconfig())
	fmt.Println("limits       NetworkPolicies are accepted but not enforced; Services of type LoadBalancer get no address")

	healthy, err := a.health(ctx)
	if err != nil {
		fmt.Printf("health       %v\n", err)
		return errSaid
	}
	if !healthy {
		return errSaid
	}
	return nil
}

func (a *app) health(ctx context.Context) (bool, error) {
	api, err := manifest.Client(a.dir.Kubeconfig())
	if err != nil {
		return false, err
	}
	ready, unready, err := addons.Nodes(ctx, api)
	if err != nil {
		return false, err
	}
	dns, err := addons.DNSReady(ctx, api)
	if err != nil {
		return false, err
	}
	for _, name := range ready {
		fmt.Printf("ready        node %s\n", name)
	}
	for _, name := range unready {
		fmt.Printf("not ready    node %s\n", name)
	}
	if dns {
		fmt.Println("ready        cluster DNS")
	} else {
		fmt.Println("not ready    cluster DNS")
	}
	return dns && len(ready) > 0 && len(unready) == 0, nil
}

// storageCommand is started by a native node.
func storageCommand() *cobra.Command {
	var kubeconfig, directory, node string
	command := &cobra.Command{
		Use:    "storage",
		Short:  "Serve volume claims from directories; started by a node",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return storage.Run(cmd.Context(), kubeconfig, directory, node)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	command.Flags().StringVar(&directory, "directory", "", "where the volumes are")
	command.Flags().StringVar(&node, "node", "", "name of the node that the directory is on")
	return command
}
