package lint

import (
	"slices"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// replay changes the model as a statement will change the database.
func (s *schema) replay(n *pgquery.Node) {
	switch {
	case n.GetCreateStmt() != nil:
		s.replayCreate(n.GetCreateStmt())
	case n.GetAlterTableStmt() != nil:
		s.replayAlterTable(n.GetAlterTableStmt())
	case n.GetIndexStmt() != nil:
		s.replayIndex(n.GetIndexStmt())
	case n.GetDropStmt() != nil:
		s.replayDrop(n.GetDropStmt())
	case n.GetRenameStmt() != nil:
		s.replayRename(n.GetRenameStmt())
	case n.GetViewStmt() != nil:
		called := s.nameOfRange(n.GetViewStmt().GetView())
		if s.relations[called] == nil {
			s.add(called, view)
		}
		s.relations[called].uses = s.named(n.GetViewStmt().GetQuery())
	case n.GetCreateTableAsStmt() != nil:
		s.replayCreateAs(n.GetCreateTableAsStmt())
	case n.GetCreateTrigStmt() != nil:
		s.table(n.GetCreateTrigStmt().GetRelation()).addTrigger(n.GetCreateTrigStmt().GetTrigname(), s.file)
	case n.GetAlterObjectSchemaStmt() != nil:
		if stmt := n.GetAlterObjectSchemaStmt(); stmt.GetRelation() != nil {
			s.move(s.table(stmt.GetRelation()), name{stmt.GetNewschema(), stmt.GetRelation().GetRelname()})
		}
	default:
		s.replayType(n)
		s.replayRest(n)
	}
}

func (r *relation) addTrigger(name string, file int) {
	if r.triggers == nil {
		r.triggers = map[string]int{}
	}
	if _, there := r.triggers[name]; !there {
		r.triggers[name] = file
	}
}

func (s *schema) replayType(n *pgquery.Node) {
	switch {
	case n.GetCreateEnumStmt() != nil:
		s.types[s.nameOf(words(n.GetCreateEnumStmt().GetTypeName()))] = &userType{made: s.file, enum: true}
	case n.GetCompositeTypeStmt() != nil:
		s.types[s.nameOfRange(n.GetCompositeTypeStmt().GetTypevar())] = &userType{made: s.file}
	case n.GetCreateRangeStmt() != nil:
		s.types[s.nameOf(words(n.GetCreateRangeStmt().GetTypeName()))] = &userType{made: s.file}
	case n.GetCreateDomainStmt() != nil:
		stmt := n.GetCreateDomainStmt()
		constrained := slices.ContainsFunc(stmt.GetConstraints(), func(n *pgquery.Node) bool {
			return n.GetConstraint().GetContype() == isCheck || n.GetConstraint().GetContype() == isNotNull
		})
		s.types[s.nameOf(words(stmt.GetDomainname()))] = &userType{
			made: s.file, domain: true, base: s.typeOf(stmt.GetTypeName()), constrained: constrained,
		}
	case n.GetAlterDomainStmt() != nil:
		if t := s.types[s.nameOf(words(n.GetAlterDomainStmt().GetTypeName()))]; t != nil {
			t.constrained = t.constrained || n.GetAlterDomainStmt().GetSubtype() == "C" || n.GetAlterDomainStmt().GetSubtype() == "O"
		}
	}
}

func (s *schema) replayRest(n *pgquery.Node) {
	switch {
	case n.GetCreateFunctionStmt() != nil:
		called := s.nameOf(words(n.GetCreateFunctionStmt().GetFuncname()))
		s.routines[called] = declaredVolatility(n.GetCreateFunctionStmt().GetOptions())
		if _, there := s.routineMade[called]; !there {
			s.routineMade[called] = s.file
		}
	case n.GetCreateSchemaStmt() != nil:
		if _, there := s.spaces[n.GetCreateSchemaStmt().GetSchemaname()]; !there {
			s.spaces[n.GetCreateSchemaStmt().GetSchemaname()] = s.file
		}
		for _, inner := range n.GetCreateSchemaStmt().GetSchemaElts() {
			s.replay(inner)
		}
	case n.GetCreateStatsStmt() != nil:
		if of := n.GetCreateStatsStmt().GetRelations(); len(of) > 0 {
			s.statistics[s.nameOf(words(n.GetCreateStatsStmt().GetDefnames()))] = s.table(of[0].GetRangeVar())
		}
	case n.GetCreateSeqStmt() != nil:
		s.add(s.nameOfRange(n.GetCreateSeqStmt().GetSequence()), sequence)
	case n.GetVariableSetStmt().GetName() == "search_path" && n.GetVariableSetStmt().GetIsLocal():
		if args := n.GetVariableSetStmt().GetArgs(); len(args) > 0 {
			s.path = args[0].GetAConst().GetSval().GetSval()
		}
	}
}

func declaredVolatility(options []*pgquery.Node) volatility {
	for _, n := range options {
		if d := n.GetDefElem(); d.GetDefname() == "volatility" {
			return volatility(d.GetArg().GetString_().GetSval()[0])
		}
	}
	return volatile
}

func (s *schema) replayCreate(stmt *pgquery.CreateStmt) {
	n := s.nameOfRange(stmt.GetRelation())
	if stmt.GetIfNotExists() && s.relations[n] != nil && s.relations[n].known {
		return
	}
	r := s.add(n, table)
	if stmt.GetPartspec() != nil {
		r.kind = partitionedTable
	}
	for _, parent := range stmt.GetInhRelations() {
		of := s.table(parent.GetRangeVar())
		r.parent, r.isDefault = of, stmt.GetPartbound().GetIsDefault()
		of.children = append(of.children, r)
		s.copyColumns(r, of)
		s.inherit(r, of)
	}
	for _, element := range stmt.GetTableElts() {
		switch {
		case element.GetColumnDef() != nil:
			s.replayColumn(r, element.GetColumnDef())
		case element.GetTableLikeClause() != nil:
			s.copyColumns(r, s.table(element.GetTableLikeClause().GetRelation()))
		case element.GetConstraint() != nil:
			s.replayConstraint(r, element.GetConstraint(), nil)
		}
	}
	for _, c := range stmt.GetConstraints() {
		s.replayConstraint(r, c.GetConstraint(), nil)
	}
}

func (s *schema) copyColumns(to, from *relation) {
	for _, c := range from.columns {
		copied := *c
		copied.made = s.file
		to.columns = append(to.columns, &copied)
	}
}

// inherit gives a table what it gets from its parent: checks always, and as a partition also keys.
func (s *schema) inherit(r, of *relation) {
	for _, c := range of.constraints {
		if c.kind == isCheck || of.kind == partitionedTable {
			copied := *c
			copied.made = s.file
			r.constraints = append(r.constraints, &copied)
		}
	}
}

func (s *schema) replayCreateAs(stmt *pgquery.CreateTableAsStmt) {
	n := s.nameOfRange(stmt.GetInto().GetRel())
	if stmt.GetIfNotExists() && s.relations[n] != nil {
		return
	}
	k := table
	if stmt.GetObjtype() == pgquery.ObjectType_OBJECT_MATVIEW {
		k = materializedView
	}
	made := s.add(n, k)
	if k == materializedView {
		made.uses = s.named(stmt.GetQuery())
	}
}

// named returns the relations that a query reads.
func (s *schema) named(query *pgquery.Node) []*relation {
	var all []*relation
	if query == nil {
		return nil
	}
	walk(query, func(m proto.Message) {
		if r, ok := m.(*pgquery.RangeVar); ok {
			if on := s.relations[s.nameOfRange(r)]; on != nil {
				all = append(all, on)
			}
		}
	})
	return all
}

// replayColumn adds a column with the constraints that are written beside it.
func (s *schema) replayColumn(r *relation, def *pgquery.ColumnDef) {
	c := &column{name: def.GetColname(), typ: s.typeOf(def.GetTypeName()), notNull: isSerial(def.GetTypeName()), made: s.file}
	r.columns = append(r.columns, c)
	for _, n := range def.GetConstraints() {
		switch k := n.GetConstraint(); k.GetContype() {
		case isNotNull, isIdentity:
			c.notNull = true
		case isDefault:
			c.volatile = s.isVolatile(k.GetRawExpr())
		default:
			s.replayConstraint(r, k, []string{c.name})
		}
	}
}

// suffixes are those of the names that PostgreSQL gives to constraints without one.
var suffixes = map[pgquery.ConstrType]string{
	isCheck: "check", isPrimaryKey: "pkey", isUnique: "key", isExclusion: "excl", isForeignKey: "fkey",
}

// replayConstraint adds a constraint; columns are those that it is written beside.
func (s *schema) replayConstraint(r *relation, c *pgquery.Constraint, columns []string) {
	suffix, counts := suffixes[c.GetContype()]
	if !counts {
		return
	}
	k := &constraint{name: c.GetConname(), kind: c.GetContype(), columns: columns, notValid: c.GetSkipValidation(), expression: c.GetRawExpr(), made: s.file}
	if k.kind == isForeignKey {
		k.refers, k.key = s.table(c.GetPktable()), words(c.GetPkAttrs())
	}
	for _, n := range s.constrained(r, c) {
		if !slices.Contains(k.columns, n) {
			k.columns = append(k.columns, n)
		}
	}
	if k.name == "" {
		k.name = s.freeName(r, k, suffix)
	}
	r.constraints = append(r.constraints, k)
	for _, of := range r.columns {
		of.notNull = of.notNull || k.kind == isPrimaryKey && slices.Contains(k.columns, of.name)
	}
	if k.kind == isPrimaryKey || k.kind == isUnique {
		s.addIndex(name{r.schema, k.name}, r, k.columns, true)
	}
	for _, child := range r.children {
		s.inherit(child, &relation{kind: r.kind, constraints: []*constraint{k}})
	}
}

// constrained returns the columns that a constraint names, other than the one that it is written beside.
func (s *schema) constrained(r *relation, c *pgquery.Constraint) []string {
	switch {
	case c.GetContype() == isForeignKey:
		return words(c.GetFkAttrs())
	case c.GetContype() == isCheck:
		return slices.DeleteFunc(columnsOf(c.GetRawExpr()), func(n string) bool { return len(r.columns) > 0 && r.column(n) == nil })
	case c.GetIndexname() == "":
		return words(c.GetKeys())
	}
	var all []string
	for _, of := range s.indexColumns(c.GetIndexname(), r) {
		all = append(all, of.name)
	}
	return all
}

// freeName is what PostgreSQL calls a constraint whose name is not given.
func (s *schema) freeName(r *relation, k *constraint, suffix string) string {
	parts := []string{r.object}
	if k.kind == isUnique || k.kind == isForeignKey || k.kind == isExclusion || k.kind == isCheck && len(k.columns) == 1 {
		parts = append(parts, k.columns...)
	}
	wanted := strings.Join(append(parts, suffix), "_")
	for free := wanted; ; free = wanted + string(rune('0'+len(r.constraints)%10)) {
		if r.constraint(free) == nil || len(free) > len(wanted) {
			return free
		}
	}
}

func (s *schema) addIndex(n name, on *relation, columns []string, unique bool) {
	i := s.add(n, index)
	i.table, i.unique = on, unique
	for _, c := range columns {
		i.columns = append(i.columns, &column{name: c})
	}
}

func (s *schema) replayIndex(stmt *pgquery.IndexStmt) {
	on := s.table(stmt.GetRelation())
	called := stmt.GetIdxname()
	columns := words(stmt.GetIndexParams())
	if called == "" {
		called = strings.Join(append([]string{on.object}, append(slices.Clone(columns), "idx")...), "_")
	}
	n := name{on.schema, called}
	if stmt.GetIfNotExists() && s.relations[n] != nil {
		return
	}
	s.addIndex(n, on, columns, stmt.GetUnique())
}
