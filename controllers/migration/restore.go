package migration

import (
	"cmp"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	batchv1ac "k8s.io/client-go/applyconfigurations/batch/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// How the Jobs of restores are told from those of the operator, which neither sees nor removes them: they are those of the person who
// made them.
const (
	componentRestore  = ownership.Component("restore")
	restoredBy        = "kubectl-mirubato"
	annotationBackup  = "platform.mirubato.com/backup"
	annotationRestore = "platform.mirubato.com/database"
	// restoreKept is for how many seconds the Job of a restore is kept after its end, with its log: a day.
	restoreKept = 24 * 60 * 60
)

// Restore is a backup that a person wants a new database of.
type Restore struct {
	// Run says with which image, Secret and rights, in which namespace. Its Backup names the claim, or the bucket with the place in it. What it says of stages is not used.
	Run Run
	// Backup is the name of the backup, Database that of the database to be made.
	Backup, Database string
}

// Job is the Job of the restore, with a name that the API server makes up: whether two may work at once is decided in the database.
func (r Restore) Job() (*batchv1.Job, error) {
	run := r.Run
	run.Stage, run.BackupName, run.database = restore, r.Backup, r.Database
	configuration := batchv1ac.Job("", run.Namespace).
		WithGenerateName(run.Owner.Microservice.Name + "-restore-").
		WithLabels(restoreLabels(run.Owner)).
		WithAnnotations(map[string]string{annotationBackup: r.Backup, annotationRestore: r.Database}).
		WithSpec(batchv1ac.JobSpec().
			WithBackoffLimit(0). // a person decides about another attempt
			WithTTLSecondsAfterFinished(restoreKept).
			WithTemplate(corev1ac.PodTemplateSpec().
				WithLabels(restoreLabels(run.Owner)).
				WithSpec(run.podSpec())))
	configuration.Name = nil
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(configuration)
	if err != nil {
		return nil, err
	}
	job := &batchv1.Job{}
	return job, runtime.DefaultUnstructuredConverter.FromUnstructured(fields, job)
}

func restoreLabels(owner ownership.Owner) map[string]string {
	labels := owner.Labels(componentRestore)
	labels[ownership.LabelManagedBy] = restoredBy
	return labels
}

// UnderWay returns the Job that is making a database, or nil.
func UnderWay(jobs []batchv1.Job, database string) *batchv1.Job {
	for i := range jobs {
		if jobs[i].Annotations[annotationRestore] == database && jobs[i].DeletionTimestamp == nil && !ended(&jobs[i]) {
			return &jobs[i]
		}
	}
	return nil
}

// BackupOf is the name of the backup that the Job of a restore restores.
func BackupOf(job *batchv1.Job) string { return job.Annotations[annotationBackup] }

// Outcome is how far the Job of a restore has come.
type Outcome struct {
	// Ended: nothing more will happen.
	Ended bool
	// Report is nil where the program has not come to an end, or its pod is gone.
	Report *contract.RestoreReport
	// Pod is the one that is at work or was last; empty if there is none yet. Running: its log can be read.
	Pod     string
	Running bool
}

// OutcomeOf tells how far the Job of a restore has come. Pods may be those of others as well.
func OutcomeOf(job *batchv1.Job, pods []corev1.Pod) Outcome {
	out := Outcome{Ended: ended(job)}
	own := podsOf(job, pods)
	if report, ok := reportOf[contract.RestoreReport](own, contract.RestoreReportVersion); ok {
		out.Report = &report
	}
	for _, pod := range own {
		out.Pod, out.Running = pod.Name, pod.Status.Phase == corev1.PodRunning
	}
	return out
}

// ImageOf is the image of mirubato-migrate that the newest of the operator's Jobs on an environment's database ran; empty if none is left.
func ImageOf(jobs []batchv1.Job) string {
	jobs = slices.Clone(jobs)
	slices.SortFunc(jobs, func(a, b batchv1.Job) int {
		return cmp.Or(later(a.CreationTimestamp, b.CreationTimestamp), cmp.Compare(b.Name, a.Name))
	})
	for _, job := range jobs {
		for _, container := range job.Spec.Template.Spec.Containers {
			if container.Name == containerMigrate && job.Labels[v1alpha1.LabelMigration] != "" {
				return container.Image
			}
		}
	}
	return ""
}

func later(a, b metav1.Time) int { return b.Compare(a.Time) }
