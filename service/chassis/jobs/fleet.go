package jobs

import (
	"context"
	"database/sql"
	"time"

	"github.com/mirubato/mirubato/service/chassis/postgres"
)

const (
	seen = `insert into job_workers (id, seen_at) values ($1, now())
	on conflict (id) do update set seen_at = excluded.seen_at`

	left = `delete from job_workers where id = $1`

	forget = `delete from job_workers where seen_at < now() - interval '1 hour'`

	// A job is abandoned if the process that took it last was not heard of for a while, or never. Taking it over costs it an attempt,
	// lest a job that kills whoever does it goes round for ever.
	takeOver = `update river_job set
		state = (case when attempt < max_attempts then 'available' else 'discarded' end)::river_job_state,
		finalized_at = case when attempt < max_attempts then null else now() end,
		scheduled_at = now(),
		errors = array_append(errors, jsonb_build_object('at', now(), 'attempt', attempt, 'error', 'the process is gone', 'trace', ''))
	where id in (
		select id from river_job j
		where state = 'running' and attempted_at < now() - $1::bigint * interval '1 microsecond' and not exists (
			select from job_workers w where w.id = j.attempted_by[cardinality(j.attempted_by)]
				and w.seen_at >= now() - $1::bigint * interval '1 microsecond')
		order by id limit 1000 for update skip locked)`

	depths = `select kind, state::text, count(*), coalesce(extract(epoch from now() - min(scheduled_at)), 0)::float8
	from river_job where state in ('available', 'running', 'retryable', 'scheduled', 'discarded') group by kind, state`
)

// fleetStatements are how processes that do jobs know of each other.
type fleetStatements struct{ seen, left, forget, takeOver, depths *postgres.Statement }

func newFleetStatements(db *postgres.DB) fleetStatements {
	return fleetStatements{
		seen:     db.Prepared("jobs.seen", seen, postgres.Repeatable),
		left:     db.Prepared("jobs.left", left, postgres.Repeatable),
		forget:   db.Prepared("jobs.forget", forget, postgres.Repeatable),
		takeOver: db.Prepared("jobs.take_over", takeOver, postgres.Repeatable),
		depths:   db.Prepared("jobs.depths", depths),
	}
}

// beats is how often a process shows itself within the patience of the others.
const beats = 4

// watchFleet shows that this process lives, takes over the jobs of those that do not, ends tasks whose jobs are gone, and measures
// the queue, until ctx ends. The clock is the database's.
func (q *Queue) watchFleet(ctx context.Context) {
	ticker := time.NewTicker(q.cfg.Patience / beats)
	defer ticker.Stop()
	for {
		for _, act := range []func(context.Context) error{q.show, q.takeOverAbandoned, q.settle, q.measure} {
			if err := act(ctx); err != nil && ctx.Err() == nil {
				q.cfg.Logger.DebugContext(ctx, "Watching jobs", "error", err.Error())
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (q *Queue) show(ctx context.Context) error {
	_, err := q.fleet.seen.Exec(ctx, q.id)
	return err
}

func (q *Queue) takeOverAbandoned(ctx context.Context) error {
	n, err := q.fleet.takeOver.Exec(ctx, q.cfg.Patience.Microseconds())
	if n > 0 {
		q.counters.takenOver.Add(float64(n))
		q.cfg.Logger.WarnContext(ctx, "Taking over jobs", "jobs", n)
	}
	if err != nil {
		return err
	}
	_, err = q.fleet.forget.Exec(ctx)
	return err
}

// leaveFleet says that this process does no more jobs.
func (q *Queue) leaveFleet() {
	ctx, cancel := context.WithTimeout(context.Background(), endPatience)
	defer cancel()
	if _, err := q.fleet.left.Exec(ctx, q.id); err != nil {
		q.cfg.Logger.DebugContext(ctx, "Leaving jobs", "error", err.Error())
	}
}

func (q *Queue) measure(ctx context.Context) error {
	var found []depth
	err := q.fleet.depths.Query(ctx, func(rows *sql.Rows) error {
		var d depth
		err := rows.Scan(&d.kind, &d.state, &d.jobs, &d.age)
		found = append(found, d)
		return err
	})
	if err == nil {
		q.counters.depths.Store(&found)
	}
	return err
}
