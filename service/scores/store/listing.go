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
// order and stops early. A search does use the "or": the index of words leads it to its rows, and it has to rank them all anyway.
type listing struct {
	filter scores.Filter
	args   []any
	parts  []string
}

// newListing lists what follows the position; nil is the beginning.
func newListing(f scores.Filter, after *scores.Position) *listing {
	l := &listing{filter: f}
	common := l.common()
	if after != nil {
		common = append(common, l.behind(*after))
	}
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
	equals("style_period", l.filter.StylePeriod)
	if l.filter.Composer != "" {
		conditions = append(conditions, "lower(composer) = lower("+l.arg(l.filter.Composer)+")")
	}
	if l.filter.Tag != "" {
		conditions = append(conditions, l.arg(l.filter.Tag)+" = any(tags)")
	}
	if l.filter.CategoryID != "" {
		conditions = append(conditions, "category_ids && category_family("+l.arg(l.filter.CategoryID)+")")
	}
	if !l.filter.From.IsZero() {
		conditions = append(conditions, "created_at >= "+l.arg(l.filter.From))
	}
	if !l.filter.To.IsZero() {
		conditions = append(conditions, "created_at < "+l.arg(l.filter.To))
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
	l.parts = append(l.parts, " from score_cards"+where(append(own, common...)))
}

func where(conditions []string) string {
	if len(conditions) == 0 {
		return ""
	}
	return " where " + strings.Join(conditions, " and ")
}

// arg makes the value an argument and returns its placeholder.
func (l *listing) arg(value any) string {
	l.args = append(l.args, value)
	return "$" + strconv.Itoa(len(l.args))
}

// page returns the statement that reads the page.
func (l *listing) page() (text string, args []any) {
	before := (l.filter.Page - 1) * l.filter.Limit
	return l.read(l.filter.Limit, before)
}

// first returns the statement that reads from the beginning, or from the position.
func (l *listing) first() (text string, args []any) { return l.read(l.filter.Limit, 0) }

func (l *listing) read(count, before int) (text string, args []any) {
	args = append(l.args[:len(l.args):len(l.args)], count, before)
	limit, offset := "$"+strconv.Itoa(len(args)-1), "$"+strconv.Itoa(len(args))
	if len(l.parts) == 1 {
		return "select " + cardColumns + l.parts[0] + l.order() + " limit " + limit + " offset " + offset, args
	}
	args = append(args, before+count)
	reach := "$" + strconv.Itoa(len(args))
	var b strings.Builder
	b.WriteString("select " + cardColumns + " from (")
	for i, part := range l.parts {
		if i > 0 {
			b.WriteString(" union all ")
		}
		b.WriteString("(select " + cardColumns + part + l.order() + " limit " + reach + ")")
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
	return " order by " + sortColumn(l.filter.Sort) + direction + nulls(l.filter.Sort) + ", score_id" + direction
}

// behind is the condition for what follows the position in that order.
func (l *listing) behind(p scores.Position) string {
	column, direction := sortColumn(l.filter.Sort), " > "
	if l.filter.Descending {
		direction = " < "
	}
	id := l.arg(p.ID)
	if p.Value == nil {
		return "(" + column + " is null and score_id" + direction + id + ")"
	}
	value := sortValue(l.filter.Sort, l.arg(*p.Value))
	row := "(" + column + ", score_id)" + direction + "(" + value + ", " + id + ")"
	if nulls(l.filter.Sort) == "" {
		return row
	}
	return "(" + row + " or " + column + " is null)"
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

// sortValue is the text in a placeholder as what sortColumn holds.
func sortValue(s scores.Sort, placeholder string) string {
	switch s {
	case scores.ByTitle, scores.ByComposer:
		return "lower(" + placeholder + "::text)"
	case scores.ByDifficultyLevel:
		return placeholder + "::smallint"
	case scores.ByCreatedAt, scores.ByUpdatedAt:
	}
	return placeholder + "::timestamptz"
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

// searching returns the statement of a search. What ranks equal follows in the order of titles and IDs, so that the same
// search of the same library has the same answer.
func searching(words string, f scores.Filter) (text string, args []any) {
	l := &listing{filter: f}
	conditions := append(l.common(), "search @@ wanted.query")
	if !f.Selection.Everything {
		readable := "visibility = 'public'"
		if f.Selection.Reader != "" {
			readable = "(" + readable + " or owner_id = " + l.arg(f.Selection.Reader) + ")"
		}
		conditions = append(conditions, readable)
	}
	return "select " + cardColumns + " from score_cards, (select score_query(" + l.arg(words) + ") as query offset 0) wanted" +
		where(conditions) + " order by ts_rank(search, wanted.query) desc, lower(title), score_id limit " + l.arg(f.Limit), l.args
}
