package contract

import "time"

// BackupReportVersion is the value of BackupReport.ReportVersion that this package describes.
const BackupReportVersion = 1

// BackupMethod is how a backup was made.
type BackupMethod string

const (
	// BackupByDump is what `mirubato-migrate backup` makes: a logical dump, restored and compared before it counts. The
	// operator may write reports of other methods; Name and Location then lead to the object that holds the backup.
	BackupByDump BackupMethod = "Dump"
)

// Where a backup Job finds things. Both directories must be writable, and that for the scratch server may be shared by nothing else while
// it runs.
const (
	// EnvBackupDir is the directory in which backups lie, one directory each, or the URL of a bucket as in EnvStorage; it is the default
	// of --location. Credentials of a bucket are found as those of EnvStorage are.
	EnvBackupDir = "BACKUP_DIR"
	// BackupDir is where the volume of backups is mounted, the value of EnvBackupDir in a Job.
	BackupDir = "/backups"
	// EnvScratchDir is the directory for the scratch server, which needs about the size of the database, and is emptied
	// afterwards. Without it TMPDIR is used.
	EnvScratchDir = "SCRATCH_DIR"
	// ScratchDir is where an empty directory is mounted for the scratch server, the value of EnvScratchDir in a Job.
	ScratchDir = "/scratch"
)

// Codes of MigrationError that come from backup, restore and rehearse; the others of this type come too.
const (
	// BackupFailed: the database could not be dumped or the dump not restored; the message says why (exit 1).
	BackupFailed MigrationErrorCode = "BackupFailed"
	// BackupDiffers: the dump was restored and is not equal to what was dumped, or is not what its manifest says (exit 1).
	BackupDiffers MigrationErrorCode = "BackupDiffers"
	// ServerTooNew: the server is newer than the tools of the image, so it takes a newer image (exit 2).
	ServerTooNew MigrationErrorCode = "ServerTooNew"
	// StorageUnavailable: the directory of backups or the scratch directory is full or cannot be written, or the bucket of backups is
	// missing, away, or refuses (exit 3).
	StorageUnavailable MigrationErrorCode = "StorageUnavailable"
	// TargetExists: restore was given a database that is there already (exit 2).
	TargetExists MigrationErrorCode = "TargetExists"
)

// BackupReport is what `mirubato-migrate backup` prints as its last line of output, leaves as termination message without
// Tables, and keeps beside the dump as its manifest. It never holds a connection string or data of a row.
type BackupReport struct {
	// ReportVersion is BackupReportVersion.
	ReportVersion int          `json:"reportVersion"`
	Method        BackupMethod `json:"method"`
	// Name identifies the backup within Location; names sort by time. Empty if none was kept.
	Name string `json:"name,omitempty"`
	// Location is the directory of backups as the Job saw it, or the URL of the bucket, which holds no credentials.
	Location string `json:"location,omitempty"`
	// Verified is true when the backup was restored into a scratch server and found equal in the very snapshot that was
	// dumped. A backup that is not verified is not kept.
	Verified bool `json:"verified"`
	// Started is also the age of what the backup holds: its snapshot was taken right after.
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	// DumpDuration and VerifyDuration are in nanoseconds. The latter tells how long a restore may take.
	DumpDuration   time.Duration `json:"dumpDuration,omitempty"`
	VerifyDuration time.Duration `json:"verifyDuration,omitempty"`
	// Size is that of all files in bytes; Files are those files, without the manifest.
	Size  int64        `json:"size,omitempty"`
	Files []BackupFile `json:"files,omitempty"`
	// Database is the name of the database; SystemIdentifier is that of its cluster, empty where the role may not ask.
	Database         string `json:"database,omitempty"`
	SystemIdentifier string `json:"systemIdentifier,omitempty"`
	// ServerVersion and ToolVersion are those of PostgreSQL, such as "15.18".
	ServerVersion string `json:"serverVersion,omitempty"`
	ToolVersion   string `json:"toolVersion,omitempty"`
	// LSN is the place in the write-ahead log right after the snapshot was taken; what was written later is not in the
	// backup. Empty for a standby that has replayed nothing.
	LSN string `json:"lsn,omitempty"`
	// Snapshot is the exported snapshot that was dumped and compared.
	Snapshot string `json:"snapshot,omitempty"`
	// SchemaVersion is the highest migration applied in the snapshot, 0 for none.
	SchemaVersion int64 `json:"schemaVersion"`
	// Fingerprint is the hex SHA-256 of the catalogue: what is outside of the system's schemas. Two databases with the same one
	// are built alike.
	Fingerprint string `json:"fingerprint,omitempty"`
	// TableCount and Rows are those of all tables that were compared.
	TableCount int   `json:"tableCount"`
	Rows       int64 `json:"rows"`
	// Tables are the tables in the order of names. Large objects count as the table "large objects".
	Tables []BackupTable `json:"tables,omitempty"`
	// Removed are the backups that this run has removed because there were more than it was told to keep.
	Removed []string `json:"removed,omitempty"`
	// Error is nil when the run succeeded. When it is not, nothing was kept and nothing was removed, unless Verified is true:
	// then the backup is good and only removing old ones failed.
	Error *MigrationError `json:"error,omitempty"`
}

// BackupFile is one file of a backup.
type BackupFile struct {
	Name string `json:"name"`
	// Size is in bytes, SHA256 in hex.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// BackupTable is one table, or partition, of a backup.
type BackupTable struct {
	// Name is the name with its schema, quoted where SQL wants it.
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	// Hash depends on all values of all rows, not on their order.
	Hash string `json:"hash"`
}
