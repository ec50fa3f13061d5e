package migration

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// run is a complete Run, changed as the case wants.
func run(changes ...func(*Run)) Run {
	retries := int32(10)
	r := Run{
		Owner: ownership.Owner{
			Microservice: types.NamespacedName{Namespace: "mirubato", Name: "scores"},
			Environment:  "staging",
		},
		Namespace:        "scores-staging",
		ServiceAccount:   "scores",
		Release:          "1.4.0-abc",
		Image:            "example.com/scores:1.4.0",
		MigrateImage:     "example.com/migrate:0.1.0",
		ImagePullSecrets: []string{"pull"},
		Secret:           v1alpha1.SecretKeyReference{Name: "owner", Key: "dsn"},
		Options: v1alpha1.MigrationSpec{
			AdvisoryLockWait:     &metav1.Duration{Duration: 30 * time.Second},
			StatementLockTimeout: &metav1.Duration{Duration: 1500 * time.Millisecond},
			Retries:              &retries,
		},
	}
	for _, change := range changes {
		change(&r)
	}
	return r
}

// rendered is the typed form of the Job for one attempt.
func rendered(t testing.TB, r Run, attempt int) *batchv1.Job {
	t.Helper()
	m, err := r.Job(attempt)
	if err != nil {
		t.Fatal(err)
	}
	job := &batchv1.Job{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(m.Object().Object, job, true); err != nil {
		t.Fatal(err)
	}
	return job
}

func TestJobRunsWhatItWasAskedTo(t *testing.T) {
	job := rendered(t, run(), 3)
	hash, err := run().Hash()
	if err != nil {
		t.Fatal(err)
	}
	if want := "scores-db-" + hash + "-3"; job.Name != want || job.Namespace != "scores-staging" {
		t.Errorf("the Job is %s/%s, want scores-staging/%s", job.Namespace, job.Name, want)
	}
	for what, labels := range map[string]map[string]string{"Job": job.Labels, "pod": job.Spec.Template.Labels} {
		if labels[v1alpha1.LabelMigration] != hash || labels[ownership.LabelManagedBy] != ownership.ManagedBy {
			t.Errorf("the %s is not labelled as a migration of ours: %v", what, labels)
		}
	}
	if attemptOf(job) != 3 || job.Annotations[v1alpha1.AnnotationRelease] != "1.4.0-abc" {
		t.Errorf("annotations = %v, want attempt 3 of release 1.4.0-abc", job.Annotations)
	}
	if job.Spec.BackoffLimit == nil || *job.Spec.BackoffLimit != 0 {
		t.Errorf("backoffLimit = %v: the Job controller would try again by itself", job.Spec.BackoffLimit)
	}
	pod := job.Spec.Template.Spec
	if pod.RestartPolicy != corev1.RestartPolicyNever || pod.ServiceAccountName != "scores" {
		t.Errorf("restartPolicy = %s, serviceAccountName = %s; want Never, scores", pod.RestartPolicy, pod.ServiceAccountName)
	}
	if diff := cmp.Diff([]corev1.LocalObjectReference{{Name: "pull"}}, pod.ImagePullSecrets); diff != "" {
		t.Errorf("imagePullSecrets (-want +got):\n%s", diff)
	}
	export, migrate := pod.InitContainers[0], pod.Containers[0]
	if export.Image != "example.com/scores:1.4.0" || migrate.Image != "example.com/migrate:0.1.0" {
		t.Errorf("images = %s, then %s", export.Image, migrate.Image)
	}
	want := []string{
		"up", "--dir", "/migrations", "--lock-id", "mirubato/scores", "--advisory-lock-wait", "30s",
		"--statement-lock-timeout", "1.5s", "--retries", "10", "--report", "/dev/termination-log",
	}
	if diff := cmp.Diff(want, migrate.Args); diff != "" {
		t.Errorf("arguments of mirubato-migrate (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]corev1.EnvVar{{Name: contract.EnvDatabaseURLFile, Value: contract.DatabaseURLFile}}, migrate.Env); diff != "" {
		t.Errorf("environment of mirubato-migrate (-want +got):\n%s", diff)
	}
}

func TestOnlyTheMigrationSeesTheDatabaseSecret(t *testing.T) {
	pod := rendered(t, run(), 1).Spec.Template.Spec
	mounts := func(container corev1.Container) map[string]string {
		out := map[string]string{}
		for _, mount := range container.VolumeMounts {
			access := "read-write"
			if mount.ReadOnly {
				access = "read-only"
			}
			out[mount.MountPath] = mount.Name + " " + access
		}
		return out
	}
	if diff := cmp.Diff(map[string]string{"/migrations": "migrations read-write"}, mounts(pod.InitContainers[0])); diff != "" {
		t.Errorf("mounts of the export (-want +got):\n%s", diff)
	}
	want := map[string]string{"/migrations": "migrations read-only", contract.DatabaseDir: "database read-only"}
	if diff := cmp.Diff(want, mounts(pod.Containers[0])); diff != "" {
		t.Errorf("mounts of the migration (-want +got):\n%s", diff)
	}
	sources := pod.Volumes[1].Projected.Sources
	if len(sources) != 1 || sources[0].Secret.Name != "owner" {
		t.Fatalf("the database volume comes from %v, want Secret owner", sources)
	}
	if diff := cmp.Diff([]corev1.KeyToPath{{Key: "dsn", Path: "url"}}, sources[0].Secret.Items); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestExportCommand(t *testing.T) {
	for name, tc := range map[string]struct{ command, wantCommand, wantArgs []string }{
		"without a command the image's own entrypoint exports": {
			wantArgs: []string{"migrations", "export", "/migrations"},
		},
		"a command replaces the entrypoint and gets no arguments": {
			command:     []string{"cp", "-r", "/app/sql/.", "$(MIGRATIONS_DIR)"},
			wantCommand: []string{"cp", "-r", "/app/sql/.", "$(MIGRATIONS_DIR)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			job := rendered(t, run(func(r *Run) { r.Options.ExportCommand = tc.command }), 1)
			export := job.Spec.Template.Spec.InitContainers[0]
			if diff := cmp.Diff(tc.wantCommand, export.Command); diff != "" {
				t.Errorf("command (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantArgs, export.Args); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]corev1.EnvVar{{Name: "MIGRATIONS_DIR", Value: "/migrations"}}, export.Env); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJobIsAllowedUnderRestrictedPodSecurity(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	template := rendered(t, run(), 1).Spec.Template
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec) {
		if !result.Allowed {
			t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
}

func TestJobNameFitsIntoALabelForMonthsOfAttempts(t *testing.T) {
	const attempts = 1_000_000 // one a minute for two years
	job := rendered(t, run(func(r *Run) { r.Owner.Microservice.Name = strings.Repeat("a", 40) }), attempts)
	if problems := validation.IsValidLabelValue(job.Name); len(problems) > 0 {
		t.Errorf("%s (%d characters): %v", job.Name, len(job.Name), problems)
	}
}

func TestRenderingTwiceIsEqual(t *testing.T) {
	first, err := run().Job(1)
	if err != nil {
		t.Fatal(err)
	}
	second, err := run().Job(1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Object().Object, second.Object().Object); diff != "" {
		t.Errorf("a second operator would make another Job (-first +second):\n%s", diff)
	}
}

func TestHashNamesWhatARunDoes(t *testing.T) {
	base, err := run().Hash()
	if err != nil {
		t.Fatal(err)
	}
	retries := int32(3)
	for name, tc := range map[string]struct {
		change func(*Run)
		same   bool
	}{
		"another image brings other migrations":           {change: func(r *Run) { r.Image = "example.com/scores:1.5.0" }},
		"another command exports other migrations":        {change: func(r *Run) { r.Options.ExportCommand = []string{"cp"} }},
		"another Secret may name another database":        {change: func(r *Run) { r.Secret.Name = "other" }},
		"another key may name another database":           {change: func(r *Run) { r.Secret.Key = "other" }},
		"a newer operator runs no old migrations again":   {same: true, change: func(r *Run) { r.MigrateImage = "example.com/migrate:0.2.0" }},
		"the wait for the lock changes no schema":         {same: true, change: func(r *Run) { r.Options.AdvisoryLockWait = &metav1.Duration{Duration: time.Minute} }},
		"the patience of a statement changes no schema":   {same: true, change: func(r *Run) { r.Options.StatementLockTimeout = &metav1.Duration{Duration: time.Second} }},
		"the number of retries changes no schema":         {same: true, change: func(r *Run) { r.Options.Retries = &retries }},
		"other credentials for the image pull the same":   {same: true, change: func(r *Run) { r.ImagePullSecrets = nil }},
		"the name of the release follows from the image":  {same: true, change: func(r *Run) { r.Release = "other" }},
		"another ServiceAccount changes nothing about it": {same: true, change: func(r *Run) { r.ServiceAccount = "other" }},
	} {
		t.Run(name, func(t *testing.T) {
			hash, err := run(tc.change).Hash()
			if err != nil {
				t.Fatal(err)
			}
			if (hash == base) != tc.same {
				t.Errorf("hash = %s, before the change %s", hash, base)
			}
		})
	}
}

// message is a report as mirubato-migrate leaves it in the termination message.
func message(t testing.TB, report contract.MigrationReport) string {
	t.Helper()
	encoded, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}
