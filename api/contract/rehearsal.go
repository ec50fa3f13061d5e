package contract

import (
	"fmt"
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
	// Backup is the name of the backup that was tried on, in mode Data.
	Backup string `json:"backup,omitempty"`
	// Passed is true when every pending expand migration was applied to the copy.
	Passed bool `json:"passed"`
	// FingerprintBefore is that of the schema that the rehearsal started from, FingerprintAfter that of what it left; hex
	// SHA-256. Two databases with the same schema have the same one.
	FingerprintBefore string `json:"fingerprintBefore,omitempty"`
	FingerprintAfter  string `json:"fingerprintAfter,omitempty"`
	// From and To are the schema versions of the copy before and after; -1 if not known.
	From int64 `json:"from"`
	To   int64 `json:"to"`
	// Files are the migrations that were applied to the copy, in order.
	Files []RehearsedFile `json:"files,omitempty"`
	// Statements are what the files did, in order.
	Statements []RehearsedStatement `json:"statements,omitempty"`
	// StatementsLeftOut is how many a short report lacks.
	StatementsLeftOut int `json:"statementsLeftOut,omitempty"`
	// Error is nil when the rehearsal passed.
	Error *MigrationError `json:"error,omitempty"`
}

// RehearsedFile is one migration that was tried.
type RehearsedFile struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	// SHA256 is the hex checksum of the content with LF line ends, as recorded when the migration is applied.
	SHA256 string `json:"sha256"`
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

// Admits says whether the rehearsal proves that files may be applied to a database whose schema has the fingerprint; files are
// what is pending there, in order. If not, the reason is a sentence for a person.
func (r RehearsalReport) Admits(fingerprint string, files []RehearsedFile) (admitted bool, reason string) {
	switch {
	case !r.Passed:
		return false, "the rehearsal did not pass"
	case fingerprint == "" || r.FingerprintBefore != fingerprint:
		return false, "the schema is not the one that was rehearsed on: somebody has changed one of them by other means than migrations"
	}
	for i, f := range files {
		switch {
		case i >= len(r.Files):
			return false, fmt.Sprintf("%s was not rehearsed", f.Name)
		case r.Files[i].Version != f.Version:
			return false, fmt.Sprintf("%s was rehearsed where %s is pending", r.Files[i].Name, f.Name)
		case r.Files[i].SHA256 != f.SHA256:
			return false, fmt.Sprintf("%s was edited after it was rehearsed", f.Name)
		}
	}
	if len(files) < len(r.Files) {
		return false, fmt.Sprintf("%s was rehearsed and is not pending", r.Files[len(files)].Name)
	}
	return true, ""
}
