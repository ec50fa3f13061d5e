//go:build e2e

// Package e2e runs scenarios on the real cluster: a real API server, kubelet, containerd and PostgreSQL. The scenarios are
// the files in scenarios/; they are meant to be read. This package owns the commands that they are written in.
//
// It needs the cluster of `make cluster-up`, whose Services can be reached from this machine, and the images of
// `make images`; `make e2e` sees to both.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

var (
	directory = flag.String("scenarios", "scenarios", "directory of the scenarios to run")
	made      = flag.String("command", "make e2e", "what a person types to measure the figures again")
)

// suite is what all scenarios share. It does not change after TestMain.
var suite struct {
	// root of the repository, and its state directory.
	root, local string
	tools       tools
	databases   databases
	apiServer   apiServer
	// started is before the first thing that the operator does for the scenarios.
	started time.Time
}

func TestMain(m *testing.M) {
	flag.Parse()
	log.SetLogger(logr.Discard())     // failures are told by the scenarios
	const patience = 10 * time.Minute // images may have to be built
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	err := prepare(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "preparing the scenarios:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func prepare(ctx context.Context) error {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	suite.root, suite.local = root, filepath.Join(root, ".local")
	suite.started = time.Now()
	suite.tools = tools{root: suite.root, local: suite.local}
	if suite.apiServer, err = openAPIServer(filepath.Join(suite.local, "kubeconfig")); err != nil {
		return err
	}
	if err := suite.tools.buildVariants(ctx); err != nil {
		return err
	}
	if err := suite.tools.installOperator(ctx); err != nil {
		return err
	}
	suite.databases, err = openDatabases(ctx, suite.tools)
	return err
}

func TestScenarios(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 *directory,
		Setup:               setUp,
		Cmds:                commands(),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}
