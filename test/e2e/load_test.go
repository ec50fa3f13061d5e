//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	// loadRate is how many requests a second are sent to each environment, unless a scenario says otherwise.
	// On two cores, which they share with everything else of a cluster, it leaves half of them to the rollout.
	loadRate = 60
	// loadWrites is how many requests there are to one that writes.
	loadWrites = 10
	// loadLimit ends the load even if the scenario hangs.
	loadLimit = 30 * time.Minute
	// loadFresh is how many requests there are to one over a connection of its own. That it shares no factor with loadWrites
	// has both reads and writes come over both.
	loadFresh = 3
	// loadConnections bounds the connections that are kept open between requests.
	loadConnections = 16
)

// load sends requests at a steady rate, whatever becomes of those before: a slow answer does not slow the next request.
type load struct {
	rate, writes, fresh int
	cancel              context.CancelFunc
	sending             sync.WaitGroup

	mu       sync.Mutex
	sent     int
	failures map[string]int
	// failed is when the first one was not answered well, failedLast when the last one was; zero if all were.
	failed, failedLast time.Time
	// answered are the times of the requests that were answered well.
	answered []time.Time
}

// startLoad is the command load [-rate N] [-writes N] [-fresh N] ENV... It mixes reading and writing, because only reads may be repeated by a
// client.
func startLoad(ts *testscript.TestScript, args []string) error {
	w := worldOf(ts)
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	rate := flags.Int("rate", loadRate, "requests a second, to each environment")
	writes := flags.Int("writes", loadWrites, "one request of so many writes")
	over := flags.Int("fresh", loadFresh, "one request of so many comes over a connection of its own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadLimit)
	l := &load{rate: *rate, writes: *writes, fresh: *over, cancel: cancel, failures: map[string]int{}}
	token, err := w.token(ctx, "load", "user")
	if err != nil {
		cancel()
		return err
	}
	for _, environment := range flags.Args() {
		address, err := w.reach(ctx, environment)
		if err != nil {
			cancel()
			return err
		}
		kept := &http.Client{Timeout: callTimeout, Transport: &http.Transport{
			MaxIdleConnsPerHost: loadConnections, MaxConnsPerHost: loadConnections,
		}}
		// A Service spreads connections, not requests: only new ones come to new pods.
		fresh := &http.Client{Timeout: callTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
		l.sending.Go(func() { l.send(ctx, fresh, kept, address, token) })
	}
	w.load = l
	return nil
}

// send asks over connections that are kept, and now and then over a fresh one.
func (l *load) send(ctx context.Context, fresh, kept *http.Client, address, token string) {
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	answered := context.WithoutCancel(ctx) // what was sent before the load ended is to be answered
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		method, body := http.MethodGet, ""
		if n%l.writes == 0 {
			method, body = http.MethodPost, `{"title":"Under load"}`
		}
		client := kept
		if n%l.fresh == 0 {
			client = fresh
		}
		l.sending.Go(func() { l.note(request(answered, client, method, address+"/api/scores?limit=5", body, token)) })
	}
}

// request returns nil only for an answer that a client would be content with.
func request(ctx context.Context, client *http.Client, method, url, body, token string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	response, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s: reading the answer: %w", method, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: %s: %s", method, response.Status, reason(answer))
	}
	return nil
}

// reason is what an answer says went wrong, without what is different in each.
func reason(answer []byte) string {
	var envelope struct {
		Error string `json:"error"`
		Code  string `json:"code"`
	}
	if err := json.Unmarshal(answer, &envelope); err != nil {
		return "no envelope"
	}
	return envelope.Error + " (" + envelope.Code + ")"
}

func (l *load) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err != nil {
		l.failedLast = time.Now()
		if l.failed.IsZero() {
			l.failed = l.failedLast
		}
		l.failures[err.Error()]++
		return
	}
	l.answered = append(l.answered, time.Now())
}

// stop ends the load and waits for the last answer.
func (l *load) stop() {
	l.cancel()
	l.sending.Wait()
}

// failing is for how long there were requests that were not answered well; some says whether there were any.
func (l *load) failing() (length time.Duration, some bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failedLast.Sub(l.failed), !l.failed.IsZero()
}

// count is how many requests were answered, or not.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

// awaitSent is the command await-sent N.
func awaitSent(ts *testscript.TestScript, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	w := worldOf(ts)
	if w.load == nil {
		return fmt.Errorf("no load was started")
	}
	for deadline := time.Now().Add(loadLimit); w.load.count() < n; time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d requests within %s", w.load.count(), n, loadLimit)
		}
	}
	return nil
}

// stopLoad is the command unload FIGURE.
func stopLoad(ts *testscript.TestScript, args []string) error {
	w := worldOf(ts)
	if w.load == nil {
		return fmt.Errorf("no load was started")
	}
	l := w.load
	w.load = nil
	l.stop()
	failed := 0
	for message, count := range l.failures {
		failed += count
		ts.Logf("%d x %s", count, message)
	}
	ts.Logf("%d requests, %d failed", l.sent, failed)
	if l.sent < l.rate {
		return fmt.Errorf("only %d requests were sent: that shows nothing", l.sent)
	}
	if err := record("requests sent, "+args[0], float64(l.sent), "requests", ""); err != nil {
		return err
	}
	return record("failed requests, "+args[0], float64(failed), "requests", "= 0")
}
