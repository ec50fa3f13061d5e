package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/controllers/preflight"
)

// ownNamespaceFile tells a pod its namespace.
const ownNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func checkCommand() *cobra.Command {
	var namespaces []string
	var namespace string
	var dashboard bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether this cluster offers what the operator needs, and whether one is at work",
		Long: `Asks the API server for its version, the kinds of Mirubato, each right of whoever asks, and the Lease that the operator at work
holds. Every answer is one line; the exit code is 1 if one of them is bad.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := ctrl.GetConfig()
			if err != nil {
				return fmt.Errorf("finding the API server: %w", err)
			}
			cluster, err := connect(config)
			if err != nil {
				return err
			}
			cluster.Namespaces, cluster.Dashboard = namespaces, dashboard
			cluster.Lease = client.ObjectKey{Namespace: namespace, Name: leaderElectionID}
			return check(cmd.Context(), cmd.OutOrStdout(), cluster, timeout)
		},
	}
	cmd.Flags().StringSliceVar(&namespaces, "namespaces", split(os.Getenv("NAMESPACES")), "namespaces that the operator is limited to (NAMESPACES)")
	cmd.Flags().BoolVar(&dashboard, "dashboard", os.Getenv("DASHBOARD_ADDRESS") != "", "ask also for the rights that a dashboard takes; default: if DASHBOARD_ADDRESS is set")
	cmd.Flags().StringVar(&namespace, "namespace", ownNamespace(), "namespace that the operator runs in")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait for good answers")
	return cmd
}

// ownNamespace is the pod's, or, outside of a cluster, the one that config/default installs to.
func ownNamespace() string {
	return cmp.Or(podNamespace(), "mirubato-system")
}

// podNamespace is empty outside of a cluster.
func podNamespace() string {
	text, err := os.ReadFile(ownNamespaceFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func connect(config *rest.Config) (preflight.Cluster, error) {
	config.QPS = -1 // a few dozen questions, asked once
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return preflight.Cluster{}, err
	}
	asked, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return preflight.Cluster{}, fmt.Errorf("finding the API server: %w", err)
	}
	discovered, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return preflight.Cluster{}, fmt.Errorf("finding the API server: %w", err)
	}
	return preflight.Cluster{Client: asked, Discovery: discovered, Now: time.Now}, nil
}

// check asks again until all answers are good or the time is over, and writes down the last ones.
func check(ctx context.Context, out io.Writer, cluster preflight.Cluster, timeout time.Duration) error {
	const pause = time.Second
	deadline := time.After(timeout)
	for {
		findings := preflight.Check(ctx, cluster)
		if bad := problems(findings); bad == 0 || timeout <= 0 {
			return tell(out, findings)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return tell(out, findings)
		case <-time.After(pause):
		}
	}
}

func problems(findings []preflight.Finding) int {
	count := 0
	for _, finding := range findings {
		if finding.Problem != nil {
			count++
		}
	}
	return count
}

var errCheck = errors.New("this cluster lacks something that the operator needs")

func tell(out io.Writer, findings []preflight.Finding) error {
	var errs []error
	for _, finding := range findings {
		line := "ok      " + finding.Subject
		if finding.Problem != nil {
			line = fmt.Sprintf("not ok  %s: %s", finding.Subject, finding.Problem)
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			errs = append(errs, fmt.Errorf("writing what was found: %w", err))
		}
	}
	if problems(findings) > 0 {
		errs = append(errs, errCheck)
	}
	return errors.Join(errs...)
}
