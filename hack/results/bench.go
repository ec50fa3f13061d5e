package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/mirubato/mirubato/test/results"
)

// module is cut from the package paths that go test prints, which leaves names such as service/scores.
const module = "github.com/mirubato/mirubato"

// processors is the suffix that go test adds for GOMAXPROCS. It is cut off: a figure keeps its name from one machine to
// the next.
var processors = regexp.MustCompile(`-\d+$`)

// errBenchmark is returned when go test reported a failure, so that a pipe does not hide it.
var errBenchmark = errors.New("a benchmark failed")

// bench copies the output of go test -bench from in to out and records a figure for each value it reports, custom
// metrics included. It reads to the end even after an error, so that go test is not stopped by a closed pipe.
func bench(dir string, in io.Reader, out io.Writer) error {
	var pkg string
	var failure error
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if _, err := fmt.Fprintln(out, line); err != nil {
			failure = errors.Join(failure, fmt.Errorf("passing on the output: %w", err))
		}
		if name, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = strings.TrimPrefix(strings.TrimPrefix(name, module), "/")
		}
		if line == "FAIL" || strings.HasPrefix(line, "FAIL\t") {
			failure = errBenchmark
		}
		for _, f := range figuresOf(pkg, line) {
			if err := results.Write(dir, f); err != nil {
				failure = errors.Join(failure, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		failure = errors.Join(failure, fmt.Errorf("reading the output of go test: %w", err))
	}
	return failure
}

// figuresOf reads one line such as
//
//	BenchmarkList/cached-2   1000   1234 ns/op   64 B/op   2 allocs/op
//
// into one figure a unit. Any other line gives none.
func figuresOf(pkg, line string) []results.Figure {
	fields := strings.Fields(line)
	if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
		return nil
	}
	if _, err := strconv.ParseUint(fields[1], 10, 64); err != nil {
		return nil
	}
	benchmark := strings.TrimPrefix(processors.ReplaceAllString(fields[0], ""), "Benchmark")
	var figures []results.Figure
	for i := 2; i < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return nil
		}
		figures = append(figures, results.Figure{
			Name:    path.Join("bench", pkg, benchmark) + " " + fields[i+1],
			Value:   value,
			Unit:    fields[i+1],
			Command: "make bench",
		})
	}
	return figures
}
