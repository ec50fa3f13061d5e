package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// outcome is what a load has met.
type outcome struct {
	requests int
	failed   int
	took     time.Duration
	// latencies are sorted.
	latencies []time.Duration
	err       error
}

func (o outcome) rate() float64 { return float64(o.requests) / o.took.Seconds() }

// percentile returns the latency that so many in a hundred requests did not exceed.
func (o outcome) percentile(p float64) time.Duration { return percentile(o.latencies, p) }

// percentile is the nearest rank in sorted values; 0 if there are none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(float64(len(sorted))*p/100+0.999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// load sends requests over so many connections for the length. With a rate of 0 each connection sends its next request
// when it has the answer, which finds the capacity. With a rate, in requests a second, the moment of each request is
// fixed beforehand and its latency counts from there, whether or not a connection was free by then: a server that stalls
// must not be spared the requests that would have come meanwhile.
func load(ctx context.Context, addr string, clients int, length time.Duration, rate float64, request func(n int) []byte) outcome {
	ctx, cancel := context.WithTimeout(ctx, length+10*time.Second)
	defer cancel()
	all := make([]outcome, clients)
	var next atomic.Int64
	started := time.Now()
	var running sync.WaitGroup
	for i := range all {
		running.Go(func() {
			all[i] = client(ctx, addr, request, func() (n int, due time.Time, more bool) {
				n = int(next.Add(1)) - 1
				due = time.Now()
				if rate > 0 {
					due = started.Add(time.Duration(float64(n) / rate * float64(time.Second)))
				}
				return n, due, due.Sub(started) < length
			})
		})
	}
	running.Wait()
	whole := outcome{took: max(time.Since(started), length)}
	for _, one := range all {
		whole.requests += one.requests
		whole.failed += one.failed
		whole.latencies = append(whole.latencies, one.latencies...)
		whole.err = errors.Join(whole.err, one.err)
	}
	slices.Sort(whole.latencies)
	return whole
}

// client sends requests over one connection. It writes prepared bytes, since whatever the generator spends is missing to
// the servers, which run on the same processors.
func client(ctx context.Context, addr string, request func(int) []byte, next func() (int, time.Time, bool)) (o outcome) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return outcome{err: err}
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return outcome{err: err}
		}
	}
	answers := answerReader{bufio.NewReaderSize(conn, 32<<10)}
	for {
		n, due, more := next()
		if !more || ctx.Err() != nil {
			return o
		}
		time.Sleep(time.Until(due))
		status, err := exchange(conn, answers, request(n))
		if err != nil {
			o.err = err
			return o
		}
		o.requests++
		if status >= http.StatusBadRequest {
			o.failed++
		}
		o.latencies = append(o.latencies, time.Since(due))
	}
}

func exchange(conn io.Writer, answers answerReader, request []byte) (status int, err error) {
	if _, err := conn.Write(request); err != nil {
		return 0, fmt.Errorf("sending: %w", err)
	}
	return answers.next()
}

// message is a request as it goes over the wire.
func message(method, path, token, body string) []byte {
	text := method + " " + path + " HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + token + "\r\n"
	if body != "" {
		text += "Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	return []byte(text + "\r\n" + body)
}
