package plugin

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/plugin/dashboard"
	"github.com/mirubato/mirubato/plugin/steering"
)

func dashboardCommand(s *session) *cobra.Command {
	var all bool
	var port uint16
	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Serve a page on this machine that shows and steers Microservices",
		Long: `Serves a page on this machine, until Ctrl-C, on which you see Microservices change and give orders, with your own rights.
Nothing is installed in the cluster and nobody else can reach it. The address that is printed lets one browser in, once: whoever
opens it acts in your name.`,
		GroupID: groupWatch,
		Args:    exactly(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.dashboard(cmd.Context(), all, port) },
	}
	cmd.Flags().BoolVarP(&all, "all-namespaces", "A", false, "show those of all namespaces")
	cmd.Flags().Uint16Var(&port, "port", 0, "the port of 127.0.0.1; 0 for any that is free")
	return cmd
}

func (s *session) dashboard(ctx context.Context, all bool, port uint16) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	// Asked once before anything is served, so that a wrong cluster or a lack of rights is told here.
	if _, err := c.microservices(ctx, all); err != nil {
		return err
	}
	endless, err := c.endless()
	if err != nil {
		return err
	}
	namespace := c.namespace
	if all {
		namespace = ""
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("serving the dashboard: %w; --port 0 takes any port that is free", err)
	}
	server := dashboard.New(dashboard.Options{
		Client: endless, Namespace: namespace, Say: plain,
		Give: func(ctx context.Context, o dashboard.Order) (string, error) { return s.carryOut(ctx, c, o) },
	})
	if err := s.say(fmt.Sprintf("The dashboard is at %s\nWhoever opens this address acts in your name. It can be opened once; Ctrl-C ends the dashboard.\n", server.Address(listener.Addr()))); err != nil {
		return err
	}
	return server.Serve(ctx, listener)
}

// carryOut gives an order as its command does, to the cluster that the dashboard shows, whatever the kubeconfig has become since.
// It returns what the command would have said.
func (s *session) carryOut(ctx context.Context, c *cluster, o dashboard.Order) (string, error) {
	var said bytes.Buffer
	there := *c
	there.namespace = o.Namespace
	as := &session{streams: Streams{In: strings.NewReader(""), Out: &said, Err: &said}, version: s.version, now: s.now, connected: &there}
	err := as.order(ctx, o)
	return strings.TrimSpace(said.String()), err
}

func (s *session) order(ctx context.Context, o dashboard.Order) error {
	switch o.Verb {
	case steering.Abort:
		return s.abort(ctx, o.Name, o.Environment)
	case steering.Approve:
		return s.approve(ctx, o.Name, o.Environment, o.Plan, true)
	case steering.Hold:
		return s.hold(ctx, o.Name, o.Environment, o.Release)
	case steering.Rollback:
		return s.rollback(ctx, o.Name, o.Environment, o.Release)
	case steering.Retry:
		return s.retry(ctx, o.Name)
	case steering.Pause:
		return s.pause(ctx, o.Name, true)
	case steering.Resume:
		if o.Environment == "" {
			return s.pause(ctx, o.Name, false)
		}
		return s.resume(ctx, o.Name, o.Environment)
	}
	return fmt.Errorf("there is no order %q", o.Verb)
}
