package lint

import (
	"slices"

	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/api/contract"
)

// tableRules are about tables, views and schemas as a whole.
var tableRules = []Rule{
	{
		Name: "drop-table", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before still uses %s; tables at the other ends of its foreign keys are locked too",
		Fix:     "Drop it in a migration of phase contract, once no release that uses it can come back.",
		check: func(s *statement) []hit {
			return s.droppedRelations(pgquery.ObjectType_OBJECT_TABLE, pgquery.ObjectType_OBJECT_FOREIGN_TABLE)
		},
	},
	{
		Name: "drop-view", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before still reads %s",
		Fix:     "Drop it in a migration of phase contract. To change one, use CREATE OR REPLACE VIEW and add columns at its end.",
		check: func(s *statement) []hit {
			return s.droppedRelations(pgquery.ObjectType_OBJECT_VIEW, pgquery.ObjectType_OBJECT_MATVIEW)
		},
	},
	{
		Name: "drop-sequence", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before still takes numbers from %s",
		Fix:     "Drop it in a migration of phase contract.",
		check:   func(s *statement) []hit { return s.droppedRelations(pgquery.ObjectType_OBJECT_SEQUENCE) },
	},
	{
		Name: "drop-schema", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before still uses what is in the schema %s",
		Fix:     "Drop it in a migration of phase contract, after what is in it.",
		check: func(s *statement) []hit {
			stmt := s.node.GetDropStmt()
			if stmt.GetRemoveType() != pgquery.ObjectType_OBJECT_SCHEMA {
				return nil
			}
			return each(words(stmt.GetObjects()), func(n string) []hit {
				if made, known := s.schema.spaces[n]; known && s.schema.isNew(made) {
					return nil
				}
				return []hit{{about: n}}
			})
		},
	},
	{
		Name: "drop-database", Gate: contract.LintCompatibility, Level: contract.LintBlock,
		Message: "nothing brings the database %s back but a backup",
		Fix:     "Drop databases by hand.",
		check: func(s *statement) []hit {
			if s.node.GetDropdbStmt() == nil {
				return nil
			}
			return []hit{{about: s.node.GetDropdbStmt().GetDbname()}}
		},
	},
	{
		Name: "drop-owned", Gate: contract.LintCompatibility, Level: contract.LintBlock,
		Message: "what belongs to a role is dropped, and no file says what that is",
		Fix:     "Drop each thing by its name.",
		check: func(s *statement) []hit {
			if s.node.GetDropOwnedStmt() == nil {
				return nil
			}
			return []hit{{}}
		},
	},
	{
		Name: "rename-table", Gate: contract.LintCompatibility, Level: contract.LintBlock,
		Message: "while a new release rolls out, one of both releases does not find %s under the name that it knows",
		Fix:     "Keep the name. If it must change: rename it in a contract migration together with a view of the old name that can be written to.",
		check: func(s *statement) []hit {
			return s.renamed(pgquery.ObjectType_OBJECT_TABLE, pgquery.ObjectType_OBJECT_VIEW, pgquery.ObjectType_OBJECT_MATVIEW,
				pgquery.ObjectType_OBJECT_SEQUENCE, pgquery.ObjectType_OBJECT_FOREIGN_TABLE)
		},
	},
	{
		Name: "set-schema", Gate: contract.LintCompatibility, Level: contract.LintBlock,
		Message: "the release before looks for %s in the schema where it was",
		Fix:     "Leave it there; or leave a view behind that can be written to.",
		check: func(s *statement) []hit {
			stmt := s.node.GetAlterObjectSchemaStmt()
			switch {
			case stmt == nil:
				return nil
			case stmt.GetRelation() != nil:
				if on := s.existing(stmt.GetRelation()); on != nil {
					return []hit{{about: on.String()}}
				}
				return nil
			}
			n := s.schema.nameOf(words([]*pgquery.Node{stmt.GetObject()}))
			if t := s.schema.types[n]; t != nil && s.schema.isNew(t.made) {
				return nil
			}
			return []hit{{about: n.String()}}
		},
	},
	{
		Name: "rewrite-table", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "all rows of %s are written anew while nobody can use it",
		Fix:     "Make a new table with the wanted properties and move the rows; pg_repack does that online.",
		check:   checkRewriteTable,
	},
	{
		Name: "lock-table", Gate: contract.LintLocks, Level: contract.LintBlock,
		Message: "%s is locked until the file is done",
		Fix:     "Leave it out: each statement takes the lock that it needs.",
		check: func(s *statement) []hit {
			if s.node.GetLockStmt() == nil {
				return nil
			}
			for _, e := range s.effects {
				if e.lock >= share {
					return []hit{{about: e.on.String()}}
				}
			}
			return nil
		},
	},
	{
		Name: "refresh-view", Gate: contract.LintLocks, Level: contract.LintWarn, Timed: true,
		Message: "nobody can read %s while it is refreshed; CONCURRENTLY lets others read, and still only one refresh runs at a time",
		Fix:     "Refresh it from a job outside of migrations, CONCURRENTLY, which needs a unique index.",
		check: func(s *statement) []hit {
			stmt := s.node.GetRefreshMatViewStmt()
			if stmt == nil || stmt.GetSkipData() {
				return nil
			}
			if on := s.existing(stmt.GetRelation()); on != nil {
				return []hit{{about: on.String(), on: on}}
			}
			return nil
		},
	},
}

// droppedRelations returns those that were there before the file.
func (s *statement) droppedRelations(kinds ...pgquery.ObjectType) []hit {
	stmt := s.node.GetDropStmt()
	if stmt == nil || !slices.Contains(kinds, stmt.GetRemoveType()) {
		return nil
	}
	return each(stmt.GetObjects(), func(n *pgquery.Node) []hit {
		called := s.schema.nameOf(words([]*pgquery.Node{n}))
		if r := s.schema.relations[called]; r != nil && s.schema.isNew(r.made) {
			return nil
		}
		return []hit{{about: called.String()}}
	})
}

// renamed returns the relation that gets another name, if it was there before the file.
func (s *statement) renamed(kinds ...pgquery.ObjectType) []hit {
	stmt := s.node.GetRenameStmt()
	if stmt == nil || !slices.Contains(kinds, stmt.GetRenameType()) {
		return nil
	}
	on := s.existing(stmt.GetRelation())
	if on == nil {
		return nil
	}
	return []hit{{about: on.String()}}
}

func checkRewriteTable(s *statement) []hit {
	switch {
	case s.node.GetClusterStmt() != nil && s.node.GetClusterStmt().GetRelation() == nil:
		return []hit{{about: "every clustered table"}}
	case s.node.GetVacuumStmt() != nil && hasOption(s.node.GetVacuumStmt().GetOptions(), "full") && len(s.node.GetVacuumStmt().GetRels()) == 0:
		return []hit{{about: "every table"}}
	case s.node.GetClusterStmt() != nil, s.node.GetVacuumStmt() != nil:
	case len(s.parts(setTablespace, setAccessMethod, setLogged, setUnlogged)) > 0:
	default:
		return nil
	}
	for _, e := range s.effects {
		if e.rewrites {
			return []hit{{about: e.on.String(), on: e.on}}
		}
	}
	return nil
}
