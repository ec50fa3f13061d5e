package lint

import (
	"fmt"
	"slices"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// typeName is a type as a column has it. The zero value is one that is not known.
type typeName struct {
	schema string // empty for PostgreSQL's own
	base   string // as pg_type has it, such as int4
	mods   string // such as 10,2; empty for none
	array  bool
}

// String is how a message names it.
func (t typeName) String() string {
	text := t.base
	if t.schema != "" && t.schema != defaultSchema {
		text = t.schema + "." + text
	}
	if t.mods != "" {
		text += "(" + t.mods + ")"
	}
	if t.array {
		text += "[]"
	}
	return text
}

// serials are no types, but short for one with a sequence.
var serials = map[string]string{
	"serial": "int4", "serial4": "int4", "bigserial": "int8", "serial8": "int8", "smallserial": "int2", "serial2": "int2",
}

// typeOf reads a type out of a statement.
func (s *schema) typeOf(t *pgquery.TypeName) typeName {
	parts := words(t.GetNames())
	if len(parts) == 0 {
		return typeName{}
	}
	result := typeName{base: parts[len(parts)-1], array: len(t.GetArrayBounds()) > 0, mods: modifiers(t.GetTypmods())}
	if len(parts) > 1 && parts[0] != "pg_catalog" {
		result.schema = parts[0]
	}
	if whole, serial := serials[result.base]; serial && len(parts) == 1 {
		return typeName{base: whole}
	}
	if result.schema == "" && s.types[name{s.path, result.base}] != nil {
		result.schema = s.path
	}
	if result.base == "bpchar" && result.mods == "" && len(parts) > 1 {
		result.mods = "1" // char is char(1)
	}
	return result
}

func modifiers(nodes []*pgquery.Node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, fmt.Sprint(n.GetAConst().GetIval().GetIval()))
	}
	return strings.Join(all, ",")
}

func isSerial(t *pgquery.TypeName) bool {
	parts := words(t.GetNames())
	return len(parts) == 1 && serials[parts[0]] != ""
}

// relabels are the pairs of types of PostgreSQL whose values are stored alike, so that no row is touched; from pg_cast, where castmethod is b.
var relabels = map[string][]string{
	"varchar": {"text"},
	"text":    {"varchar"},
	"cidr":    {"inet"},
	"xml":     {"text", "varchar"},
	"int4":    {"oid", "regclass", "regproc", "regtype"},
	"oid":     {"int4", "regclass", "regproc", "regtype"},
	"bit":     {"varbit"},
	"varbit":  {"bit"},
}

// userType returns what the files or the database say of a type of somebody's own, or nil.
func (s *schema) userType(t typeName) *userType {
	if t.schema == "" {
		return nil
	}
	return s.types[name{t.schema, t.base}]
}

// changeIsFree says whether a column of one type becomes one of the other without a row being read.
func (s *schema) changeIsFree(from, to typeName) bool {
	if domain := s.userType(to); domain != nil && domain.constrained {
		return false
	}
	from, to = s.underlying(from), s.underlying(to)
	switch {
	case from.base == "" || from.array != to.array:
		return false
	case from == to:
		return true
	case from.array:
		return false // the elements are gone through, whatever becomes of them
	case from.base == to.base && from.schema == to.schema:
		return widens(to.base, from.mods, to.mods)
	}
	return from.schema == "" && to.schema == "" && s.storedAlike(from, to)
}

// storedAlike says whether the values of two types of PostgreSQL are stored alike.
func (s *schema) storedAlike(from, to typeName) bool {
	if slices.Contains(relabels[from.base], to.base) {
		return to.mods == ""
	}
	return s.utc && isTimestamp(from.base) && isTimestamp(to.base) && widens("timestamp", from.mods, to.mods)
}

// underlying is the type by which values are stored.
func (s *schema) underlying(t typeName) typeName {
	if domain := s.userType(t); domain != nil && domain.domain {
		return domain.base
	}
	return t
}

func isTimestamp(base string) bool { return base == "timestamp" || base == "timestamptz" }

// widens says whether every value of the first modifiers is one of the second as it is.
func widens(base, from, to string) bool {
	if from == to {
		return true
	}
	switch base {
	case "varchar", "varbit", "time", "timetz", "timestamp", "timestamptz":
		return to == "" || from != "" && number(to) >= number(from)
	case "numeric":
		if to == "" {
			return true
		}
		oldPrecision, oldScale := pair(from)
		newPrecision, newScale := pair(to)
		return from != "" && oldScale == newScale && newPrecision >= oldPrecision
	}
	return false
}

func number(text string) (n int) {
	if _, err := fmt.Sscan(text, &n); err != nil {
		return 0
	}
	return n
}

func pair(mods string) (precision, scale int) {
	first, second, _ := strings.Cut(mods, ",")
	return number(first), number(second)
}
