// Package kind runs a cluster in a container of a Docker engine by calling kind, which go run fetches and builds. It owns
// kind's command lines; what the cluster holds is the same as elsewhere.
package kind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/mirubato/mirubato/hack/localcluster/progress"
	"github.com/mirubato/mirubato/hack/localcluster/state"
)

// module is the kind that is run. It brings its own version of Kubernetes.
const module = "sigs.k8s.io/kind@v0.33.0"

// name is the name of the cluster. There can be one on a Docker engine, whichever checkout it belongs to.
const name = "mirubato"

// Cluster is the kind cluster of one state directory.
type Cluster struct {
	Dir    state.Dir
	Report *progress.Reporter
}

// EngineAnswers tells whether there is a Docker engine to run a cluster in.
func EngineAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "docker", "version", "--format", "{{.Server.Version}}").Run() == nil
}

// Check tells whether a cluster can run here and, if not, what to do instead.
func (c Cluster) Check(ctx context.Context) error {
	if !EngineAnswers(ctx) {
		return errors.New("no Docker engine answers, which kind needs; start it, or use PROVIDER=native on Linux as root")
	}
	return nil
}

// Up brings the cluster up, or does nothing when it runs.
func (c Cluster) Up(ctx context.Context) error {
	if err := c.Check(ctx); err != nil {
		return err
	}
	record, err := c.Dir.Load()
	if err != nil && !errors.Is(err, state.ErrNone) {
		return err
	}
	return c.Report.Step("kind cluster "+name, func() error {
		clusters, err := c.run(ctx, getArguments())
		if err != nil {
			return err
		}
		if slices.Contains(strings.Fields(clusters), name) {
			if record.Provider == state.Kind {
				return nil
			}
			return fmt.Errorf("there is a kind cluster %s already, of another checkout; stop it there by 'make down', "+
				"or by 'kind delete cluster --name %s'", name, name)
		}
		if err := c.Dir.Save(state.Record{Provider: state.Kind}); err != nil {
			return err
		}
		_, err = c.run(ctx, createArguments(c.Dir.Kubeconfig()))
		return err
	})
}

// Down deletes the cluster with its data.
func (c Cluster) Down(ctx context.Context) error {
	if err := c.Check(ctx); err != nil {
		return err
	}
	return c.Report.Step("deleting kind cluster "+name, func() error {
		if _, err := c.run(ctx, deleteArguments(c.Dir.Kubeconfig())); err != nil {
			return err
		}
		return c.Dir.Remove()
	})
}

// Load imports image archives.
func (c Cluster) Load(ctx context.Context, archives []string) error {
	for _, path := range archives {
		if _, err := c.run(ctx, loadArguments(path)); err != nil {
			return fmt.Errorf("loading %s: %w", path, err)
		}
	}
	return nil
}

func getArguments() []string { return []string{"get", "clusters"} }

func createArguments(kubeconfig string) []string {
	return []string{"create", "cluster", "--name", name, "--kubeconfig", kubeconfig, "--wait", "180s"}
}

func deleteArguments(kubeconfig string) []string {
	return []string{"delete", "cluster", "--name", name, "--kubeconfig", kubeconfig}
}

func loadArguments(path string) []string {
	return []string{"load", "image-archive", path, "--name", name}
}

// run calls kind. Outside of any module, because go run of a version leaves go.mod alone anyway and a workspace would
// get in the way.
func (c Cluster) run(ctx context.Context, args []string) (string, error) {
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, "go", append([]string{"run", module}, args...)...)
	command.Env = append(os.Environ(), "GOWORK=off")
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("running kind %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}
