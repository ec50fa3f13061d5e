//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Versions of the service that the scenarios move between. Each is the present service; what differs is named.
const (
	versionFirst = "1.0.0"
	// versionNext has one more migration.
	versionNext = "1.1.0"
	// versionBroken has a migration that the database refuses.
	versionBroken = "1.2.0"
	// versionContracting has one more migration, and one that no earlier version can live with.
	versionContracting = "1.3.0"
)

// tools starts the programs in .local/bin.
type tools struct{ root, local string }

func (t tools) run(ctx context.Context, program string, args ...string) (string, error) {
	return t.runWith(ctx, nil, program, args...)
}

func (t tools) runWith(ctx context.Context, environment []string, program string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(t.local, "bin", program), args...)
	command.Dir = t.root
	command.WaitDelay = time.Second // children of a killed program may hold its output open
	command.Env = append(append(os.Environ(), "KUBECONFIG="+filepath.Join(t.local, "kubeconfig")), environment...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return stdout.String(), fmt.Errorf("running %s %s: %w\n%s", program, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// buildVariants makes and loads an image of the service for each version.
func (t tools) buildVariants(ctx context.Context) error {
	images := filepath.Join(t.local, "images")
	for version, migrations := range map[string]string{versionFirst: "", versionNext: "next", versionBroken: "broken", versionContracting: "contracting"} {
		args := []string{"build", "--out", images, "--version", version}
		if migrations != "" {
			args = append(args, "--migrations", filepath.Join(t.root, "test", "e2e", "migrations", migrations))
		}
		if _, err := t.run(ctx, "images", append(args, "scores")...); err != nil {
			return err
		}
		if _, err := t.run(ctx, "localcluster", "load", filepath.Join(images, "scores-"+version+".tar")); err != nil {
			return err
		}
	}
	return nil
}

func (t tools) installOperator(ctx context.Context) error {
	for _, args := range [][]string{
		{"apply", "--server-side", "--force-conflicts", "--kustomize", filepath.Join("config", "local")},
		{"wait", "--for", "condition=Established", "crd/microservices.platform.mirubato.com", "--timeout", "1m"},
		// The image has one tag while it is worked on, so that a new build does not show in the Deployment.
		{"--namespace", "mirubato-system", "delete", "pods", "--selector", "app.kubernetes.io/name=mirubato-operator"},
		{"--namespace", "mirubato-system", "rollout", "status", "deployment/mirubato-operator", "--timeout", "2m"},
	} {
		if _, err := t.run(ctx, "kubectl", args...); err != nil {
			return err
		}
	}
	return t.awaitPolicies(ctx)
}

// unknownToPolicies is part of what the API server answers while its admission policies do not know a kind.
const unknownToPolicies = "There can be a delay between when CustomResourceDefinitions are created and when they are available"

// awaitPolicies waits until the API server's admission policies know of the kinds: they look for new ones seconds after those are served, and
// refuse their objects until then.
func (t tools) awaitPolicies(ctx context.Context) error {
	const patience, pause = time.Minute, time.Second
	empty := filepath.Join(t.local, "empty.yaml") // it is refused, but by the schema
	content := "apiVersion: platform.mirubato.com/v1alpha1\nkind: Microservice\nmetadata: {name: empty}\n"
	if err := os.WriteFile(empty, []byte(content), 0o600); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(pause) {
		_, err := t.run(ctx, "kubectl", "create", "--namespace", "default", "--dry-run=server", "--validate=false", "--filename", empty)
		if err == nil || !strings.Contains(err.Error(), unknownToPolicies) {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}
