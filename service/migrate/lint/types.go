package lint

import (
	"slices"

	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/api/contract"
)

// typeRules are about the types of columns, and types of one's own.
var typeRules = []Rule{
	{
		Name: "change-type", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before may not be able to read or write %s",
		Fix:     "Add a column of the new type, write both, copy the rows by a backfill, and drop the old one in a later contract migration.",
		check: func(s *statement) []hit {
			return each(s.parts(changeType), func(p part) []hit {
				if s.schema.freeChange(p.on, p.cmd) {
					return nil
				}
				return s.typeChange(p)
			})
		},
	},
	{
		Name: "change-type-rewrite", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "all rows are written anew and all indexes built again, while nobody can use the table, for the change of %s",
		Fix:     "Add a column of the new type, fill it by a backfill, and drop the old one in a later contract migration.",
		check: func(s *statement) []hit {
			return each(s.parts(changeType), func(p part) []hit {
				if s.schema.freeChange(p.on, p.cmd) {
					return nil
				}
				return s.typeChange(p)
			})
		},
	},
	{
		Name: "change-type-recheck", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "no row is written anew, but all are read to check the CHECK constraints again, while nobody can use the table, for the change of %s",
		Fix:     "Drop the CHECK constraint, change the type, add the constraint again NOT VALID, and validate it in a later file.",
		check: func(s *statement) []hit {
			return each(s.parts(changeType), func(p part) []hit {
				if !s.schema.freeChange(p.on, p.cmd) || !s.schema.rechecks(p.on, p.cmd.GetName(), s.node.GetAlterTableStmt()) {
					return nil
				}
				return s.typeChange(p)
			})
		},
	},
	{
		Name: "domain-constraint", Gate: contract.LintLocks, Level: contract.LintBlock,
		Message: "all tables with a column of the domain %s are read through, while nobody can write to them",
		Fix:     "Add the constraint NOT VALID and validate it in a later file; better, put CHECK constraints on the tables.",
		check:   checkDomainConstraint,
	},
	{
		Name: "domain-not-valid", Gate: contract.LintCompatibility, Level: contract.LintWarn,
		Message: "values that the release before writes may break the new constraint of the domain %s",
		Fix:     "Make sure that it writes none.",
		check: func(s *statement) []hit {
			stmt := s.node.GetAlterDomainStmt()
			if stmt == nil || stmt.GetSubtype() != "C" && stmt.GetSubtype() != "O" || s.newType(stmt.GetTypeName()) {
				return nil
			}
			return []hit{{about: s.schema.nameOf(words(stmt.GetTypeName())).String()}}
		},
	},
	{
		Name: "create-domain", Gate: contract.LintLocks, Level: contract.LintInfo,
		Message: "the domain %s has a constraint: adding a column of it to a table in use writes all rows anew, and changing it reads all tables that use it",
		Fix:     "Use the plain type, with a CHECK constraint on each table.",
		check: func(s *statement) []hit {
			stmt := s.node.GetCreateDomainStmt()
			if stmt == nil || !slices.ContainsFunc(stmt.GetConstraints(), func(n *pgquery.Node) bool { return n.GetConstraint().GetContype() != isDefault }) {
				return nil
			}
			return []hit{{about: s.schema.nameOf(words(stmt.GetDomainname())).String()}}
		},
	},
	{
		Name: "domain-column", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "the domain of %s has a constraint, so all rows are written anew while nobody can use the table",
		Fix:     "Use the plain type, with a CHECK constraint that is added NOT VALID and validated later.",
		check: func(s *statement) []hit {
			return each(s.addedColumns(), func(c addedColumn) []hit {
				if t := s.schema.userType(s.schema.typeOf(c.def.GetTypeName())); t == nil || !t.constrained {
					return nil
				}
				return c.hit()
			})
		},
	},
	{
		Name: "add-enum-value", Gate: contract.LintCompatibility, Level: contract.LintWarn,
		Message: "the release before does not know the new value of the enum %s, and will meet it in rows",
		Fix:     "Make sure that it reads unknown values, or write the new one only when it is gone.",
		check: func(s *statement) []hit {
			stmt := s.node.GetAlterEnumStmt()
			if stmt == nil || stmt.GetOldVal() != "" || s.newType(stmt.GetTypeName()) {
				return nil
			}
			return []hit{{about: s.schema.nameOf(words(stmt.GetTypeName())).String()}}
		},
	},
	{
		Name: "rename-enum-value", Gate: contract.LintCompatibility, Level: contract.LintBlock,
		Message: "the release before still writes and compares the old value of the enum %s",
		Fix:     "Add a value with the new name, and move the rows by a backfill.",
		check: func(s *statement) []hit {
			stmt := s.node.GetAlterEnumStmt()
			if stmt == nil || stmt.GetOldVal() == "" || s.newType(stmt.GetTypeName()) {
				return nil
			}
			return []hit{{about: s.schema.nameOf(words(stmt.GetTypeName())).String()}}
		},
	},
	{
		Name: "create-enum", Gate: contract.LintCompatibility, Level: contract.LintInfo,
		Message: "values can be added to the enum %s and never be removed",
		Fix:     "Where values come and go, use text with a CHECK constraint, or a table of values.",
		check: func(s *statement) []hit {
			stmt := s.node.GetCreateEnumStmt()
			if stmt == nil {
				return nil
			}
			return []hit{{about: s.schema.nameOf(words(stmt.GetTypeName())).String()}}
		},
	},
	{
		Name: "alter-type", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before reads and writes %s as it was",
		Fix:     "Make a new type, and move to it column by column.",
		check: func(s *statement) []hit {
			stmt := s.node.GetAlterTableStmt()
			if stmt == nil || stmt.GetObjtype() != pgquery.ObjectType_OBJECT_TYPE {
				return nil
			}
			n := s.schema.nameOfRange(stmt.GetRelation())
			if t := s.schema.types[n]; t != nil && s.schema.isNew(t.made) {
				return nil
			}
			return []hit{{about: "the type " + n.String()}}
		},
	},
}

// typeChange says from what to what, as far as that is known.
func (s *statement) typeChange(p part) []hit {
	about := p.column(p.cmd.GetName())
	c := p.on.column(p.cmd.GetName())
	switch {
	case c != nil && s.schema.isNew(c.made):
		return nil
	case c != nil && c.typ.base != "":
		about += " from " + c.typ.String()
	}
	def := p.cmd.GetDef().GetColumnDef()
	return []hit{{at: def.GetLocation(), about: about + " to " + s.schema.typeOf(def.GetTypeName()).String(), on: p.on}}
}

func (s *statement) newType(parts []*pgquery.Node) bool {
	t := s.schema.types[s.schema.nameOf(words(parts))]
	return t != nil && s.schema.isNew(t.made)
}

// checkDomainConstraint leaves VALIDATE alone, which is the second half of the safe way.
func checkDomainConstraint(s *statement) []hit {
	stmt := s.node.GetAlterDomainStmt()
	if stmt == nil || s.newType(stmt.GetTypeName()) {
		return nil
	}
	if stmt.GetSubtype() != "O" && (stmt.GetSubtype() != "C" || stmt.GetDef().GetConstraint().GetSkipValidation()) {
		return nil
	}
	return []hit{{about: s.schema.nameOf(words(stmt.GetTypeName())).String()}}
}
