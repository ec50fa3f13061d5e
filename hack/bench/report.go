package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/mirubato/mirubato/test/results"
)

const command = "make bench-compare"

// report is everything that was measured, and under which circumstances.
type report struct {
	Taken      time.Time `json:"taken"`
	Processors int       `json:"processors"`
	Length     string    `json:"length"`
	Rounds     int       `json:"rounds"`
	Clients    int       `json:"clients"`
	Rows       int       `json:"rows"`
	Results    []*result `json:"results"`
}

func newReport(cfg config) *report {
	return &report{
		Taken: time.Now().UTC().Truncate(time.Second), Processors: runtime.NumCPU(),
		Length: cfg.length.String(), Rounds: cfg.rounds, Clients: cfg.clients, Rows: cfg.rows,
	}
}

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// ratio is a figure that two contenders give together.
type ratio struct {
	name, work, ours, theirs string
	bound                    results.Bound
}

func ratios() []ratio {
	return []ratio{
		{"cached read, times Hono", cachedRead, "mirubato", "Hono", ">= 3"},
		{"cached read, times a bare handler", cachedRead, "mirubato", bare, ">= 0.7"},
		{"read, times Hono", read, "mirubato, caches off", "Hono, cache off", ">= 2.5"},
		{"read, times net/http", read, "mirubato, caches off", "net/http", ">= 0.85"},
		{"list, times Hono", list, "mirubato, caches off", "Hono, cache off", ""},
		{"write, times Hono", write, "mirubato", "Hono", ">= 2"},
		{"mix, times Hono", mix, "mirubato", "Hono", ""},
	}
}

func (r *report) of(work, contender string) *result {
	i := slices.IndexFunc(r.Results, func(res *result) bool { return res.Work == work && res.Contender == contender })
	if i < 0 {
		return &result{}
	}
	return r.Results[i]
}

// figures are what the results are held to.
func (r *report) figures() (figures []results.Figure) {
	for _, x := range ratios() {
		theirs := median(r.of(x.work, x.theirs).Rates)
		if theirs == 0 {
			continue
		}
		figures = append(figures, results.Figure{
			Name: "compare: " + x.name, Value: median(r.of(x.work, x.ours).Rates) / theirs, Bound: x.bound, Command: command,
		})
	}
	for _, l := range r.of(mix, "mirubato").Latencies {
		bound := results.Bound("< 25")
		if l.Share > 50 {
			bound = "< 100"
		}
		figures = append(figures, results.Figure{
			Name: fmt.Sprintf("compare: p99 at %d percent of capacity", l.Share), Value: l.P99, Unit: "ms", Bound: bound, Command: command,
		})
	}
	return figures
}

func (r *report) record() error {
	dir, err := results.Dir()
	if err != nil {
		return err
	}
	for _, f := range r.figures() {
		if err := results.Write(dir, f); err != nil {
			return err
		}
	}
	return nil
}

// table is the report in Markdown.
func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d processors for servers, PostgreSQL and load together; %d rounds of %s, %d connections, %d scores; medians, and the least and the greatest of the rounds.\n\n",
		r.Processors, r.Rounds, r.Length, r.Clients, r.Rows)
	b.WriteString("| Work | Server | Requests/s | CPU ms/request | Memory MB | p50, p99 in ms at 50 % | at 80 % |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, res := range r.Results {
		fmt.Fprintf(&b, "| %s | %s | %.0f (%.0f to %.0f) | %.3f | %.0f |", res.Work, res.Contender,
			median(res.Rates), slices.Min(res.Rates), slices.Max(res.Rates), median(res.CPU), res.Resident)
		for _, share := range []int{50, 80} {
			b.WriteString(latencyAt(res, share) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n| Figure | Value | Bound |\n| --- | --- | --- |\n")
	for _, f := range r.figures() {
		fmt.Fprintf(&b, "| %s | %.2f %s | %s |\n", strings.TrimPrefix(f.Name, "compare: "), f.Value, f.Unit, f.Bound)
	}
	return b.String()
}

func latencyAt(res *result, share int) string {
	for _, l := range res.Latencies {
		if l.Share == share {
			return fmt.Sprintf(" %.1f, %.1f", l.P50, l.P99)
		}
	}
	return ""
}

const (
	begin = "<!-- figures: begin -->\n"
	end   = "<!-- figures: end -->\n"
)

// document puts table and plot into the directory of the documentation.
func (r *report) document(dir string) error {
	path := filepath.Join(dir, "performance.md")
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(content), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s: the lines %q and %q are missing", path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	figures := "\nTaken on " + r.Taken.Format(time.DateOnly) + ".\n\n![Requests a second](performance.svg)\n\n" + r.table() + "\n"
	if err := os.WriteFile(path, []byte(before+begin+figures+end+after), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "performance.svg"), []byte(r.plot()), 0o644)
}
