package lint

import (
	"slices"

	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// dropEffects are those of DROP, whatever is dropped.
func (s *schema) dropEffects(e *effects, stmt *pgquery.DropStmt) {
	for _, object := range stmt.GetObjects() {
		parts := words([]*pgquery.Node{object})
		switch stmt.GetRemoveType() {
		case pgquery.ObjectType_OBJECT_TABLE, pgquery.ObjectType_OBJECT_MATVIEW, pgquery.ObjectType_OBJECT_FOREIGN_TABLE, pgquery.ObjectType_OBJECT_VIEW,
			pgquery.ObjectType_OBJECT_INDEX:
			s.dropRelationEffects(e, stmt, s.nameOf(parts))
		case pgquery.ObjectType_OBJECT_TRIGGER, pgquery.ObjectType_OBJECT_POLICY, pgquery.ObjectType_OBJECT_RULE:
			// The last part is the name of what goes, those before are the table's.
			if on := s.dropped(stmt, s.nameOf(parts[:len(parts)-1]), table); on != nil {
				e.add(on, accessExclusive)
			}
		case pgquery.ObjectType_OBJECT_STATISTIC_EXT:
			if on := s.statistics[s.nameOf(parts)]; on != nil {
				e.add(on, shareUpdateExclusive)
			}
		case pgquery.ObjectType_OBJECT_SCHEMA:
			for _, on := range s.tablesIn(parts[0]) {
				s.dropTableEffects(e, on)
			}
		case pgquery.ObjectType_OBJECT_TYPE, pgquery.ObjectType_OBJECT_DOMAIN:
			if cascades(stmt) {
				s.usersOfType(e, s.nameOf(parts), accessExclusive)
			}
		}
	}
}

func cascades(stmt *pgquery.DropStmt) bool {
	return stmt.GetBehavior() == pgquery.DropBehavior_DROP_CASCADE
}

// dropRelationEffects are those of dropping a table, a view or an index.
func (s *schema) dropRelationEffects(e *effects, stmt *pgquery.DropStmt, n name) {
	switch stmt.GetRemoveType() {
	case pgquery.ObjectType_OBJECT_VIEW:
		if on := s.dropped(stmt, n, view); on != nil {
			e.add(on, accessExclusive)
		}
	case pgquery.ObjectType_OBJECT_INDEX:
		l := accessExclusive
		if stmt.GetConcurrent() {
			l = shareUpdateExclusive
		}
		if i := s.dropped(stmt, n, index); i != nil && i.table != nil {
			e.addAll(i.table, l)
		}
	default:
		on := s.dropped(stmt, n, table)
		if on == nil {
			return
		}
		s.dropTableEffects(e, on)
		if cascades(stmt) {
			s.dropViewEffects(e, on)
		}
	}
}

// dropped returns what is dropped; nil for what IF EXISTS does not find.
func (s *schema) dropped(stmt *pgquery.DropStmt, n name, k kind) *relation {
	if s.relations[n] == nil && stmt.GetMissingOk() && s.oneRun {
		return nil
	}
	return s.relation(n, k)
}

// dropViewEffects are those on views that go with what they read.
func (s *schema) dropViewEffects(e *effects, on *relation) {
	for _, r := range s.reading(on) {
		e.add(r, accessExclusive)
	}
}

// dropTableEffects reaches the other ends of foreign keys and the parent, which all lose something.
func (s *schema) dropTableEffects(e *effects, on *relation) {
	for _, r := range on.family() {
		e.add(r, accessExclusive)
		for _, c := range r.constraints {
			if c.refers != nil {
				e.addAll(c.refers, accessExclusive)
			}
		}
		for _, other := range s.referencing(r) {
			e.addAll(other, accessExclusive)
		}
	}
	if on.parent != nil && on.parent.kind == partitionedTable {
		e.add(on.parent, accessExclusive)
		if byDefault := on.parent.defaultPartition(); byDefault != nil {
			e.add(byDefault, accessExclusive)
		}
	}
}

// usersOfType notes a lock on every table with a column of the type. The weaker one is taken to read the rows through.
func (s *schema) usersOfType(e *effects, n name, l lock) {
	for _, r := range s.relations {
		uses := slices.ContainsFunc(r.columns, func(c *column) bool { return c.typ.base == n.object && c.typ.schema == n.schema })
		if uses && (r.hasRows() || r.kind == partitionedTable) {
			e.add(r, l).scans = l == share && r.hasRows()
		}
	}
}

// createEffects are those of a new table on older ones.
func (s *schema) createEffects(e *effects, stmt *pgquery.CreateStmt) {
	for _, n := range stmt.GetTableElts() {
		s.referenceEffects(e, n.GetConstraint())
		for _, c := range n.GetColumnDef().GetConstraints() {
			s.referenceEffects(e, c.GetConstraint())
		}
	}
	for _, n := range stmt.GetConstraints() {
		s.referenceEffects(e, n.GetConstraint())
	}
	for _, n := range stmt.GetInhRelations() {
		parent := s.table(n.GetRangeVar())
		if stmt.GetPartbound() == nil {
			e.add(parent, shareUpdateExclusive)
			continue
		}
		e.add(parent, accessExclusive)
		if byDefault := parent.defaultPartition(); byDefault != nil {
			e.scan(byDefault, accessExclusive)
		}
		for _, c := range parent.constraints {
			if c.refers != nil {
				e.add(c.refers, shareRowExclusive)
			}
		}
	}
}

func (s *schema) referenceEffects(e *effects, c *pgquery.Constraint) {
	if c.GetContype() == isForeignKey {
		e.addAll(s.table(c.GetPktable()), shareRowExclusive)
	}
}

// attachmentEffects are those of what hangs on a table: triggers, policies, rules, statistics, comments.
func (s *schema) attachmentEffects(e *effects, n *pgquery.Node) {
	switch {
	case n.GetCreateTrigStmt() != nil:
		e.addAll(s.table(n.GetCreateTrigStmt().GetRelation()), shareRowExclusive)
	case n.GetCreatePolicyStmt() != nil:
		e.add(s.table(n.GetCreatePolicyStmt().GetTable()), accessExclusive)
	case n.GetAlterPolicyStmt() != nil:
		e.add(s.table(n.GetAlterPolicyStmt().GetTable()), accessExclusive)
	case n.GetRuleStmt() != nil:
		e.add(s.table(n.GetRuleStmt().GetRelation()), accessExclusive)
	case n.GetCreateStatsStmt() != nil:
		for _, from := range n.GetCreateStatsStmt().GetRelations() {
			e.add(s.table(from.GetRangeVar()), shareUpdateExclusive)
		}
	case n.GetCommentStmt() != nil:
		s.commentEffects(e, n.GetCommentStmt())
	case n.GetCreatePublicationStmt() != nil:
		for _, object := range n.GetCreatePublicationStmt().GetPubobjects() {
			if of := object.GetPublicationObjSpec().GetPubtable(); of != nil {
				e.add(s.table(of.GetRelation()), shareUpdateExclusive)
			}
		}
	}
}

func (s *schema) commentEffects(e *effects, stmt *pgquery.CommentStmt) {
	parts := words([]*pgquery.Node{stmt.GetObject()})
	switch stmt.GetObjtype() {
	case pgquery.ObjectType_OBJECT_TABLE, pgquery.ObjectType_OBJECT_MATVIEW:
		e.add(s.relation(s.nameOf(parts), table), shareUpdateExclusive)
	case pgquery.ObjectType_OBJECT_COLUMN:
		e.add(s.relation(s.nameOf(parts[:len(parts)-1]), table), shareUpdateExclusive)
	}
}

// nameEffects are those of what is called otherwise, or belongs to somebody or somewhere else.
func (s *schema) nameEffects(e *effects, n *pgquery.Node) {
	switch {
	case n.GetRenameStmt() != nil:
		stmt := n.GetRenameStmt()
		switch stmt.GetRenameType() {
		case pgquery.ObjectType_OBJECT_COLUMN, pgquery.ObjectType_OBJECT_TABCONSTRAINT:
			e.addAll(s.table(stmt.GetRelation()), accessExclusive)
		case pgquery.ObjectType_OBJECT_TABLE, pgquery.ObjectType_OBJECT_VIEW, pgquery.ObjectType_OBJECT_MATVIEW,
			pgquery.ObjectType_OBJECT_TRIGGER, pgquery.ObjectType_OBJECT_POLICY, pgquery.ObjectType_OBJECT_RULE:
			e.add(s.table(stmt.GetRelation()), accessExclusive)
		}
	case n.GetAlterObjectSchemaStmt() != nil:
		stmt := n.GetAlterObjectSchemaStmt()
		if stmt.GetRelation() != nil && stmt.GetObjectType() != pgquery.ObjectType_OBJECT_SEQUENCE {
			e.add(s.table(stmt.GetRelation()), accessExclusive)
		}
	case n.GetAlterDomainStmt() != nil:
		stmt := n.GetAlterDomainStmt()
		if stmt.GetSubtype() == "O" || stmt.GetSubtype() == "V" || stmt.GetSubtype() == "C" && !stmt.GetDef().GetConstraint().GetSkipValidation() {
			s.usersOfType(e, s.nameOf(words(stmt.GetTypeName())), share)
		}
	}
}
