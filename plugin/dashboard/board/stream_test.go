package board

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// told is a message of a length.
func told(length int) Message {
	return Message{Link: Link{Problem: strings.Repeat("x", length)}}
}

// served streams a source, and tells when the stream has ended.
func served(t *testing.T, pace Pace, from Source) (*httptest.Server, <-chan error) {
	t.Helper()
	ended := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answered, err := Stream(w, r, pace, from, func(err error) string { return err.Error() })
		if !answered {
			t.Error("nothing was answered")
		}
		ended <- err
	}))
	t.Cleanup(server.Close)
	return server, ended
}

// TestWhoeverDoesNotReadIsLeft holds a stream whose reader has stopped to its patience: no more than what fits into the buffers between them
// is ever written.
func TestWhoeverDoesNotReadIsLeft(t *testing.T) {
	var asked atomic.Int64
	server, ended := served(t, Pace{Breath: time.Nanosecond, Most: time.Nanosecond, Patience: 200 * time.Millisecond}, func(context.Context) (Message, <-chan struct{}, error) {
		return told(1<<20 + int(asked.Add(1))), nil, nil
	})
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	select {
	case <-ended:
		t.Logf("left after %d messages of a megabyte", asked.Load())
	case <-time.After(time.Minute):
		t.Error("it is waited for somebody who does not read")
	}
}

// TestSilenceIsNoSlowness: a deadline must not outlive its message.
func TestSilenceIsNoSlowness(t *testing.T) {
	changed := make(chan struct{})
	var asked atomic.Int64
	const patience = 50 * time.Millisecond
	server, _ := served(t, Pace{Breath: time.Nanosecond, Patience: patience}, func(context.Context) (Message, <-chan struct{}, error) {
		return told(int(asked.Add(1))), changed, nil
	})
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text := make([]byte, 4096)
	for range 2 {
		if n, err := answer.Body.Read(text); err != nil || !strings.HasPrefix(string(text[:n]), "event: state\n") {
			t.Fatalf("%q, %v", text[:n], err)
		}
		time.AfterFunc(4*patience, func() {
			if asked.Load() == 1 {
				close(changed)
			}
		})
	}
}

func TestWhatFailsIsToldOnce(t *testing.T) {
	failing := errors.New("no\nmore")
	var asked atomic.Int64
	server, ended := served(t, Pace{Breath: time.Nanosecond, Most: time.Nanosecond}, func(context.Context) (Message, <-chan struct{}, error) {
		if asked.Add(1) == 1 {
			return told(1), nil, nil
		}
		return Message{}, nil, failing
	})
	answer, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var all strings.Builder
	if err := answer.Write(&all); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, failing) || !strings.Contains(all.String(), "event: failed\ndata: no more\n\n") {
		t.Errorf("%v: %s", err, all.String())
	}
	rec := httptest.NewRecorder()
	answered, err := Stream(rec, httptest.NewRequest(http.MethodGet, "/", nil), Pace{}, func(context.Context) (Message, <-chan struct{}, error) { return Message{}, nil, failing }, nil)
	if answered || !errors.Is(err, failing) || rec.Body.Len() > 0 || rec.Flushed {
		t.Errorf("at first: %v, %q", err, rec.Body)
	}
}
