package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mirubato/mirubato/hack/localcluster/kind"
	"github.com/mirubato/mirubato/hack/localcluster/native"
	"github.com/mirubato/mirubato/hack/localcluster/state"
)

const providerAuto = "auto"

// cluster is what the commands ask of either provider.
type cluster interface {
	Up(ctx context.Context) error
	Down(ctx context.Context) error
	Load(ctx context.Context, archives []string) error
}

// choose returns the provider that is wanted. One that runs already is kept by auto.
func (a *app) choose(ctx context.Context, wanted string) (cluster, error) {
	record, err := a.dir.Load()
	if err != nil && !errors.Is(err, state.ErrNone) {
		return nil, err
	}
	if wanted == providerAuto {
		wanted = string(record.Provider)
		if wanted == "" && kind.EngineAnswers(ctx) {
			wanted = string(state.Kind)
		}
		if wanted == "" {
			wanted = string(state.Native)
		}
	}
	if record.Provider != "" && string(record.Provider) != wanted {
		return nil, fmt.Errorf("there is a cluster of provider %s; stop it by 'make down' before starting one of %s",
			record.Provider, wanted)
	}
	switch state.Provider(wanted) {
	case state.Kind:
		return kind.Cluster{Dir: a.dir, Report: a.report}, nil
	case state.Native:
		cluster := native.Cluster{Dir: a.dir, Report: a.report}
		return cluster, cluster.Check()
	}
	return nil, fmt.Errorf("there is no provider %q; there are auto, native and kind", wanted)
}

// present returns the provider of the cluster that there is. Without one it is the native provider, which then clears
// away what a killed run may have left on the machine.
func (a *app) present() (cluster, error) {
	record, err := a.dir.Load()
	if err != nil && !errors.Is(err, state.ErrNone) {
		return nil, err
	}
	if record.Provider == state.Kind {
		return kind.Cluster{Dir: a.dir, Report: a.report}, nil
	}
	return native.Cluster{Dir: a.dir, Report: a.report}, nil
}
