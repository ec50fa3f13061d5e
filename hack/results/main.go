// Command results shows the figures that scenarios and benchmarks have measured, and records those that `go test
// -bench` prints. The figures themselves, their files and their bounds belong to the package test/results.
//
//	results table [--strict]     print every figure as one table
//	results bench                read the output of go test -bench, pass it on, record its figures
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/mirubato/mirubato/test/results"
)

const usage = "usage: results table [--strict] | results bench"

// errUsage is for calls that cannot be understood; the flag package has then said why.
var errUsage = errors.New(usage)

// errMissed is returned with --strict when a figure does not keep its bound.
var errMissed = errors.New("a figure misses its bound")

func main() {
	dir, err := results.Dir()
	if err == nil {
		err = run(os.Args[1:], dir, os.Stdin, os.Stdout)
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "results:", err)
		os.Exit(1)
	}
}

func run(args []string, dir string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("results "+args[0], flag.ContinueOnError)
	switch args[0] {
	case "table":
		strict := flags.Bool("strict", false, "exit with 1 when a figure misses its bound")
		if err := parse(flags, args[1:]); err != nil {
			return err
		}
		return table(dir, *strict, out)
	case "bench":
		if err := parse(flags, args[1:]); err != nil {
			return err
		}
		return bench(dir, in, out)
	default:
		return errUsage
	}
}

func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err != nil || flags.NArg() > 0 {
		return errUsage
	}
	return nil
}

func table(dir string, strict bool, out io.Writer) error {
	figures, err := results.Read(dir)
	if err != nil {
		return err
	}
	missed, err := writeTable(out, figures)
	if err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	if strict && missed > 0 {
		return errMissed
	}
	return nil
}
