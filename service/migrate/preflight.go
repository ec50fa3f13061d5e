package migrate

import (
	"fmt"
	"strings"
	"time"

	"github.com/mirubato/mirubato/api/contract"
)

// Bounds of preflight.
const (
	// oldTransaction is from which age on a transaction is in the way: a change of a table queues behind it, and everybody behind the change.
	oldTransaction = time.Minute
	// oldestServer and newestServer are the major versions of PostgreSQL that this program is made for and was tried with.
	oldestServer = 14
	newestServer = 18
	// largeTable is from which size on building an index is worth telling of.
	largeTable = 1 << 30
)

// surroundings are what preflight knows: the server, the role, other sessions, and what there is in the database.
type surroundings struct {
	identity contract.DatabaseIdentity
	major    int
	// standby: the server replays another; readOnly: it takes no writes for another reason.
	standby, readOnly bool
	// pooled: two connections came to the same session.
	pooled bool
	// seesOthers: the role may see what sessions of other roles do.
	seesOthers bool
	// missing are the rights that the role lacks, in words.
	missing []string
	// foreign are tables that the role does not own, at most a few.
	foreign []string
	// unknownTables are tables in a database in which nothing was applied.
	unknownTables []string
	// running is the session of another run, empty for none.
	running string
	// old are sessions with an old transaction, prepared the transactions that wait for a second phase, dumps the running pg_dumps.
	old, prepared, dumps []string
	// invalid are indexes that are not valid; pendingIndexes are built by what is pending.
	invalid []string
	builds  []indexBuild
}

// indexBuild is an index that a pending file builds.
type indexBuild struct {
	file, index, table string
	// bytes is the size of the table, 0 if it is not there.
	bytes int64
}

// preflight applies every rule, and returns what blocks first.
func preflight(s surroundings) []contract.PreflightFinding {
	var all []contract.PreflightFinding
	for _, rule := range []func(surroundings) *contract.PreflightFinding{
		tooOldServer, tooNewServer, standby, readOnly, pooler, missingRights, runningMigration, oldTransactions, preparedTransactions,
		runningDump, unknownDatabase, foreignTables, unseenSessions,
	} {
		if f := rule(s); f != nil {
			all = append(all, *f)
		}
	}
	all = append(all, invalidIndexes(s)...)
	all = append(all, largeBuilds(s)...)
	sortFindings(all)
	return all
}

func block(rule, message, fix string) *contract.PreflightFinding {
	return &contract.PreflightFinding{Rule: rule, Level: contract.LintBlock, Message: message, Fix: fix}
}

func wait(rule, message, fix string) *contract.PreflightFinding {
	f := block(rule, message, fix)
	f.Waiting = true
	return f
}

func warn(rule, message, fix string) *contract.PreflightFinding {
	return &contract.PreflightFinding{Rule: rule, Level: contract.LintWarn, Message: message, Fix: fix}
}

func tooOldServer(s surroundings) *contract.PreflightFinding {
	if s.major >= oldestServer {
		return nil
	}
	return block("server-too-old", fmt.Sprintf("the server is PostgreSQL %s", s.identity.ServerVersion),
		fmt.Sprintf("use PostgreSQL %d or newer", oldestServer))
}

func tooNewServer(s surroundings) *contract.PreflightFinding {
	if s.major <= newestServer {
		return nil
	}
	return warn("server-too-new", fmt.Sprintf("the server is PostgreSQL %s, and this program was tried with %d at most",
		s.identity.ServerVersion, newestServer), "use a newer image of migrate")
}

// standby is waited for: after a failover the name soon leads to the new primary.
func standby(s surroundings) *contract.PreflightFinding {
	if !s.standby {
		return nil
	}
	return wait("standby", "the server is a standby, which takes no changes", "use a connection URL that leads to the primary")
}

func readOnly(s surroundings) *contract.PreflightFinding {
	if !s.readOnly || s.standby {
		return nil
	}
	return wait("read-only", "transactions are read-only by default", "set default_transaction_read_only to off for the role and the database")
}

func pooler(s surroundings) *contract.PreflightFinding {
	if !s.pooled {
		return nil
	}
	return block("pooler", "a connection pooler gives one session of the server to several connections, so no lock of a session can be held",
		"use a connection URL that leads to PostgreSQL itself, or to a pool in session mode")
}

func missingRights(s surroundings) *contract.PreflightFinding {
	if len(s.missing) == 0 {
		return nil
	}
	return block("missing-rights", fmt.Sprintf("the role %s may not %s", s.identity.Role, strings.Join(s.missing, ", nor ")),
		"grant that, or use the role that owns the schema")
}

func runningMigration(s surroundings) *contract.PreflightFinding {
	if s.running == "" {
		return nil
	}
	return wait("running-migration", "another run is at work in this database ("+s.running+")", "wait until it has ended")
}

func oldTransactions(s surroundings) *contract.PreflightFinding {
	if len(s.old) == 0 {
		return nil
	}
	return wait("old-transaction", "a transaction is open for more than "+oldTransaction.String()+": "+few(s.old)+
		"; changes of the tables that it has used would wait for it, and everybody else for them", "end it, or wait")
}

func preparedTransactions(s surroundings) *contract.PreflightFinding {
	if len(s.prepared) == 0 {
		return nil
	}
	return block("prepared-transaction", "a transaction is prepared and neither committed nor rolled back: "+few(s.prepared)+
		"; it holds its locks until then, also over a restart", "COMMIT PREPARED or ROLLBACK PREPARED it")
}

// runningDump holds a lock on every table, and a snapshot for which each concurrent index build waits.
func runningDump(s surroundings) *contract.PreflightFinding {
	if len(s.dumps) == 0 {
		return nil
	}
	return wait("running-dump", "the database is being dumped ("+few(s.dumps)+"): a dump keeps every table from being changed", "wait until it has ended")
}

func unknownDatabase(s surroundings) *contract.PreflightFinding {
	if len(s.unknownTables) == 0 {
		return nil
	}
	return warn("unknown-database", fmt.Sprintf("none of the files was applied to the database %s, and it has tables: %s",
		s.identity.Name, few(s.unknownTables)), "make sure that the connection URL names the right database")
}

func foreignTables(s surroundings) *contract.PreflightFinding {
	if len(s.foreign) == 0 {
		return nil
	}
	return warn("not-owner", fmt.Sprintf("the role %s does not own %s, and could not change that", s.identity.Role, few(s.foreign)),
		"if a migration is about it, give it to the role with ALTER TABLE ... OWNER TO")
}

func unseenSessions(s surroundings) *contract.PreflightFinding {
	if s.seesOthers {
		return nil
	}
	return &contract.PreflightFinding{
		Rule: "unseen-sessions", Level: contract.LintInfo,
		Message: fmt.Sprintf("the role %s may not see what sessions of other roles do, so old transactions and dumps of theirs go unnoticed", s.identity.Role),
		Fix:     "GRANT pg_read_all_stats TO it",
	}
}

// invalidIndexes tells of one that a pending file builds anew too: the run drops it first.
func invalidIndexes(s surroundings) []contract.PreflightFinding {
	var all []contract.PreflightFinding
	for _, name := range s.invalid {
		f := warn("invalid-index", "the index "+name+" is not valid: a build has failed; it costs every write and serves no read",
			"DROP INDEX CONCURRENTLY "+name+", or REINDEX INDEX CONCURRENTLY it")
		for _, b := range s.builds {
			if strings.HasSuffix(name, "."+quoted(b.index)) {
				f.Level, f.Fix = contract.LintInfo, b.file+" drops it first and builds it again"
			}
		}
		all = append(all, *f)
	}
	return all
}

func largeBuilds(s surroundings) []contract.PreflightFinding {
	var all []contract.PreflightFinding
	for _, b := range s.builds {
		if b.bytes < largeTable {
			continue
		}
		all = append(all, contract.PreflightFinding{
			Rule: "large-index", Level: contract.LintInfo,
			Message: fmt.Sprintf("%s builds the index %s on %s, which has %.1f GB: it reads all of that twice, and sorts on the server's disk",
				b.file, b.index, b.table, float64(b.bytes)/(1<<30)),
			Fix: "make sure that the server's volume has as much room again",
		})
	}
	return all
}

// few are the first three.
func few(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(names[:most], "; "), len(names)-most)
}
