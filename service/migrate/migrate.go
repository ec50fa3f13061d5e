package migrate

import (
	"context"
	"database/sql/driver"
	"io/fs"
	"log/slog"
	"time"

	"github.com/mirubato/mirubato/api/contract"
)

// Defaults of Config.
const (
	DefaultLockID               = "mirubato"
	DefaultAdvisoryLockWait     = 30 * time.Second
	DefaultStatementLockTimeout = 2 * time.Second
	DefaultRetries              = 10
)

// Config says what to apply where.
type Config struct {
	// DatabaseURL leads to the database, as a role that may change its schema. It is a secret.
	DatabaseURL string
	// ReadURL, if not nil, returns the URL in place of DatabaseURL, and is asked again for every new connection: the password may change
	// while a run is at work. Its error must not hold the URL.
	ReadURL func() (string, error)
	// Phase says which files Up applies; empty means Expand.
	Phase Phase
	// Files holds the migrations at its top.
	Files fs.FS
	// LockID is hashed into the key of the advisory lock; runs that share a database must agree on it. Empty means
	// DefaultLockID.
	LockID string
	// AdvisoryLockWait is how long to wait for another run. Zero means the default, a negative value one attempt.
	AdvisoryLockWait time.Duration
	// StatementLockTimeout is how long a statement of a transactional file may wait for a table while everybody else
	// queues behind it. Zero means the default.
	StatementLockTimeout time.Duration
	// Retries is how often a file is tried again after it waited too long or was the victim of a deadlock. Zero means
	// the default, a negative value none.
	Retries int
	// RetryPause is the pause before the first retry; it doubles up to twenty times itself. Zero means half a second.
	RetryPause time.Duration
	// Wrap, if not nil, is put around the connections that apply a file, so that its statements can be watched.
	Wrap func(migration string, c driver.Connector) driver.Connector
	// Log gets one record for each thing that happens. Nil means none.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.LockID == "" {
		c.LockID = DefaultLockID
	}
	if c.AdvisoryLockWait == 0 {
		c.AdvisoryLockWait = DefaultAdvisoryLockWait
	}
	if c.StatementLockTimeout <= 0 {
		c.StatementLockTimeout = DefaultStatementLockTimeout
	}
	if c.Retries == 0 {
		c.Retries = DefaultRetries
	}
	if c.RetryPause <= 0 {
		c.RetryPause = 500 * time.Millisecond
	}
	if c.Phase == "" {
		c.Phase = Expand
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Latest returns the highest version among the files, or an Error if any of them cannot be used.
func Latest(files fs.FS) (int64, error) {
	all, err := load(files)
	if err != nil {
		return 0, err
	}
	return all[len(all)-1].version, nil
}

// Describe returns what is recorded when the migration called name is applied. The checksum is the hex SHA-256 of its content with LF line
// ends, without the lines that acknowledge findings of lint.
func Describe(files fs.FS, name string) (contract.PendingMigration, error) {
	f, err := readFile(files, name)
	if err != nil {
		return contract.PendingMigration{}, invalid(name, err)
	}
	return describeFiles([]file{f})[0], nil
}

// Up applies every file of cfg.Phase that has not been applied. In phase Expand it stops before the first contract file; in phase Contract
// before the first expand file, and it is for the caller to know that no older release is running. It may be called by any number of processes at once: one works, the others wait and then find nothing to do. It is safe to call again
// after any failure.
//
// The report is complete also when the error, always an *Error, is not nil. When ctx ends, the running statement is
// cancelled and rolled back.
func Up(ctx context.Context, cfg Config) (contract.MigrationReport, error) {
	r := runner{Config: cfg.withDefaults(), report: NewReport(nil)}
	if err := r.run(ctx); err != nil {
		failure := classify(ctx, err)
		failure.Message = r.target.redact(failure.Message)
		r.report.Error = &failure.MigrationError
		return r.report, failure
	}
	return r.report, nil
}

// NewReport is the report of a run that has come to know nothing about the database; failure may be nil.
func NewReport(failure *Error) contract.MigrationReport {
	report := contract.MigrationReport{ReportVersion: contract.MigrationReportVersion, From: -1, To: -1}
	if failure != nil {
		report.Error = &failure.MigrationError
	}
	return report
}

// runner is one call of Up.
type runner struct {
	Config
	target target
	lock   *lock
	fills  *sweeper
	// begun is state.attempt, and then the version of the index build that this run has begun.
	begun  int64
	report contract.MigrationReport
}

func (r *runner) run(ctx context.Context) error {
	files, backfills, err := loadAll(r.Files)
	if err != nil {
		return err
	}
	r.report.Target = files[len(files)-1].version
	if r.target, err = newTarget(r.Config); err != nil {
		return err
	}
	if r.lock, err = acquire(ctx, r.target, r.LockID, r.AdvisoryLockWait, r.StatementLockTimeout); err != nil {
		return err
	}
	defer r.lock.release(ctx)
	s, err := readState(ctx, r.lock.conn)
	if err != nil {
		return err
	}
	r.report.From, r.report.To, r.report.Floor = s.history.current(), s.history.current(), s.history.floor().version
	if err := checkOwner(s.owner, r.LockID); err != nil {
		return err
	}
	p, err := newPlan(files, backfills, s, r.Phase)
	if err != nil {
		return err
	}
	r.report.Held, r.begun = describeFiles(p.held), s.attempt
	if err := r.prepare(ctx, p, s); err != nil {
		return err
	}
	r.fills = &sweeper{Config: r.Config, target: r.target, files: files, backfills: backfills}
	if err := r.execute(ctx, p); err != nil {
		return err
	}
	return r.describeBackfills(ctx)
}

// describeBackfills reports those that are not done now.
func (r *runner) describeBackfills(ctx context.Context) error {
	s, err := readState(ctx, r.lock.conn)
	if err != nil {
		return err
	}
	for _, b := range describeBackfills(r.fills.backfills, r.fills.files, s, time.Now()) {
		if b.State != contract.BackfillDone {
			r.report.Backfills = append(r.report.Backfills, b)
		}
	}
	return nil
}

// prepare writes what has to be in the database before the first file is applied, if anything.
func (r *runner) prepare(ctx context.Context, p plan, s state) error {
	claims := s.owner == "" && r.LockID != DefaultLockID
	if len(p.pending)+len(p.adopted) > 0 || claims {
		if err := prepareTables(ctx, r.lock.conn, p.initial); err != nil {
			return err
		}
	}
	if claims {
		if err := claim(ctx, r.lock.conn, r.LockID); err != nil {
			return err
		}
	}
	for _, f := range p.adopted {
		r.Log.WarnContext(ctx, "adopting a migration that was applied without a complete record", "migration", f.name)
		if err := adopt(ctx, r.lock.conn, f); err != nil {
			return err
		}
		if f.phase == Contract {
			r.report.Floor = max(r.report.Floor, f.version)
		}
	}
	return nil
}

func (r *runner) execute(ctx context.Context, p plan) error {
	r.Log.InfoContext(ctx, "planning migrations", "phase", string(r.Phase), "from", r.report.From, "target", r.report.Target,
		"pending", len(p.pending), "held", len(p.held))
	for _, f := range p.pending {
		if err := r.fillBefore(ctx, f); err != nil {
			return err
		}
		if err := r.apply(ctx, f); err != nil {
			r.recheck(ctx)
			return err
		}
	}
	for _, f := range p.held {
		r.Log.InfoContext(ctx, "leaving a migration for a run of its phase", "migration", f.name, "phase", string(f.phase))
	}
	return r.lookForInvalidIndexes(ctx, r.lock.conn)
}

// fillBefore does the backfills that a contract file waits for, on a database that began empty. On any other newPlan has made sure that
// they are done.
func (r *runner) fillBefore(ctx context.Context, f file) error {
	for _, b := range r.fills.backfills {
		if !waitsFor(f, b.name) {
			continue
		}
		s, err := readState(ctx, r.lock.conn)
		if err != nil {
			return err
		}
		if phaseOf(b, s.backfills[b.name], r.fills.files, s.history) == contract.BackfillDone {
			continue
		}
		if err := r.fills.fill(ctx, b, r.lock); err != nil {
			return err
		}
	}
	return nil
}

// lookForInvalidIndexes makes sure that what a failed build has left, of whichever run, is told of.
func (r *runner) lookForInvalidIndexes(ctx context.Context, db querier) error {
	invalid, err := listInvalidIndexes(ctx, db)
	if err != nil {
		return &databaseError{act: "looking for invalid indexes", cause: err}
	}
	for _, name := range invalid {
		r.Log.WarnContext(ctx, "finding an invalid index: it costs every write and serves no read", "index", name)
	}
	r.report.InvalidIndexes = invalid
	return nil
}

// apply applies one file, again if it only waited too long for a lock, and adds it to the report.
func (r *runner) apply(ctx context.Context, f file) error {
	start := time.Now()
	r.Log.InfoContext(ctx, "applying migration", "migration", f.name)
	for attempt := 0; ; attempt++ {
		// Before every attempt: the connection that holds the lock may have broken while the other one worked.
		if err := r.lock.verify(ctx); err != nil {
			return err
		}
		err := r.attempt(ctx, f)
		if err == nil {
			break
		}
		if ctx.Err() != nil || !mayRetry(err) || attempt >= r.Retries {
			return err
		}
		pause := jitter(min(r.RetryPause<<min(attempt, 10), 20*r.RetryPause))
		r.Log.WarnContext(ctx, "retrying a migration that was kept from a lock", "migration", f.name, "attempt", attempt+1,
			"pause", pause.String(), "error", r.target.redact(classify(ctx, err).Message))
		if err := sleep(ctx, pause); err != nil {
			return &databaseError{act: "waiting to try it again", migration: f.name, cause: err}
		}
	}
	took := time.Since(start)
	r.report.To = f.version
	if f.phase == Contract {
		r.report.Floor = f.version
	}
	r.report.Applied = append(r.report.Applied, contract.AppliedMigration{Version: f.version, Name: f.name, Duration: took})
	r.Log.InfoContext(ctx, "finishing migration", "migration", f.name, "duration", took.String())
	return nil
}

// recheck reports what a failed run has left behind. Of a run that was cut off in a commit nobody knows but the database, so it is asked
// by a new connection; the version is -1 if it does not answer.
func (r *runner) recheck(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releasePatience)
	defer cancel()
	db := r.target.open(r.StatementLockTimeout)
	defer func() { _ = db.Close() }()
	h, err := readHistory(ctx, db)
	if err != nil {
		r.report.To = -1
		return
	}
	r.report.To, r.report.Floor = h.current(), h.floor().version
	if err := r.lookForInvalidIndexes(ctx, db); err != nil {
		r.Log.WarnContext(ctx, "looking for invalid indexes was refused", "error", r.target.redact(err.Error()))
	}
}
