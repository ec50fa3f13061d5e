package lint

import (
	"fmt"
	"slices"

	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/api/contract"
)

// docsRoot is where the pages about rules are; each is called like its rule.
const docsRoot = "https://github.com/mirubato/mirubato/blob/main/docs/lint/"

// A Rule is one thing that can be wrong with a statement.
type Rule struct {
	// Name is what an acknowledgement calls it.
	Name string
	Gate contract.LintGate
	// Level is that of its findings. A table that is known to be small makes a warning of what blocks for the time that it takes.
	Level contract.LintLevel
	// ExpandOnly is true for what is the business of a contract migration.
	ExpandOnly bool
	// Timed is true where it is the size of the table that hurts.
	Timed bool
	// Message says what is wrong; %s is what it is about.
	Message string
	// Fix is the safe way.
	Fix string
	// Final is true for what no acknowledgement helps: the run itself would fail.
	Final bool

	check func(*statement) []hit
}

// Docs is the address of the page about the rule.
func (r Rule) Docs() string { return docsRoot + r.Name + ".md" }

// A hit is a place that a rule has found.
type hit struct {
	// at is the offset in the text of the statement, in bytes; 0 is its beginning.
	at int32
	// about is what the message names.
	about string
	// on are the tables whose size matters.
	on *relation
	// level, if not empty, takes the place of the rule's.
	level contract.LintLevel
}

// Rules are all rules, in the order of their subjects.
func Rules() []Rule {
	return slices.Concat(
		fileRules, transactionRules, columnRules, typeRules, constraintRules, indexRules, tableRules, partitionRules,
		triggerRules, objectRules, accessRules, rowRules,
	)
}

// statement is what a check looks at. It must not be changed.
type statement struct {
	node *pgquery.Node
	// text is what it is part of, as it goes to the database.
	text string
	// schema is as it is before the statement.
	schema  *schema
	effects effects
	// script is the file that it stands in, as far as it has been read.
	script *script
}

// script is a file while it is read.
type script struct {
	contract      bool
	transactional bool
	// position of the statement among those of the file, from 0.
	position int
	// of what the transaction has done so far:
	held       effects           // locks on tables that others use
	changed    map[*relation]int // how many ALTER TABLE with a scan or a rewrite
	labels     map[string]bool   // values that were added to enums
	dropsIndex map[name]bool     // indexes dropped with IF EXISTS, in this file or one before
}

// existing returns the relation that a statement names, or nil if it was made by this file: nobody else can be using that.
func (s *statement) existing(r *pgquery.RangeVar) *relation {
	on := s.schema.table(r)
	if r.GetRelpersistence() == "t" || s.schema.isNew(on.made) {
		return nil
	}
	return on
}

// part is one part of an ALTER TABLE on a table that was there before.
type part struct {
	on  *relation
	cmd *pgquery.AlterTableCmd
}

// parts returns those of these kinds.
func (s *statement) parts(kinds ...pgquery.AlterTableType) []part {
	stmt := s.node.GetAlterTableStmt()
	switch {
	case stmt == nil:
		return nil
	case stmt.GetObjtype() != pgquery.ObjectType_OBJECT_TABLE && stmt.GetObjtype() != pgquery.ObjectType_OBJECT_MATVIEW &&
		stmt.GetObjtype() != pgquery.ObjectType_OBJECT_FOREIGN_TABLE:
		return nil
	}
	on := s.existing(stmt.GetRelation())
	if on == nil {
		return nil
	}
	var all []part
	for _, n := range stmt.GetCmds() {
		if cmd := n.GetAlterTableCmd(); slices.Contains(kinds, cmd.GetSubtype()) {
			all = append(all, part{on, cmd})
		}
	}
	return all
}

// column is how a message names a column of the table.
func (p part) column(name string) string { return p.on.String() + "." + name }

// addedColumns returns the columns that are added to tables that were there before, each with its parts.
func (s *statement) addedColumns() []addedColumn {
	var all []addedColumn
	for _, p := range s.parts(addColumn) {
		c := addedColumn{on: p.on, def: p.cmd.GetDef().GetColumnDef()}
		for _, n := range c.def.GetConstraints() {
			c.constraints = append(c.constraints, n.GetConstraint())
		}
		all = append(all, c)
	}
	return all
}

type addedColumn struct {
	on          *relation
	def         *pgquery.ColumnDef
	constraints []*pgquery.Constraint
}

func (c addedColumn) String() string { return c.on.String() + "." + c.def.GetColname() }

// with returns the constraint of a kind that is written beside the column, or nil.
func (c addedColumn) with(kind pgquery.ConstrType) *pgquery.Constraint {
	for _, k := range c.constraints {
		if k.GetContype() == kind {
			return k
		}
	}
	return nil
}

// hit is one about the column.
func (c addedColumn) hit() []hit {
	return []hit{{at: c.def.GetLocation(), about: c.String(), on: c.on}}
}

// addedConstraints returns those that ALTER TABLE adds to tables that were there before.
func (s *statement) addedConstraints(kinds ...pgquery.ConstrType) []addedConstraint {
	var all []addedConstraint
	for _, p := range s.parts(addConstraint) {
		if c := p.cmd.GetDef().GetConstraint(); slices.Contains(kinds, c.GetContype()) {
			all = append(all, addedConstraint{p.on, c})
		}
	}
	return all
}

type addedConstraint struct {
	on *relation
	*pgquery.Constraint
}

func (c addedConstraint) hit() []hit {
	return []hit{{at: c.GetLocation(), about: c.on.String(), on: c.on}}
}

// each collects the hits of a check on each of several things.
func each[T any](all []T, check func(T) []hit) []hit {
	var hits []hit
	for _, one := range all {
		hits = append(hits, check(one)...)
	}
	return hits
}

// small is the size below which reading or writing a table through takes no time that anybody notices.
const small = 8 << 20

// finding makes what is reported of a hit, without its place.
func (r Rule) finding(h hit, s *statement) contract.LintFinding {
	f := contract.LintFinding{Rule: r.Name, Gate: r.Gate, Level: r.Level, Fix: r.Fix, Docs: r.Docs(), Message: r.Message}
	if h.about != "" {
		f.Message = fmt.Sprintf(r.Message, h.about)
	}
	if h.level != "" {
		f.Level = h.level
	}
	if r.Gate == contract.LintLocks && s != nil && len(s.effects) > 0 {
		f.Message += ": it takes " + s.effects.String()
	}
	if h.on != nil && r.Timed && h.on.bytes >= 0 {
		f.Message += fmt.Sprintf("; %s has about %d rows in %.1f MiB", h.on, max(0, h.on.rows), float64(h.on.bytes)/(1<<20))
		if h.on.bytes <= small && f.Level == contract.LintBlock {
			f.Level = contract.LintWarn
		}
	}
	return f
}
