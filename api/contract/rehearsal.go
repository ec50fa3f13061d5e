package contract

import (
	"cmp"
	"slices"
	"time"
)

// RehearsalReportVersion is the value of RehearsalReport.ReportVersion that this package describes.
const RehearsalReportVersion = 1

// RehearsalMode is what pending migrations are tried on.
type RehearsalMode string

const (
	// RehearsalOnSchema tries them on a copy of the schema with the record of applied migrations and no other rows.
	RehearsalOnSchema RehearsalMode = "Schema"
	// RehearsalOnData tries them on a backup, restored.
	RehearsalOnData RehearsalMode = "Data"
)

// RehearsalReport is what `mirubato-migrate rehearse` prints as its last line of output. The termination message lacks
// statements when they do not fit, the quickest first. It holds no row of the database; it does hold statements of the files.
type RehearsalReport struct {
	// ReportVersion is RehearsalReportVersion.
	ReportVersion int           `json:"reportVersion"`
	Mode          RehearsalMode `json:"mode"`
	// Phase says which migrations were tried: "expand", or "contract". Reports from before contract migrations were rehearsed have none,
	// which means "expand".
	Phase string `json:"phase,omitempty"`
	// Backup is the name of the backup that was tried on, in mode Data.
	Backup string `json:"backup,omitempty"`
	// Passed is true when every pending migration of the phase was applied to the copy that `up` would apply with it.
	Passed bool `json:"passed"`
	// FingerprintBefore is that of the schema that the rehearsal started from, FingerprintAfter that of what it left; see
	// BackupReport.Fingerprint.
	FingerprintBefore string `json:"fingerprintBefore,omitempty"`
	FingerprintAfter  string `json:"fingerprintAfter,omitempty"`
	// DatabaseFingerprint is that of the database which the migrations are meant for, as it was once the copy had been made. Its server has
	// written it, as that of a backup, and not the server of the copy, which may be of a newer version.
	DatabaseFingerprint string `json:"databaseFingerprint,omitempty"`
	// From and To are the schema versions of the copy before and after; -1 if not known.
	From int64 `json:"from"`
	To   int64 `json:"to"`
	// Files are the migrations that were applied to the copy, in order, each with the phase that its file says. On a database on which no
	// release has ever run, phase "expand" applies contract files as well, as `up` does.
	Files []PendingMigration `json:"files,omitempty"`
	// Statements are what the files did, in order.
	Statements []RehearsedStatement `json:"statements,omitempty"`
	// StatementsLeftOut is how many a short report lacks.
	StatementsLeftOut int `json:"statementsLeftOut,omitempty"`
	// Error is nil when the rehearsal passed.
	Error *MigrationError `json:"error,omitempty"`
}

// PendingMigration is one file that has not been applied.
type PendingMigration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	// Phase is "expand" or "contract".
	Phase string `json:"phase"`
	// Checksum is the hex SHA-256 that the database keeps once the file is applied.
	Checksum string `json:"checksum"`
}

// RehearsedStatement is what one statement did to the copy.
type RehearsedStatement struct {
	Migration string `json:"migration"`
	// Statement is its text, cut to 200 bytes.
	Statement string `json:"statement"`
	// Duration is in nanoseconds. Nobody else used the copy, so it holds no waiting.
	Duration time.Duration `json:"duration"`
	// Locks are those on tables and indexes that the statement took and the transaction then kept. A statement outside a
	// transaction gives its locks back before they can be seen, and has none.
	Locks []RehearsedLock `json:"locks,omitempty"`
	// Rewrites are the tables and indexes, there before, whose files were written anew.
	Rewrites []string `json:"rewrites,omitempty"`
}

// RehearsedLock is a lock as pg_locks shows it.
type RehearsedLock struct {
	Relation string `json:"relation"`
	// Mode is such as "AccessExclusiveLock".
	Mode string `json:"mode"`
}

// IsOf reports whether migrations of a phase, "expand" or "contract", were rehearsed.
func (r RehearsalReport) IsOf(phase string) bool { return cmp.Or(r.Phase, phaseExpand) == phase }

// The phases as files and reports say them.
const (
	phaseExpand   = "expand"
	phaseContract = "contract"
)

// Admits says whether the rehearsal proves that `up` may be run, with the phase that was rehearsed, on a database whose schema has this
// fingerprint and on which these files are pending, in their order and of both phases. Those that `up` leaves alone do not count: in phase
// expand what is of phase contract, in phase contract all from the first that is of phase expand. If not admitted, the reason is a sentence
// for a person.
func (r RehearsalReport) Admits(fingerprint string, pending []PendingMigration) (admitted bool, reason string) {
	switch {
	case !r.Passed:
		return false, "the rehearsal did not pass"
	case fingerprint == "" || r.FingerprintBefore != fingerprint:
		return false, "the schema is not the one that was rehearsed on: somebody has changed one of them by other means than migrations"
	case r.IsOf(phaseContract) && len(pending) > 0 && pending[0].Phase == phaseExpand:
		return false, pending[0].Name + " is of phase expand and comes before what was rehearsed"
	}
	rehearsed := r.Files
	for _, f := range r.applies(pending) {
		switch {
		case len(rehearsed) == 0:
			return false, f.Name + " was not rehearsed"
		case rehearsed[0].Version != f.Version:
			return false, rehearsed[0].Name + " was rehearsed where " + f.Name + " is pending"
		case rehearsed[0].Checksum != f.Checksum:
			return false, f.Name + " was edited after it was rehearsed"
		}
		rehearsed = rehearsed[1:]
	}
	if len(rehearsed) > 0 {
		return false, rehearsed[0].Name + " was rehearsed and is not pending"
	}
	return true, ""
}

// applies are those of the pending files that `up` does not leave alone. That it applies a contract file in phase expand, on a new
// database, only the rehearsal can tell.
func (r RehearsalReport) applies(pending []PendingMigration) []PendingMigration {
	var out []PendingMigration
	for _, f := range pending {
		switch {
		case r.IsOf(phaseContract) && f.Phase == phaseExpand:
			return out
		case r.IsOf(phaseExpand) && f.Phase == phaseContract && !r.tried(f.Version):
			continue
		}
		out = append(out, f)
	}
	return out
}

func (r RehearsalReport) tried(version int64) bool {
	return slices.ContainsFunc(r.Files, func(f PendingMigration) bool { return f.Version == version })
}
