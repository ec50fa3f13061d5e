package contract

// CheckReportVersion is the value of CheckReport.ReportVersion that this package describes.
const CheckReportVersion = 1

// Codes of MigrationError that come from check; those of up come too.
const (
	// PreflightWaiting: the database is not ready for a migration now, and may be in a moment (exit 3).
	PreflightWaiting MigrationErrorCode = "PreflightWaiting"
	// PreflightRefused: server, role or way there cannot take the migrations until somebody mends them (exit 1).
	PreflightRefused MigrationErrorCode = "PreflightRefused"
	// LintBlocked: lint has found what must not be applied (exit 1).
	LintBlocked MigrationErrorCode = "LintBlocked"
)

// CheckReport is what `mirubato-migrate check` prints as its last line of output: what up would do, what speaks against it, and
// what there is to know about the database. It changes nothing. It never holds a connection string or data of a row. The
// termination message lacks findings that do not fit, those that weigh least first.
type CheckReport struct {
	// ReportVersion is CheckReportVersion.
	ReportVersion int `json:"reportVersion"`
	// Passed is true when nothing stands against applying the files of Phase now.
	Passed bool `json:"passed"`
	// Phase is "expand" or "contract", as asked for.
	Phase string `json:"phase"`
	// Schema is where database and files stand.
	Schema SchemaState `json:"schema"`
	// Pending are the files that a run of Phase would apply, in order; Held are those it would leave, for another phase.
	Pending []PendingMigration `json:"pending,omitempty"`
	Held    []PendingMigration `json:"held,omitempty"`
	// Backfills are those declared beside the files, in the order in which they run.
	Backfills []BackfillState `json:"backfills,omitempty"`
	// Fingerprint is that of the schema, see BackupReport.Fingerprint. Empty if it could not be read.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Database says which one was checked.
	Database DatabaseIdentity `json:"database,omitzero"`
	// Preflight are the findings about server, role and other sessions, those that block first.
	Preflight []PreflightFinding `json:"preflight,omitempty"`
	// Lint is what lint says about Pending, with what it knows of the database; nil if there is nothing pending or lint was not asked.
	Lint *LintReport `json:"lint,omitempty"`
	// LeftOut is how many findings a short report lacks.
	LeftOut int `json:"leftOut,omitempty"`
	// Error is nil when Passed is true.
	Error *MigrationError `json:"error,omitempty"`
}

// SchemaState says which releases the schema of a database fits.
type SchemaState struct {
	// Current is the highest version applied, 0 for none; -1 if it is not known.
	Current int64 `json:"current"`
	// Target is the highest version among the files of the image.
	Target int64 `json:"target"`
	// Floor is the highest contract migration applied, 0 for none. It has removed what only earlier releases need, so an image whose
	// Target is below cannot run on this schema: it must not be rolled back to.
	Floor int64 `json:"floor"`
	// FloorMigration is the name of that contract migration.
	FloorMigration string `json:"floorMigration,omitempty"`
	// Minimum is the lowest version on which the image says that it can run, see MinimumSchemaFile; Target if it says nothing.
	Minimum int64 `json:"minimum"`
	// Owner is the lock id of the Microservice to which the database belongs; empty if no one has claimed it.
	Owner string `json:"owner,omitempty"`
}

// Runs says whether an image can run on the schema; if not, why, in a sentence for a person.
func (s SchemaState) Runs() (can bool, reason string) {
	switch {
	case s.Floor > s.Target:
		return false, "the contract migration " + s.FloorMigration + " has removed what this image needs: use one whose files include it"
	case s.Current < s.Minimum:
		return false, "the schema lacks migrations that this image needs"
	}
	return true, ""
}

// MinimumSchemaFile may lie beside the migrations, with the lowest schema version on which the image can run as its only line. Without
// it an image is taken to need all of its expand migrations.
const MinimumSchemaFile = "minimum-schema"

// FingerprintReport is what `mirubato-migrate fingerprint --format json` prints.
type FingerprintReport struct {
	// Fingerprint is that of the schema, see BackupReport.Fingerprint.
	Fingerprint string `json:"fingerprint"`
	// SchemaVersion is the highest migration applied, 0 for none.
	SchemaVersion int64 `json:"schemaVersion"`
}

// DatabaseIdentity tells databases apart. Two environments with the same System and Name share one.
type DatabaseIdentity struct {
	Name string `json:"name,omitempty"`
	// System is the identifier of the PostgreSQL cluster; empty where the role may not ask.
	System string `json:"system,omitempty"`
	// ServerVersion is such as "15.18".
	ServerVersion string `json:"serverVersion,omitempty"`
	// Role is the one that migrates.
	Role string `json:"role,omitempty"`
	// Bytes is the size of the database on disk.
	Bytes int64 `json:"bytes,omitempty"`
}

// PreflightFinding is one thing that was noticed about the database.
type PreflightFinding struct {
	// Rule names what was looked at, such as "old-transaction"; docs/migrations.md lists them.
	Rule string `json:"rule"`
	// Level is as of lint: block, warn or info.
	Level LintLevel `json:"level"`
	// Message says what is the case, Fix what to do about it, in a sentence each for a person.
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
	// Waiting says that it may pass by itself, so that the same check may succeed later.
	Waiting bool `json:"waiting,omitempty"`
}
