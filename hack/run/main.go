// Command run brings up everything on one machine: the local cluster, the operator, PostgreSQL, and the sample
// Microservice in its three environments; then it calls the API and says how to go on.
//
// It owns the order of those steps and what is printed about them. The steps themselves are done by the programs that a
// person would use: localcluster, images and kubectl. Run again, it brings what exists to the present state of the
// sources.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mirubato/mirubato/hack/localcluster/progress"
	"github.com/mirubato/mirubato/test/results"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root, err := os.Getwd()
	if err == nil {
		err = run(ctx, root, os.Getenv)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "\nmake run:", err)
		os.Exit(1)
	}
}

// run takes the root of the repository, the PROVIDER of the cluster and the VERSION of the images.
func run(ctx context.Context, root string, getenv func(string) string) error {
	started := time.Now()
	report := progress.New(os.Stdout)
	tools := toolbox{root: root, local: filepath.Join(root, ".local"), version: getenv("VERSION")}
	provider := getenv("PROVIDER")
	if tools.version == "" || provider == "" {
		return fmt.Errorf("VERSION and PROVIDER are not set: start it by make run")
	}
	if err := tools.show(ctx, "localcluster", "up", "--provider", provider); err != nil {
		return err
	}
	fmt.Println()
	if err := tools.install(ctx, report); err != nil {
		return err
	}
	cluster, err := connect(filepath.Join(tools.local, "kubeconfig"))
	if err != nil {
		return err
	}
	took, err := applySample(ctx, tools, cluster, report)
	if err != nil {
		return err
	}
	if err := callAPI(ctx, tools, cluster); err != nil {
		return err
	}
	if err := tools.show(ctx, "kubectl", "get", "microservices", "--all-namespaces"); err != nil {
		return err
	}
	total := time.Since(started)
	fmt.Printf("\nReady after %.0f s. It keeps running until: make down\n", total.Seconds())
	return record(tools.local, took, total)
}

// record keeps the two figures that a user feels.
func record(local string, sample, total time.Duration) error {
	for _, figure := range []results.Figure{
		{Name: "sample applied to ready in three environments", Value: sample.Seconds(), Unit: "s", Bound: "< 60", Command: "make run"},
		{Name: "make run", Value: total.Seconds(), Unit: "s", Bound: "< 1200", Command: "make run"},
	} {
		if err := results.Write(filepath.Join(local, "results"), figure); err != nil {
			return err
		}
	}
	return nil
}
