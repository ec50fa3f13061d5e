package lint

import (
	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/api/contract"
)

// accessRules are about who may do and see what.
var accessRules = []Rule{
	{
		Name: "revoke", Gate: contract.LintCompatibility, Level: contract.LintWarn, ExpandOnly: true,
		Message: "the release before may need the privilege that is taken away",
		Fix:     "Take it away in a migration of phase contract.",
		check: func(s *statement) []hit {
			grant, role := s.node.GetGrantStmt(), s.node.GetGrantRoleStmt()
			if grant != nil && !grant.GetIsGrant() || role != nil && !role.GetIsGrant() {
				return []hit{{}}
			}
			return nil
		},
	},
	{
		Name: "change-owner", Gate: contract.LintCompatibility, Level: contract.LintWarn,
		Message: "%s belongs to another role from now on, and the migrations after this one may have no right to change it",
		Fix:     "Keep one role that owns the schema, and one that the service connects as.",
		check: func(s *statement) []hit {
			if s.node.GetReassignOwnedStmt() != nil {
				return []hit{{about: "all that a role owns"}}
			}
			if stmt := s.node.GetAlterOwnerStmt(); stmt != nil {
				return []hit{{about: s.schema.nameOf(words([]*pgquery.Node{stmt.GetObject()})).String()}}
			}
			return each(s.parts(pgquery.AlterTableType_AT_ChangeOwner), func(p part) []hit { return []hit{{about: p.on.String()}} })
		},
	},
	{
		Name: "row-security", Gate: contract.LintCompatibility, Level: contract.LintWarn,
		Message: "the release before may see and change other rows of %s than it did",
		Fix:     "Make sure that the policies let the role of the service do what both releases do.",
		check: func(s *statement) []hit {
			switch {
			case s.node.GetCreatePolicyStmt() != nil:
				return s.policy(s.node.GetCreatePolicyStmt().GetTable())
			case s.node.GetAlterPolicyStmt() != nil:
				return s.policy(s.node.GetAlterPolicyStmt().GetTable())
			}
			return each(s.parts(pgquery.AlterTableType_AT_EnableRowSecurity, pgquery.AlterTableType_AT_DisableRowSecurity,
				pgquery.AlterTableType_AT_ForceRowSecurity, pgquery.AlterTableType_AT_NoForceRowSecurity),
				func(p part) []hit { return []hit{{about: p.on.String()}} })
		},
	},
}

func (s *statement) policy(r *pgquery.RangeVar) []hit {
	if on := s.existing(r); on != nil {
		return []hit{{about: on.String()}}
	}
	return nil
}
