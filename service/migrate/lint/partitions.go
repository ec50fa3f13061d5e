package lint

import (
	"github.com/mirubato/mirubato/api/contract"
)

// partitionRules are about partitioned tables.
var partitionRules = []Rule{
	{
		Name: "attach-partition", Gate: contract.LintLocks, Level: contract.LintWarn, Timed: true,
		Message: "rows of %s are read to see whether they belong there, and those of the default partition whether they do not, while nobody can use them",
		Fix: "First add a CHECK constraint to the table that implies its bounds, and one to the default partition that excludes them, NOT VALID, and " +
			"validate both.",
		check: func(s *statement) []hit {
			return each(s.parts(attachPartition), func(part) []hit {
				for _, e := range s.effects {
					if e.scans {
						return []hit{{about: e.on.String(), on: e.on}}
					}
				}
				return nil
			})
		},
	},
	{
		Name: "create-partition", Gate: contract.LintLocks, Level: contract.LintWarn,
		Message: "nobody can use %s while a partition is made, nor the default partition while its rows are read",
		Fix:     "Make the table apart, with a CHECK constraint that implies its bounds, and ATTACH PARTITION it.",
		check: func(s *statement) []hit {
			stmt := s.node.GetCreateStmt()
			if stmt.GetPartbound() == nil {
				return nil
			}
			if on := s.existing(stmt.GetInhRelations()[0].GetRangeVar()); on != nil {
				return []hit{{about: on.String()}}
			}
			return nil
		},
	},
	{
		Name: "detach-partition", Gate: contract.LintLocks, Level: contract.LintWarn,
		Message: "nobody can use %s while a partition is taken out",
		Fix:     "Use DETACH PARTITION ... CONCURRENTLY in a file of its own, marked NO TRANSACTION; it needs a table without default partition.",
		check: func(s *statement) []hit {
			return each(s.parts(detachPartition), func(p part) []hit {
				if p.cmd.GetDef().GetPartitionCmd().GetConcurrent() {
					return nil
				}
				return []hit{{about: p.on.String()}}
			})
		},
	},
	{
		Name: "detach-partition-rows", Gate: contract.LintCompatibility, Level: contract.LintWarn, ExpandOnly: true,
		Message: "the release before no longer finds the rows of the partition in %s",
		Fix:     "Detach it in a migration of phase contract, unless its rows are past use.",
		check: func(s *statement) []hit {
			return each(s.parts(detachPartition), func(p part) []hit { return []hit{{about: p.on.String()}} })
		},
	},
}
