//go:build !linux

// Package native runs a cluster as processes of this machine, without a container engine around it. That needs Linux.
package native

import (
	"context"
	"errors"
	"net/netip"

	"github.com/mirubato/mirubato/hack/localcluster/progress"
	"github.com/mirubato/mirubato/hack/localcluster/state"
)

var errSystem = errors.New("running Kubernetes without Docker needs Linux; start a Docker engine, which is then used " +
	"instead (PROVIDER=kind)")

// Cluster cannot run on this system: all its methods say so.
type Cluster struct {
	Dir    state.Dir
	Report *progress.Reporter
}

// Check returns what to do instead.
func (c Cluster) Check() error { return errSystem }

// Up returns what to do instead.
func (c Cluster) Up(context.Context) error { return errSystem }

// Down returns what to do instead.
func (c Cluster) Down(context.Context) error { return errSystem }

// Load returns what to do instead.
func (c Cluster) Load(context.Context, []string) error { return errSystem }

// NodeIP tells that no node runs.
func (c Cluster) NodeIP() (netip.Addr, bool) { return netip.Addr{}, false }
