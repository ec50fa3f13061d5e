package lint

import (
	"slices"

	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// Short names for what ALTER TABLE can do.
const (
	addColumn          = pgquery.AlterTableType_AT_AddColumn
	dropColumn         = pgquery.AlterTableType_AT_DropColumn
	changeType         = pgquery.AlterTableType_AT_AlterColumnType
	columnDefault      = pgquery.AlterTableType_AT_ColumnDefault
	setNotNull         = pgquery.AlterTableType_AT_SetNotNull
	dropNotNull        = pgquery.AlterTableType_AT_DropNotNull
	addIdentity        = pgquery.AlterTableType_AT_AddIdentity
	addConstraint      = pgquery.AlterTableType_AT_AddConstraint
	dropConstraint     = pgquery.AlterTableType_AT_DropConstraint
	validateConstraint = pgquery.AlterTableType_AT_ValidateConstraint
	attachPartition    = pgquery.AlterTableType_AT_AttachPartition
	detachPartition    = pgquery.AlterTableType_AT_DetachPartition
	finalizePartition  = pgquery.AlterTableType_AT_DetachPartitionFinalize
	setTablespace      = pgquery.AlterTableType_AT_SetTableSpace
	setAccessMethod    = pgquery.AlterTableType_AT_SetAccessMethod
	setLogged          = pgquery.AlterTableType_AT_SetLogged
	setUnlogged        = pgquery.AlterTableType_AT_SetUnLogged
)

// Kinds of constraints.
const (
	isCheck      = pgquery.ConstrType_CONSTR_CHECK
	isPrimaryKey = pgquery.ConstrType_CONSTR_PRIMARY
	isUnique     = pgquery.ConstrType_CONSTR_UNIQUE
	isExclusion  = pgquery.ConstrType_CONSTR_EXCLUSION
	isForeignKey = pgquery.ConstrType_CONSTR_FOREIGN
	isNotNull    = pgquery.ConstrType_CONSTR_NOTNULL
	isDefault    = pgquery.ConstrType_CONSTR_DEFAULT
	isIdentity   = pgquery.ConstrType_CONSTR_IDENTITY
	isGenerated  = pgquery.ConstrType_CONSTR_GENERATED
)

// gentle are the changes of a table that leave its users in peace; those of triggers let them read. All others take the strongest lock.
var gentle = map[pgquery.AlterTableType]lock{
	pgquery.AlterTableType_AT_SetStatistics:     shareUpdateExclusive,
	pgquery.AlterTableType_AT_SetOptions:        shareUpdateExclusive,
	pgquery.AlterTableType_AT_ResetOptions:      shareUpdateExclusive,
	pgquery.AlterTableType_AT_ClusterOn:         shareUpdateExclusive,
	pgquery.AlterTableType_AT_DropCluster:       shareUpdateExclusive,
	validateConstraint:                          shareUpdateExclusive,
	finalizePartition:                           shareUpdateExclusive,
	attachPartition:                             shareUpdateExclusive,
	pgquery.AlterTableType_AT_EnableTrig:        shareRowExclusive,
	pgquery.AlterTableType_AT_EnableAlwaysTrig:  shareRowExclusive,
	pgquery.AlterTableType_AT_EnableReplicaTrig: shareRowExclusive,
	pgquery.AlterTableType_AT_EnableTrigAll:     shareRowExclusive,
	pgquery.AlterTableType_AT_EnableTrigUser:    shareRowExclusive,
	pgquery.AlterTableType_AT_DisableTrig:       shareRowExclusive,
	pgquery.AlterTableType_AT_DisableTrigAll:    shareRowExclusive,
	pgquery.AlterTableType_AT_DisableTrigUser:   shareRowExclusive,
}

// lockOf is the mode in which ALTER TABLE takes the table for one of its parts.
func lockOf(cmd *pgquery.AlterTableCmd) lock {
	switch cmd.GetSubtype() {
	case addConstraint:
		if cmd.GetDef().GetConstraint().GetContype() == isForeignKey {
			return shareRowExclusive
		}
	case detachPartition:
		if cmd.GetDef().GetPartitionCmd().GetConcurrent() {
			return shareUpdateExclusive
		}
	case pgquery.AlterTableType_AT_SetRelOptions, pgquery.AlterTableType_AT_ResetRelOptions:
		if !slices.ContainsFunc(cmd.GetDef().GetList().GetItems(), func(n *pgquery.Node) bool {
			return n.GetDefElem().GetDefname() == "user_catalog_table"
		}) {
			return shareUpdateExclusive
		}
	}
	if l, found := gentle[cmd.GetSubtype()]; found {
		return l
	}
	return accessExclusive
}

// alone are the parts of ALTER TABLE that do not reach the tables below.
var alone = []pgquery.AlterTableType{
	attachPartition, detachPartition, finalizePartition, setTablespace, setAccessMethod, setLogged, setUnlogged, addIdentity,
	pgquery.AlterTableType_AT_SetIdentity, pgquery.AlterTableType_AT_DropIdentity,
	pgquery.AlterTableType_AT_ChangeOwner, pgquery.AlterTableType_AT_ClusterOn, pgquery.AlterTableType_AT_DropCluster,
	pgquery.AlterTableType_AT_SetRelOptions, pgquery.AlterTableType_AT_ResetRelOptions, pgquery.AlterTableType_AT_AddInherit,
	pgquery.AlterTableType_AT_DropInherit, pgquery.AlterTableType_AT_ReplicaIdentity, pgquery.AlterTableType_AT_EnableRowSecurity,
	pgquery.AlterTableType_AT_DisableRowSecurity, pgquery.AlterTableType_AT_ForceRowSecurity, pgquery.AlterTableType_AT_NoForceRowSecurity,
	pgquery.AlterTableType_AT_EnableRule, pgquery.AlterTableType_AT_DisableRule, pgquery.AlterTableType_AT_SetOptions,
	pgquery.AlterTableType_AT_ResetOptions, columnDefault,
}

func (s *schema) alterTableEffects(e *effects, stmt *pgquery.AlterTableStmt) {
	switch stmt.GetObjtype() {
	case pgquery.ObjectType_OBJECT_TABLE, pgquery.ObjectType_OBJECT_MATVIEW, pgquery.ObjectType_OBJECT_FOREIGN_TABLE:
	default:
		return // a view, an index or a sequence: no table waits
	}
	if stmt.GetMissingOk() && s.oneRun && s.relations[s.nameOfRange(stmt.GetRelation())] == nil {
		return
	}
	on := s.table(stmt.GetRelation())
	strongest := noLock
	recurses := false
	for _, part := range stmt.GetCmds() {
		cmd := part.GetAlterTableCmd()
		strongest = max(strongest, lockOf(cmd))
		recurses = recurses || reachesChildren(cmd)
	}
	e.add(on, strongest)
	if recurses && stmt.GetRelation().GetInh() {
		e.addAll(on, strongest)
	}
	for _, part := range stmt.GetCmds() {
		s.partEffects(e, on, part.GetAlterTableCmd(), strongest)
		if cmd := part.GetAlterTableCmd(); cmd.GetSubtype() == changeType && s.rechecks(on, cmd.GetName(), stmt) {
			e.scan(on, strongest)
		}
	}
}

// reachesChildren says whether a part takes the tables below as well. An index of a partitioned table is built on each of them under a weaker
// lock, which its own effects tell.
func reachesChildren(cmd *pgquery.AlterTableCmd) bool {
	if cmd.GetSubtype() != addConstraint {
		return !slices.Contains(alone, cmd.GetSubtype())
	}
	c := cmd.GetDef().GetConstraint()
	return !c.GetIsNoInherit() && c.GetContype() != isPrimaryKey && c.GetContype() != isUnique && c.GetContype() != isExclusion
}

// partEffects are those of one part beside the lock: rows read and written, and other tables.
func (s *schema) partEffects(e *effects, on *relation, cmd *pgquery.AlterTableCmd, l lock) {
	switch cmd.GetSubtype() {
	case addColumn:
		s.addColumnEffects(e, on, cmd.GetDef().GetColumnDef(), l)
	case dropColumn, dropConstraint:
		s.dropConstraintEffects(e, on, goesWith(cmd))
	case changeType:
		s.changeTypeEffects(e, on, cmd, l)
	case setNotNull:
		e.scanUnless(!s.nullable(on, []*column{{name: cmd.GetName()}}), on, l)
	case addConstraint:
		s.addConstraintEffects(e, on, cmd.GetDef().GetConstraint(), l)
	case validateConstraint:
		e.scanUnless(on.isValid(cmd.GetName()), on, l)
	case setTablespace, setAccessMethod, setLogged, setUnlogged:
		e.add(on, l).rewrites = on.hasRows()
	case attachPartition, detachPartition, finalizePartition:
		s.partitionEffects(e, on, cmd)
	case pgquery.AlterTableType_AT_AddInherit:
		e.add(s.table(cmd.GetDef().GetRangeVar()), shareUpdateExclusive)
	}
}

// isValid says whether a constraint is known to hold for all rows.
func (r *relation) isValid(constraint string) bool {
	c := r.constraint(constraint)
	return c != nil && !c.notValid
}

func (s *schema) addColumnEffects(e *effects, on *relation, def *pgquery.ColumnDef, l lock) {
	if s.addedColumnRewrites(def) {
		e.rewrite(on, l)
	}
	for _, n := range def.GetConstraints() {
		switch c := n.GetConstraint(); c.GetContype() {
		case isCheck, isPrimaryKey, isUnique:
			e.scan(on, l)
		case isForeignKey:
			refers := s.table(c.GetPktable())
			e.addAll(refers, shareRowExclusive)
			if lookedUp(def) {
				e.scan(on, l)
			}
			if hasValue(def) { // NULL is found to lead nowhere without the other table
				e.scan(refers, shareRowExclusive)
			}
		}
	}
}

// lookedUp says whether the rows that are there are gone through for a foreign key that comes with a column: not without a default, for they
// all hold NULL then. PostgreSQL does not notice that DEFAULT NULL is the same.
func lookedUp(def *pgquery.ColumnDef) bool {
	return hasValue(def) || slices.ContainsFunc(def.GetConstraints(), func(n *pgquery.Node) bool { return n.GetConstraint().GetContype() == isDefault })
}

// hasValue says whether the rows that are there get a value other than NULL in a new column.
func hasValue(def *pgquery.ColumnDef) bool {
	return isSerial(def.GetTypeName()) || slices.ContainsFunc(def.GetConstraints(), func(n *pgquery.Node) bool {
		c := n.GetConstraint()
		return c.GetContype() == isDefault && !isNull(c.GetRawExpr()) || c.GetContype() == isIdentity || c.GetContype() == isGenerated
	})
}

// addedColumnRewrites says whether the value of a new column has to be written into each row.
func (s *schema) addedColumnRewrites(def *pgquery.ColumnDef) bool {
	if isSerial(def.GetTypeName()) {
		return true
	}
	if domain := s.userType(s.typeOf(def.GetTypeName())); domain != nil && domain.constrained {
		return true
	}
	return slices.ContainsFunc(def.GetConstraints(), func(n *pgquery.Node) bool {
		switch c := n.GetConstraint(); c.GetContype() {
		case isIdentity, isGenerated:
			return true
		case isDefault:
			return s.isVolatile(c.GetRawExpr())
		}
		return false
	})
}

// changeTypeEffects knows that foreign keys over the column are made anew, which takes the tables at their other ends and looks all up again,
// and that CHECK constraints over it are checked again also where no row changes.
func (s *schema) changeTypeEffects(e *effects, on *relation, cmd *pgquery.AlterTableCmd, l lock) {
	if !s.freeChange(on, cmd) {
		e.rewrite(on, l)
	}
	s.dropConstraintEffects(e, on, goesWith(cmd))
	for _, c := range on.constraints {
		if c.refers != nil && !c.notValid && slices.Contains(c.columns, cmd.GetName()) {
			e.scan(c.refers, accessExclusive)
		}
	}
	for _, other := range s.referencing(on) {
		if slices.ContainsFunc(other.constraints, func(c *constraint) bool { return c.refers == on && !c.notValid && c.relatesTo(cmd.GetName(), on) }) {
			e.scan(other, accessExclusive)
		}
	}
}

// relatesTo says whether a foreign key leads to a column of the table that it refers to.
func (c *constraint) relatesTo(column string, on *relation) bool {
	return slices.ContainsFunc(on.constraints, func(key *constraint) bool { return c.leadsTo(key) && slices.Contains(key.columns, column) })
}

// rechecks says whether a valid CHECK names the column, other than those that the same statement drops.
func (s *schema) rechecks(on *relation, column string, stmt *pgquery.AlterTableStmt) bool {
	return slices.ContainsFunc(on.constraints, func(c *constraint) bool {
		return c.kind == isCheck && !c.notValid && slices.Contains(c.columns, column) && !drops(stmt, c.name)
	})
}

func drops(stmt *pgquery.AlterTableStmt, constraint string) bool {
	return slices.ContainsFunc(stmt.GetCmds(), func(n *pgquery.Node) bool {
		return n.GetAlterTableCmd().GetSubtype() == dropConstraint && n.GetAlterTableCmd().GetName() == constraint
	})
}

// freeChange says whether a change of type touches no row. Without knowing the type before, it is taken to.
func (s *schema) freeChange(on *relation, cmd *pgquery.AlterTableCmd) bool {
	c := on.column(cmd.GetName())
	def := cmd.GetDef().GetColumnDef()
	if c == nil || def.GetRawDefault() != nil && !isCastOf(def.GetRawDefault(), cmd.GetName()) {
		return false
	}
	return s.changeIsFree(c.typ, s.typeOf(def.GetTypeName()))
}

// isCastOf recognises USING column and USING column::type, which say nothing new.
func isCastOf(using *pgquery.Node, column string) bool {
	if cast := using.GetTypeCast(); cast != nil {
		return isCastOf(cast.GetArg(), column)
	}
	fields := words(using.GetColumnRef().GetFields())
	return len(fields) == 1 && fields[0] == column
}

func (s *schema) addConstraintEffects(e *effects, on *relation, c *pgquery.Constraint, l lock) {
	switch c.GetContype() {
	case isForeignKey:
		refers := s.table(c.GetPktable())
		e.addAll(refers, shareRowExclusive)
		if !c.GetSkipValidation() {
			e.scan(refers, shareRowExclusive)
			e.scan(on, l)
		}
	case isCheck:
		switch {
		case c.GetSkipValidation():
		case c.GetIsNoInherit():
			e.add(on, l).scans = true
		default:
			e.scan(on, l)
		}
	case isPrimaryKey, isUnique, isExclusion:
		s.addKeyEffects(e, on, c, l)
	}
}

// addKeyEffects are those of a constraint with an index. The columns of a primary key become NOT NULL on the way.
func (s *schema) addKeyEffects(e *effects, on *relation, c *pgquery.Constraint, l lock) {
	below := share
	if c.GetContype() == isPrimaryKey && s.nullable(on, s.keyColumns(c, on)) {
		below = l
	} else if c.GetIndexname() != "" {
		return
	}
	e.add(on, l).scans = on.hasRows()
	for _, r := range on.family()[1:] {
		if on.kind == partitionedTable {
			e.add(r, below).scans = r.hasRows()
		}
	}
}

// keyColumns returns the columns of a key, as far as they are known.
func (s *schema) keyColumns(c *pgquery.Constraint, on *relation) []*column {
	if c.GetIndexname() != "" {
		return s.indexColumns(c.GetIndexname(), on)
	}
	var all []*column
	for _, n := range words(c.GetKeys()) {
		all = append(all, &column{name: n})
	}
	return all
}

// indexColumns returns the columns of an index that is known; none means that they are not.
func (s *schema) indexColumns(index string, on *relation) []*column {
	if i := s.relations[name{on.schema, index}]; i != nil {
		return i.columns
	}
	return nil
}

// nullable says whether one of the columns may hold NULL, as far as is known.
func (s *schema) nullable(on *relation, columns []*column) bool {
	return len(columns) == 0 || slices.ContainsFunc(columns, func(c *column) bool {
		of := on.column(c.name)
		return of == nil || !of.notNull && !on.proves(c.name)
	})
}

// goesWith recognises the constraint that a part drops, or those over the column that it drops or makes anew.
func goesWith(cmd *pgquery.AlterTableCmd) func(*constraint) bool {
	return func(c *constraint) bool {
		if cmd.GetSubtype() == dropConstraint {
			return c.name == cmd.GetName()
		}
		return slices.Contains(c.columns, cmd.GetName())
	}
}

// dropConstraintEffects are those at the other ends of foreign keys that go.
func (s *schema) dropConstraintEffects(e *effects, on *relation, goes func(*constraint) bool) {
	for _, c := range on.constraints {
		if !goes(c) {
			continue
		}
		if c.refers != nil {
			e.addAll(c.refers, accessExclusive)
		}
		for _, other := range s.referencing(on) {
			if slices.ContainsFunc(other.constraints, func(k *constraint) bool { return k.refers == on && k.leadsTo(c) }) {
				e.addAll(other, accessExclusive)
			}
		}
	}
}

// leadsTo says whether a foreign key relies on a key of the table that it refers to.
func (c *constraint) leadsTo(key *constraint) bool {
	switch {
	case key.kind != isPrimaryKey && key.kind != isUnique:
		return false
	case len(c.key) == 0:
		return key.kind == isPrimaryKey
	}
	return len(c.key) == len(key.columns) && !slices.ContainsFunc(c.key, func(n string) bool { return !slices.Contains(key.columns, n) })
}

func (s *schema) partitionEffects(e *effects, on *relation, cmd *pgquery.AlterTableCmd) {
	part := s.table(cmd.GetDef().GetPartitionCmd().GetName())
	byDefault := on.defaultPartition()
	if cmd.GetSubtype() != attachPartition {
		l := lockOf(cmd)
		e.add(on, l)
		e.add(part, accessExclusive)
		if byDefault != nil {
			e.add(byDefault, accessExclusive)
		}
		return
	}
	f := e.add(part, accessExclusive)
	f.scans = part.hasRows() && !slices.ContainsFunc(part.constraints, func(c *constraint) bool { return c.kind == isCheck && !c.notValid })
	if byDefault != nil {
		e.scan(byDefault, accessExclusive)
	}
}
