package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/mirubato/mirubato/api/contract"
)

// backfillTable says how far each backfill has come. A row is written in the transaction of each batch.
const backfillTable = "public.mirubato_backfills"

const createBackfillTable = "CREATE TABLE IF NOT EXISTS " + backfillTable + ` (
	name text PRIMARY KEY,
	checksum text NOT NULL,
	last_key text[],
	passed bigint NOT NULL DEFAULT 0,
	changed bigint NOT NULL DEFAULT 0,
	estimate bigint NOT NULL DEFAULT 0,
	sweeps integer NOT NULL DEFAULT 0,
	paused boolean NOT NULL DEFAULT false,
	started_at timestamptz,
	updated_at timestamptz,
	finished_at timestamptz
)`

// progress is a row of backfillTable; the zero value is a backfill that nobody has heard of.
type progress struct {
	checksum                   string
	lastKey                    []string
	passed, changed, estimate  int64
	sweeps                     int
	paused                     bool
	started, updated, finished time.Time
}

const progressColumns = "checksum, last_key, passed, changed, estimate, sweeps, paused, started_at, updated_at, finished_at"

func (p *progress) scan(row interface{ Scan(...any) error }, first ...any) error {
	var started, updated, finished sql.NullTime
	err := row.Scan(append(first, &p.checksum, pq.Array(&p.lastKey), &p.passed, &p.changed, &p.estimate, &p.sweeps, &p.paused, &started, &updated, &finished)...)
	p.started, p.updated, p.finished = started.Time, updated.Time, finished.Time
	return err
}

// readBackfills returns what is known of each backfill, by name.
func readBackfills(ctx context.Context, db querier) (all map[string]progress, err error) {
	var there bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", backfillTable).Scan(&there); err != nil || !there {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, "SELECT name, "+progressColumns+" FROM "+backfillTable)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all = map[string]progress{}
	for rows.Next() {
		var (
			name string
			p    progress
		)
		if err := p.scan(rows, &name); err != nil {
			return nil, err
		}
		all[name] = p
	}
	return all, rows.Err()
}

// describeBackfills says where each stands, in the order in which they run.
func describeBackfills(backfills []backfill, files []file, s state, now time.Time) []contract.BackfillState {
	var all []contract.BackfillState
	for _, b := range backfills {
		p := s.backfills[b.name]
		d := contract.BackfillState{
			Name: b.name, State: phaseOf(b, p, files, s.history), After: b.after, Rows: p.passed, Changed: p.changed, Estimate: p.estimate,
			StartedAt: moment(p.started), UpdatedAt: moment(p.updated), FinishedAt: moment(p.finished),
		}
		if d.State == contract.BackfillStarted {
			d.Remaining = p.left(now)
		}
		all = append(all, d)
	}
	return all
}

func phaseOf(b backfill, p progress, files []file, h history) contract.BackfillPhase {
	_, may := h[b.after]
	switch {
	case !p.finished.IsZero() && p.checksum != b.checksum:
		return contract.BackfillEdited
	case !p.finished.IsZero(), outlived(b, files, h):
		return contract.BackfillDone
	case p.paused:
		return contract.BackfillHalted
	case !may:
		return contract.BackfillWaiting
	case p.started.IsZero():
		return contract.BackfillReady
	}
	return contract.BackfillStarted
}

// outlived is a backfill whose contract migration was applied: what it reads may be gone.
func outlived(b backfill, files []file, h history) bool {
	for _, f := range files {
		if _, applied := h[f.version]; applied && waitsFor(f, b.name) {
			return true
		}
	}
	return false
}

// left is about how long it will take yet, at the pace so far; 0 if that cannot be told.
func (p progress) left(now time.Time) time.Duration {
	if p.started.IsZero() || p.passed == 0 || p.estimate <= p.passed {
		return 0
	}
	elapsed := now.Sub(p.started)
	return time.Duration(float64(elapsed) / float64(p.passed) * float64(p.estimate-p.passed)).Round(time.Second)
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	utc := t.UTC()
	return &utc
}

// begin makes the row of a backfill, or starts over if its file has changed since: what it does to a row must not matter twice anyway.
func (b backfill) begin(ctx context.Context, db *sql.DB, estimate int64) error {
	const statement = "INSERT INTO " + backfillTable + " AS known (name, checksum, estimate, started_at, updated_at) VALUES ($1, $2, $3, now(), now()) " +
		"ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, estimate = excluded.estimate, started_at = now(), updated_at = now(), " +
		"last_key = NULL, passed = 0, changed = 0, sweeps = 0 " +
		"WHERE known.started_at IS NULL OR known.checksum <> excluded.checksum AND known.finished_at IS NULL"
	_, err := db.ExecContext(ctx, statement, b.name, b.checksum, estimate)
	return err
}

// setPaused pauses a backfill or lets it go on, whether or not it has begun. The run that is at work notices before its next batch.
func (b backfill) setPaused(ctx context.Context, db *sql.DB, paused bool) error {
	const statement = "INSERT INTO " + backfillTable + " (name, checksum, paused) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET paused = excluded.paused"
	_, err := db.ExecContext(ctx, statement, b.name, b.checksum, paused)
	return err
}

func (b backfill) failure(cause error) error {
	return &databaseError{act: "running it", migration: b.name + backfillSuffix, cause: cause}
}

// refused is failure for what the database says about the statement of the declaration, sent as query.
func (b backfill) refused(query string, cause error) error {
	line := 0
	if err, ok := errors.AsType[*pq.Error](cause); ok {
		// What the engine has put before it is one line.
		line = b.line + linesBefore(query, err.Position)
	}
	return &databaseError{act: "running it", migration: b.name + backfillSuffix, line: line, cause: cause}
}

func (b backfill) refusal(code contract.MigrationErrorCode, format string, args ...any) error {
	return newError(code, b.name+backfillSuffix, fmt.Sprintf(format, args...), nil)
}
