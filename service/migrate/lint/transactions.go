package lint

import (
	"fmt"
	"slices"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"

	"github.com/mirubato/mirubato/api/contract"
)

// transactionRules are about how a run applies files: each in a transaction of its own, or a single statement without one.
var transactionRules = []Rule{
	{
		Name: "needs-no-transaction", Gate: contract.LintRunner, Level: contract.LintBlock, Final: true,
		Message: "%s cannot run inside a transaction, and the file is applied in one",
		Fix:     "Put it into a file of its own that begins with '-- +goose NO TRANSACTION'.",
		check:   checkNeedsNoTransaction,
	},
	{
		Name: "transaction-statement", Gate: contract.LintRunner, Level: contract.LintBlock, Final: true,
		Message: "%s would end the transaction that the version is recorded in: what was done would stay without a record",
		Fix:     "Remove it; a file is one transaction already. Give work that must be committed apart a file of its own.",
		check:   checkTransactionStatement,
	},
	{
		Name: "several-statements", Gate: contract.LintRunner, Level: contract.LintBlock, Final: true,
		Message: "the file is marked NO TRANSACTION and has more than one statement: if this one fails, those before it stay, and the file can never run again",
		Fix:     "Give each statement a file of its own.",
		check: func(s *statement) []hit {
			if s.script.transactional || s.script.position == 0 {
				return nil
			}
			return []hit{{}}
		},
	},
	{
		Name: "session-setting", Gate: contract.LintRunner, Level: contract.LintBlock, Final: true,
		Message: "%s outlasts the transaction: the files after it, and the record of this one, would run under it",
		Fix:     "Use SET LOCAL, or set_config with true as its last argument. Timeouts are set by the run.",
		check:   checkSessionSetting,
	},
	{
		Name: "dynamic-sql", Gate: contract.LintRunner, Level: contract.LintBlock,
		Message: "what %s does cannot be seen from outside: it may take any lock and drop anything",
		Fix:     "Write the statements themselves. Where that cannot be done, acknowledge it with what it does and why it is safe.",
		check:   checkDynamicSQL,
	},
	{
		Name: "copy-from-client", Gate: contract.LintRunner, Level: contract.LintBlock, Final: true,
		Message: "COPY from standard input needs a client that sends the rows, and a run sends none",
		Fix:     "Write INSERT statements; load large data by other means than a migration.",
		check: func(s *statement) []hit {
			if c := s.node.GetCopyStmt(); c == nil || !c.GetIsFrom() || c.GetFilename() != "" {
				return nil
			}
			return []hit{{}}
		},
	},
	{
		Name: "enum-value-in-transaction", Gate: contract.LintRunner, Level: contract.LintBlock,
		Message: "the value %s was added to an enum in the same transaction, in which PostgreSQL does not let it be used",
		Fix:     "Use it in a file of its own, after this one.",
		check:   checkEnumValueUsed,
	},
	{
		Name: "backfill-with-ddl", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "rows of %s are changed while the transaction holds locks of an earlier statement, until the last row is written",
		Fix:     "Change rows in a file of their own, or by a backfill in batches, after the change of the schema is committed.",
		check:   checkBackfillWithDDL,
	},
	{
		Name: "work-under-lock", Gate: contract.LintLocks, Level: contract.LintWarn,
		Message: "others wait for %s, which an earlier statement of the file has locked, until this one has gone through its rows as well",
		Fix:     "Give what takes time a file of its own.",
		check:   checkWorkUnderLock,
	},
	{
		Name: "several-tables-locked", Gate: contract.LintLocks, Level: contract.LintWarn,
		Message: "the transaction already holds %s: whoever uses both tables in the other order ends in a deadlock",
		Fix:     "Give each table a file of its own.",
		check:   checkSeveralTables,
	},
	{
		Name: "merge-alter-table", Gate: contract.LintLocks, Level: contract.LintInfo,
		Message: "%s is changed by several ALTER TABLE that each read or write all of it",
		Fix:     "Make them one ALTER TABLE with several parts: the rows are gone through once.",
		check: func(s *statement) []hit {
			stmt := s.node.GetAlterTableStmt()
			if stmt == nil {
				return nil
			}
			on := s.schema.table(stmt.GetRelation())
			if now, before := s.effects.of(on), s.script.held.of(on); (now.scans || now.rewrites) && (before.scans || before.rewrites) && s.script.changed[on] > 0 {
				return []hit{{about: on.String()}}
			}
			return nil
		},
	},
}

func checkNeedsNoTransaction(s *statement) []hit {
	what := outsideTransaction(s.node)
	if what == "" || !s.script.transactional {
		return nil
	}
	return []hit{{about: what}}
}

// outsideTransaction names a statement that PostgreSQL refuses inside a transaction; empty for all others.
func outsideTransaction(n *pgquery.Node) string {
	switch {
	case n.GetIndexStmt().GetConcurrent():
		return "CREATE INDEX CONCURRENTLY"
	case n.GetDropStmt().GetConcurrent():
		return "DROP INDEX CONCURRENTLY"
	case n.GetReindexStmt() != nil && hasOption(n.GetReindexStmt().GetParams(), "concurrently"):
		return "REINDEX CONCURRENTLY"
	case n.GetReindexStmt() != nil && n.GetReindexStmt().GetKind() > pgquery.ReindexObjectType_REINDEX_OBJECT_TABLE:
		return "REINDEX of a schema or database"
	case n.GetVacuumStmt().GetIsVacuumcmd():
		return "VACUUM"
	}
	for _, part := range n.GetAlterTableStmt().GetCmds() {
		if cmd := part.GetAlterTableCmd(); cmd.GetSubtype() == detachPartition && cmd.GetDef().GetPartitionCmd().GetConcurrent() {
			return "DETACH PARTITION CONCURRENTLY"
		}
	}
	return outsideDatabase(n)
}

// outsideDatabase names a statement that is about all tables or about the server.
func outsideDatabase(n *pgquery.Node) string {
	switch {
	case n.GetClusterStmt() != nil && n.GetClusterStmt().GetRelation() == nil:
		return "CLUSTER of all tables"
	case n.GetCreatedbStmt() != nil:
		return "CREATE DATABASE"
	case n.GetDropdbStmt() != nil:
		return "DROP DATABASE"
	case n.GetCreateTableSpaceStmt() != nil, n.GetDropTableSpaceStmt() != nil:
		return "a change of tablespaces"
	case n.GetAlterSystemStmt() != nil:
		return "ALTER SYSTEM"
	}
	return ""
}

func checkTransactionStatement(s *statement) []hit {
	stmt := s.node.GetTransactionStmt()
	if stmt == nil {
		return nil
	}
	switch stmt.GetKind() {
	case pgquery.TransactionStmtKind_TRANS_STMT_SAVEPOINT, pgquery.TransactionStmtKind_TRANS_STMT_RELEASE,
		pgquery.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		return nil
	}
	return []hit{{about: strings.ReplaceAll(strings.TrimPrefix(stmt.GetKind().String(), "TRANS_STMT_"), "_", " ")}}
}

func checkSessionSetting(s *statement) []hit {
	if set := s.node.GetVariableSetStmt(); set != nil {
		reset := set.GetKind() == pgquery.VariableSetKind_VAR_RESET || set.GetKind() == pgquery.VariableSetKind_VAR_RESET_ALL
		switch {
		case reset:
			return []hit{{about: "RESET"}}
		case !set.GetIsLocal() && !strings.HasPrefix(set.GetName(), "TRANSACTION"):
			return []hit{{about: "SET " + set.GetName()}}
		}
		return nil
	}
	if s.node.GetDiscardStmt() != nil {
		return []hit{{about: "DISCARD"}}
	}
	var hits []hit
	if s.node.GetSelectStmt() != nil {
		walk(s.node, func(m proto.Message) {
			call, ok := m.(*pgquery.FuncCall)
			if !ok {
				return
			}
			args := call.GetArgs()
			if called := words(call.GetFuncname()); called[len(called)-1] == "set_config" && len(args) == 3 && !args[2].GetAConst().GetBoolval().GetBoolval() {
				hits = append(hits, hit{at: call.GetLocation(), about: "set_config"})
			}
		})
	}
	return hits
}

func checkDynamicSQL(s *statement) []hit {
	switch {
	case s.node.GetDoStmt() != nil:
		return []hit{{about: "a DO block"}}
	case s.node.GetCallStmt() != nil:
		called := words(s.node.GetCallStmt().GetFunccall().GetFuncname())
		return []hit{{about: "the procedure " + strings.Join(called, ".")}}
	case s.node.GetExecuteStmt() != nil:
		return []hit{{about: "a prepared statement"}}
	}
	return nil
}

func checkEnumValueUsed(s *statement) []hit {
	if !s.script.transactional || len(s.script.labels) == 0 || s.node.GetAlterEnumStmt() != nil || s.node.GetCommentStmt() != nil {
		return nil
	}
	var hits []hit
	walk(s.node, func(m proto.Message) {
		c, ok := m.(*pgquery.A_Const)
		if ok && c.GetSval() != nil && s.script.labels[c.GetSval().GetSval()] {
			hits = append(hits, hit{at: c.GetLocation(), about: "'" + c.GetSval().GetSval() + "'"})
		}
	})
	return hits
}

func checkBackfillWithDDL(s *statement) []hit {
	on := s.changesRowsOf()
	if on == nil || !s.script.transactional {
		return nil
	}
	for _, e := range s.script.held {
		if e.lock >= share {
			return []hit{{about: on.String(), on: on}}
		}
	}
	return nil
}

func checkWorkUnderLock(s *statement) []hit {
	if !s.script.transactional {
		return nil
	}
	slow := s.readsRows()
	for _, e := range s.effects {
		slow = slow || e.scans || e.rewrites
	}
	if !slow {
		return nil
	}
	for _, e := range s.script.held {
		if e.lock >= share {
			return []hit{{about: e.on.String()}}
		}
	}
	return nil
}

// readsRows says whether rows of tables that were there before are copied into others.
func (s *statement) readsRows() bool {
	query := s.node.GetInsertStmt().GetSelectStmt()
	if s.node.GetCreateTableAsStmt() != nil {
		query = s.node.GetCreateTableAsStmt().GetQuery()
	}
	return slices.ContainsFunc(s.schema.named(query), func(r *relation) bool { return !s.schema.isNew(r.made) })
}

func checkSeveralTables(s *statement) []hit {
	if !s.script.transactional {
		return nil
	}
	for _, e := range s.effects {
		if e.lock != accessExclusive {
			continue
		}
		for _, before := range s.script.held {
			if before.lock == accessExclusive && before.on != e.on && s.script.held.of(e.on).lock != accessExclusive && !related(before.on, e.on) {
				return []hit{{about: fmt.Sprintf("%s on %s", before.lock, before.on)}}
			}
		}
	}
	return nil
}

// related says whether two tables are one for their users: a partitioned table and its parts.
func related(a, b *relation) bool {
	return a.parent == b || b.parent == a || a.parent != nil && a.parent == b.parent
}
