// Package migration brings the schema of one environment's database to what an image needs, by one Job at a time.
//
// It owns the shape and the name of that Job and the reading of its outcome. The truth about what is applied is in the
// database; a Job is only evidence. Everything here is pure: the caller reads and writes.
package migration

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/restricted"
)

// Names of the containers of a Job's pod.
const (
	containerExport  = "export"
	containerMigrate = "migrate"
)

// AnnotationAttempt counts the Jobs made for the same Run, from 1.
const annotationAttempt = "platform.mirubato.com/attempt"

// Run is everything that decides what a migration does. Two Runs with the same Hash do the same.
type Run struct {
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
}

// Hash names what the run does. MigrateImage and Placement are no part of it: a newer operator and other nodes do not run old
// migrations again.
func (r Run) Hash() (string, error) {
	return manifest.Hash([]any{r.Image, r.Options.ExportCommand, r.Secret})
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
	const migrations, database = "migrations", "database"
	pod := restricted.PodSpec().
		WithServiceAccountName(r.ServiceAccount).
		WithRestartPolicy(corev1.RestartPolicyNever).
		WithInitContainers(r.exportContainer().
			WithVolumeMounts(corev1ac.VolumeMount().WithName(migrations).WithMountPath(contract.MigrationsDir))).
		WithContainers(r.migrateContainer().
			WithVolumeMounts(
				corev1ac.VolumeMount().WithName(migrations).WithMountPath(contract.MigrationsDir).WithReadOnly(true),
				corev1ac.VolumeMount().WithName(database).WithMountPath(contract.DatabaseDir).WithReadOnly(true))).
		WithVolumes(
			corev1ac.Volume().WithName(migrations).WithEmptyDir(corev1ac.EmptyDirVolumeSource()),
			restricted.SecretVolume(database, restricted.SecretFile{Secret: r.Secret, Path: contract.DatabaseURLFile}))
	for _, name := range r.ImagePullSecrets {
		pod.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(name))
	}
	r.Placement.Apply(pod)
	return pod
}

func (r Run) exportContainer() *corev1ac.ContainerApplyConfiguration {
	export := restricted.Container(containerExport, r.Image).
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
	return restricted.Container(containerMigrate, r.MigrateImage).
		WithArgs("up",
			"--dir", contract.MigrationsDir,
			"--lock-id", r.Owner.Microservice.String(),
			"--advisory-lock-wait", r.Options.AdvisoryLockWait.Duration.String(),
			"--statement-lock-timeout", r.Options.StatementLockTimeout.Duration.String(),
			"--retries", strconv.Itoa(int(*r.Options.Retries)),
			"--report", contract.TerminationMessage).
		WithEnv(corev1ac.EnvVar().WithName(contract.EnvDatabaseURLFile).WithValue(contract.DatabaseURLFile)).
		WithResources(restricted.SmallResources()).
		WithTerminationMessagePath(contract.TerminationMessage).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError)
}
