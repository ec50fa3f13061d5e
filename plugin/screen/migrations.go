package screen

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/database"
)

// Migrations shows what is known of the schema in each environment. wide adds the statements that took longest on the copy.
func Migrations(environments []database.Environment, wide bool, now time.Time) string {
	var out strings.Builder
	for i := range environments {
		if i > 0 {
			out.WriteString("\n")
		}
		out.WriteString(schemaOf(&environments[i], wide, now))
	}
	return out.String()
}

func schemaOf(e *database.Environment, wide bool, now time.Time) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n", e.Name, standingOf(e))
	if e.SchemaFloor != nil && *e.SchemaFloor > 0 {
		fmt.Fprintf(&out, "  floor %d: releases whose files end below it cannot run here any more\n", *e.SchemaFloor)
	}
	out.WriteString(indented(files(e)))
	for _, b := range e.Backfills {
		fmt.Fprintf(&out, "  backfill %s of %s: %s passed, %d changed\n", b.Name, b.Release, counted(b.Rows, "row"), b.Changed)
	}
	for _, finding := range e.Findings {
		fmt.Fprintf(&out, "  found before %s: %s\n", e.CheckedBy, finding)
	}
	out.WriteString(rehearsal("rehearsed", e.Rehearsal, wide))
	out.WriteString(rehearsal("removal rehearsed", e.ContractRehearsal, wide))
	if e.CheckedBy != "" {
		fmt.Fprintf(&out, "  drift: %s: %s\n", e.Drift.State, e.Drift.Message)
	}
	if r := e.Rejection; r != nil {
		fmt.Fprintf(&out, "  REJECTED: %s at %s, %s ago: %s\n", r.Release, r.Step, age(r.Time.Time, now), r.Message)
	}
	if w := e.Waiting; w != nil {
		fmt.Fprintf(&out, "  waits for %s, for %s: %s\n", w.Type, age(w.Since.Time, now), w.Message)
	}
	return out.String()
}

func standingOf(e *database.Environment) string {
	var parts []string
	if e.SchemaVersion != nil {
		parts = append(parts, fmt.Sprintf("schema %d", *e.SchemaVersion))
	}
	if e.Release != "" {
		parts = append(parts, fmt.Sprintf("%s at %s", e.Release, e.Step))
	}
	if len(e.Migrations) == 0 && e.BackfillsLeft == 0 {
		parts = append(parts, "no release that is kept has brought migrations here")
	}
	return strings.Join(parts, ", ")
}

// files is the table of migrations; empty if there are none.
func files(e *database.Environment) string {
	if len(e.Migrations) == 0 && e.BackfillsLeft == 0 {
		return ""
	}
	t := newTable("VERSION", "MIGRATION", "KIND", "STATE", "RELEASE", "TOOK", "ON THE COPY")
	for _, m := range e.Migrations {
		t.row(fmt.Sprint(m.Version), m.Name, string(m.Kind), string(m.State), m.Release, span(m.Took), span(m.Rehearsed))
	}
	if e.BackfillsLeft > 0 {
		t.row("", counted(int64(e.BackfillsLeft), "backfill"), string(database.Backfill), string(database.Pending), e.CheckedBy, "", "")
	}
	return t.String()
}

// rehearsal is empty without one.
func rehearsal(what string, r *database.Rehearsal, wide bool) string {
	if r == nil {
		return ""
	}
	out := fmt.Sprintf("  %s for %s on %s, from schema %d to %d\n", what, r.Release, copied(r), r.From, r.To)
	if wide {
		out += statements(r.Statements)
	}
	return out
}

func copied(r *database.Rehearsal) string {
	if r.Mode == v1alpha1.RehearseData {
		return "backup " + r.Backup
	}
	return "a copy of the schema"
}

func statements(all []v1alpha1.RehearsedStatement) string {
	var out strings.Builder
	for _, s := range all {
		fmt.Fprintf(&out, "    %s  %s: %s\n", span(&s.Duration), s.Migration, strings.Join(strings.Fields(s.Statement), " "))
		if len(s.Locks) > 0 {
			fmt.Fprintf(&out, "      locks    %s\n", strings.Join(s.Locks, ", "))
		}
		if len(s.Rewrites) > 0 {
			fmt.Fprintf(&out, "      rewrites %s\n", strings.Join(s.Rewrites, ", "))
		}
	}
	return out.String()
}

func indented(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString("  " + line)
	}
	return out.String()
}

// span is a duration with as many digits as a person reads; empty for none.
func span(d *metav1.Duration) string {
	if d == nil {
		return ""
	}
	digits := time.Microsecond
	for _, coarser := range []time.Duration{time.Millisecond, time.Second} {
		if d.Duration >= 10*coarser {
			digits = coarser
		}
	}
	return d.Round(digits).String()
}

func counted(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
