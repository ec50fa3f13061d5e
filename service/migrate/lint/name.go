package lint

import (
	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// defaultSchema is where PostgreSQL looks for names without a schema, unless it is told otherwise.
const defaultSchema = "public"

// A name is that of a relation, type or routine. PostgreSQL has folded it already.
type name struct{ schema, object string }

// String leaves out the schema that everybody means.
func (n name) String() string {
	if n.schema == defaultSchema || n.schema == "" {
		return n.object
	}
	return n.schema + "." + n.object
}

// nameOf reads the parts of a name such as music.works.
func (s *schema) nameOf(parts []string) name {
	switch len(parts) {
	case 0:
		return name{}
	case 1:
		return name{s.path, parts[0]}
	}
	return name{parts[len(parts)-2], parts[len(parts)-1]}
}

func (s *schema) nameOfRange(r *pgquery.RangeVar) name {
	if r.GetSchemaname() == "" {
		return name{s.path, r.GetRelname()}
	}
	return name{r.GetSchemaname(), r.GetRelname()}
}

// words reads a list of strings, such as the names of columns.
func words(nodes []*pgquery.Node) []string {
	var all []string
	for _, n := range nodes {
		switch {
		case n.GetString_() != nil:
			all = append(all, n.GetString_().GetSval())
		case n.GetIndexElem() != nil:
			all = append(all, n.GetIndexElem().GetName())
		case n.GetList() != nil:
			all = append(all, words(n.GetList().GetItems())...)
		case n.GetTypeName() != nil:
			all = append(all, words(n.GetTypeName().GetNames())...)
		case n.GetObjectWithArgs() != nil:
			all = append(all, words(n.GetObjectWithArgs().GetObjname())...)
		}
	}
	return all
}
