package lint

import (
	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/api/contract"
)

// triggerRules are about triggers and rewrite rules of tables that are in use.
var triggerRules = []Rule{
	{
		Name: "create-trigger", Gate: contract.LintLocks, Level: contract.LintWarn,
		Message: "nobody can write to %s until the file is done, and every write of the release before runs the trigger from then on",
		Fix:     "Give it a file of its own; make sure that it does no harm to what the release before writes.",
		check: func(s *statement) []hit {
			stmt := s.node.GetCreateTrigStmt()
			if stmt == nil {
				return nil
			}
			if on := s.existing(stmt.GetRelation()); on != nil {
				return []hit{{about: on.String()}}
			}
			return nil
		},
	},
	{
		Name: "switch-trigger", Gate: contract.LintLocks, Level: contract.LintWarn,
		Message: "nobody can write to %s until the file is done, and the release before writes with other triggers than it knows",
		Fix:     "Leave triggers of tables in use on; change rows by a backfill that they do no harm to.",
		check: func(s *statement) []hit {
			return each(s.parts(
				pgquery.AlterTableType_AT_EnableTrig, pgquery.AlterTableType_AT_EnableAlwaysTrig, pgquery.AlterTableType_AT_EnableReplicaTrig,
				pgquery.AlterTableType_AT_EnableTrigAll, pgquery.AlterTableType_AT_EnableTrigUser, pgquery.AlterTableType_AT_DisableTrig,
				pgquery.AlterTableType_AT_DisableTrigAll, pgquery.AlterTableType_AT_DisableTrigUser,
			), func(p part) []hit { return []hit{{about: p.on.String()}} })
		},
	},
	{
		Name: "drop-trigger", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before relies on the trigger %s; dropping it also waits for everybody who uses the table",
		Fix:     "Drop it in a migration of phase contract. To change what it does, replace its function.",
		check: func(s *statement) []hit {
			stmt := s.node.GetDropStmt()
			if stmt.GetRemoveType() != pgquery.ObjectType_OBJECT_TRIGGER {
				return nil
			}
			return each(stmt.GetObjects(), func(n *pgquery.Node) []hit {
				parts := words([]*pgquery.Node{n})
				on := s.schema.relation(s.schema.nameOf(parts[:len(parts)-1]), table)
				if made, known := on.triggers[parts[len(parts)-1]]; s.schema.isNew(on.made) || known && s.schema.isNew(made) {
					return nil
				}
				return []hit{{about: parts[len(parts)-1] + " of " + on.String()}}
			})
		},
	},
	{
		Name: "rewrite-rule", Gate: contract.LintCompatibility, Level: contract.LintWarn,
		Message: "statements of the release before on %s become others",
		Fix:     "Use a trigger, or a view; rules surprise whoever does not know of them.",
		check: func(s *statement) []hit {
			if s.node.GetRuleStmt() == nil {
				return nil
			}
			if on := s.existing(s.node.GetRuleStmt().GetRelation()); on != nil {
				return []hit{{about: on.String()}}
			}
			return nil
		},
	},
}
