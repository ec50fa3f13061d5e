package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"

	"github.com/mirubato/mirubato/test/results"
)

// writeTable prints one line a figure, in the order given, and a closing line. It returns how many figures miss their
// bound.
func writeTable(out io.Writer, figures []results.Figure) (missed int, err error) {
	if len(figures) == 0 {
		_, err := fmt.Fprintln(out, "Nothing has been measured yet: make e2e and make bench do.")
		return 0, err
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "NAME\tVALUE\tUNIT\tBOUND\tOK\tCOMMAND") // errors stay in the writer until Flush
	bounded := 0
	for _, f := range figures {
		verdict := "-"
		switch {
		case f.Missed():
			bounded, missed, verdict = bounded+1, missed+1, "MISSED"
		case f.Bound != "":
			bounded, verdict = bounded+1, "yes"
		}
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\n",
			f.Name, short(f.Value), dash(f.Unit), dash(string(f.Bound)), verdict, f.Command)
	}
	if err := columns.Flush(); err != nil {
		return 0, err
	}
	_, err = fmt.Fprintf(out, "\nfigures: %d, with a bound: %d, missed: %d\n", len(figures), bounded, missed)
	return missed, err
}

// short keeps whole numbers whole and gives others four significant digits: more would suggest a precision that a
// single measurement does not have.
func short(value float64) string {
	if value == math.Trunc(value) || math.Abs(value) >= 1000 {
		return strconv.FormatFloat(value, 'f', 0, 64)
	}
	decimals := 3 - int(math.Floor(math.Log10(math.Abs(value))))
	return strconv.FormatFloat(value, 'f', decimals, 64)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
