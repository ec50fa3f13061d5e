package contract

import "time"

// MigrationReportVersion is the value of MigrationReport.ReportVersion that this package describes.
const MigrationReportVersion = 1

// MaxTerminationMessage is how many bytes of a termination message the kubelet keeps. A report that is longer loses
// its oldest applied migrations; the full one is in the log.
const MaxTerminationMessage = 4096

// Exit codes of mirubato-migrate. They say who can mend it: a new image, the person who called, or time.
const (
	ExitOK = 0
	// ExitFailed: a migration was refused by the database or broke a rule; the same files will fail again.
	ExitFailed = 1
	// ExitUsage: flags or files cannot be used as they are.
	ExitUsage = 2
	// ExitUnavailable: the database is not reachable, refuses the credentials, or a lock was not had in time; the same
	// call may succeed later.
	ExitUnavailable = 3
)

// MigrationErrorCode names what stopped a run.
type MigrationErrorCode string

// The codes of MigrationError, with the exit code that goes with each.
const (
	// DatabaseUnreachable: no connection, or it was lost (exit 3).
	DatabaseUnreachable MigrationErrorCode = "DatabaseUnreachable"
	// CredentialsRefused: the server does not accept the user, the password or the database name (exit 3).
	CredentialsRefused MigrationErrorCode = "CredentialsRefused"
	// LockNotAcquired: another run holds the advisory lock, or a statement waited too long for a table (exit 3).
	LockNotAcquired MigrationErrorCode = "LockNotAcquired"
	// Interrupted: the run was told to stop; what was not committed is rolled back (exit 3).
	Interrupted MigrationErrorCode = "Interrupted"
	// InvalidMigrations: the files cannot be read as migrations (exit 2).
	InvalidMigrations MigrationErrorCode = "InvalidMigrations"
	// HistoryChanged: a file that was applied has been edited since (exit 1).
	HistoryChanged MigrationErrorCode = "HistoryChanged"
	// MigrationFailed: the database refused a statement (exit 1).
	MigrationFailed MigrationErrorCode = "MigrationFailed"
	// OwnedByAnother: the database belongs to another Microservice (exit 1).
	OwnedByAnother MigrationErrorCode = "OwnedByAnother"
	// ImageTooOld: a contract migration that the files do not have has removed what they need (exit 1).
	ImageTooOld MigrationErrorCode = "ImageTooOld"
	// ReleaseSkipped: a contract migration that has not been applied stands before what is to be applied; the release that it came
	// with must pass first (exit 1).
	ReleaseSkipped MigrationErrorCode = "ReleaseSkipped"
)

// MigrationReport is what mirubato-migrate prints as its last line of output and leaves as the container's
// termination message. It never holds a connection string or data of a row.
type MigrationReport struct {
	// ReportVersion is MigrationReportVersion.
	ReportVersion int `json:"reportVersion"`
	// From is the schema version found; 0 means that nothing had been applied. -1 if it is not known.
	From int64 `json:"from"`
	// To is the schema version left behind, equal to From when nothing was pending. -1 if it is not known.
	To int64 `json:"to"`
	// Target is the highest version among the files. To is higher when the schema is ahead of the files.
	Target int64 `json:"target"`
	// Applied are the migrations applied by this run, in order.
	Applied []AppliedMigration `json:"applied,omitempty"`
	// Held are the files that were left for the other phase, in order: contract migrations, after a run of phase expand.
	Held []PendingMigration `json:"held,omitempty"`
	// Floor is SchemaState.Floor after the run.
	Floor int64 `json:"floor,omitempty"`
	// Backfills are those declared beside the files that are not done, in the order in which they run.
	Backfills []BackfillState `json:"backfills,omitempty"`
	// InvalidIndexes are the indexes of the database that are not valid after the run: what a build that failed has left.
	InvalidIndexes []string `json:"invalidIndexes,omitempty"`
	// Error is nil when the run succeeded.
	Error *MigrationError `json:"error,omitempty"`
}

// AppliedMigration is one file that a run has applied.
type AppliedMigration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	// Duration is in nanoseconds, waiting for locks included.
	Duration time.Duration `json:"duration"`
}

// MigrationError says why a run stopped.
type MigrationError struct {
	Code MigrationErrorCode `json:"code"`
	// Message is for a person: one sentence, without secrets.
	Message string `json:"message"`
	// Migration is the name of the file at which the run stopped, if it was one.
	Migration string `json:"migration,omitempty"`
	// Line is where in that file, counted from 1; 0 if that is not known.
	Line int `json:"line,omitempty"`
	// SQLState is the five-character code of the database, if it was the database that refused.
	SQLState string `json:"sqlState,omitempty"`
	// Retryable says that the same call may succeed later without a new image.
	Retryable bool `json:"retryable"`
}
