package lint

import (
	"slices"

	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/api/contract"
)

// rowRules are about the rows of tables that are in use.
var rowRules = []Rule{
	{
		Name: "truncate", Gate: contract.LintCompatibility, Level: contract.LintBlock,
		Message: "all rows of %s are gone, and only a backup brings them back",
		Fix:     "Delete what nobody needs by a backfill in batches. If all of it may go, acknowledge it.",
		check: func(s *statement) []hit {
			return each(s.node.GetTruncateStmt().GetRelations(), func(n *pgquery.Node) []hit {
				on := s.existing(n.GetRangeVar())
				switch {
				case on == nil:
					return nil
				case s.node.GetTruncateStmt().GetBehavior() == pgquery.DropBehavior_DROP_CASCADE:
					return []hit{{at: n.GetRangeVar().GetLocation(), about: on.String() + ", and of every table that refers to it,"}}
				}
				return []hit{{at: n.GetRangeVar().GetLocation(), about: on.String()}}
			})
		},
	},
	{
		Name: "all-rows", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "every row of %s is changed in one transaction: all stay locked until it ends, and the table doubles in size",
		Fix:     "Change the rows by a backfill in batches.",
		check: func(s *statement) []hit {
			on := s.changesRowsOf()
			if on == nil || !isAlways(s.condition()) || s.hasFrom() {
				return nil
			}
			return []hit{{about: on.String(), on: on}}
		},
	},
	{
		Name: "rows-in-migration", Gate: contract.LintLocks, Level: contract.LintWarn, Timed: true,
		Message: "rows of %s are changed in one transaction, and stay locked until it ends",
		Fix:     "If they may be many, change them by a backfill in batches.",
		check: func(s *statement) []hit {
			on := s.changesRowsOf()
			if on == nil || isAlways(s.condition()) && !s.hasFrom() || on.bytes >= 0 && on.bytes <= small {
				return nil
			}
			return []hit{{about: on.String(), on: on}}
		},
	},
}

// changesRowsOf returns the table whose rows an UPDATE, DELETE or MERGE changes, if it was there before; nil for all other statements.
func (s *statement) changesRowsOf() *relation {
	switch {
	case s.node.GetUpdateStmt() != nil:
		return s.existing(s.node.GetUpdateStmt().GetRelation())
	case s.node.GetDeleteStmt() != nil:
		return s.existing(s.node.GetDeleteStmt().GetRelation())
	case s.node.GetMergeStmt() != nil:
		return s.existing(s.node.GetMergeStmt().GetRelation())
	}
	return nil
}

func (s *statement) condition() *pgquery.Node {
	switch {
	case s.node.GetUpdateStmt() != nil:
		return s.node.GetUpdateStmt().GetWhereClause()
	case s.node.GetDeleteStmt() != nil:
		return s.node.GetDeleteStmt().GetWhereClause()
	}
	return s.node.GetMergeStmt().GetJoinCondition()
}

// hasFrom says whether other tables narrow the rows down.
func (s *statement) hasFrom() bool {
	return s.node.GetMergeStmt() != nil || len(s.node.GetUpdateStmt().GetFromClause()) > 0 || len(s.node.GetDeleteStmt().GetUsingClause()) > 0
}

// isAlways recognises a condition that is missing, or that holds for every row: true, 1 = 1, not false.
func isAlways(condition *pgquery.Node) bool {
	if condition == nil {
		return true
	}
	if c := condition.GetAConst(); c != nil {
		return c.GetBoolval().GetBoolval()
	}
	if e := condition.GetAExpr(); e != nil {
		return e.GetKind() == pgquery.A_Expr_Kind_AEXPR_OP && slices.Equal(words(e.GetName()), []string{"="}) &&
			e.GetLexpr().GetAConst() != nil && sameConstant(e.GetLexpr().GetAConst(), e.GetRexpr().GetAConst())
	}
	b := condition.GetBoolExpr()
	switch b.GetBoolop() {
	case pgquery.BoolExprType_OR_EXPR:
		return slices.ContainsFunc(b.GetArgs(), isAlways)
	case pgquery.BoolExprType_AND_EXPR:
		return !slices.ContainsFunc(b.GetArgs(), func(arg *pgquery.Node) bool { return !isAlways(arg) })
	}
	return slices.ContainsFunc(b.GetArgs(), isNever)
}

// sameConstant compares numbers and texts.
func sameConstant(a, b *pgquery.A_Const) bool {
	return b != nil && a.GetIval().GetIval() == b.GetIval().GetIval() && a.GetSval().GetSval() == b.GetSval().GetSval()
}

// isNever recognises false.
func isNever(condition *pgquery.Node) bool {
	c := condition.GetAConst()
	return c.GetBoolval() != nil && !c.GetBoolval().GetBoolval()
}
