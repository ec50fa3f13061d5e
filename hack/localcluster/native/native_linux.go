// Package native runs a cluster as processes of this machine, without a container engine around it. It owns the order
// in which the parts come up and go down; the parts are in the packages machine, node and addons.
package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/images/recipe"
	"github.com/mirubato/mirubato/hack/localcluster/addons"
	"github.com/mirubato/mirubato/hack/localcluster/binaries"
	"github.com/mirubato/mirubato/hack/localcluster/machine"
	"github.com/mirubato/mirubato/hack/localcluster/manifest"
	"github.com/mirubato/mirubato/hack/localcluster/node"
	"github.com/mirubato/mirubato/hack/localcluster/progress"
	"github.com/mirubato/mirubato/hack/localcluster/state"
	"github.com/mirubato/mirubato/hack/localcluster/storage"
)

// How long the parts may take to come up. All take seconds; a loaded machine may be ten times slower.
const (
	apiTimeout  = 2 * time.Minute
	nodeTimeout = 2 * time.Minute
	dnsTimeout  = 2 * time.Minute
)

// dnsVersion tags the image of the DNS server. It changes with the module in the directory coredns.
const dnsVersion = "v1.15.0"

// Cluster is the native cluster of one state directory. Its methods that change it must be called under the lock of
// that directory.
type Cluster struct {
	Dir    state.Dir
	Report *progress.Reporter
}

// Check tells whether a cluster can run on this machine and, if not, what to do instead.
func (c Cluster) Check() error { return machine.Check() }

// Up brings the cluster up, or does what is left to do when it runs already. A cluster that was killed is not
// continued: its data may be torn, so a fresh one takes its place.
func (c Cluster) Up(ctx context.Context) error {
	if err := c.installPackages(ctx); err != nil {
		return err
	}
	record, err := c.Dir.Load()
	if err != nil && !errors.Is(err, state.ErrNone) {
		return err
	}
	running := record.Init.Alive()
	if !running {
		// First of all, because another checkout's cluster is better found before ten minutes of building than after.
		if err := c.clear(ctx); err != nil {
			return err
		}
	}
	if err := c.build(ctx); err != nil {
		return err
	}
	if !running {
		err := c.Report.Step("certificates, network and processes of the node", func() (err error) {
			record, err = c.launch(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return c.furnish(ctx, record)
}

func (c Cluster) installPackages(ctx context.Context) error {
	return c.Report.Step("Debian packages", func() error {
		return binaries.EnsureForNode(ctx, lineWriter(func(line string) { c.Report.Update("%s", line) }))
	})
}

// clear removes what earlier clusters left.
func (c Cluster) clear(ctx context.Context) error {
	return c.Report.Step("what earlier runs left behind", func() error {
		if err := machine.Reclaim(ctx, c.Dir); err != nil {
			return err
		}
		return c.Dir.Remove()
	})
}

// build provides programs and images.
func (c Cluster) build(ctx context.Context) error {
	if err := binaries.EnsureAll(ctx, c.Dir, c.Report); err != nil {
		return err
	}
	return c.Report.Step("images of the pause program and the DNS server", func() error {
		if _, err := recipe.Build(ctx, c.pauseOptions(), "pause"); err != nil {
			return err
		}
		_, err := recipe.Pack(c.dnsOptions(), "coredns", archive.Image{
			Entrypoint: []string{"/coredns"},
			User:       "65532:65532",
			Files:      []archive.File{{Path: "/coredns", Source: c.Dir.Bin("coredns"), Mode: 0o755}},
		})
		return err
	})
}

func (c Cluster) pauseOptions() recipe.Options { return c.imageOptions(node.PauseVersion) }

func (c Cluster) dnsOptions() recipe.Options { return c.imageOptions(dnsVersion) }

// furnish waits for the cluster and puts in what it lacks. Everything here can be done twice.
func (c Cluster) furnish(ctx context.Context, record state.Record) error {
	var api client.Client
	err := c.Report.Step("API server", func() (err error) {
		api, err = c.awaitAPI(ctx, record)
		return err
	})
	if err != nil {
		return err
	}
	err = c.Report.Step("cluster DNS, storage and access", func() error {
		if err := c.Load(ctx, []string{c.pauseOptions().Archive("pause"), c.dnsOptions().Archive("coredns")}); err != nil {
			return err
		}
		return c.applyAddons(ctx, api)
	})
	if err != nil {
		return err
	}
	err = c.Report.Step("node ready", func() error { return addons.AwaitNode(ctx, api, nodeTimeout) })
	if err != nil {
		return err
	}
	return c.Report.Step("cluster DNS ready", func() error { return addons.AwaitDNS(ctx, api, dnsTimeout) })
}

func (c Cluster) applyAddons(ctx context.Context, api client.Client) error {
	objects, err := addons.Objects(addons.Values{
		DNS:           node.Settings{Services: machine.Services}.DNS(),
		DNSImage:      c.dnsOptions().Image("coredns"),
		KubeletClient: node.KubeletClient,
		StorageUser:   node.Storage,
		Provisioner:   storage.Provisioner,
	})
	if err != nil {
		return err
	}
	return manifest.Apply(ctx, api, objects)
}

// awaitAPI returns a client once the API server answers, and gives up when the node ends.
func (c Cluster) awaitAPI(ctx context.Context, record state.Record) (client.Client, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var api client.Client
	err := manifest.Wait(ctx, apiTimeout, "the API server", func(context.Context) (done bool, err error) {
		if !record.Init.Alive() {
			cancel(fmt.Errorf("the node ended:\n%s", c.tail("node")))
			return false, errors.New("the node ended")
		}
		if api, err = manifest.Client(c.Dir.Kubeconfig()); err != nil {
			return false, err
		}
		return c.answers(ctx)
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, c.tail("kube-apiserver"))
	}
	return api, nil
}

// Down stops the cluster and removes all that it made on the machine, and its data. Programs and images stay.
func (c Cluster) Down(ctx context.Context) error {
	record, err := c.Dir.Load()
	if err != nil && !errors.Is(err, state.ErrNone) {
		return err
	}
	if err := c.Report.Step("stopping the node", func() error { return machine.Kill(ctx, record.Init) }); err != nil {
		return err
	}
	return c.Report.Step("removing what it made", func() error {
		err := machine.Reclaim(ctx, c.Dir)
		var owned *machine.OwnedError
		if errors.As(err, &owned) {
			err = nil // another checkout's cluster has the machine; of this one nothing is left on it
		}
		return errors.Join(err, c.Dir.Remove())
	})
}

// NodeIP is the address of the API server, and whether the node runs.
func (c Cluster) NodeIP() (netip.Addr, bool) {
	record, err := c.Dir.Load()
	if err != nil || !record.Init.Alive() {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(record.NodeIP)
	return addr, err == nil
}

// lineWriter calls f with every line that is written.
type lineWriter func(line string)

var _ io.Writer = lineWriter(nil)

func (c Cluster) imageOptions(version string) recipe.Options {
	return recipe.Options{Repository: c.Dir.Repository(), Out: c.Dir.Images(), Version: version}
}
