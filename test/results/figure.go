// Package results records the figures that scenarios and benchmarks measure, one JSON file a figure, so that every
// number in the documentation can be traced to the command that gave it.
//
// It owns the shape of a figure, the files and the reading of bounds. It measures nothing, and it does not decide what
// a missed bound means: the caller does, and `make results` shows it.
package results

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Figure is one measured number. A later measurement under the same name replaces the earlier one.
type Figure struct {
	// Name says what was measured, unique over the whole repository, such as "operator resident memory".
	Name string `json:"name"`
	// Value is in Unit, and finite.
	Value float64 `json:"value"`
	// Unit is as a person writes it: "s", "ms", "MB", "requests". Empty for a bare count or ratio.
	Unit string `json:"unit,omitempty"`
	// Bound is what Value must reach. Empty means that the figure is only reported.
	Bound Bound `json:"bound,omitempty"`
	// Command is what a person types at the root of the repository to measure it again.
	Command string `json:"command"`
}

// Missed says whether the figure has a bound that its value does not keep. A bound that cannot be read counts as
// missed, because nobody can say that it was kept.
func (f Figure) Missed() bool {
	kept, err := f.Bound.Allows(f.Value)
	return err != nil || !kept
}

// validate says what keeps the figure from being written: each part of it is needed by whoever reads the table.
func (f Figure) validate() error {
	if slug(f.Name) == "" {
		return fmt.Errorf("figure %q: the name needs a letter or a digit", f.Name)
	}
	if math.IsNaN(f.Value) || math.IsInf(f.Value, 0) {
		return fmt.Errorf("figure %q: the value %v is not a finite number", f.Name, f.Value)
	}
	if f.Command == "" {
		return fmt.Errorf("figure %q: the command that measures it is missing", f.Name)
	}
	if _, err := f.Bound.Allows(f.Value); err != nil {
		return fmt.Errorf("figure %q: %w", f.Name, err)
	}
	return nil
}

// Bound is a comparison and a limit in the unit of the figure: "< 60", "<= 60", "> 0.5", ">= 0.5" or "= 0". The zero
// value allows everything.
type Bound string

// Allows says whether the value keeps the bound. The error names a bound that cannot be read.
func (b Bound) Allows(value float64) (bool, error) {
	if b == "" {
		return true, nil
	}
	operator, number, _ := strings.Cut(string(b), " ")
	limit, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return false, fmt.Errorf(`bound %q: want a comparison, a space and a number, such as "< 60"`, string(b))
	}
	switch operator {
	case "<":
		return value < limit, nil
	case "<=":
		return value <= limit, nil
	case ">":
		return value > limit, nil
	case ">=":
		return value >= limit, nil
	case "=":
		return value == limit, nil
	default:
		return false, fmt.Errorf("bound %q: the comparison is none of < <= > >= =", string(b))
	}
}
