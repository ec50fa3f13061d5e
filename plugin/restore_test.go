package plugin_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/plugin"
	"github.com/mirubato/mirubato/plugin/database"
)

const (
	aBackup  = "20260301T080000Z-abcdefgh"
	restored = "scores_restored"
)

// keeping is a world whose release has migrated a database, after a backup.
func keeping(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.observe(func(s *v1alpha1.MicroserviceStatus) { s.Environments[0].SchemaVersion = new(int64(17)) })
	release := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Name: "scores-1", Namespace: w.ms.Namespace, Labels: ownership.ByMicroservice(client.ObjectKeyFromObject(w.ms))},
		Spec: v1alpha1.ReleaseSpec{
			Microservice: "scores", Number: 1, Version: "1.0.0", ContentHash: "a", Reference: "registry.example.com/scores:1.0.0", Image: "registry.example.com/scores:1.0.0",
			Database: &v1alpha1.DatabaseSpec{
				SecretRef: &v1alpha1.SecretKeyReference{Name: "scores-database"}, MigrationSecretRef: &v1alpha1.SecretKeyReference{Name: "scores-owner", Key: "dsn"},
				Backup: &v1alpha1.BackupSpec{ClaimName: new("scores-backups"), Retain: new(int32(3))},
			},
		},
	}
	if err := direct.Create(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	release.Status.Environments = []v1alpha1.ReleaseEnvironmentStatus{{
		Name: "production", Step: v1alpha1.StepVerified, AdmittedAt: before(time.Hour), VerifiedAt: before(30 * time.Minute),
		Database: &v1alpha1.DatabaseEvidence{
			Check:   &v1alpha1.CheckEvidence{From: 16, Target: 17, Fingerprint: "f", Pending: []v1alpha1.MigrationFile{{Version: 17, Name: "17_add.sql", Phase: "expand", Checksum: "c"}}},
			Applied: []v1alpha1.AppliedMigration{{Version: 17, Name: "17_add.sql", Duration: metav1.Duration{Duration: 21 * time.Millisecond}}},
			Backup: &v1alpha1.BackupEvidence{
				Name: aBackup, ClaimName: "scores-backups", StartedAt: *before(50 * time.Minute), FinishedAt: *before(49 * time.Minute), Size: 4711, Tables: 2, Rows: 3,
				LSN: "0/16B3748", SchemaVersion: 16, Fingerprint: "f",
			},
		},
	}}
	if err := direct.Status().Update(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	if err := known(t.Context(), release, &v1alpha1.ReleaseList{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// migrated leaves the Job by which the operator ran mirubato-migrate.
func (w *world) migrated(image string) {
	w.t.Helper()
	labels := ownership.Owner{Microservice: client.ObjectKeyFromObject(w.ms), Environment: "production"}.Labels(ownership.ComponentMigration)
	labels[v1alpha1.LabelMigration] = "0123456789"
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "scores-db-0123456789-1", Namespace: w.production, Labels: labels},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "migrate", Image: image}},
		}}},
	}
	if err := direct.Create(w.t.Context(), job); err != nil {
		w.t.Fatal(err)
	}
}

// restores are the Jobs that the plugin has made.
func (w *world) restores() []batchv1.Job {
	w.t.Helper()
	list := &batchv1.JobList{}
	if err := direct.List(w.t.Context(), list, client.InNamespace(w.production), client.MatchingLabels{ownership.LabelManagedBy: "kubectl-mirubato"}); err != nil {
		w.t.Error(err)
	}
	return list.Items
}

// work ends the next restore as the kubelet and the Job controller would, with a report or, if it is nil, without one. The caller waits for
// what it returns.
func (w *world) work(report *contract.RestoreReport) (done <-chan error) {
	ended := make(chan error, 1)
	go func() {
		for w.t.Context().Err() == nil {
			for _, job := range w.restores() {
				if len(job.Status.Conditions) == 0 {
					ended <- w.end(&job, report)
					return
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		ended <- w.t.Context().Err()
	}()
	return ended
}

func (w *world) end(job *batchv1.Job, report *contract.RestoreReport) error {
	ctx := w.t.Context()
	now := metav1.Now()
	if report != nil {
		message, err := json.Marshal(report)
		if err != nil {
			return err
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				GenerateName: job.Name + "-", Namespace: job.Namespace, Labels: map[string]string{batchv1.JobNameLabel: job.Name},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
			},
			Spec: job.Spec.Template.Spec,
		}
		pod.Spec.ServiceAccountName = "" // the operator has made it
		if err := direct.Create(ctx, pod); err != nil {
			return err
		}
		pod.Status = corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "migrate", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: string(message), StartedAt: now, FinishedAt: now}},
		}}}
		if err := direct.Status().Update(ctx, pod); err != nil {
			return err
		}
	}
	types := []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobComplete}
	job.Status.StartTime, job.Status.Succeeded, job.Status.CompletionTime = &now, 1, &now
	if report == nil || report.Error != nil {
		types = []batchv1.JobConditionType{batchv1.JobFailureTarget, batchv1.JobFailed}
		job.Status.Succeeded, job.Status.Failed, job.Status.CompletionTime = 0, 1, nil
	}
	for _, kind := range types {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now, LastProbeTime: now})
	}
	return direct.Status().Update(ctx, job)
}

func good() *contract.RestoreReport {
	return &contract.RestoreReport{
		ReportVersion: contract.RestoreReportVersion, Backup: aBackup, Database: restored, Restored: true, Rows: 3, TableCount: 2, SchemaVersion: 16,
		Started: time.Now().Add(-time.Minute), Finished: time.Now(),
	}
}

// restore is the command line of a restore, with whatever else.
func restoring(more ...string) []string {
	return append([]string{"restore", "scores", "production", aBackup, "--database", restored}, more...)
}

func TestWhatReleasesTellOfDatabases(t *testing.T) {
	w := keeping(t)
	w.expect(w.run("migrations", "scores"), plugin.ExitOK, "production: schema 17, scores-1 at Verified", "17_add.sql", "applied", "21ms", "drift: none")
	w.expect(w.run("backups", "scores", "production"), plugin.ExitOK, aBackup, "4.7 kB", "0/16B3748", "equal", "scores-backups", "until 3 newer ones")
	w.expect(w.run("status", "scores"), plugin.ExitOK, "scores-1 (1.0.0)") // releases that the status names are read by name
	var environments []database.Environment
	if err := json.Unmarshal([]byte(w.run("migrations", "scores", "-o", "json").out), &environments); err != nil || len(environments) != 1 || len(environments[0].Migrations) != 1 {
		t.Errorf("%v, %+v", err, environments)
	}
	var backups []database.Backup
	if err := yaml.Unmarshal([]byte(w.run("backups", "scores", "-o", "yaml").out), &backups); err != nil || len(backups) != 1 || backups[0].LSN != "0/16B3748" || backups[0].Rows != 3 {
		t.Errorf("%v, %+v", err, backups)
	}
	viewer := w.viewer()
	for _, verb := range []string{"migrations", "backups"} {
		w.expect(w.run(verb, "scores", "staging"), plugin.ExitFailed, "no environment staging; it has production")
		w.expect(w.run(verb, "score"), plugin.ExitFailed, "there is no microservice score")
		w.expect(w.run(verb), plugin.ExitUsage, "takes 1 to 2 arguments")
		w.expect(w.run(verb, "scores", "-o", "xml"), plugin.ExitUsage, "-o xml is not possible")
		w.expect(w.as(viewer, "", verb, "scores"), plugin.ExitOK, "production")
		w.expect(w.run("__complete", verb, "scores", ""), plugin.ExitOK, "production\n")
	}
	empty := newWorld(t)
	empty.expect(empty.run("migrations", "scores"), plugin.ExitOK, "no release that is kept has brought migrations here")
	empty.expect(empty.run("backups", "scores"), plugin.ExitOK, "No release of scores that is kept tells of a backup")
	if got := empty.run("backups", "scores", "-o", "json").out; got != "[]\n" {
		t.Errorf("got %q, want a list without any", got)
	}
}

func TestRestoreAsksTwiceAndWaitsForItsJob(t *testing.T) {
	w := keeping(t)
	w.migrated("registry.example.com/migrate:0.1.0")
	done := w.work(good())
	got := w.as(w.kubeconfig, "scores\n"+restored+"\n", restoring()...)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.expect(got, plugin.ExitOK, "was taken 50m ago", "NOT in it", "Its schema is 16; that of production is 17",
		"releases that came since:           scores-1", "migrations that were applied since: 17_add.sql",
		"The database "+restored+" is there: 3 rows in 2 tables", "scores-database (key url) and scores-owner (key dsn)", "from schema 16")
	jobs := w.restores()
	if len(jobs) != 1 {
		t.Fatalf("%d Jobs", len(jobs))
	}
	pod := jobs[0].Spec.Template.Spec
	want := []string{"restore", aBackup, "--location", contract.BackupDir, "--database", restored, "--report", contract.TerminationMessage}
	if diff := cmp.Diff(want, pod.Containers[0].Args); diff != "" || pod.Containers[0].Image != "registry.example.com/migrate:0.1.0" || pod.ServiceAccountName != "scores" {
		t.Errorf("container %+v (-want +got):\n%s", pod.Containers[0], diff)
	}
	var secret, claim string
	for _, volume := range pod.Volumes {
		if volume.Projected != nil {
			secret = volume.Projected.Sources[0].Secret.Name + "/" + volume.Projected.Sources[0].Secret.Items[0].Key
		}
		if volume.PersistentVolumeClaim != nil {
			claim = volume.PersistentVolumeClaim.ClaimName
		}
	}
	if secret != "scores-owner/dsn" || claim != "scores-backups" {
		t.Errorf("secret %s, claim %s", secret, claim)
	}
}

func TestRestoreFromABucket(t *testing.T) {
	const place = "s3://backups?prefix=mirubato%2Fscores%2Fproduction%2F&region=us-east-1"
	w := keeping(t)
	release := &v1alpha1.Release{}
	if err := direct.Get(t.Context(), client.ObjectKey{Namespace: w.ms.Namespace, Name: "scores-1"}, release); err != nil {
		t.Fatal(err)
	}
	made := release.Status.Environments[0].Database.Backup
	made.ClaimName, made.Bucket, made.SecretRef = "", place, &v1alpha1.SecretKeyReference{Name: "keys", Key: "aws"}
	if err := direct.Status().Update(t.Context(), release); err != nil {
		t.Fatal(err)
	}
	w.expect(w.run("backups", "scores"), plugin.ExitOK, "s3://backups/mirubato/scores/production")
	for name, tc := range map[string]struct {
		flags []string
		want  []string
	}{
		"that the release tells of": {nil, []string{`"` + strings.ReplaceAll(place, "&", `\u0026`) + `"`, `"name":"keys"`, `"key":"aws"`}},
		"that a person names": {
			[]string{"--bucket", "s3://old?region=r&prefix=p/", "--bucket-secret", "others"},
			[]string{`"s3://old?region=r\u0026prefix=p/"`, `"name":"others"`, `"key":"credentials"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			done := w.work(good())
			got := w.run(restoring(append([]string{"--yes", "scores/" + restored, "--image", "other:1"}, tc.flags...)...)...)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			w.expect(got, plugin.ExitOK, "is there")
			jobs := w.restores()
			text, err := json.Marshal(jobs[len(jobs)-1].Spec.Template.Spec)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range tc.want {
				if !strings.Contains(string(text), word) {
					t.Errorf("the Job lacks %s: %s", word, text)
				}
			}
			if strings.Contains(string(text), "persistentVolumeClaim") {
				t.Errorf("the Job mounts a claim: %s", text)
			}
			for i := range jobs {
				if err := direct.Delete(t.Context(), &jobs[i], client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, flags := range [][]string{{"--claim", "a", "--bucket", "s3://old"}, {"--claim", "a", "--bucket-secret", "k"}, {"--bucket", "s3://key:hunter2@old"}} {
		got := w.run(restoring(flags...)...)
		w.expect(got, plugin.ExitUsage)
		if strings.Contains(got.err, "hunter2") {
			t.Errorf("it tells the secret: %s", got.err)
		}
	}
}

func TestRestoreInAScriptNamesBoth(t *testing.T) {
	w := keeping(t)
	done := w.work(good())
	got := w.run(restoring("--yes", "scores/"+restored, "--image", "other:1", "--secret", "admin/root", "--claim", "old")...)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.expect(got, plugin.ExitOK, "NOT in it", "is there")
	if strings.Contains(got.out, "Type the name") {
		t.Error("it asked")
	}
	text, err := json.Marshal(w.restores()[0].Spec.Template.Spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"image":"other:1"`, `"name":"admin"`, `"key":"root"`, `"claimName":"old"`} {
		if !strings.Contains(string(text), word) {
			t.Errorf("the Job lacks %s: %s", word, text)
		}
	}
}

func TestRestoreThatIsNotWantedMakesNothing(t *testing.T) {
	w := keeping(t)
	w.migrated("migrate:1")
	for name, tc := range map[string]struct {
		in   string
		args []string
		code int
		want string
	}{
		"another Microservice":     {"score\n", restoring(), plugin.ExitFailed, "nothing was done: that is not scores"},
		"another database":         {"scores\nscores\n", restoring(), plugin.ExitFailed, "nothing was done: that is not " + restored},
		"nobody answers":           {"", restoring(), plugin.ExitUsage, "use --yes scores/" + restored},
		"somebody answers half":    {"scores\n", restoring(), plugin.ExitUsage, "nobody answers"},
		"yes to something else":    {"", restoring("--yes", "scores/other"), plugin.ExitUsage, "that is scores/" + restored},
		"no name":                  {"", []string{"restore", "scores", "production", aBackup}, plugin.ExitUsage, "--database is missing"},
		"a name to be quoted":      {"", []string{"restore", "scores", "production", aBackup, "--database", "a b"}, plugin.ExitUsage, "is not possible"},
		"a name that is an option": {"", []string{"restore", "scores", "production", aBackup, "--database=-x"}, plugin.ExitUsage, "is not possible"},
		"a long name":              {"", []string{"restore", "scores", "production", aBackup, "--database", strings.Repeat("x", 51)}, plugin.ExitUsage, "is not possible"},
		"no name of a backup":      {"", []string{"restore", "scores", "production", "latest", "--database", restored}, plugin.ExitUsage, "is no name of a backup"},
		"a time that there is not": {"", []string{"restore", "scores", "production", "20261399T080000Z-abcdefgh", "--database", restored}, plugin.ExitUsage, "is no name of a backup"},
		"an unknown backup":        {"", []string{"restore", "scores", "production", "20260302T080000Z-abcdefgh", "--database", restored}, plugin.ExitFailed, "--claim or --bucket names where another one lies"},
		"an object of no release":  {"", []string{"restore", "scores", "production", "scores-backup-0123456789", "--database", restored}, plugin.ExitFailed, "by its name it is no dump"},
		"an unknown environment":   {"", []string{"restore", "scores", "staging", aBackup, "--database", restored}, plugin.ExitFailed, "no environment staging; it has production"},
		"no time":                  {"", restoring("--timeout", "0s"), plugin.ExitUsage, "--timeout"},
		"too few":                  {"", []string{"restore", "scores", "production"}, plugin.ExitUsage, "takes 3 arguments"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := *w
			inner.t = t
			inner.expect(inner.as(w.kubeconfig, tc.in, tc.args...), tc.code, tc.want)
			if jobs := inner.restores(); len(jobs) > 0 {
				t.Errorf("%d Jobs were made", len(jobs))
			}
		})
	}
	w.expect(w.run("__complete", "restore", "scores", "production", ""), plugin.ExitOK, aBackup+"\n")
}

func TestRestoreTakesDumpsOnly(t *testing.T) {
	const object = "scores-backup-0123456789"
	for name, tc := range map[string]struct {
		method v1alpha1.BackupMethod
		want   string
	}{
		"a Backup":         {v1alpha1.BackupCloudNativePG, "make a new Cluster that recovers from it (docs/backups.md)"},
		"a VolumeSnapshot": {v1alpha1.BackupVolumeSnapshot, "make a PersistentVolumeClaim with it as dataSource"},
	} {
		t.Run(name, func(t *testing.T) {
			w := keeping(t)
			release := &v1alpha1.Release{}
			if err := direct.Get(t.Context(), client.ObjectKey{Namespace: w.ms.Namespace, Name: "scores-1"}, release); err != nil {
				t.Fatal(err)
			}
			made := release.Status.Environments[0].Database.Backup
			*made = v1alpha1.BackupEvidence{Name: object, Method: tc.method, Source: "pg", StartedAt: made.StartedAt, FinishedAt: made.FinishedAt}
			if err := direct.Status().Update(t.Context(), release); err != nil {
				t.Fatal(err)
			}
			if err := known(t.Context(), release, &v1alpha1.ReleaseList{}); err != nil {
				t.Fatal(err)
			}
			got := w.run("restore", "scores", "production", object, "--database", restored, "--yes", "scores/"+restored)
			w.expect(got, plugin.ExitFailed, tc.want)
			if jobs := w.restores(); len(jobs) > 0 {
				t.Errorf("%d Jobs were made", len(jobs))
			}
			w.expect(w.run("backups", "scores"), plugin.ExitOK, database.VerdictNotRestored)
		})
	}
}

func TestRestoreThatFailsSaysWhy(t *testing.T) {
	w := keeping(t)
	w.migrated("migrate:1")
	refused := good()
	refused.Restored, refused.Error = false, &contract.MigrationError{Code: contract.TargetExists, Message: "the database " + restored + " is there already"}
	for name, tc := range map[string]struct {
		report *contract.RestoreReport
		want   string
	}{
		"with a report": {refused, restored + " was not made: the database " + restored + " is there already"},
		"without one":   {nil, "has ended without a report"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := *w
			inner.t = t
			done := inner.work(tc.report)
			got := inner.run(restoring("--yes", "scores/"+restored)...)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			inner.expect(got, plugin.ExitFailed, tc.want)
		})
	}
}

// told is a writer that says when it was told something.
type told struct {
	text string
	when chan struct{}
	once sync.Once
	all  strings.Builder
}

// Write implements io.Writer. The command writes one line at a time.
func (w *told) Write(line []byte) (int, error) {
	if strings.Contains(string(line), w.text) {
		w.once.Do(func() { close(w.when) })
	}
	return w.all.Write(line)
}

func TestRestoreUnderWayIsFollowed(t *testing.T) {
	w := keeping(t)
	w.migrated("migrate:1")
	w.expect(w.run(restoring("--yes", "scores/"+restored, "--timeout", "50ms")...), plugin.ExitTimeout, "not ended within 50ms", "goes on")
	another := []string{"restore", "scores", "production", "20260302T080000Z-abcdefgh", "--database", restored, "--claim", "old", "--yes", "scores/" + restored}
	w.expect(w.run(another...), plugin.ExitFailed, "of another backup, "+aBackup)
	// The Job ends once the command has found it at work; it asks nothing, for it was answered.
	following := &told{text: "following job", when: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		<-following.when
		ended <- <-w.work(good())
	}()
	var out bytes.Buffer
	args := append([]string{"--kubeconfig", w.kubeconfig, "-n", w.ms.Namespace}, restoring()...)
	code := plugin.Run(t.Context(), plugin.Streams{In: strings.NewReader(""), Out: &out, Err: following}, "0.1.0", args)
	following.once.Do(func() { close(following.when) }) // it may have ended without
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	w.expect(outcome{code, out.String(), following.all.String()}, plugin.ExitOK, "is there")
	if jobs := w.restores(); len(jobs) != 1 {
		t.Errorf("%d Jobs", len(jobs))
	}
}

func TestRestoreWhoseJobIsRemovedEnds(t *testing.T) {
	w := keeping(t)
	w.migrated("migrate:1")
	removed := make(chan error, 1)
	go func() {
		for {
			for _, job := range w.restores() {
				removed <- direct.Delete(t.Context(), &job, client.PropagationPolicy(metav1.DeletePropagationBackground))
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	got := w.run(restoring("--yes", "scores/"+restored)...)
	if err := <-removed; err != nil {
		t.Fatal(err)
	}
	w.expect(got, plugin.ExitFailed, "was removed meanwhile")
}

func TestRestoreWithoutAnImageOrAnEnvironmentHere(t *testing.T) {
	w := keeping(t)
	w.expect(w.run(restoring()...), plugin.ExitFailed, "name it with --image")
	w.ms.Spec.Environments[0].Cluster = &v1alpha1.ClusterSpec{KubeconfigSecretRef: v1alpha1.SecretKeyReference{Name: "west"}}
	if err := direct.Update(t.Context(), w.ms); err != nil {
		t.Fatal(err)
	}
	w.expect(w.run(restoring()...), plugin.ExitFailed, "in another cluster, that of Secret west", "mirubato-migrate restore there")
}

// TestRoleOfRestoreIsWhatItTakes: with it and a look at the Microservice one may restore; without it nobody is asked for nothing.
func TestRoleOfRestoreIsWhatItTakes(t *testing.T) {
	w := keeping(t)
	w.migrated("migrate:1")
	viewer := w.viewer()
	w.expect(w.as(viewer, "", restoring()...), plugin.ExitFailed, "you may not do this", "jobs")
	role := roleOf(t, "mirubato-restore")
	lists := role.DeepCopy()
	for i, rule := range lists.Rules {
		lists.Rules[i].Verbs = without(rule.Verbs, "create")
	}
	w.grant("viewer", lists)
	got := w.as(viewer, "scores\n"+restored+"\n", restoring()...)
	w.expect(got, plugin.ExitFailed, "you may not do this", "cannot create resource")
	if strings.Contains(got.out, "Type the name") {
		t.Error("it asked what the API server would not take")
	}
	w.grant("viewer", role)
	done := w.work(good())
	got = w.as(viewer, "scores\n"+restored+"\n", restoring()...)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.expect(got, plugin.ExitOK, "is there")
}

func without(verbs []string, verb string) (out []string) {
	for _, v := range verbs {
		if v != verb {
			out = append(out, v)
		}
	}
	return out
}

// roleOf is one of those that are installed for people.
func roleOf(t *testing.T, name string) *rbacv1.ClusterRole {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "config", "rbac", "user_roles.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		role := &rbacv1.ClusterRole{}
		if err := yaml.UnmarshalStrict([]byte(document), role); err != nil {
			t.Fatal(err)
		}
		if role.Name == name {
			return role
		}
	}
	t.Fatalf("there is no role %s", name)
	return nil
}

// grant gives somebody a role in the environment's namespace.
func (w *world) grant(name string, role *rbacv1.ClusterRole) {
	w.t.Helper()
	own := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "restore-", Namespace: w.production}, Rules: role.Rules}
	if err := direct.Create(w.t.Context(), own); err != nil {
		w.t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "restore-", Namespace: w.production},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: own.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
	}
	if err := direct.Create(w.t.Context(), binding); err != nil {
		w.t.Fatal(err)
	}
	rule := role.Rules[0]
	for allowed := false; !allowed; { // the authorizer hears of it by a watch
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: name, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: w.production, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: rule.Resources[0],
		}}}
		if err := direct.Create(w.t.Context(), review); err != nil {
			w.t.Fatal(err)
		}
		allowed = review.Status.Allowed
	}
}
