package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// The works. A mix is what a library is used for: lists, reads of what others read as well, and now and then a write, after
// which nobody must see what was before.
const (
	cachedRead = "cached read"
	read       = "read"
	list       = "list of 20"
	write      = "write"
	mix        = "mix"
)

// task is one work done by one contender.
type task struct {
	Work      string `json:"work"`
	Contender string `json:"contender"`
	// path replaces the paths of the work; empty keeps them.
	path string
}

// tasks are what is measured, in the order of the table.
func tasks() []task {
	return []task{
		{Work: cachedRead, Contender: "mirubato"},
		{Work: cachedRead, Contender: "Hono"},
		{Work: cachedRead, Contender: "net/http"},
		{Work: cachedRead, Contender: bare, path: "/bare"},
		{Work: read, Contender: "mirubato, caches off"},
		{Work: read, Contender: "Hono, cache off"},
		{Work: read, Contender: "net/http"},
		{Work: list, Contender: "mirubato, caches off"},
		{Work: list, Contender: "Hono, cache off"},
		{Work: list, Contender: "net/http"},
		{Work: write, Contender: "mirubato"},
		{Work: write, Contender: "Hono"},
		{Work: write, Contender: "net/http"},
		{Work: mix, Contender: "mirubato"},
		{Work: mix, Contender: "Hono"},
		{Work: mix, Contender: "net/http"},
	}
}

// bare is a handler that writes bytes, in the process of net/http.
const bare = "bare handler"

// result is what the rounds of a task have given.
type result struct {
	task
	// Rates are requests a second, one a round.
	Rates []float64 `json:"requestsPerSecond"`
	// CPU is processor time of the server in milliseconds for a request, one a round.
	CPU []float64 `json:"cpuMillisecondsPerRequest"`
	// Resident is the memory of the server in MB after the last round.
	Resident float64 `json:"residentMegabytes"`
	// Latencies are those at fixed rates.
	Latencies []latency `json:"latencies,omitempty"`
}

// latency is how long requests take at a rate.
type latency struct {
	// Share of the capacity that was asked for, in percent.
	Share int `json:"percentOfCapacity"`
	// Rate is in requests a second.
	Rate float64 `json:"requestsPerSecond"`
	// The percentiles are in milliseconds.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

// requests returns the requests of a work.
func (w *world) requests(t task) func(n int) []byte {
	reads := make([][]byte, len(w.hot))
	for i, id := range w.hot {
		path := "/api/scores/" + id
		if t.path != "" {
			path = t.path
		}
		reads[i] = message(http.MethodGet, path, w.token, "")
	}
	get := func(n int) []byte { return reads[n%len(reads)] }
	page := message(http.MethodGet, "/api/scores?limit=20", w.token, "")
	create := func(n int) []byte {
		return message(http.MethodPost, "/api/scores", w.token, `{"title":"Bench `+strconv.Itoa(n)+`","visibility":"public"}`)
	}
	// Two changes of one score at the same time would be a conflict, so they go round.
	var changes atomic.Int64
	change := func(n int) []byte {
		return message(http.MethodPut, "/api/scores/"+w.hot[changes.Add(1)%int64(len(w.hot))], w.token, `{"title":"Étude `+strconv.Itoa(n)+`"}`)
	}
	switch t.Work {
	case list:
		return func(int) []byte { return page }
	case write:
		return func(n int) []byte {
			if n%2 == 0 {
				return create(n)
			}
			return change(n)
		}
	case mix:
		return func(n int) []byte {
			switch n % 20 {
			case 0:
				return create(n)
			case 10:
				return change(n)
			case 1, 4, 7, 12, 15, 18:
				return page
			}
			return get(n)
		}
	}
	return get
}

func (w *world) contender(name string) *contender {
	if name == bare {
		name = "net/http"
	}
	return w.contenders[slices.IndexFunc(w.contenders, func(c *contender) bool { return c.name == name })]
}

// measure does every task in every round, so that whatever else the machine does meets all of them alike, and then asks
// for the latencies at shares of the capacity that was found.
func (w *world) measure(ctx context.Context) (*report, error) {
	r := newReport(w.cfg)
	for _, t := range tasks() {
		if w.cfg.work != "" && t.Work != w.cfg.work {
			continue
		}
		r.Results = append(r.Results, &result{task: t})
	}
	for round := range w.cfg.rounds {
		fmt.Printf("Round %d of %d\n", round+1, w.cfg.rounds)
		for i := range r.Results {
			// Nobody is always first.
			if err := w.round(ctx, r.Results[(i+round)%len(r.Results)]); err != nil {
				return nil, err
			}
		}
	}
	fmt.Println("Latencies")
	for _, res := range r.Results {
		if res.Work != mix && res.Work != cachedRead {
			continue
		}
		for _, share := range []int{50, 80} {
			if err := w.latency(ctx, res, share); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

func (w *world) round(ctx context.Context, res *result) error {
	c := w.contender(res.Contender)
	before, _, err := c.spent()
	if err != nil {
		return err
	}
	o := load(ctx, c.addr, w.cfg.clients, w.cfg.length, 0, w.requests(res.task))
	if err := w.check(ctx, res.task, o); err != nil {
		return err
	}
	after, resident, err := c.spent()
	if err != nil {
		return err
	}
	res.Rates = append(res.Rates, o.rate())
	res.CPU = append(res.CPU, float64((after-before).Microseconds())/1000/float64(o.requests))
	res.Resident = resident
	return w.tidy(ctx)
}

func (w *world) latency(ctx context.Context, res *result, share int) error {
	rate := median(res.Rates) * float64(share) / 100
	o := load(ctx, w.contender(res.Contender).addr, 4*w.cfg.clients, w.cfg.length, rate, w.requests(res.task))
	if err := w.check(ctx, res.task, o); err != nil {
		return err
	}
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	res.Latencies = append(res.Latencies, latency{
		Share: share, Rate: rate, P50: milliseconds(o.percentile(50)), P99: milliseconds(o.percentile(99)),
	})
	return w.tidy(ctx)
}

// check refuses a measurement in which something else was measured than the work.
func (w *world) check(ctx context.Context, t task, o outcome) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.err != nil {
		return fmt.Errorf("%s by %s: %w", t.Work, t.Contender, o.err)
	}
	if o.failed > 0 || o.requests == 0 {
		return fmt.Errorf("%s by %s: %d of %d requests failed; its log is beside the results", t.Work, t.Contender, o.failed, o.requests)
	}
	return nil
}

// median is the middle of the values, the lower of the two in the middle; 0 if there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}
