package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestCapacity(t *testing.T) {
	now, asked, away := time.Unix(0, 0), 0, false
	c := &capacity{
		conns: connectionsOf(testConfig("")), now: func() time.Time { return now }, patience: time.Minute,
		ask: func(context.Context) (int64, error) {
			asked++
			if away {
				return 0, errors.New("away")
			}
			return 97, nil
		},
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	metrics := func(want, times int) {
		t.Helper()
		got, err := registry.Gather()
		if err != nil || len(got) != want || asked != times {
			t.Errorf("%d metrics (%v) after asking %d times, want %d after %d", len(got), err, asked, want, times)
		}
	}
	metrics(2, 1)
	metrics(2, 1) // what was just told holds
	now, away = now.Add(capacityFreshFor), true
	metrics(1, 2) // what is not known is not told
	now, away = now.Add(capacityFreshFor), false
	metrics(2, 3)
	if want := 4 + 6 + 2 + 4; c.conns != want {
		t.Errorf("a process with 4 connections for requests opens %d, want %d", c.conns, want)
	}
}

func TestCapacityOfADatabaseThatStandsStill(t *testing.T) {
	var asked atomic.Int32
	stands := make(chan struct{})
	c := &capacity{now: time.Now, patience: time.Millisecond, ask: func(context.Context) (int64, error) {
		asked.Add(1)
		<-stands
		return 97, nil
	}}
	for range 3 {
		if n, ok := c.available(); ok {
			t.Errorf("%d connections are known, but the database has not answered", n)
		}
	}
	answered := c.refresh()
	close(stands)
	<-answered
	if n, ok := c.available(); !ok || n != 97 || asked.Load() != 1 {
		t.Errorf("after the answer %d (%t), asked %d times, want 97 after 1", n, ok, asked.Load())
	}
}
