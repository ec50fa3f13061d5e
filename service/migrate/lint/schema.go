package lint

import (
	"slices"

	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// schema is what is known of a database while the files are read. What is not in it may be there all the same: files may begin with a
// database that others have made.
type schema struct {
	relations map[name]*relation
	types     map[name]*userType
	routines  map[name]volatility
	// routineMade has the routines of files and of somebody's own schemas, with the file that made them.
	routineMade map[name]int
	spaces      map[string]int // schemas, with the file that made them
	// statistics are extended ones, with the table that they are about.
	statistics map[name]*relation
	// path is where names without a schema are looked for just now, home where at the beginning of each file.
	path, home string
	// utc is true when sessions are known to have the time zone UTC.
	utc bool
	// file is the number of the file being read, from 1.
	file int
	// oneRun is true when all files are applied together: what the first makes, nobody uses while the last is applied.
	oneRun bool
}

func newSchema() *schema {
	return &schema{
		relations: map[name]*relation{}, types: map[name]*userType{}, routines: map[name]volatility{}, routineMade: map[name]int{},
		statistics: map[name]*relation{}, spaces: map[string]int{},
		path: defaultSchema, home: defaultSchema,
	}
}

// kind is that of a relation, as pg_class has it.
type kind byte

const (
	table            kind = 'r'
	partitionedTable kind = 'p'
	view             kind = 'v'
	materializedView kind = 'm'
	index            kind = 'i'
	sequence         kind = 'S'
	foreignTable     kind = 'f'
)

// A relation is a table or what is used like one. Of one that is only named by a statement, little is known.
type relation struct {
	name
	kind kind
	// known is false for what was named before it was made.
	known bool
	// made is the number of the file that made it; 0 if it was there before.
	made        int
	columns     []*column
	constraints []*constraint
	// table is what an index belongs to, and unique whether it admits no duplicates.
	table  *relation
	unique bool
	// parent is the partitioned table, or the one inherited from.
	parent   *relation
	children []*relation
	// uses are the relations that a view reads.
	uses []*relation
	// isDefault is true for the partition that takes what fits no other.
	isDefault bool
	triggers  map[string]int // with the file that made them
	// bytes and rows are how large it is; -1 if that is not known. Rows are PostgreSQL's estimate.
	bytes, rows int64
}

type column struct {
	name     string
	typ      typeName
	notNull  bool
	volatile bool // its default is
	made     int
}

type constraint struct {
	name    string
	kind    pgquery.ConstrType
	columns []string
	// refers is the table that a foreign key leads to, and key are its columns there; none means those of the primary key.
	refers *relation
	key    []string
	// notValid is true until rows that were there before have been checked.
	notValid bool
	// expression is that of a CHECK.
	expression *pgquery.Node
	made       int
}

// userType is an enum or a domain.
type userType struct {
	made int
	enum bool
	// base and constrained are those of a domain.
	base        typeName
	constrained bool
	domain      bool
}

func (s *schema) isNew(made int) bool { return made != 0 && (s.oneRun || made == s.file) }

// relation returns what is called so. One that nobody has mentioned yet is taken to have been there all along.
func (s *schema) relation(n name, k kind) *relation {
	r, found := s.relations[n]
	if !found {
		r = &relation{name: n, kind: k, bytes: -1, rows: -1}
		s.relations[n] = r
	}
	return r
}

func (s *schema) table(r *pgquery.RangeVar) *relation { return s.relation(s.nameOfRange(r), table) }

// add makes a new relation of this file.
func (s *schema) add(n name, k kind) *relation {
	r := &relation{name: n, kind: k, known: true, made: s.file, bytes: -1, rows: -1}
	s.relations[n] = r
	return r
}

func (r *relation) column(name string) *column {
	for _, c := range r.columns {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (r *relation) constraint(name string) *constraint {
	for _, c := range r.constraints {
		if c.name == name {
			return c
		}
	}
	return nil
}

// family returns the relation and all below it, once each.
func (r *relation) family() []*relation {
	all := []*relation{r}
	for i := 0; i < len(all); i++ {
		for _, child := range all[i].children {
			if !slices.Contains(all, child) {
				all = append(all, child)
			}
		}
	}
	return all
}

// defaultPartition returns the one of a partitioned table, or nil.
func (r *relation) defaultPartition() *relation {
	for _, child := range r.children {
		if child.isDefault {
			return child
		}
	}
	return nil
}

// hasRows says whether there is a file for rows, which can be scanned and rewritten.
func (r *relation) hasRows() bool { return r.kind == table || r.kind == materializedView }

// proves says whether a valid CHECK keeps NULL out of the column.
func (r *relation) proves(column string) bool {
	return slices.ContainsFunc(r.constraints, func(c *constraint) bool {
		return c.kind == pgquery.ConstrType_CONSTR_CHECK && !c.notValid && excludesNull(c.expression, column)
	})
}

// excludesNull recognises column IS NOT NULL, alone or beside others in an AND.
func excludesNull(expression *pgquery.Node, column string) bool {
	if and := expression.GetBoolExpr(); and != nil && and.GetBoolop() == pgquery.BoolExprType_AND_EXPR {
		return slices.ContainsFunc(and.GetArgs(), func(n *pgquery.Node) bool { return excludesNull(n, column) })
	}
	test := expression.GetNullTest()
	if test == nil || test.GetNulltesttype() != pgquery.NullTestType_IS_NOT_NULL {
		return false
	}
	fields := words(test.GetArg().GetColumnRef().GetFields())
	return len(fields) > 0 && fields[len(fields)-1] == column
}

// referencing returns the tables with a foreign key to r, other than r.
func (s *schema) referencing(r *relation) []*relation {
	var all []*relation
	for _, other := range s.relations {
		if other != r && slices.ContainsFunc(other.constraints, func(c *constraint) bool { return c.refers == r }) {
			all = append(all, other)
		}
	}
	return all
}

// reading returns the views that read r, directly or by way of others.
func (s *schema) reading(r *relation) []*relation {
	var all []*relation
	for _, other := range s.relations {
		if slices.Contains(other.uses, r) {
			all = append(append(all, other), s.reading(other)...)
		}
	}
	return all
}

// remove forgets a relation and what belongs to it.
func (s *schema) remove(r *relation) {
	delete(s.relations, r.name)
	if r.parent != nil {
		r.parent.children = slices.DeleteFunc(r.parent.children, func(c *relation) bool { return c == r })
	}
	for _, child := range r.children {
		child.parent = nil
	}
	for n, other := range s.relations {
		if other.table == r {
			delete(s.relations, n)
		}
		other.constraints = slices.DeleteFunc(other.constraints, func(c *constraint) bool { return c.refers == r })
	}
}
