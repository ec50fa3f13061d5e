// Package migration brings the schema of one environment's database to what an image needs, by one Job at a time: first a
// backup and a rehearsal where they are asked for, then the migrations, of either phase.
//
// It owns the shape and the name of those Jobs and the reading of their outcomes. The truth about what is applied is in the
// database; a Job is only evidence. Everything here is pure: the caller reads and writes. In which order the Jobs come is package
// release's to say.
package migration

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/backup"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/restricted"
)

// Names of the containers of a Job's pod.
const (
	containerExport  = "export"
	containerMigrate = "migrate"
	volumeMigrations = "migrations"
)

// AnnotationAttempt counts the Jobs made for the same Run, from 1.
const annotationAttempt = "platform.mirubato.com/attempt"

// Run is everything that decides what a Job does. Two Runs with the same Hash do the same.
type Run struct {
	// Stage is what is done; the zero value is Expand.
	Stage Stage
	// Since, of a stage that looks at the database as it is, is when it was asked for: what an earlier rollout has found out
	// counts no more. Zero for the others.
	Since          time.Time
	Owner          ownership.Owner
	Namespace      string
	ServiceAccount string
	// Release and Image are those whose migrations are run.
	Release string
	Image   string
	// MigrateImage holds mirubato-migrate.
	MigrateImage     string
	ImagePullSecrets []string
	Placement        restricted.Placement
	// Secret names the connection URL of the role that changes the schema.
	Secret v1alpha1.SecretKeyReference
	// Options have their defaults filled in.
	Options v1alpha1.MigrationSpec
	// Backup is nil where none is made.
	Backup    *Backup
	Rehearsal v1alpha1.Rehearsal
	// BackupName is the backup that a rehearsal on data is held on.
	BackupName string

	// database is the one that a restore makes.
	database string
}

// Backup is where dumps of a database lie, on a volume or in a bucket, or who is asked for a backup instead.
type Backup struct {
	// Asked is nil where a Job dumps the database. Else there is no Claim and no Bucket, and no Job of the stage BackUp.
	Asked *backup.Source
	// Claim names a PersistentVolumeClaim, empty for a bucket.
	Claim string
	// Bucket is an s3:// URL without credentials, empty for a claim. Credentials may be nil.
	Bucket      string
	Credentials *v1alpha1.SecretKeyReference
	// Retain is how many are kept.
	Retain int32
	// Scratch bounds the room for a copy; nil for no bound.
	Scratch *resource.Quantity
}

// For is the same with a place in the bucket that no other environment has: what is retained is counted there. A claim belongs to one
// environment anyway, as it lies in its namespace.
func (b *Backup) For(owner ownership.Owner) *Backup {
	if b == nil || b.Bucket == "" {
		return b
	}
	at, err := url.Parse(b.Bucket)
	if err != nil {
		return b // the program says what is wrong with it
	}
	out, parameters := *b, at.Query()
	parameters.Set("prefix", parameters.Get("prefix")+path.Join(owner.Microservice.Namespace, owner.Microservice.Name, owner.Environment)+"/")
	at.RawQuery = parameters.Encode()
	out.Bucket = at.String()
	return &out
}

// location is where the program finds them.
func (b *Backup) location() string { return cmp.Or(b.Bucket, contract.BackupDir) }

// Hash names what the run does. MigrateImage and Placement are no part of it: a newer operator and other nodes do not run old
// migrations again.
func (r Run) Hash() (string, error) {
	of := []any{r.Image, r.Options.ExportCommand, r.Secret}
	if r.Stage != Expand {
		of = append(of, r.Stage, r.Since.Unix())
	}
	return manifest.Hash(of)
}

// On is the rehearsal on a backup that was made before it, nil for none; on the schema alone if that backup is no dump, or lies where the
// run does not look any more, because the environment makes its backups elsewhere by now.
func (r Run) On(made *v1alpha1.BackupEvidence) Run {
	if made == nil {
		return r
	}
	r.BackupName = made.Name
	isThere := made.Method == "" && r.Backup != nil && made.ClaimName == r.Backup.Claim && made.Bucket == r.Backup.Bucket
	if r.Rehearsal == v1alpha1.RehearseData && !isThere {
		r.Rehearsal = v1alpha1.RehearseSchema
	}
	return r
}

// At is the run of another stage, asked for at a time.
func (r Run) At(stage Stage, since time.Time) Run {
	r.Stage, r.Since = stage, since
	return r
}

// Job returns the Job for the n-th attempt, counted from 1. Its name follows from the run and the attempt, so that making it
// twice, also on two operators, makes one.
func (r Run) Job(attempt int) (manifest.Manifest, error) {
	hash, err := r.Hash()
	if err != nil {
		return manifest.Manifest{}, err
	}
	labels := r.Owner.Labels(ownership.ComponentMigration)
	labels[v1alpha1.LabelMigration] = hash
	labels[v1alpha1.LabelStage] = r.Stage.String()
	annotations := map[string]string{
		v1alpha1.AnnotationRelease: r.Release,
		annotationAttempt:          strconv.Itoa(attempt),
	}
	// Short, because a Job's name must fit into 63 characters: the longest name of a Microservice leaves eight digits to the
	// attempt, and with one a minute four would be used up within a week.
	name := fmt.Sprintf("%s-db-%s-%d", r.Owner.Microservice.Name, hash, attempt)
	job := batchv1ac.Job(name, r.Namespace).
		WithLabels(labels).
		WithAnnotations(annotations).
		WithSpec(batchv1ac.JobSpec().
			// The operator decides about another attempt, not the Job controller: it knows which errors are worth one.
			WithBackoffLimit(0).
			WithTemplate(corev1ac.PodTemplateSpec().
				WithLabels(labels).
				WithSpec(r.podSpec())))
	return manifest.New(job)
}

func (r Run) podSpec() *corev1ac.PodSpecApplyConfiguration {
	pod := restricted.PodSpec().
		WithServiceAccountName(r.ServiceAccount).
		WithRestartPolicy(corev1.RestartPolicyNever)
	migrate := r.migrateContainer()
	mount := func(volume *corev1ac.VolumeApplyConfiguration, dir string, readOnly bool) {
		pod.WithVolumes(volume)
		migrate.WithVolumeMounts(corev1ac.VolumeMount().WithName(*volume.Name).WithMountPath(dir).WithReadOnly(readOnly))
	}
	if r.Stage.readsFiles() {
		mount(corev1ac.Volume().WithName(volumeMigrations).WithEmptyDir(corev1ac.EmptyDirVolumeSource()), contract.MigrationsDir, true)
		pod.WithInitContainers(r.exportContainer())
	}
	mount(restricted.SecretVolume("database", restricted.SecretFile{Secret: r.Secret, Path: contract.DatabaseURLFile}), contract.DatabaseDir, true)
	if r.Stage.copies() {
		mount(corev1ac.Volume().WithName("scratch").WithEmptyDir(r.scratch()), contract.ScratchDir, false)
	}
	switch at := r.backups(); {
	case at == nil:
	case at.Claim != "":
		readOnly := r.Stage != BackUp
		mount(corev1ac.Volume().WithName("backups").WithPersistentVolumeClaim(
			corev1ac.PersistentVolumeClaimVolumeSource().WithClaimName(at.Claim).WithReadOnly(readOnly)), contract.BackupDir, readOnly)
	case at.Credentials != nil:
		mount(restricted.SecretVolume("backups", restricted.SecretFile{Secret: *at.Credentials, Path: contract.StorageCredentialsFile}), contract.StorageDir, true)
		migrate.WithEnv(corev1ac.EnvVar().WithName(contract.EnvStorageCredentialsFile).WithValue(contract.StorageCredentialsFile))
	}
	for _, name := range r.ImagePullSecrets {
		pod.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(name))
	}
	r.Placement.Apply(pod)
	return pod.WithContainers(migrate)
}

func (r Run) scratch() *corev1ac.EmptyDirVolumeSourceApplyConfiguration {
	out := corev1ac.EmptyDirVolumeSource()
	if r.Backup != nil && r.Backup.Scratch != nil {
		out.WithSizeLimit(*r.Backup.Scratch)
	}
	return out
}

// backups is where the backups lie that the stage needs, nil if it needs none.
func (r Run) backups() *Backup {
	if r.Stage != BackUp && r.Stage != restore && !r.rehearsesData() {
		return nil
	}
	return r.Backup
}

func (r Run) rehearsesData() bool {
	return r.Stage.rehearses() && r.Rehearsal == v1alpha1.RehearseData
}

func (r Run) exportContainer() *corev1ac.ContainerApplyConfiguration {
	export := restricted.Container(containerExport, r.Image).
		WithVolumeMounts(corev1ac.VolumeMount().WithName(volumeMigrations).WithMountPath(contract.MigrationsDir)).
		WithEnv(corev1ac.EnvVar().WithName(contract.EnvMigrationsDir).WithValue(contract.MigrationsDir)).
		WithResources(restricted.SmallResources()).
		// What the image says about its failure ends up where the operator can read it.
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError)
	if len(r.Options.ExportCommand) > 0 {
		return export.WithCommand(r.Options.ExportCommand...)
	}
	return export.WithArgs(contract.ExportArgs()...)
}

func (r Run) migrateContainer() *corev1ac.ContainerApplyConfiguration {
	resources := restricted.SmallResources()
	if r.Stage.copies() {
		resources = serverResources()
	}
	return restricted.Container(containerMigrate, r.MigrateImage).
		WithArgs(append(r.args(), "--report", contract.TerminationMessage)...).
		WithEnv(corev1ac.EnvVar().WithName(contract.EnvDatabaseURLFile).WithValue(contract.DatabaseURLFile)).
		WithResources(resources).
		WithTerminationMessagePath(contract.TerminationMessage).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError)
}
