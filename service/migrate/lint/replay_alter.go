package lint

import (
	"slices"

	pgquery "github.com/pganalyze/pg_query_go/v6"
)

func (s *schema) replayAlterTable(stmt *pgquery.AlterTableStmt) {
	if stmt.GetObjtype() != pgquery.ObjectType_OBJECT_TABLE {
		return
	}
	on := s.table(stmt.GetRelation())
	for _, part := range stmt.GetCmds() {
		cmd := part.GetAlterTableCmd()
		if cmd.GetSubtype() == attachPartition || cmd.GetSubtype() == detachPartition {
			s.replayPartition(on, cmd)
			continue
		}
		for i, r := range on.family() {
			s.replayPart(r, cmd, i == 0)
		}
	}
}

// replayPart applies one part to one table; direct is false where it reaches that from a table above.
func (s *schema) replayPart(on *relation, cmd *pgquery.AlterTableCmd, direct bool) {
	switch cmd.GetSubtype() {
	case addColumn:
		def := cmd.GetDef().GetColumnDef()
		if direct {
			s.replayColumn(on, def)
		} else {
			on.columns = append(on.columns, &column{name: def.GetColname(), typ: s.typeOf(def.GetTypeName()), made: s.file})
		}
	case dropColumn:
		on.columns = slices.DeleteFunc(on.columns, func(c *column) bool { return c.name == cmd.GetName() })
		on.constraints = slices.DeleteFunc(on.constraints, func(k *constraint) bool { return slices.Contains(k.columns, cmd.GetName()) })
	case changeType, setNotNull, dropNotNull, addIdentity:
		s.replayColumnChange(on, cmd)
	case addConstraint, validateConstraint, dropConstraint:
		s.replayConstraintChange(on, cmd, direct)
	}
}

func (s *schema) replayColumnChange(on *relation, cmd *pgquery.AlterTableCmd) {
	c := on.column(cmd.GetName())
	if c == nil {
		if on.known {
			return // the statement will fail
		}
		c = &column{name: cmd.GetName()}
		on.columns = append(on.columns, c)
	}
	switch cmd.GetSubtype() {
	case changeType:
		c.typ = s.typeOf(cmd.GetDef().GetColumnDef().GetTypeName())
	default:
		c.notNull = cmd.GetSubtype() != dropNotNull
	}
}

func (s *schema) replayConstraintChange(on *relation, cmd *pgquery.AlterTableCmd, direct bool) {
	switch cmd.GetSubtype() {
	case addConstraint:
		if direct {
			s.replayConstraint(on, cmd.GetDef().GetConstraint(), nil)
		}
	case validateConstraint:
		if k := on.constraint(cmd.GetName()); k != nil {
			k.notValid = false
		}
	case dropConstraint:
		on.constraints = slices.DeleteFunc(on.constraints, func(k *constraint) bool { return k.name == cmd.GetName() })
		if i := s.relations[name{on.schema, cmd.GetName()}]; i != nil && i.kind == index {
			delete(s.relations, i.name)
		}
	}
}

func (s *schema) replayPartition(on *relation, cmd *pgquery.AlterTableCmd) {
	part := s.table(cmd.GetDef().GetPartitionCmd().GetName())
	if cmd.GetSubtype() == attachPartition {
		part.parent, part.isDefault = on, cmd.GetDef().GetPartitionCmd().GetBound().GetIsDefault()
		on.children = append(on.children, part)
		return
	}
	part.parent, part.isDefault = nil, false
	on.children = slices.DeleteFunc(on.children, func(r *relation) bool { return r == part })
}

func (s *schema) replayDrop(stmt *pgquery.DropStmt) {
	for _, object := range stmt.GetObjects() {
		parts := words([]*pgquery.Node{object})
		if len(parts) == 0 {
			continue
		}
		n := s.nameOf(parts)
		switch stmt.GetRemoveType() {
		case pgquery.ObjectType_OBJECT_TABLE, pgquery.ObjectType_OBJECT_MATVIEW, pgquery.ObjectType_OBJECT_VIEW, pgquery.ObjectType_OBJECT_INDEX,
			pgquery.ObjectType_OBJECT_SEQUENCE, pgquery.ObjectType_OBJECT_FOREIGN_TABLE:
			if r := s.relations[n]; r != nil {
				s.remove(r)
			}
		case pgquery.ObjectType_OBJECT_TYPE, pgquery.ObjectType_OBJECT_DOMAIN:
			delete(s.types, n)
		case pgquery.ObjectType_OBJECT_FUNCTION, pgquery.ObjectType_OBJECT_PROCEDURE, pgquery.ObjectType_OBJECT_ROUTINE:
			delete(s.routines, n)
			delete(s.routineMade, n)
		case pgquery.ObjectType_OBJECT_SCHEMA:
			for _, r := range s.tablesIn(parts[0]) {
				s.remove(r)
			}
			delete(s.spaces, parts[0])
		case pgquery.ObjectType_OBJECT_TRIGGER:
			delete(s.relation(s.nameOf(parts[:len(parts)-1]), table).triggers, parts[len(parts)-1])
		}
	}
}

func (s *schema) replayRename(stmt *pgquery.RenameStmt) {
	switch stmt.GetRenameType() {
	case pgquery.ObjectType_OBJECT_TABLE, pgquery.ObjectType_OBJECT_VIEW, pgquery.ObjectType_OBJECT_MATVIEW, pgquery.ObjectType_OBJECT_INDEX,
		pgquery.ObjectType_OBJECT_SEQUENCE:
		r := s.relation(s.nameOfRange(stmt.GetRelation()), table)
		s.move(r, name{r.schema, stmt.GetNewname()})
	case pgquery.ObjectType_OBJECT_COLUMN:
		for _, r := range s.table(stmt.GetRelation()).family() {
			r.renameColumn(stmt.GetSubname(), stmt.GetNewname())
		}
	case pgquery.ObjectType_OBJECT_TABCONSTRAINT:
		if k := s.table(stmt.GetRelation()).constraint(stmt.GetSubname()); k != nil {
			k.name = stmt.GetNewname()
		}
	case pgquery.ObjectType_OBJECT_TYPE, pgquery.ObjectType_OBJECT_DOMAIN:
		before := s.nameOf(words([]*pgquery.Node{stmt.GetObject()}))
		if t := s.types[before]; t != nil {
			delete(s.types, before)
			s.types[name{before.schema, stmt.GetNewname()}] = t
		}
	}
}

func (r *relation) renameColumn(before, after string) {
	if c := r.column(before); c != nil {
		c.name = after
	}
	for _, k := range r.constraints {
		for i, c := range k.columns {
			if c == before {
				k.columns[i] = after
			}
		}
	}
}

// move gives a relation another name.
func (s *schema) move(r *relation, to name) {
	delete(s.relations, r.name)
	r.name = to
	s.relations[to] = r
}
