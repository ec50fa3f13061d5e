package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/test/results"
)

func recorded(t *testing.T, figures ...results.Figure) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, f := range figures {
		if err := results.Write(dir, f); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestTable(t *testing.T) {
	kept := results.Figure{Name: "start to ready", Value: 41.25, Unit: "ms", Bound: "< 300", Command: "make e2e"}
	free := results.Figure{Name: "catalogue", Value: 12, Command: "make dev"}
	missed := results.Figure{Name: "failed requests", Value: 3, Unit: "requests", Bound: "= 0", Command: "make e2e"}
	for name, tc := range map[string]struct {
		figures []results.Figure
		args    []string
		want    string
		wantErr error
	}{
		"nothing measured says what measures": {
			args: []string{"table", "--strict"},
			want: "Nothing has been measured yet: make e2e and make bench do.\n",
		},
		"figures are sorted, and a missed bound stands out": {
			figures: []results.Figure{kept, missed, free},
			args:    []string{"table"},
			want: `NAME             VALUE  UNIT      BOUND  OK      COMMAND
catalogue        12     -         -      -       make dev
failed requests  3      requests  = 0    MISSED  make e2e
start to ready   41.25  ms        < 300  yes     make e2e

figures: 3, with a bound: 2, missed: 1
`,
		},
		"a missed bound is an error when asked for": {
			figures: []results.Figure{missed},
			args:    []string{"table", "--strict"},
			want: `NAME             VALUE  UNIT      BOUND  OK      COMMAND
failed requests  3      requests  = 0    MISSED  make e2e

figures: 1, with a bound: 1, missed: 1
`,
			wantErr: errMissed,
		},
		"kept bounds are no error": {
			figures: []results.Figure{kept},
			args:    []string{"table", "--strict"},
			want: `NAME            VALUE  UNIT  BOUND  OK   COMMAND
start to ready  41.25  ms    < 300  yes  make e2e

figures: 1, with a bound: 1, missed: 0
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(tc.args, recorded(t, tc.figures...), strings.NewReader(""), &out)
			if !errors.Is(err, tc.wantErr) {
				t.Errorf("got error %v, want %v", err, tc.wantErr)
			}
			if out.String() != tc.want {
				t.Errorf("got\n%s\nwant\n%s", out.String(), tc.want)
			}
		})
	}
}

func TestShort(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 3: "3", 250000: "250000", 41.256: "41.26", 1234.56: "1235", 0.0123456: "0.01235", -2.5: "-2.500",
	} {
		if got := short(value); got != want {
			t.Errorf("%v: got %s, want %s", value, got, want)
		}
	}
}

func TestBenchRecordsWhatGoTestPrints(t *testing.T) {
	output := `goos: linux
pkg: github.com/mirubato/mirubato/service/scores
BenchmarkList/cached-2         	    1000	      1234 ns/op	      64 B/op
BenchmarkIdle 	 5 	 0.5 MB/pod
BenchmarkBroken
Benchmarks are fun today, really
PASS
ok  	github.com/mirubato/mirubato/service/scores	1.2s
`
	dir := filepath.Join(t.TempDir(), "results")
	var out bytes.Buffer
	if err := run([]string{"bench"}, dir, strings.NewReader(output), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != output {
		t.Errorf("the output was not passed on as it came:\n%s", out.String())
	}
	out.Reset()
	if err := run([]string{"table"}, dir, strings.NewReader(""), &out); err != nil {
		t.Fatal(err)
	}
	want := `NAME                                     VALUE   UNIT    BOUND  OK  COMMAND
bench/service/scores/Idle MB/pod         0.5000  MB/pod  -      -   make bench
bench/service/scores/List/cached B/op    64      B/op    -      -   make bench
bench/service/scores/List/cached ns/op   1234    ns/op   -      -   make bench

figures: 3, with a bound: 0, missed: 0
`
	if got := out.String(); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBenchReportsAFailureBehindThePipe(t *testing.T) {
	for name, output := range map[string]string{
		"a package":   "FAIL\tgithub.com/mirubato/mirubato/service/scores\t0.1s\n",
		"the verdict": "FAIL\n",
	} {
		t.Run(name, func(t *testing.T) {
			err := run([]string{"bench"}, t.TempDir(), strings.NewReader(output), &bytes.Buffer{})
			if !errors.Is(err, errBenchmark) {
				t.Errorf("got %v, want %v", err, errBenchmark)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for name, args := range map[string][]string{
		"nothing":          {},
		"an unknown verb":  {"paint"},
		"an argument more": {"table", "again"},
		"an unknown flag":  {"bench", "--strict"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(args, t.TempDir(), strings.NewReader(""), &bytes.Buffer{}); !errors.Is(err, errUsage) {
				t.Errorf("got %v, want the usage", err)
			}
		})
	}
}
