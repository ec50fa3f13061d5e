package migrate

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mirubato/mirubato/api/contract"
)

const (
	// holdPause is how long a backfill waits before it looks again whether standbys and other sessions have caught up.
	holdPause = time.Second
	// maxSweeps is how often a backfill passes over all rows as long as some remain.
	maxSweeps = 3
	// firstBatch is the size of the first batch, if the declaration allows for it: nobody knows yet how long a row takes.
	firstBatch = 100
	// countable is up to which size of a table in bytes its rows are counted where the statistics say nothing.
	countable = 100 << 20
)

// Backfill runs the backfills declared beside the files that are not done, one after the other, with a lock of its own: the migrations of
// the next release need not wait for it. It may be called by any number of processes at once, and again after any failure; it goes on
// after the last batch. The report is complete also when the error, always an *Error, is not nil.
func Backfill(ctx context.Context, cfg Config) (contract.BackfillReport, error) {
	return withBackfills(ctx, cfg, (*sweeper).run)
}

// PauseBackfill keeps a backfill from going on, or lets it, after the batch that is at work.
func PauseBackfill(ctx context.Context, cfg Config, name string, paused bool) (contract.BackfillReport, error) {
	return withBackfills(ctx, cfg, func(s *sweeper, ctx context.Context) error { return s.setPaused(ctx, name, paused) })
}

// NewBackfillReport is the report of a run that has come to know nothing; failure may be nil.
func NewBackfillReport(failure *Error) contract.BackfillReport {
	report := contract.BackfillReport{ReportVersion: contract.BackfillReportVersion}
	if failure != nil {
		report.Error = &failure.MigrationError
	}
	return report
}

// sweeper is one call of Backfill.
type sweeper struct {
	Config
	target    target
	files     []file
	backfills []backfill
	report    contract.BackfillReport
}

func withBackfills(ctx context.Context, cfg Config, do func(*sweeper, context.Context) error) (contract.BackfillReport, error) {
	s := &sweeper{Config: cfg.withDefaults(), report: NewBackfillReport(nil)}
	err := s.open()
	if err == nil {
		err = do(s, ctx)
		s.describe(ctx)
	}
	if err != nil {
		failure := classify(ctx, err)
		failure.Message = s.target.redact(failure.Message)
		s.report.Done, s.report.Error = false, &failure.MigrationError
		return s.report, failure
	}
	return s.report, nil
}

func (s *sweeper) open() (err error) {
	if s.files, s.backfills, err = loadAll(s.Files); err != nil {
		return err
	}
	s.target, err = newTarget(s.Config)
	return err
}

// describe completes the report, as far as the database answers.
func (s *sweeper) describe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releasePatience)
	defer cancel()
	now, err := s.target.state(ctx)
	if err != nil {
		return
	}
	s.report.Backfills = describeBackfills(s.backfills, s.files, now, time.Now())
	s.report.Done = allDone(s.report.Backfills)
}

func allDone(all []contract.BackfillState) bool {
	for _, b := range all {
		if b.State != contract.BackfillDone {
			return false
		}
	}
	return true
}

// setPaused needs the tables, which are there once a migration was applied.
func (s *sweeper) setPaused(ctx context.Context, name string, paused bool) error {
	for _, b := range s.backfills {
		if b.name != name {
			continue
		}
		now, err := s.target.state(ctx)
		if err != nil {
			return err
		}
		if err := checkOwner(now.owner, s.LockID); err != nil {
			return err
		}
		if now.backfills == nil {
			return b.refusal(contract.BackfillPending, "nothing was applied to this database yet")
		}
		db := s.target.open(s.StatementLockTimeout)
		defer func() { _ = db.Close() }()
		if err := b.setPaused(ctx, db, paused); err != nil {
			return b.failure(err)
		}
		return nil
	}
	return newError(contract.InvalidMigrations, name+backfillSuffix, "there is no such backfill beside the files", nil)
}

func (s *sweeper) run(ctx context.Context) error {
	if len(s.backfills) == 0 {
		return nil
	}
	l, err := acquire(ctx, s.target, s.LockID+"/backfill", s.AdvisoryLockWait, s.StatementLockTimeout)
	if err != nil {
		return err
	}
	defer l.release(ctx)
	now, err := readState(ctx, l.conn)
	if err != nil {
		return err
	}
	if err := checkOwner(now.owner, s.LockID); err != nil {
		return err
	}
	if now.backfills == nil {
		if err := prepareTables(ctx, l.conn, now.initial); err != nil {
			return err
		}
	}
	for _, b := range s.backfills {
		at := phaseOf(b, now.backfills[b.name], s.files, now.history)
		if at == contract.BackfillDone {
			continue
		}
		if err := b.mayRun(at); err != nil {
			return err
		}
		if err := s.fill(ctx, b, l); err != nil {
			return err
		}
	}
	return nil
}

// mayRun says why one that is not done cannot run now.
func (b backfill) mayRun(at contract.BackfillPhase) error {
	switch at {
	case contract.BackfillEdited:
		return b.refusal(contract.HistoryChanged, "it was edited after it was done: put it back as it was, and declare the change under a new name")
	case contract.BackfillWaiting:
		return b.refusal(contract.BackfillPending, "it needs the schema version %d, which has not been applied: run `mirubato-migrate up` first", b.after)
	case contract.BackfillHalted:
		return b.paused()
	}
	return nil
}

// fill runs one backfill to its end. The lock may be nil.
func (s *sweeper) fill(ctx context.Context, b backfill, l *lock) error {
	db := s.target.open(s.StatementLockTimeout)
	defer func() { _ = db.Close() }()
	k, err := b.readKeyset(ctx, db)
	if err != nil {
		return b.failure(err)
	}
	if err := b.begin(ctx, db, estimate(ctx, db, b.table)); err != nil {
		return b.failure(err)
	}
	s.Log.InfoContext(ctx, "running a backfill", "backfill", b.name)
	for {
		again, err := s.sweep(ctx, b, db, k, l)
		if err != nil || !again {
			return err
		}
	}
}

func (b backfill) paused() error {
	return b.refusal(contract.BackfillPaused, "it was paused: `mirubato-migrate backfill --resume %s` lets it go on", b.name)
}

// estimate is about how many rows a table has; 0 where nobody knows.
func estimate(ctx context.Context, db *sql.DB, table string) (rows int64) {
	var bytes int64
	const query = "SELECT reltuples::bigint, pg_table_size(oid) FROM pg_class WHERE oid = to_regclass($1)"
	if err := db.QueryRowContext(ctx, query, table).Scan(&rows, &bytes); err != nil {
		return 0
	}
	if rows <= 0 && bytes < countable {
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&rows); err != nil {
			return 0
		}
	}
	return max(0, rows)
}

// sweep passes over all rows that there are when it begins, from where the last run has ended. When some remain at the end, it says that
// it has to be done again.
func (s *sweeper) sweep(ctx context.Context, b backfill, db *sql.DB, k keyset, l *lock) (again bool, err error) {
	if k, err = k.bounded(ctx, db); err != nil {
		return false, b.failure(err)
	}
	size, said := min(firstBatch, b.batch), time.Now()
	for {
		if err := s.holdUp(ctx, b, db); err != nil {
			return false, err
		}
		if l != nil {
			if err := l.verify(ctx); err != nil {
				return false, err
			}
		}
		started := time.Now()
		r, err := s.tryBatch(ctx, b, db, k, &size)
		switch {
		case err != nil:
			return false, err
		case r.paused:
			return false, b.paused()
		case r.rows == 0:
			return b.finish(ctx, db, r.progress.sweeps+1)
		}
		size = nextSize(size, b.batch, time.Since(started), b.batchTime)
		if time.Since(said) >= progressInterval {
			said = time.Now()
			s.Log.InfoContext(ctx, "running a backfill still", "backfill", b.name, "rows", r.progress.passed, "of", r.progress.estimate,
				"remaining", r.progress.left(said).String(), "batch", size)
		}
		if err := sleep(ctx, b.pause); err != nil {
			return false, b.failure(err)
		}
	}
}

// tryBatch is runBatch, again with fewer rows if it only waited too long for a lock.
func (s *sweeper) tryBatch(ctx context.Context, b backfill, db *sql.DB, k keyset, size *int) (batchResult, error) {
	for attempt := 0; ; attempt++ {
		r, err := b.runBatch(ctx, db, k, *size)
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil || !mayRetry(err) || attempt >= s.Retries {
			if at, ok := errors.AsType[*databaseError](err); ok {
				return r, at
			}
			return r, b.failure(err)
		}
		*size = max(1, *size/2)
		pause := jitter(min(s.RetryPause<<min(attempt, 10), 20*s.RetryPause))
		s.Log.WarnContext(ctx, "retrying a batch that was kept from a lock", "backfill", b.name, "attempt", attempt+1, "pause", pause.String())
		if err := sleep(ctx, pause); err != nil {
			return r, b.failure(err)
		}
	}
}

// holdUp waits while standbys are too far behind or too many sessions wait for locks.
func (s *sweeper) holdUp(ctx context.Context, b backfill, db *sql.DB) error {
	for said := false; ; said = true {
		var (
			lag   float64
			waits int
		)
		// Lag is seen with pg_monitor only; without it there seems to be none.
		err := db.QueryRowContext(ctx, `SELECT (SELECT coalesce(max(extract(epoch FROM replay_lag)), 0) FROM pg_stat_replication),
			(SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database()))`).Scan(&lag, &waits)
		if err != nil {
			return b.failure(err)
		}
		behind := time.Duration(lag * float64(time.Second))
		if behind <= b.maxLag && waits <= b.maxWaits {
			return nil
		}
		if !said {
			s.Log.InfoContext(ctx, "holding a backfill up until others have caught up", "backfill", b.name, "lag", behind.String(), "waiting", waits)
		}
		if err := sleep(ctx, holdPause); err != nil {
			return b.failure(err)
		}
	}
}

// finish says that all rows were passed, unless some are as they were: then they are passed once more.
func (b backfill) finish(ctx context.Context, db *sql.DB, sweeps int) (again bool, err error) {
	var remain int64
	if b.remaining != "" {
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM "+b.table+" WHERE ("+b.remaining+")").Scan(&remain); err != nil {
			return false, b.failure(err)
		}
	}
	statement := "UPDATE " + backfillTable + " SET sweeps = $2, finished_at = now(), updated_at = now() WHERE name = $1"
	if remain > 0 {
		statement = "UPDATE " + backfillTable + " SET sweeps = $2, last_key = NULL, passed = 0, updated_at = now() WHERE name = $1"
	}
	if remain > 0 && sweeps >= maxSweeps {
		sweeps = 0 // the next run has as many again
	}
	if _, err := db.ExecContext(ctx, statement, b.name, sweeps); err != nil {
		return false, b.failure(err)
	}
	if remain > 0 && sweeps == 0 {
		return false, b.refusal(contract.BackfillIncomplete, "all rows were passed %d times, and for %d of them '%s' still holds: "+
			"the statement does not change them, or something writes such rows: let new rows be written complete, by a trigger or the service, before the backfill",
			maxSweeps, remain, b.remaining)
	}
	return remain > 0, nil
}

// FitBackfillReport encodes a report in at most limit bytes. A longer one loses the backfills that run last, and then the end of its message.
func FitBackfillReport(report contract.BackfillReport, limit int) ([]byte, error) {
	for {
		line, err := json.Marshal(report)
		if err != nil {
			return nil, fmt.Errorf("encoding the report: %w", err)
		}
		switch {
		case len(line) <= limit:
			return line, nil
		case len(report.Backfills) > 1:
			report.Backfills = report.Backfills[:len(report.Backfills)-1]
		case report.Error != nil && report.Error.Message != "":
			shorter := *report.Error
			shorter.Message = cut(shorter.Message, 1+len(shorter.Message)/4)
			report.Error = &shorter
		default:
			return nil, fmt.Errorf("a report cannot be cut to %d bytes", limit)
		}
	}
}
