package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/screen"
)

func statusCommand(s *session) *cobra.Command {
	var out output
	var all, follow bool
	cmd := &cobra.Command{
		Use:     "status [NAME]",
		Short:   "Where a Microservice is, or all of them",
		Long:    "Where a Microservice is: its environments, how far each has come, and what it waits for. Without a name: all, a line each.",
		GroupID: groupWatch,
		Args:    between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			if follow && out.isData() {
				return usage("--watch redraws a screen; it goes with -o text and -o wide only")
			}
			if all && len(args) > 0 {
				return usage("--all-namespaces lists all Microservices; leave %s out, or name its namespace with -n", args[0])
			}
			c, err := s.connect()
			if err != nil {
				return err
			}
			draw := func(ctx context.Context) error { return s.list(ctx, c, all, out) }
			if len(args) > 0 {
				draw = func(ctx context.Context) error { return s.status(ctx, c, args[0], out) }
			}
			if !follow {
				return draw(cmd.Context())
			}
			return s.redraw(cmd.Context(), c, all, args, draw)
		},
	}
	out.bind(cmd, formatText, formatWide, formatJSON, formatYAML)
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "list those of all namespaces")
	cmd.Flags().BoolVarP(&follow, "watch", "w", false, "draw it again whenever something changes, until Ctrl-C")
	return cmd
}

func (s *session) list(ctx context.Context, c *cluster, all bool, out output) error {
	list, err := c.microservices(ctx, all)
	switch {
	case err != nil:
		return err
	case out.isData():
		return s.data(out, v1alpha1.MicroserviceList{Items: list})
	case len(list) == 0 && all:
		return s.say("There are no Microservices in this cluster.\n")
	case len(list) == 0:
		return s.say(fmt.Sprintf("There are no Microservices in namespace %s. -A lists those of all namespaces.\n", c.namespace))
	}
	return s.say(screen.List(list, all, out.format == formatWide, s.now()))
}

func (s *session) status(ctx context.Context, c *cluster, name string, out output) error {
	ms, err := c.microservice(ctx, name)
	if err != nil {
		return err
	}
	if out.isData() {
		ms.ManagedFields = nil
		return s.data(out, ms)
	}
	releases, err := c.namedReleases(ctx, ms)
	if err != nil {
		return err
	}
	return s.say(screen.Status(ms, releases, out.format == formatWide, s.now()))
}

// emptied moves to the top left corner and empties the terminal below.
const emptied = "\x1b[H\x1b[2J"

// redraw draws at every change, and every second for the sake of the times, until the context ends.
func (s *session) redraw(ctx context.Context, c *cluster, all bool, names []string, draw func(context.Context) error) error {
	changes, stop := c.changes(ctx, all, names)
	defer stop()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		if err := s.say(emptied); err != nil {
			return err
		}
		if err := draw(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		case <-ticker.C:
		}
	}
}

// changes tells when a Microservice changed. It is a hint: a watch that breaks off is begun anew, and what was missed meanwhile
// is told as one change.
func (c *cluster) changes(ctx context.Context, all bool, names []string) (changes <-chan struct{}, stop func()) {
	ctx, stop = context.WithCancel(ctx)
	told := make(chan struct{}, 1)
	tell := func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}
	options := &client.ListOptions{}
	if !all {
		options.Namespace = c.namespace
	}
	if len(names) == 1 {
		options.FieldSelector = fields.OneTermEqualSelector("metadata.name", names[0])
	}
	go func() {
		for ctx.Err() == nil {
			c.follow(ctx, options, tell)
			tell()
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return told, stop
}

// follow watches until the watch ends.
func (c *cluster) follow(ctx context.Context, options *client.ListOptions, tell func()) {
	watching, err := c.Watch(ctx, &v1alpha1.MicroserviceList{}, options)
	if err != nil {
		return
	}
	defer watching.Stop()
	for event := range watching.ResultChan() {
		if event.Type == watch.Error {
			return
		}
		tell()
	}
}

func whyCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "why NAME [ENVIRONMENT]",
		Short:   "Why a Microservice is not further than it is, and what to do",
		GroupID: groupWatch,
		Args:    between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect()
			if err != nil {
				return err
			}
			ms, err := c.microservice(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			environment := ""
			if len(args) > 1 {
				if environment = args[1]; !has(ms, environment) {
					return noEnvironment(ms, environment)
				}
			}
			releases, err := c.namedReleases(cmd.Context(), ms)
			if err != nil {
				return err
			}
			return s.say(screen.Why(ms, releases, environment, s.now()))
		},
	}
}

func has(ms *v1alpha1.Microservice, environment string) bool {
	return slices.ContainsFunc(ms.Spec.Environments, func(e v1alpha1.EnvironmentSpec) bool { return e.Name == environment })
}

func noEnvironment(ms *v1alpha1.Microservice, name string) error {
	return fmt.Errorf("microservice %s has no environment %s; it has %s", ms.Name, name, strings.Join(environmentNames(ms), ", "))
}

// within refuses an environment in another cluster, whose kubeconfig is the operator's and not the caller's. instead says what to do.
func within(ms *v1alpha1.Microservice, name, instead string) error {
	for _, e := range ms.Spec.Environments {
		if e.Name == name && e.Cluster != nil {
			return fmt.Errorf("%s is in another cluster, that of Secret %s, which this command does not reach; %s", name, e.Cluster.KubeconfigSecretRef.Name, instead)
		}
	}
	return nil
}

func environmentNames(ms *v1alpha1.Microservice) []string {
	var names []string
	for _, e := range ms.Spec.Environments {
		names = append(names, e.Name)
	}
	return names
}
