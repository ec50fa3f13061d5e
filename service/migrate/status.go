package migrate

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/mirubato/mirubato/api/contract"
)

// State says where one migration stands.
type State string

// The states of a MigrationStatus.
const (
	// Applied: the file is in the database as it is here.
	Applied State = "applied"
	// Pending: the next Up applies it.
	Pending State = "pending"
	// Held: a contract file that Up leaves alone.
	Held State = "held"
	// Edited: the file is not what was applied.
	Edited State = "edited"
	// OutOfOrder: not applied although a later one was.
	OutOfOrder State = "outOfOrder"
	// Newer: applied by a newer release; there is no such file here, and need not be.
	Newer State = "newer"
	// Missing: applied, below the highest file, and not among the files.
	Missing State = "missing"
)

// Status compares files and database.
type Status struct {
	contract.SchemaState
	// Runs is whether the image with these files can run on the schema; if not, Reason says why, for a person.
	Runs   bool   `json:"runs"`
	Reason string `json:"reason,omitempty"`
	// Migrations are all that the files or the database know, by version.
	Migrations []MigrationStatus `json:"migrations"`
	// Backfills are those declared beside the files, in the order in which they run.
	Backfills []contract.BackfillState `json:"backfills,omitempty"`
}

// MigrationStatus is one migration.
type MigrationStatus struct {
	Version int64 `json:"version"`
	// Name is empty for one that was applied by something else and has no file here.
	Name string `json:"name,omitempty"`
	// Phase is empty where neither a file nor the record says it.
	Phase Phase `json:"phase,omitempty"`
	State State `json:"state"`
	// AppliedAt is nil if it has not been applied, or by something else that kept no time.
	AppliedAt *time.Time `json:"appliedAt,omitempty"`
}

// ReadStatus changes nothing and takes no lock. Of cfg it uses DatabaseURL, ReadURL and Files. Its error is an *Error.
func ReadStatus(ctx context.Context, cfg Config) (Status, error) {
	files, backfills, err := loadAll(cfg.Files)
	if err != nil {
		return Status{}, classify(ctx, err)
	}
	minimum, err := readMinimum(cfg.Files, files)
	if err != nil {
		return Status{}, classify(ctx, err)
	}
	t, err := newTarget(cfg)
	if err != nil {
		return Status{}, classify(ctx, err)
	}
	s, err := t.state(ctx)
	if err != nil {
		failure := classify(ctx, err)
		failure.Message = t.redact(failure.Message)
		return Status{}, failure
	}
	status := newStatus(files, s, minimum)
	status.Backfills = describeBackfills(backfills, files, s, time.Now())
	return status, nil
}

func (t target) state(ctx context.Context) (state, error) {
	db := t.open(DefaultStatementLockTimeout)
	defer func() { _ = db.Close() }()
	if err := db.PingContext(ctx); err != nil {
		return state{}, &databaseError{act: t.act(), cause: err}
	}
	return readState(ctx, db)
}

func newStatus(files []file, in state, minimum int64) Status {
	h := in.history
	s := Status{SchemaState: schemaState(in, files, minimum), Migrations: []MigrationStatus{}}
	s.Runs, s.Reason = s.SchemaState.Runs()
	unknown := make(map[int64]bool, len(h))
	for version := range h {
		unknown[version] = true
	}
	for _, f := range files {
		delete(unknown, f.version)
		r, applied := h[f.version]
		s.Migrations = append(s.Migrations, MigrationStatus{
			Version: f.version, Name: f.name, Phase: f.phase, State: stateOf(f, r, applied, s.Current), AppliedAt: r.at(),
		})
	}
	for version := range unknown {
		state := Newer
		if version < s.Target {
			state = Missing
		}
		r := h[version]
		s.Migrations = append(s.Migrations, MigrationStatus{Version: version, Name: r.name, Phase: r.phase, State: state, AppliedAt: r.at()})
	}
	slices.SortFunc(s.Migrations, func(a, b MigrationStatus) int { return cmp.Compare(a.Version, b.Version) })
	return s
}

func stateOf(f file, r record, applied bool, current int64) State {
	switch {
	case applied && r.checksum != "" && r.checksum != f.checksum:
		return Edited
	case applied:
		return Applied
	case f.version < current:
		return OutOfOrder
	case f.phase == Contract:
		return Held
	}
	return Pending
}

func (r record) at() *time.Time {
	if r.appliedAt.IsZero() {
		return nil
	}
	at := r.appliedAt.UTC()
	return &at
}
