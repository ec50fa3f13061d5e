package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type database = func(context.Context) (int64, error)
		there := func(context.Context) (int64, error) { return 97, nil }
		away := func(context.Context) (int64, error) { return 0, errors.New("away") }
		stands := func(ctx context.Context) (int64, error) { <-ctx.Done(); return 0, ctx.Err() }
		var now atomic.Pointer[database]
		becomes := func(d database) { now.Store(&d) }
		becomes(there)
		c := &capacity{conns: connectionsOf(testConfig("")), ask: func(ctx context.Context) (int64, error) { return (*now.Load())(ctx) }}
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(c)
		metrics := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			if got, err := registry.Gather(); err != nil || len(got) != want {
				t.Errorf("%s: %d metrics, %v; want %d", when, len(got), err, want)
			}
		}
		metrics("nobody has asked yet", 1)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.run(ctx)
		}()
		metrics("the database has answered", 2)
		becomes(away)
		time.Sleep(capacityEvery)
		metrics("it is away", 1)
		becomes(there)
		time.Sleep(capacityEvery)
		metrics("it is back", 2)
		becomes(stands)
		time.Sleep(capacityEvery)
		metrics("it stands still, and nobody waits for it", 2)
		time.Sleep(checkTimeout)
		metrics("it has stood still for too long", 1)
		stop()
		<-ended
	})
	if got, want := connectionsOf(testConfig("")), 4+6+2+4; got != want {
		t.Errorf("a process with 4 connections for requests opens %d, want %d", got, want)
	}
}
