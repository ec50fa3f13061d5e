package lint

import (
	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/api/contract"
)

// columnRules are about columns of tables that are in use.
var columnRules = []Rule{
	{
		Name: "drop-column", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before still names %s, and its statements fail without it; indexes and constraints over it go too",
		Fix:     "Drop it in a migration of phase contract, once no release that names it can come back.",
		check: func(s *statement) []hit {
			return each(s.parts(dropColumn), func(p part) []hit { return []hit{{about: p.column(p.cmd.GetName())}} })
		},
	},
	{
		Name: "rename-column", Gate: contract.LintCompatibility, Level: contract.LintBlock,
		Message: "while a new release rolls out, one of both releases does not find %s under the name that it knows",
		Fix:     "Add a column with the new name, write both, copy the rows by a backfill, and drop the old one in a later contract migration.",
		check:   checkRenameColumn,
	},
	{
		Name: "required-column", Gate: contract.LintCompatibility, Level: contract.LintBlock,
		Message: "%s is NOT NULL and has no default: adding it fails if there are rows, and then every INSERT of the release before fails",
		Fix:     "Add it nullable or with a default; require it after a release that always writes it.",
		check: func(s *statement) []hit {
			return each(s.addedColumns(), func(c addedColumn) []hit {
				required := c.with(isNotNull) != nil || c.with(isPrimaryKey) != nil
				given := c.with(isDefault) != nil && !isNull(c.with(isDefault).GetRawExpr()) || c.with(isIdentity) != nil || c.with(isGenerated) != nil ||
					isSerial(c.def.GetTypeName())
				if !required || given {
					return nil
				}
				return c.hit()
			})
		},
	},
	{
		Name: "set-not-null", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before may still write NULL to %s, and would fail",
		Fix:     "Let a release write it always, fill the rows by a backfill, add CHECK (column IS NOT NULL) NOT VALID, validate it, and then SET NOT NULL.",
		check: func(s *statement) []hit {
			return each(s.parts(setNotNull), func(p part) []hit {
				if c := p.on.column(p.cmd.GetName()); p.on.proves(p.cmd.GetName()) || c != nil && (c.notNull || s.schema.isNew(c.made)) {
					return nil
				}
				return []hit{{about: p.column(p.cmd.GetName())}}
			})
		},
	},
	{
		Name: "set-not-null-scan", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "all rows are read to find out whether %s is ever NULL, while nobody can use the table",
		Fix:     "Add CHECK (column IS NOT NULL) NOT VALID, validate it in a later file, and SET NOT NULL after that: PostgreSQL then knows and reads nothing.",
		check: func(s *statement) []hit {
			return each(s.parts(setNotNull), func(p part) []hit {
				if c := p.on.column(p.cmd.GetName()); p.on.proves(p.cmd.GetName()) || c != nil && c.notNull {
					return nil
				}
				return []hit{{about: p.column(p.cmd.GetName()), on: p.on}}
			})
		},
	},
	{
		Name: "drop-not-null", Gate: contract.LintCompatibility, Level: contract.LintWarn, ExpandOnly: true,
		Message: "the release before may not be prepared to read NULL from %s",
		Fix:     "Make sure that it is, or write no NULL before it is gone.",
		check: func(s *statement) []hit {
			return each(s.parts(dropNotNull), func(p part) []hit { return []hit{{about: p.column(p.cmd.GetName())}} })
		},
	},
	{
		Name: "change-default", Gate: contract.LintCompatibility, Level: contract.LintWarn, ExpandOnly: true,
		Message: "an INSERT of the release before that leaves out %s means something else from now on",
		Fix:     "Let the new release write the value itself, and change the default in a contract migration.",
		check: func(s *statement) []hit {
			return each(s.parts(columnDefault), func(p part) []hit { return []hit{{about: p.column(p.cmd.GetName())}} })
		},
	},
	{
		Name: "volatile-default", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "the default of %s may be another one for each row, so all rows are written anew while nobody can use the table",
		Fix:     "Add the column without a default, set the default in a second ALTER TABLE, and fill the older rows by a backfill.",
		check: func(s *statement) []hit {
			return each(s.addedColumns(), func(c addedColumn) []hit {
				if k := c.with(isDefault); k == nil || !s.schema.isVolatile(k.GetRawExpr()) {
					return nil
				}
				return c.hit()
			})
		},
	},
	{
		Name: "auto-increment-column", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "%s numbers the rows that there are, so all are written anew while nobody can use the table",
		Fix:     "Add a plain column, fill it by a backfill from a sequence, and make the sequence its default.",
		check: func(s *statement) []hit {
			return each(s.addedColumns(), func(c addedColumn) []hit {
				if c.with(isIdentity) == nil && !isSerial(c.def.GetTypeName()) {
					return nil
				}
				return c.hit()
			})
		},
	},
	{
		Name: "generated-column", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "%s is computed for the rows that there are, so all are written anew while nobody can use the table",
		Fix:     "Add a plain column, keep it by a trigger, and fill the older rows by a backfill.",
		check: func(s *statement) []hit {
			return each(s.addedColumns(), func(c addedColumn) []hit {
				if c.with(isGenerated) == nil {
					return nil
				}
				return c.hit()
			})
		},
	},
	{
		Name: "json-column", Gate: contract.LintCompatibility, Level: contract.LintWarn,
		Message: "%s is of type json, which has no equality: SELECT DISTINCT and UNION over its table fail",
		Fix:     "Use jsonb.",
		check: func(s *statement) []hit {
			return each(s.addedColumns(), func(c addedColumn) []hit {
				if s.schema.typeOf(c.def.GetTypeName()) != (typeName{base: "json"}) {
					return nil
				}
				return c.hit()
			})
		},
	},
}

func checkRenameColumn(s *statement) []hit {
	stmt := s.node.GetRenameStmt()
	if stmt == nil || stmt.GetRenameType() != pgquery.ObjectType_OBJECT_COLUMN {
		return nil
	}
	on := s.existing(stmt.GetRelation())
	if on == nil {
		return nil
	}
	if c := on.column(stmt.GetSubname()); c != nil && s.schema.isNew(c.made) {
		return nil
	}
	return []hit{{about: on.String() + "." + stmt.GetSubname()}}
}
