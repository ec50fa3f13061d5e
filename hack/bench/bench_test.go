package main

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for name, tc := range map[string]struct {
		sorted []time.Duration
		p      float64
		want   time.Duration
	}{
		"nothing":         {nil, 50, 0},
		"one":             {hundred[:1], 99, 1},
		"the middle":      {hundred, 50, 50},
		"the tail":        {hundred, 99, 99},
		"the greatest":    {hundred, 100, 100},
		"between the two": {hundred[:3], 50, 2},
	} {
		if got := percentile(tc.sorted, tc.p); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("got %v, want 5", got)
	}
	if got := median(nil); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// A server that stalls once must show the stall in the latencies of all requests that were due meanwhile.
func TestLatencyCountsFromWhenARequestWasDue(t *testing.T) {
	const stall = 500 * time.Millisecond
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if asked.Add(1) == 1 {
			time.Sleep(stall)
		}
	}))
	defer server.Close()
	request := message(http.MethodGet, "/", "token", "")
	o := load(t.Context(), strings.TrimPrefix(server.URL, "http://"), 1, time.Second, 100, func(int) []byte { return request })
	if o.err != nil || o.failed != 0 || o.requests != 100 {
		t.Fatalf("%d requests, %d failed, %v; want 100", o.requests, o.failed, o.err)
	}
	late := 0
	for _, took := range o.latencies {
		if took > stall/2 {
			late++
		}
	}
	// Half of the stall's requests wait for half of it or longer; on one connection that is a quarter of all.
	if late < 20 {
		t.Errorf("%d requests are late, want those that were due during the stall", late)
	}
}

func TestFailuresAreCounted(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	request := message(http.MethodPost, "/", "token", "{}")
	o := load(t.Context(), strings.TrimPrefix(server.URL, "http://"), 2, 50*time.Millisecond, 0, func(int) []byte { return request })
	if o.err != nil || o.requests == 0 || o.failed != o.requests {
		t.Errorf("%d of %d failed, %v; want all", o.failed, o.requests, o.err)
	}
}

func TestMessage(t *testing.T) {
	got := message(http.MethodPut, "/x", "t", `{"title":"É"}`)
	want := "PUT /x HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer t\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"title\":\"É\"}"
	if !bytes.Equal(got, []byte(want)) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func sample() *report {
	r := newReport(config{length: time.Second, rounds: 2, clients: 3, rows: 4})
	for _, task := range tasks() {
		rate := 100.0
		if strings.HasPrefix(task.Contender, "mirubato") {
			rate = 400
		}
		r.Results = append(r.Results, &result{
			task: task, Rates: []float64{rate, rate + 1}, CPU: []float64{0.5, 0.6}, Resident: 30,
			Latencies: []latency{{Share: 50, Rate: rate / 2, P50: 1, P99: 30}},
		})
	}
	return r
}

func TestFiguresAreHeldToTheirBounds(t *testing.T) {
	missed := map[string]bool{}
	for _, f := range sample().figures() {
		missed[f.Name] = f.Missed()
	}
	for name, want := range map[string]bool{
		"compare: read, times Hono": false, "compare: write, times Hono": false, "compare: p99 at 50 percent of capacity": true,
	} {
		if got, ok := missed[name]; !ok || got != want {
			t.Errorf("%s: missed %t, there %t; want missed %t", name, got, ok, want)
		}
	}
}

func TestDocumentReplacesOnlyItsPart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "performance.md")
	if err := sample().document(dir); err == nil {
		t.Error("there is no page")
	}
	for range 2 {
		if _, err := os.Stat(path); err != nil {
			if err := os.WriteFile(path, []byte("# Performance\n"+begin+"old\n"+end+"The end.\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := sample().document(dir); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Performance\n", "| read | net/http |", "| read, times Hono | 4.00", "The end.\n"} {
		if strings.Count(string(text), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old\n") {
		t.Error("the old figures are still there")
	}
	plot, err := os.ReadFile(filepath.Join(dir, "performance.svg"))
	if err != nil || strings.Count(string(plot), "<rect") != len(tasks()) {
		t.Errorf("plot: %v, %s", err, plot)
	}
}

func TestConfigIsBounded(t *testing.T) {
	good := config{length: time.Second, rounds: 1, clients: 1, rows: 100}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*config){
		"-length":  func(c *config) { c.length = time.Hour },
		"-rounds":  func(c *config) { c.rounds = 0 },
		"-clients": func(c *config) { c.clients = 1000 },
		"-rows":    func(c *config) { c.rows = 0 },
	} {
		bad := good
		change(&bad)
		if err := bad.check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want it named", name, err)
		}
	}
}

func TestAnswersAreReadToTheirEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		want   int
		wrong  bool
	}{
		"a length":          {"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", 200, false},
		"no body":           {"HTTP/1.1 204 No Content\r\n\r\n", 204, false},
		"chunks":            {"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nTrailer: z\r\n\r\n", 201, false},
		"another protocol":  {"SSH-2.0 200 \r\n\r\n", 0, true},
		"a short body":      {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", 0, true},
		"a length in words": {"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc", 0, true},
		"an endless chunk":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 0, true},
		"a cut header":      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", 0, true},
	} {
		r := answerReader{bufio.NewReader(strings.NewReader(tc.answer))}
		got, err := r.next()
		if got != tc.want || (err != nil) != tc.wrong {
			t.Errorf("%s: %d, %v; want %d", name, got, err, tc.want)
		}
		if rest := r.Buffered(); !tc.wrong && rest != 0 {
			t.Errorf("%s: %d bytes are left", name, rest)
		}
	}
}
