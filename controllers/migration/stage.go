package migration

import (
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Stage is what one Job does.
type Stage string

// The stages, in order. Expand and Contract change the schema, Backfill rows; the others leave the database as it is. BackUp comes again
// before Contract.
const (
	// Check holds files and database against each other.
	Check Stage = "check"
	// BackUp dumps the database and proves that the dump can be restored.
	BackUp Stage = "backup"
	// Rehearse applies the pending migrations of phase expand to a copy.
	Rehearse Stage = "rehearse"
	// Expand applies the pending migrations of phase expand.
	Expand Stage = ""
	// Backfill fills rows in batches; it may be cut short, and goes on where it was.
	Backfill Stage = "backfill"
	// RehearseContract applies the migrations of phase contract to a copy.
	RehearseContract Stage = "rehearse-contract"
	// Contract applies the migrations of phase contract, once the release is verified.
	Contract Stage = "contract"
	// restore makes a new database from a backup. It is no stage of a release: a person asks for it, see Restore.
	restore Stage = "restore"
)

// String is the stage as labels name it.
func (s Stage) String() string {
	if s == Expand {
		return "expand"
	}
	return string(s)
}

func stageOf(job *batchv1.Job) Stage {
	label := job.Labels[v1alpha1.LabelStage]
	if label == Expand.String() {
		return Expand
	}
	return Stage(label)
}

// running is the wait for a Job of the stage; message says why, if there is a reason.
func (s Stage) running(message string) *v1alpha1.WaitingFor {
	waiting := &v1alpha1.WaitingFor{Type: v1alpha1.WaitMigration, Message: message}
	switch s {
	case BackUp:
		waiting.Type = v1alpha1.WaitBackup
	case Backfill, RehearseContract, Contract:
		waiting.Type = v1alpha1.WaitContract
	}
	if message == "" {
		waiting.Message = map[Stage]string{
			Check:            "migrations and database are checked",
			BackUp:           "the database is backed up, and the backup restored and compared",
			Rehearse:         "the migrations are rehearsed on a copy of the database",
			Expand:           "the migrations are running",
			Backfill:         "rows are filled, batch by batch",
			RehearseContract: "what only earlier releases needed is removed from a copy of the database first",
			Contract:         "what only earlier releases needed is removed",
		}[s]
	}
	return waiting
}

// blames reports whether an error that is final is the fault of the files, or of the data, and not of what is around the database: then
// another attempt of the same run would end the same way.
func (s Stage) blames(code contract.MigrationErrorCode) bool {
	switch code {
	case contract.InvalidMigrations, contract.HistoryChanged, contract.MigrationFailed:
		return s == Check || s.rehearses() || s == Expand // Backfill and Contract go on once the data are mended
	case contract.OwnedByAnother, contract.ImageTooOld, contract.ReleaseSkipped, contract.PreflightRefused:
		return false
	}
	return s == Check || s == Expand
}

// changes reports whether a Job of the stage must not be cut short lightly.
func (s Stage) changes() bool { return s == Expand || s == Contract }

// phase is that of the files that a Job of the stage applies, or tries.
func (s Stage) phase() string {
	if s == RehearseContract || s == Contract {
		return "contract"
	}
	return "expand"
}

// copies reports whether a Job of the stage runs a server for a copy of the database.
func (s Stage) copies() bool { return s == BackUp || s.rehearses() }

// rehearses reports whether a Job of the stage applies migrations to a copy.
func (s Stage) rehearses() bool { return s == Rehearse || s == RehearseContract }

// readsFiles reports whether a Job of the stage needs the migrations of the image.
func (s Stage) readsFiles() bool { return s != BackUp && s != restore }

// args are those of mirubato-migrate.
func (r Run) args() []string {
	switch r.Stage {
	case BackUp:
		return []string{
			"backup", "--location", r.Backup.location(), "--scratch", contract.ScratchDir, "--keep", strconv.Itoa(int(r.Backup.Retain)),
		}
	case Rehearse, RehearseContract:
		args := []string{"rehearse", "--dir", contract.MigrationsDir, "--mode", string(r.Rehearsal), "--scratch", contract.ScratchDir}
		if r.Stage == RehearseContract {
			args = append(args, "--phase", r.Stage.phase())
		}
		if r.rehearsesData() {
			args = append(args, "--location", r.Backup.location(), "--backup", r.BackupName)
		}
		return args
	case restore:
		return []string{"restore", r.BackupName, "--location", r.Backup.location(), "--database", r.database}
	}
	command := map[Stage][]string{Check: {"check"}, Expand: {"up"}, Backfill: {"backfill"}, Contract: {"up", "--phase", Contract.phase()}}[r.Stage]
	return append(command,
		"--dir", contract.MigrationsDir,
		"--lock-id", r.Owner.Microservice.String(),
		"--advisory-lock-wait", r.Options.AdvisoryLockWait.Duration.String(),
		"--statement-lock-timeout", r.Options.StatementLockTimeout.Duration.String(),
		"--retries", strconv.Itoa(int(*r.Options.Retries)))
}

// serverResources are enough for a scratch server with PostgreSQL's own settings, whatever the size of the database: that goes to
// the scratch directory.
func serverResources() *corev1ac.ResourceRequirementsApplyConfiguration {
	return corev1ac.ResourceRequirements().
		WithRequests(corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("100m"),
			corev1.ResourceMemory: resource.MustParse("256Mi"),
		}).
		WithLimits(corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")})
}
