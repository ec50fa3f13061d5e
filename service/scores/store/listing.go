package store

import (
	"strconv"
	"strings"

	"github.com/mirubato/mirubato/service/scores"
)

// listing puts together the statements of one list. Values only ever become arguments; what becomes text is chosen
// from the constants of this file.
//
// A caller's list is the union of two parts that do not overlap, the caller's own scores and the public ones of others:
//
//	select ... from (
//	  (select ... where owner_id = $1 and <filters> order by ... limit $2)
//	  union all
//	  (select ... where visibility = 'public' and owner_id <> $1 and <filters> order by ... limit $2)
//	) part order by ... limit $3 offset $4
//
// An "or" in one select would be shorter, but the planner reads and sorts all rows for it, while it reads each part from an index in
// order and stops early.
type listing struct {
	filter scores.Filter
	args   []any
	parts  []string
}

func newListing(f scores.Filter) *listing {
	l := &listing{filter: f}
	common := l.common()
	reader := f.Selection.Reader
	switch {
	case f.Selection.Everything:
		l.add(common)
	case reader == "":
		l.add(common, "visibility = 'public'")
	default:
		owner := l.arg(reader)
		if f.OwnerID == "" || f.OwnerID == reader {
			l.add(common, "owner_id = "+owner)
		}
		if f.OwnerID != reader && (f.Visibility == "" || f.Visibility == scores.Public) || len(l.parts) == 0 {
			l.add(common, "visibility = 'public'", "owner_id <> "+owner)
		}
	}
	return l
}

// common are the conditions of all parts.
func (l *listing) common() []string {
	var conditions []string
	equals := func(column, value string) {
		if value != "" {
			conditions = append(conditions, column+" = "+l.arg(value))
		}
	}
	equals("owner_id", l.filter.OwnerID)
	equals("status", string(l.filter.Status))
	equals("visibility", string(l.filter.Visibility))
	equals("difficulty", string(l.filter.Difficulty))
	if l.filter.Composer != "" {
		conditions = append(conditions, "lower(composer) = lower("+l.arg(l.filter.Composer)+")")
	}
	switch l.filter.Instrument {
	case "":
	case scores.Both:
		equals("instrument", string(scores.Both))
	default:
		conditions = append(conditions, "instrument in ("+l.arg(l.filter.Instrument)+", 'both')")
	}
	return conditions
}

func (l *listing) add(common []string, own ...string) {
	conditions := append(own, common...)
	if len(conditions) == 0 {
		l.parts = append(l.parts, " from scores")
		return
	}
	l.parts = append(l.parts, " from scores where "+strings.Join(conditions, " and "))
}

// arg makes the value an argument and returns its placeholder.
func (l *listing) arg(value any) string {
	l.args = append(l.args, value)
	return "$" + strconv.Itoa(len(l.args))
}

// page returns the statement that reads the page.
func (l *listing) page() (text string, args []any) {
	before := (l.filter.Page - 1) * l.filter.Limit
	args = append(l.args[:len(l.args):len(l.args)], l.filter.Limit, before)
	limit, offset := "$"+strconv.Itoa(len(args)-1), "$"+strconv.Itoa(len(args))
	if len(l.parts) == 1 {
		return "select " + columns + l.parts[0] + l.order() + " limit " + limit + " offset " + offset, args
	}
	args = append(args, before+l.filter.Limit)
	reach := "$" + strconv.Itoa(len(args))
	var b strings.Builder
	b.WriteString("select " + columns + " from (")
	for i, part := range l.parts {
		if i > 0 {
			b.WriteString(" union all ")
		}
		b.WriteString("(select " + columns + part + l.order() + " limit " + reach + ")")
	}
	b.WriteString(") part" + l.order() + " limit " + limit + " offset " + offset)
	return b.String(), args
}

// count returns the statement that counts all matches.
func (l *listing) count() (text string, args []any) {
	counts := make([]string, len(l.parts))
	for i, part := range l.parts {
		counts[i] = "(select count(*)" + part + ")"
	}
	return "select " + strings.Join(counts, " + "), l.args
}

// order ends in the ID, so that pages neither overlap nor leave gaps.
func (l *listing) order() string {
	direction := ""
	if l.filter.Descending {
		direction = " desc"
	}
	return " order by " + sortColumn(l.filter.Sort) + direction + nulls(l.filter.Sort) + ", id" + direction
}

func sortColumn(s scores.Sort) string {
	switch s {
	case scores.ByUpdatedAt:
		return "updated_at"
	case scores.ByTitle:
		return "lower(title)"
	case scores.ByComposer:
		return "lower(composer)"
	case scores.ByDifficultyLevel:
		return "difficulty_level"
	case scores.ByCreatedAt:
	}
	return "created_at"
}

// nulls puts what lacks the sorted value last in both directions. A column that is never null does not say so, or its
// index would not fit the order.
func nulls(s scores.Sort) string {
	switch s {
	case scores.ByComposer, scores.ByDifficultyLevel:
		return " nulls last"
	case scores.ByCreatedAt, scores.ByUpdatedAt, scores.ByTitle:
	}
	return ""
}
