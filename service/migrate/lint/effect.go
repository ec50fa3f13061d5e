package lint

import (
	"fmt"
	"slices"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// lock is a mode of PostgreSQL that keeps somebody from working; the weaker ones, which every query takes, are none here. The numbers are
// PostgreSQL's.
type lock int

const (
	noLock               lock = 0
	shareUpdateExclusive lock = 4 // others may read and write, no two such at once
	share                lock = 5 // others may read
	shareRowExclusive    lock = 6 // others may read
	exclusive            lock = 7 // others may read
	accessExclusive      lock = 8 // others may do nothing
)

// String is how PostgreSQL's documentation writes it.
func (l lock) String() string {
	return map[lock]string{
		shareUpdateExclusive: "SHARE UPDATE EXCLUSIVE", share: "SHARE", shareRowExclusive: "SHARE ROW EXCLUSIVE",
		exclusive: "EXCLUSIVE", accessExclusive: "ACCESS EXCLUSIVE",
	}[l]
}

// An effect is what a statement does to a table that may be in use.
type effect struct {
	on   *relation
	lock lock
	// rewrites: all rows go into a new file. scans: all rows are read while the lock is held.
	rewrites, scans bool
}

// effects are those of one statement, at most one for each relation.
type effects []effect

// add notes a lock, and keeps the stronger one.
func (e *effects) add(on *relation, l lock) *effect {
	for i := range *e {
		if (*e)[i].on == on {
			(*e)[i].lock = max((*e)[i].lock, l)
			return &(*e)[i]
		}
	}
	*e = append(*e, effect{on: on, lock: l})
	return &(*e)[len(*e)-1]
}

// addAll notes a lock on a relation and all below it.
func (e *effects) addAll(on *relation, l lock) {
	for _, r := range on.family() {
		e.add(r, l)
	}
}

// scan and rewrite note what happens to the rows of a relation and of all below it.
func (e *effects) scan(on *relation, l lock) {
	for _, r := range on.family() {
		if f := e.add(r, l); r.hasRows() {
			f.scans = true
		}
	}
}

// scanUnless is scan where nothing is known that makes it needless.
func (e *effects) scanUnless(needless bool, on *relation, l lock) {
	if !needless {
		e.scan(on, l)
	}
}

func (e *effects) rewrite(on *relation, l lock) {
	for _, r := range on.family() {
		if f := e.add(r, l); r.hasRows() {
			f.rewrites = true
		}
	}
}

// of returns the effect on one relation; the zero value if there is none.
func (e effects) of(on *relation) effect {
	for _, f := range e {
		if f.on == on {
			return f
		}
	}
	return effect{}
}

// String tells of what a user of the tables notices.
func (e effects) String() string {
	sorted := slices.Clone(e)
	slices.SortStableFunc(sorted, func(a, b effect) int { return int(b.lock) - int(a.lock) })
	var parts []string
	for i, f := range sorted {
		if i == 5 {
			parts = append(parts, fmt.Sprintf("and %d more", len(sorted)-i))
			break
		}
		text := f.lock.String() + " on " + f.on.String()
		switch {
		case f.rewrites:
			text += " while it is rewritten"
		case f.scans:
			text += " while it is read through"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// effectsOf returns what a statement does to relations, those included that are made in the same transaction.
func (s *schema) effectsOf(n *pgquery.Node) effects {
	var e effects
	switch {
	case n.GetAlterTableStmt() != nil:
		s.alterTableEffects(&e, n.GetAlterTableStmt())
	case n.GetDropStmt() != nil:
		s.dropEffects(&e, n.GetDropStmt())
	case n.GetCreateStmt() != nil:
		s.createEffects(&e, n.GetCreateStmt())
	case n.GetIndexStmt() != nil || n.GetReindexStmt() != nil || n.GetClusterStmt() != nil || n.GetVacuumStmt() != nil:
		s.storageEffects(&e, n)
	case n.GetTruncateStmt() != nil || n.GetLockStmt() != nil || n.GetRefreshMatViewStmt() != nil || n.GetViewStmt() != nil:
		s.wholeTableEffects(&e, n)
	default:
		s.attachmentEffects(&e, n)
		s.nameEffects(&e, n)
	}
	return slices.DeleteFunc(e, func(f effect) bool { return f.lock == noLock })
}

// storageEffects are those of building and ordering files.
func (s *schema) storageEffects(e *effects, n *pgquery.Node) {
	switch {
	case n.GetIndexStmt() != nil:
		stmt := n.GetIndexStmt()
		if on := s.table(stmt.GetRelation()); stmt.GetConcurrent() {
			e.add(on, shareUpdateExclusive)
		} else if on.kind == partitionedTable && !stmt.GetRelation().GetInh() {
			e.add(on, share) // an index on nothing but the parent has no rows
		} else {
			e.scan(on, share)
		}
	case n.GetReindexStmt() != nil:
		s.reindexEffects(e, n.GetReindexStmt())
	case n.GetClusterStmt() != nil:
		if stmt := n.GetClusterStmt(); stmt.GetRelation() != nil {
			e.rewrite(s.table(stmt.GetRelation()), accessExclusive)
		}
	case n.GetVacuumStmt() != nil:
		full := n.GetVacuumStmt().GetIsVacuumcmd() && hasOption(n.GetVacuumStmt().GetOptions(), "full")
		for _, target := range n.GetVacuumStmt().GetRels() {
			on := s.table(target.GetVacuumRelation().GetRelation())
			if full {
				e.rewrite(on, accessExclusive)
			} else {
				e.add(on, shareUpdateExclusive)
			}
		}
	}
}

func (s *schema) reindexEffects(e *effects, stmt *pgquery.ReindexStmt) {
	var targets []*relation
	switch stmt.GetKind() {
	case pgquery.ReindexObjectType_REINDEX_OBJECT_INDEX:
		if i := s.relation(s.nameOfRange(stmt.GetRelation()), index); i.table != nil {
			targets = i.table.family()
		}
	case pgquery.ReindexObjectType_REINDEX_OBJECT_TABLE:
		targets = s.table(stmt.GetRelation()).family()
	case pgquery.ReindexObjectType_REINDEX_OBJECT_SCHEMA:
		targets = s.tablesIn(stmt.GetName())
	}
	for _, on := range targets {
		if hasOption(stmt.GetParams(), "concurrently") {
			e.add(on, shareUpdateExclusive)
			continue
		}
		if f := e.add(on, share); on.hasRows() {
			f.scans = true
		}
	}
}

// tablesIn returns the tables and materialized views of a schema, in the order of names.
func (s *schema) tablesIn(space string) []*relation {
	var all []*relation
	for _, r := range s.relations {
		if r.schema == space && (r.hasRows() || r.kind == partitionedTable) {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *relation) int { return strings.Compare(a.object, b.object) })
	return all
}

func hasOption(options []*pgquery.Node, name string) bool {
	return slices.ContainsFunc(options, func(n *pgquery.Node) bool {
		d := n.GetDefElem()
		if d.GetDefname() != name {
			return false
		}
		switch value := d.GetArg(); {
		case value.GetString_() != nil:
			return !slices.Contains([]string{"false", "off", "0"}, value.GetString_().GetSval())
		case value.GetBoolean() != nil:
			return value.GetBoolean().GetBoolval()
		case value.GetInteger() != nil:
			return value.GetInteger().GetIval() != 0
		}
		return true
	})
}

// wholeTableEffects are those of statements about all that is in a table.
func (s *schema) wholeTableEffects(e *effects, n *pgquery.Node) {
	switch {
	case n.GetTruncateStmt() != nil:
		stmt := n.GetTruncateStmt()
		for _, target := range stmt.GetRelations() {
			s.truncateEffects(e, s.table(target.GetRangeVar()), stmt.GetBehavior() == pgquery.DropBehavior_DROP_CASCADE)
		}
	case n.GetLockStmt() != nil:
		for _, target := range n.GetLockStmt().GetRelations() {
			if l := lock(n.GetLockStmt().GetMode()); l >= shareUpdateExclusive {
				e.addAll(s.table(target.GetRangeVar()), l)
			}
		}
	case n.GetRefreshMatViewStmt() != nil:
		on := s.relation(s.nameOfRange(n.GetRefreshMatViewStmt().GetRelation()), materializedView)
		if n.GetRefreshMatViewStmt().GetConcurrent() {
			e.scan(on, exclusive)
		} else {
			e.rewrite(on, accessExclusive)
		}
	case n.GetViewStmt() != nil:
		if n.GetViewStmt().GetReplace() && s.relations[s.nameOfRange(n.GetViewStmt().GetView())] != nil {
			e.add(s.relation(s.nameOfRange(n.GetViewStmt().GetView()), view), accessExclusive)
		}
	}
}

func (s *schema) truncateEffects(e *effects, on *relation, cascade bool) {
	if e.of(on).rewrites {
		return
	}
	e.rewrite(on, accessExclusive)
	if !cascade {
		return
	}
	for _, other := range s.referencing(on) {
		s.truncateEffects(e, other, true)
	}
}
