package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DatabaseEvidence is what was done to the database of an environment for a release.
type DatabaseEvidence struct {
	// check of the migrations before anything was done.
	// +optional
	Check *CheckEvidence `json:"check,omitempty"`
	// backup that was made before the migrations.
	// +optional
	Backup *BackupEvidence `json:"backup,omitempty"`
	// rehearsal of the expand migrations.
	// +optional
	Rehearsal *RehearsalEvidence `json:"rehearsal,omitempty"`
	// applied are the migrations that the release has brought, the last 20.
	// +optional
	// +listType=atomic
	Applied []AppliedMigration `json:"applied,omitempty"`
	// backfilledAt is when the backfills were done that the release has brought.
	// +optional
	BackfilledAt *metav1.Time `json:"backfilledAt,omitempty"`
	// backfills of the release, at most 20.
	// +optional
	// +listType=atomic
	Backfills []BackfillEvidence `json:"backfills,omitempty"`
	// contract is what was removed after the release had been verified.
	// +optional
	Contract *ContractEvidence `json:"contract,omitempty"`
}

// CheckEvidence is what there was to know before anything was done.
type CheckEvidence struct {
	// from is the schema version found, -1 if it is not known.
	// +optional
	From int64 `json:"from,omitempty"`
	// target is the highest version among the files of the release.
	// +optional
	Target int64 `json:"target,omitempty"`
	// floor is the highest contract migration applied: what ends below it cannot run.
	// +optional
	Floor int64 `json:"floor,omitempty"`
	// fingerprint of the schema found.
	// +optional
	Fingerprint string `json:"fingerprint,omitempty"`
	// database that was checked.
	// +optional
	Database string `json:"database,omitempty"`
	// systemIdentifier of its server, if the role may ask for it.
	// +optional
	SystemIdentifier string `json:"systemIdentifier,omitempty"`
	// owner is the Microservice that the database belongs to, if one has claimed it.
	// +optional
	Owner string `json:"owner,omitempty"`
	// pending are the expand migrations to apply, in order, at most 50.
	// +optional
	// +listType=atomic
	Pending []MigrationFile `json:"pending,omitempty"`
	// held are the contract migrations to apply later, at most 50.
	// +optional
	// +listType=atomic
	Held []MigrationFile `json:"held,omitempty"`
	// backfills are how many were declared and not done.
	// +optional
	Backfills int32 `json:"backfills,omitempty"`
	// findings are what did not stop the release, at most 10.
	// +optional
	// +listType=atomic
	Findings []string `json:"findings,omitempty"`
}

// BackfillEvidence is what a backfill has done.
type BackfillEvidence struct {
	// name of the backfill.
	// +required
	Name string `json:"name"`
	// rows that were passed.
	// +optional
	Rows int64 `json:"rows,omitempty"`
	// changed rows.
	// +optional
	Changed int64 `json:"changed,omitempty"`
}

// ContractEvidence is what was removed because only earlier releases needed it.
type ContractEvidence struct {
	// beganAt is when nothing spoke against it any more.
	// +required
	BeganAt metav1.Time `json:"beganAt"`
	// backup that was made before, where the environment makes one.
	// +optional
	Backup *BackupEvidence `json:"backup,omitempty"`
	// rehearsal of the contract migrations, where the environment holds one.
	// +optional
	Rehearsal *RehearsalEvidence `json:"rehearsal,omitempty"`
	// applied are the contract migrations.
	// +optional
	// +listType=atomic
	Applied []AppliedMigration `json:"applied,omitempty"`
	// finishedAt is when they had been applied.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
}

// BackupMethod is how a backup was made that the operator has asked somebody else for.
// +kubebuilder:validation:Enum=CloudNativePG;VolumeSnapshot
type BackupMethod string

// The methods besides the dump. Nobody has restored what they make.
const (
	// BackupCloudNativePG is a Backup of postgresql.cnpg.io.
	BackupCloudNativePG BackupMethod = "CloudNativePG"
	// BackupVolumeSnapshot is a VolumeSnapshot of snapshot.storage.k8s.io, as good as what a crash leaves on the volume.
	BackupVolumeSnapshot BackupMethod = "VolumeSnapshot"
)

// BackupEvidence is a backup: without method a dump that was restored and found equal to what was dumped; with one what somebody else
// says to have made, and nobody has restored.
type BackupEvidence struct {
	// name of the backup within its claim or bucket, or of the object that stands for it.
	// +required
	Name string `json:"name"`
	// method that made it, other than a dump: then nobody has restored it.
	// +optional
	Method BackupMethod `json:"method,omitempty"`
	// source is the Cluster, or the claim, that it was made of, with a method.
	// +optional
	Source string `json:"source,omitempty"`
	// claimName of the PersistentVolumeClaim that it lies on.
	// +optional
	ClaimName string `json:"claimName,omitempty"`
	// bucket is the s3:// URL of the place that it lies at, prefix included, in place of claimName.
	// +optional
	Bucket string `json:"bucket,omitempty"`
	// secretRef names the Secret that held the credentials of the bucket.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`
	// startedAt is when its snapshot was taken: what was written later is not in it. Of CloudNativePG: when it began.
	// +required
	StartedAt metav1.Time `json:"startedAt"`
	// finishedAt is when it had been compared and stored. Of a VolumeSnapshot: when it was found ready.
	// +required
	FinishedAt metav1.Time `json:"finishedAt"`
	// restored is how long restoring and comparing took.
	// +optional
	Restored metav1.Duration `json:"restored,omitzero"`
	// size in bytes.
	// +optional
	Size int64 `json:"size,omitempty"`
	// sha256 of the dump, in hex.
	// +optional
	SHA256 string `json:"sha256,omitempty"`
	// tables that were compared.
	// +optional
	Tables int64 `json:"tables,omitempty"`
	// rows that were compared.
	// +optional
	Rows int64 `json:"rows,omitempty"`
	// lsn is the place in the write-ahead log right after the snapshot.
	// +optional
	LSN string `json:"lsn,omitempty"`
	// schemaVersion in the backup.
	// +optional
	SchemaVersion int64 `json:"schemaVersion,omitempty"`
	// fingerprint of the schema in the backup.
	// +optional
	Fingerprint string `json:"fingerprint,omitempty"`
	// database that was dumped.
	// +optional
	Database string `json:"database,omitempty"`
	// systemIdentifier of its server, if the role may ask for it.
	// +optional
	SystemIdentifier string `json:"systemIdentifier,omitempty"`
	// serverVersion of PostgreSQL.
	// +optional
	ServerVersion string `json:"serverVersion,omitempty"`
}

// RehearsalEvidence is what migrations did to a copy of the database.
type RehearsalEvidence struct {
	// mode says what they were tried on.
	// +required
	Mode Rehearsal `json:"mode"`
	// backup that they were tried on, with mode Data.
	// +optional
	Backup string `json:"backup,omitempty"`
	// from is the schema version of the copy before.
	// +optional
	From int64 `json:"from,omitempty"`
	// to is the schema version of the copy after.
	// +optional
	To int64 `json:"to,omitempty"`
	// fingerprint of the schema that the rehearsal started from, as the server of the copy writes it.
	// +optional
	Fingerprint string `json:"fingerprint,omitempty"`
	// databaseFingerprint is that of the database itself at the time.
	// +optional
	DatabaseFingerprint string `json:"databaseFingerprint,omitempty"`
	// files that were tried, in order, at most 50.
	// +optional
	// +listType=atomic
	Files []MigrationFile `json:"files,omitempty"`
	// statements are the 10 that took longest, in order.
	// +optional
	// +listType=atomic
	Statements []RehearsedStatement `json:"statements,omitempty"`
}

// MigrationFile is a migration by its content.
type MigrationFile struct {
	// version is the number of the file.
	// +required
	Version int64 `json:"version"`
	// name of the file.
	// +required
	Name string `json:"name"`
	// phase: expand or contract.
	// +optional
	Phase string `json:"phase,omitempty"` //nolint:kubeapilinter // what the file says of itself, and no state
	// checksum is the hex SHA-256 of its content.
	// +required
	Checksum string `json:"checksum"`
}

// RehearsedStatement is what one statement did to the copy.
type RehearsedStatement struct {
	// migration that it is in.
	// +required
	Migration string `json:"migration"`
	// statement, its first 200 bytes.
	// +required
	Statement string `json:"statement"`
	// duration without any waiting.
	// +required
	Duration metav1.Duration `json:"duration"`
	// locks that it took, such as "AccessExclusiveLock on public.works", at most 10.
	// +optional
	// +listType=atomic
	Locks []string `json:"locks,omitempty"`
	// rewrites are the tables and indexes that were written anew, at most 10.
	// +optional
	// +listType=atomic
	Rewrites []string `json:"rewrites,omitempty"`
}

// AppliedMigration is a migration that has changed the database.
type AppliedMigration struct {
	// version is the number of the file.
	// +required
	Version int64 `json:"version"`
	// name of the file.
	// +required
	Name string `json:"name"`
	// duration, waiting for locks included; absent if not known.
	// +optional
	Duration metav1.Duration `json:"duration,omitzero"`
}

// MigrationSpec is how migrations are taken from the image and run.
type MigrationSpec struct {
	// exportCommand is run in the service's image and must write the migration files into the directory named by
	// $(MIGRATIONS_DIR), such as ["cp", "-r", "/app/migrations/.", "$(MIGRATIONS_DIR)"]. Default: the image's entrypoint with
	// the arguments migrations, export and the directory.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	ExportCommand []string `json:"exportCommand,omitempty"`
	// advisoryLockWait is how long a run waits for another one on the same database to finish, from 1s to 1h. Default: 30s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="advisoryLockWait must be between 1s and 1h"
	AdvisoryLockWait *metav1.Duration `json:"advisoryLockWait,omitempty"`
	// statementLockTimeout is how long a statement waits for a table before it gives way to the traffic behind it and is tried
	// again, from 50ms to 1m. Default: 2s. Longer waits hold up every query that comes after.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('50ms') && duration(self) <= duration('1m')",message="statementLockTimeout must be between 50ms and 1m: every query that comes later waits as long"
	StatementLockTimeout *metav1.Duration `json:"statementLockTimeout,omitempty"`
	// retries is how often a migration that did not get its locks is tried again within one run. Default: 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Retries *int32 `json:"retries,omitempty"`
	// contractAfter is how long after a release is verified its contract migrations wait: until then one can go back to the release
	// before. From 0s to 720h. Default: 24h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('720h')",message="contractAfter must be between 0s and 720h"
	ContractAfter *metav1.Duration `json:"contractAfter,omitempty"`
}
