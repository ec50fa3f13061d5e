package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mirubato/mirubato/hack/localcluster/progress"
)

// toolbox starts the programs in .local/bin.
type toolbox struct {
	// root of the repository, its state directory, and the version of the images.
	root, local, version string
}

func (t toolbox) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, filepath.Join(t.local, "bin", program), args...)
	command.Dir = t.root
	command.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(t.local, "kubeconfig"))
	return command
}

// show runs a program whose output is meant for the user.
func (t toolbox) show(ctx context.Context, program string, args ...string) error {
	command := t.command(ctx, program, args...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("running %s %s: %w", program, strings.Join(args, " "), err)
	}
	return nil
}

// apply sends a manifest to the API server.
func (t toolbox) apply(ctx context.Context, manifest string) error {
	command := t.command(ctx, "kubectl", "apply", "--server-side", "--filename", "-")
	command.Stdin = strings.NewReader(manifest)
	_, err := t.output(command)
	return err
}

// quiet runs a program whose output matters only when it fails.
func (t toolbox) quiet(ctx context.Context, program string, args ...string) error {
	_, err := t.output(t.command(ctx, program, args...))
	return err
}

// output returns what a program printed. Its complaints are part of the error.
func (t toolbox) output(command *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("running %s: %w\n%s", strings.Join(command.Args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// install brings images, databases and the operator into the cluster.
func (t toolbox) install(ctx context.Context, report *progress.Reporter) error {
	images := filepath.Join(t.local, "images")
	archives := []string{"load"}
	for _, name := range []string{"operator", "scores", "migrate"} {
		archives = append(archives, t.archive(name, t.version))
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"building the images", func() error {
			return t.quiet(ctx, "images", "build", "--out", images, "--version", t.version, "operator", "scores", "migrate")
		}},
		{"loading the images", func() error { return t.quiet(ctx, "localcluster", archives...) }},
		{"starting PostgreSQL with a database for each environment", func() error { return t.quiet(ctx, "localcluster", "databases") }},
		{"installing the operator", func() error {
			return t.quiet(ctx, "kubectl", "apply", "--server-side", "--force-conflicts", "--kustomize", filepath.Join("config", "local"))
		}},
		{"waiting for the operator", func() error {
			if err := t.restartOperator(ctx); err != nil {
				return err
			}
			return t.quiet(ctx, "kubectl", "--namespace", "mirubato-system", "rollout", "status", "deployment/mirubato-operator", "--timeout", "2m")
		}},
		{"waiting for the API of Microservices", func() error {
			return t.quiet(ctx, "kubectl", "wait", "--for", "condition=Established", "crd/microservices.platform.mirubato.com", "--timeout", "1m")
		}},
	} {
		if err := report.Step(step.name, step.do); err != nil {
			return err
		}
	}
	return nil
}
