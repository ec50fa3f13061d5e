package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/scores/scorestest"
)

// Clients keep sending requests that nobody may repeat until the readiness probe has told their load balancer to send
// them elsewhere. None may be lost: not on a connection that was open, not on a new one, not one that was running.
func TestNoRequestIsLostWhileTheServiceEnds(t *testing.T) {
	// How long the load balancer needs depends on how busy the machine is.
	for _, delay := range []time.Duration{3 * time.Second, 15 * time.Second, time.Minute} {
		if drainsWithin(t, delay) {
			return
		}
	}
	t.Error("the clients were never told in time")
}

// drainsWithin reports whether the clients could be sent elsewhere within the delay. What is lost until then is an error.
func drainsWithin(t *testing.T, delay time.Duration) bool {
	t.Helper()
	p := startProcess(t, "DATABASE_URL="+scorestest.URL(t), "DRAIN_DELAY="+delay.String())
	token, err := command(t, []string{"JWT_SECRET=" + testSecret}, "token", "--user", "alice").Output()
	if err != nil {
		t.Fatal(err)
	}
	var served, ends atomic.Int64 // ends is when requests may be refused, by Unix time in nanoseconds; 0 while it is not known
	var elsewhere atomic.Bool
	var clients sync.WaitGroup
	late := func() bool { return ends.Load() != 0 && time.Now().UnixNano() > ends.Load() }
	for range 8 {
		client := &http.Client{Transport: &http.Transport{}}
		clients.Go(func() {
			for !elsewhere.Load() {
				if err := create(t, client, p.api, strings.TrimSpace(string(token))); err != nil {
					if !late() {
						t.Errorf("a request is lost: %v", err)
					}
					return
				}
				served.Add(1)
			}
		})
	}
	await := func(n int64) {
		for served.Load() < n && !late() && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
	}
	await(100)
	signalled := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ends.Store(signalled.Add(delay).UnixNano())
	told := p.isNotReady(t, late)
	await(served.Load() + 100) // the load balancer takes a moment to act
	elsewhere.Store(true)
	clients.Wait()
	inTime := told && !late()
	p.logged(t, "Stopped")
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("exit: %v, want 0", err)
	}
	return inTime
}

// isNotReady waits until the readiness probe fails, or it is too late.
func (p *running) isNotReady(t *testing.T, late func() bool) bool {
	t.Helper()
	for !late() {
		got, _, err := status(t.Context(), p.ops+"/readyz")
		if err != nil {
			if !late() {
				t.Errorf("while it drains: %v", err)
			}
			return false
		}
		if got == http.StatusServiceUnavailable {
			return true
		}
	}
	return false
}

func create(t *testing.T, client *http.Client, api, token string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/api/scores", bytes.NewBufferString(`{"title":"x"}`))
	if err != nil {
		return err
	}
	req.GetBody = nil // the transport must not repeat it on another connection
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusCreated {
		return errors.New(res.Status)
	}
	return nil
}
