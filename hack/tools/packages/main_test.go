package main

import (
	"context"
	"errors"
	"io"
	"testing"
)

var errServer = errors.New("the package server does not answer")

func TestEnsure(t *testing.T) {
	for name, tc := range map[string]struct {
		failures int
		isRoot   bool
		want     error
		tries    int
	}{
		"installed at once":                   {isRoot: true, tries: 1},
		"installed at the third attempt":      {failures: 2, isRoot: true, tries: 3},
		"given up after the third":            {failures: 9, isRoot: true, want: errServer, tries: 3},
		"not tried again by an ordinary user": {failures: 9, want: errServer, tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			install := func(context.Context, io.Writer, ...string) error {
				if tries++; tries <= tc.failures {
					return errServer
				}
				return nil
			}
			if err := ensure(t.Context(), install, tc.isRoot, 0, []string{"etcd-server"}); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if tries != tc.tries {
				t.Errorf("got %d tries, want %d", tries, tc.tries)
			}
		})
	}
}

func TestEnsureStopsWhenInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	install := func(context.Context, io.Writer, ...string) error {
		cancel()
		return errServer
	}
	if err := ensure(ctx, install, true, pause, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to be interrupted", err)
	}
}
