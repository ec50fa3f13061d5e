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
	p := startProcess(t, "DATABASE_URL="+scorestest.URL(t), "DRAIN_DELAY=15s")
	token, err := command(t, []string{"JWT_SECRET=" + testSecret}, "token", "--user", "alice").Output()
	if err != nil {
		t.Fatal(err)
	}
	var served atomic.Int64
	var elsewhere atomic.Bool
	var clients sync.WaitGroup
	for range 8 {
		client := &http.Client{Transport: &http.Transport{}}
		clients.Go(func() {
			for !elsewhere.Load() {
				if err := create(t, client, p.api, strings.TrimSpace(string(token))); err != nil {
					t.Errorf("a request is lost: %v", err)
					return
				}
				served.Add(1)
			}
		})
	}
	for served.Load() < 100 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.awaitNotReady(t)
	drained := served.Load()
	for served.Load() < drained+100 && !t.Failed() {
		time.Sleep(time.Millisecond) // the load balancer takes a moment to act
	}
	elsewhere.Store(true)
	clients.Wait()
	p.logged(t, "Stopped")
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("exit: %v, want 0", err)
	}
}

func (p *running) awaitNotReady(t *testing.T) {
	t.Helper()
	for {
		got, _, err := status(t.Context(), p.ops+"/readyz")
		if err != nil {
			t.Fatal(err)
		}
		if got == http.StatusServiceUnavailable {
			return
		}
	}
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
