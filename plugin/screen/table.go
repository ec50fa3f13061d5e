// Package screen lays Microservices and Releases out for a person at a terminal. Everything in it is pure: it is given objects
// and the time, and returns text that is the same for the same input.
//
// It decides what is worth a line and in which words; it reads nothing, and knows neither flags nor formats for programs.
package screen

import (
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// table lays rows out in columns. Cells hold no line breaks.
type table struct {
	out    strings.Builder
	writer *tabwriter.Writer
}

func newTable(header ...string) *table {
	t := &table{}
	t.writer = tabwriter.NewWriter(&t.out, 0, 0, 3, ' ', 0)
	t.row(header...)
	return t
}

func (t *table) row(cells ...string) {
	for i, cell := range cells {
		if cell == "" {
			cells[i] = "-"
		}
	}
	_, _ = t.writer.Write([]byte(strings.Join(cells, "\t") + "\n")) // a strings.Builder takes everything
}

// String returns the table without blanks at the ends of its lines.
func (t *table) String() string {
	_ = t.writer.Flush()
	lines := strings.Split(t.out.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

// age tells how long ago something was, as kubectl does. What lies ahead by a clock that differs is now.
func age(since, now time.Time) string { return duration.HumanDuration(max(0, now.Sub(since))) }
