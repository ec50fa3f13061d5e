package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"
)

// How often a run looks at what it is doing, and how often it says so. The first look comes early, because a statement waits for a
// table for two seconds by default and then gives up.
const (
	watchInterval    = 250 * time.Millisecond
	progressInterval = 5 * time.Second
)

// sighting is what was seen last of a file that is being applied.
type sighting struct {
	// blocker describes the session that kept it from a lock, empty for none.
	blocker string
	// progress is how far an index build is, empty for none.
	progress string
}

// hint is what a person needs to know besides the error.
func (s sighting) hint(err error) string {
	var waited, built string
	if s.blocker != "" && mayRetry(err) {
		waited = "it waited for " + s.blocker
	}
	if s.progress != "" {
		built = "the index build was at " + s.progress
	}
	return joinHints(waited, built)
}

// watch looks at a file while it is applied, over the second connection of its pool. What it returns stops it, and returns what was
// seen last. Looking must never fail a migration, so its own errors are dropped.
func (r *runner) watch(ctx context.Context, db *sql.DB, f file) (stop func() sighting) {
	ctx, cancel := context.WithCancel(ctx)
	var (
		seen sighting
		done sync.WaitGroup
	)
	done.Go(func() {
		tick := time.NewTicker(watchInterval)
		defer tick.Stop()
		said := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			look(ctx, db, f, &seen)
			if time.Since(said) >= progressInterval && ctx.Err() == nil {
				said = time.Now()
				r.Log.InfoContext(ctx, "applying migration still", "migration", f.name, "progress", seen.progress, "waitingFor", seen.blocker)
			}
		}
	})
	return func() sighting {
		cancel()
		done.Wait()
		return seen
	}
}

func look(ctx context.Context, db *sql.DB, f file, seen *sighting) {
	const blockers = `SELECT b.pid, coalesce(b.application_name, ''), coalesce(b.state, ''), coalesce(round(extract(epoch FROM clock_timestamp() - b.xact_start)), -1)
		FROM pg_stat_activity a, unnest(pg_blocking_pids(a.pid)) AS blocking JOIN pg_stat_activity b ON b.pid = blocking
		WHERE a.datname = current_database() AND a.application_name = $1 AND a.wait_event_type = 'Lock' ORDER BY b.xact_start LIMIT 1`
	var (
		pid                int
		application, state string
		age                float64
	)
	if err := db.QueryRowContext(ctx, blockers, applicationName).Scan(&pid, &application, &state, &age); err == nil {
		seen.blocker = describeSession(pid, application, state, age)
	}
	if f.index == nil {
		return
	}
	const builds = `SELECT phase, blocks_done, blocks_total, tuples_done, tuples_total, lockers_done, lockers_total
		FROM pg_stat_progress_create_index WHERE datname = current_database() AND relid = to_regclass($1) LIMIT 1`
	var p buildProgress
	err := db.QueryRowContext(ctx, builds, f.index.table).Scan(&p.phase, &p.blocks, &p.ofBlocks, &p.tuples, &p.ofTuples, &p.lockers, &p.ofLockers)
	if err == nil {
		seen.progress = p.String()
	}
}

// describeSession names a session by what pg_stat_activity shows of it; age is that of its transaction in seconds, -1 where the role may
// not see it.
func describeSession(pid int, application, state string, age float64) string {
	text := fmt.Sprintf("server process %d", pid)
	if application != "" {
		text += fmt.Sprintf(", application %q", application)
	}
	if state != "" {
		text += ", " + state
	}
	if age >= 0 {
		text += fmt.Sprintf(", in a transaction for %s", time.Duration(age)*time.Second)
	}
	return text
}

// buildProgress is a row of pg_stat_progress_create_index.
type buildProgress struct {
	phase              string
	blocks, ofBlocks   int64
	tuples, ofTuples   int64
	lockers, ofLockers int64
}

// String is such as "building index: scanning table, 4711 of 9000 blocks".
func (p buildProgress) String() string {
	switch {
	case p.ofLockers > 0:
		return fmt.Sprintf("%s, %d of %d sessions", p.phase, p.lockers, p.ofLockers)
	case p.ofTuples > 0:
		return fmt.Sprintf("%s, %d of %d rows", p.phase, p.tuples, p.ofTuples)
	case p.ofBlocks > 0:
		return fmt.Sprintf("%s, %d of %d blocks", p.phase, p.blocks, p.ofBlocks)
	}
	return p.phase
}
