package contract

import "time"

// BackfillReportVersion is the value of BackfillReport.ReportVersion that this package describes.
const BackfillReportVersion = 1

// Codes of MigrationError that come from backfills; the others of this type come too.
const (
	// BackfillPending: a contract migration waits for a backfill that is not done (exit 3).
	BackfillPending MigrationErrorCode = "BackfillPending"
	// BackfillPaused: somebody has paused a backfill; it goes on after `backfill --resume` (exit 3).
	BackfillPaused MigrationErrorCode = "BackfillPaused"
	// BackfillIncomplete: all rows were passed and some are still as they were (exit 1).
	BackfillIncomplete MigrationErrorCode = "BackfillIncomplete"
)

// BackfillPhase says where a backfill stands.
type BackfillPhase string

// The values of BackfillState.State.
const (
	// BackfillWaiting: the schema version that it needs has not been applied.
	BackfillWaiting BackfillPhase = "waiting"
	// BackfillReady: it has not begun, and may.
	BackfillReady BackfillPhase = "ready"
	// BackfillStarted: it has begun and is not done; whether a run is at work now is another question.
	BackfillStarted BackfillPhase = "started"
	// BackfillHalted: somebody has paused it.
	BackfillHalted BackfillPhase = "paused"
	// BackfillDone: every row was passed.
	BackfillDone BackfillPhase = "done"
	// BackfillEdited: the file was changed after it was done.
	BackfillEdited BackfillPhase = "edited"
)

// BackfillReport is what `mirubato-migrate backfill` prints as its last line of output and leaves as termination message. It never holds
// data of a row, so it does not say at which key a backfill is.
type BackfillReport struct {
	// ReportVersion is BackfillReportVersion.
	ReportVersion int `json:"reportVersion"`
	// Done is true when nothing is left to do: every backfill declared beside the files is done, also when there are none.
	Done bool `json:"done"`
	// Backfills are those declared beside the files, in the order in which they run.
	Backfills []BackfillState `json:"backfills,omitempty"`
	// Error is nil when the run succeeded.
	Error *MigrationError `json:"error,omitempty"`
}

// BackfillState is where one backfill stands.
type BackfillState struct {
	// Name is that of the file without ".backfill.sql".
	Name  string        `json:"name"`
	State BackfillPhase `json:"state"`
	// After is the schema version that must have been applied before it runs.
	After int64 `json:"after"`
	// Rows is how many rows were passed, Changed how many the statement changed.
	Rows    int64 `json:"rows,omitempty"`
	Changed int64 `json:"changed,omitempty"`
	// Estimate is about how many rows there are, as the server's statistics say; 0 if they do not.
	Estimate int64 `json:"estimate,omitempty"`
	// Remaining is about how long it will take yet, in nanoseconds, at the pace so far; 0 if that cannot be told.
	Remaining time.Duration `json:"remaining,omitempty"`
	StartedAt *time.Time    `json:"startedAt,omitempty"`
	UpdatedAt *time.Time    `json:"updatedAt,omitempty"`
	// FinishedAt is nil until it is done.
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
}
