package lint

import (
	"slices"

	pgquery "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/mirubato/mirubato/api/contract"
)

// indexRules are about indexes of tables that are in use.
var indexRules = []Rule{
	{
		Name: "index-not-concurrent", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "nobody can write to %s until the index is built",
		Fix: "Use CREATE INDEX CONCURRENTLY in a file of its own, marked NO TRANSACTION. On a partitioned table: CREATE INDEX ON ONLY the parent, then " +
			"concurrently on each partition, then ALTER INDEX ... ATTACH PARTITION.",
		check: func(s *statement) []hit {
			stmt := s.node.GetIndexStmt()
			if stmt == nil || stmt.GetConcurrent() {
				return nil
			}
			on := s.existing(stmt.GetRelation())
			if on == nil || on.kind == partitionedTable && !stmt.GetRelation().GetInh() {
				return nil
			}
			return []hit{{about: on.String(), on: on}}
		},
	},
	{
		Name: "drop-index-not-concurrent", Gate: contract.LintLocks, Level: contract.LintBlock,
		Message: "dropping the index %s waits for everybody who uses its table, and everybody else waits behind it",
		Fix:     "Use DROP INDEX CONCURRENTLY in a file of its own, marked NO TRANSACTION.",
		check:   checkDropIndex,
	},
	{
		Name: "reindex-not-concurrent", Gate: contract.LintLocks, Level: contract.LintBlock,
		Message: "nobody can write to the table, nor read by the index, while %s is built again",
		Fix:     "Use REINDEX (CONCURRENTLY) in a file of its own, marked NO TRANSACTION.",
		check: func(s *statement) []hit {
			stmt := s.node.GetReindexStmt()
			if stmt == nil || hasOption(stmt.GetParams(), "concurrently") {
				return nil
			}
			if r := stmt.GetRelation(); r != nil {
				on := s.schema.relations[s.schema.nameOfRange(r)]
				if on != nil && s.schema.isNew(on.made) {
					return nil
				}
				return []hit{{about: s.schema.nameOfRange(r).String()}}
			}
			return []hit{{about: stmt.GetName()}}
		},
	},
	{
		Name: "index-if-not-exists", Gate: contract.LintRunner, Level: contract.LintBlock,
		Message: "IF NOT EXISTS takes an invalid index that a failed build has left, or one over other columns, for %s",
		Fix:     "Leave IF NOT EXISTS out: the run applies the file once, and drops an invalid index of that name before it tries again.",
		check: func(s *statement) []hit {
			stmt := s.node.GetIndexStmt()
			if stmt == nil || !stmt.GetConcurrent() || !stmt.GetIfNotExists() {
				return nil
			}
			on := s.schema.table(stmt.GetRelation())
			if s.script.dropsIndex[name{on.schema, stmt.GetIdxname()}] {
				return nil
			}
			return []hit{{about: stmt.GetIdxname()}}
		},
	},
	{
		Name: "unnamed-index", Gate: contract.LintRunner, Level: contract.LintBlock,
		Message: "the index of %s has no name: what a failed build leaves behind cannot be found, and each attempt leaves another",
		Fix:     "Give it a name.",
		check: func(s *statement) []hit {
			stmt := s.node.GetIndexStmt()
			if stmt == nil || !stmt.GetConcurrent() || stmt.GetIdxname() != "" {
				return nil
			}
			return []hit{{about: s.schema.nameOfRange(stmt.GetRelation()).String()}}
		},
	},
	{
		Name: "new-unique-index", Gate: contract.LintCompatibility, Level: contract.LintWarn, ExpandOnly: true,
		Message: "the release before may write duplicates to %s, and fails from now on; if there are any already, the build fails",
		Fix:     "Look for duplicates first, and make sure that the release before writes none.",
		check: func(s *statement) []hit {
			stmt := s.node.GetIndexStmt()
			if stmt == nil || !stmt.GetUnique() {
				return nil
			}
			on := s.existing(stmt.GetRelation())
			if on == nil || s.overNewColumns(on, stmt) {
				return nil
			}
			return []hit{{about: on.String()}}
		},
	},
	{
		Name: "wide-index", Gate: contract.LintLocks, Level: contract.LintInfo,
		Message: "the index of %s has more than three columns; the last ones rarely help, and all of them cost at every write",
		Fix:     "Keep those that narrow the search, in the order of the conditions.",
		check: func(s *statement) []hit {
			stmt := s.node.GetIndexStmt()
			if stmt == nil || stmt.GetUnique() || len(stmt.GetIndexParams()) <= 3 {
				return nil
			}
			return []hit{{about: s.schema.nameOfRange(stmt.GetRelation()).String()}}
		},
	},
}

func (s *statement) overNewColumns(on *relation, stmt *pgquery.IndexStmt) bool {
	for _, n := range words(stmt.GetIndexParams()) {
		if c := on.column(n); c == nil || !s.schema.isNew(c.made) {
			return false
		}
	}
	return true
}

// checkDropIndex does not ask whether the release before is slow without the index: it goes on working.
func checkDropIndex(s *statement) []hit {
	stmt := s.node.GetDropStmt()
	if stmt == nil || stmt.GetRemoveType() != pgquery.ObjectType_OBJECT_INDEX || stmt.GetConcurrent() {
		return nil
	}
	return each(stmt.GetObjects(), func(n *pgquery.Node) []hit {
		called := s.schema.nameOf(words([]*pgquery.Node{n}))
		if i := s.schema.relations[called]; i != nil && (s.schema.isNew(i.made) || i.table != nil && s.schema.isNew(i.table.made)) {
			return nil
		}
		return []hit{{about: called.String()}}
	})
}

// columnsOf returns the names of columns in an expression.
func columnsOf(n *pgquery.Node) []string {
	var all []string
	walk(n, func(m proto.Message) {
		if ref, ok := m.(*pgquery.ColumnRef); ok {
			if parts := words(ref.GetFields()); len(parts) > 0 && !slices.Contains(all, parts[len(parts)-1]) {
				all = append(all, parts[len(parts)-1])
			}
		}
	})
	return all
}
