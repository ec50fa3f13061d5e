package contract

import "time"

// RestoreReportVersion is the value of RestoreReport.ReportVersion that this package describes.
const RestoreReportVersion = 1

// RestoreReport is what `mirubato-migrate restore` prints as its last line of output and leaves as termination message. It never holds a
// connection string or data of a row.
type RestoreReport struct {
	// ReportVersion is RestoreReportVersion.
	ReportVersion int `json:"reportVersion"`
	// Backup is the name of the backup, Database that of the database to be made.
	Backup   string `json:"backup"`
	Database string `json:"database"`
	// Restored is true when Database is there under its name, with the rows and the schema that the manifest of the backup tells of. When
	// it is not, no database of that name was made.
	Restored bool `json:"restored"`
	// Started and Finished are when the run began and ended. Taken is the age of what was restored: what was written later is not in it.
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	Taken    time.Time `json:"taken,omitzero"`
	// Size is that of the dump in bytes; TableCount and Rows were compared.
	Size       int64 `json:"size,omitempty"`
	TableCount int   `json:"tableCount"`
	Rows       int64 `json:"rows"`
	// SchemaVersion is the highest migration applied in the backup, 0 for none; Fingerprint as of BackupReport.
	SchemaVersion int64  `json:"schemaVersion"`
	Fingerprint   string `json:"fingerprint,omitempty"`
	// Removed is the name of the database that a run which was killed had left, and this one has removed.
	Removed string `json:"removed,omitempty"`
	// Error is nil when the run succeeded.
	Error *MigrationError `json:"error,omitempty"`
}
