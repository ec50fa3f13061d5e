package microservice_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/backup"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/podclient"
)

var (
	cluster  = backup.Source{Method: v1alpha1.BackupCloudNativePG, Of: "pg"}
	snapshot = backup.Source{Method: v1alpha1.BackupVolumeSnapshot, Of: "data-pg-0"}
)

// installKind teaches the API server a kind of backup until the test ends.
func installKind(t *testing.T, source backup.Source) {
	t.Helper()
	file := map[v1alpha1.BackupMethod]string{v1alpha1.BackupCloudNativePG: "backups.yaml", v1alpha1.BackupVolumeSnapshot: "volumesnapshots.yaml"}[source.Method]
	installed, err := envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: []string{filepath.Join("testdata", file)}, ErrorIfPathMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		releaseAll(ctx, t, source.Kind())
		if err := envtest.UninstallCRDs(config, envtest.CRDInstallOptions{CRDs: installed}); err != nil {
			t.Fatal(err)
		}
		gone := func(ctx context.Context) (bool, error) {
			live := &unstructured.Unstructured{}
			live.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
			err := direct.Get(ctx, client.ObjectKeyFromObject(installed[0]), live)
			return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
		}
		if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, gone); err != nil {
			t.Fatalf("the kind stays: %v", err)
		}
	})
}

// releaseAll finishes the foreground deletions that a garbage collector would finish.
func releaseAll(ctx context.Context, t *testing.T, kind schema.GroupVersionKind) {
	t.Helper()
	all := &unstructured.UnstructuredList{}
	all.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := direct.List(ctx, all); err != nil {
		t.Fatal(err)
	}
	for i := range all.Items {
		all.Items[i].SetFinalizers(nil)
		if err := direct.Update(ctx, &all.Items[i]); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
}

// newWorldAsking is a Microservice of one environment whose backups somebody else makes.
func newWorldAsking(ctx context.Context, t *testing.T, source backup.Source) *world {
	t.Helper()
	w := newWorldOf(ctx, t, "production")
	w.askFor(0, source)
	w.create(ctx)
	return w
}

// askFor has somebody else make the backups of an environment, of which one is kept.
func (w *world) askFor(i int, source backup.Source) {
	spec := &v1alpha1.BackupSpec{Retain: new(int32(1))}
	if source.Method == v1alpha1.BackupVolumeSnapshot {
		spec.VolumeSnapshot = &v1alpha1.VolumeSnapshotSpec{ClaimName: source.Of}
	} else {
		spec.CloudNativePG = &v1alpha1.CloudNativePGSpec{Cluster: source.Of, Method: new("barman-cloud.cloudnative-pg.io")}
	}
	w.ms.Spec.Environments[i].Overrides = &v1alpha1.EnvironmentOverrides{Database: &v1alpha1.DatabaseSpec{Backup: spec}}
}

// asked are the objects of a kind in an environment that stay.
func (w *world) asked(ctx context.Context, i int, kind schema.GroupVersionKind) []unstructured.Unstructured {
	w.t.Helper()
	all := &unstructured.UnstructuredList{}
	all.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	w.must(direct.List(ctx, all, client.InNamespace(w.namespace(i))))
	return slices.DeleteFunc(all.Items, func(u unstructured.Unstructured) bool { return u.GetDeletionTimestamp() != nil })
}

// one is the only object of a kind in the first environment.
func (w *world) one(ctx context.Context, kind schema.GroupVersionKind) *unstructured.Unstructured {
	w.t.Helper()
	all := w.asked(ctx, 0, kind)
	if len(all) != 1 {
		w.t.Fatalf("%d of %s are there, want one (%s)", len(all), kind.Kind, w.ms.Status.Summary)
	}
	return &all[0]
}

// answer is what the controller of the kind says.
func (w *world) answer(ctx context.Context, object *unstructured.Unstructured, status map[string]any) {
	w.t.Helper()
	object.Object["status"] = status
	w.must(direct.Status().Update(ctx, object))
}

// finished is what the controller of a kind says at the end.
func finished(kind schema.GroupVersionKind) map[string]any {
	if kind.Kind == "VolumeSnapshot" {
		return map[string]any{"readyToUse": true, "creationTime": "2026-11-28T08:00:00Z", "restoreSize": "1Gi"}
	}
	return map[string]any{"phase": "completed", "startedAt": "2026-11-28T08:00:00Z", "stoppedAt": "2026-11-28T08:01:00Z", "endLSN": "0/5000100"}
}

// untilBackup has the check of a release pass, so that its backup is due.
func (w *world) untilBackup(ctx context.Context) {
	w.t.Helper()
	w.reconcile(ctx)
	w.runJobs(ctx, succeeded, "check")
	if result := w.reconcile(ctx); result.RequeueAfter == 0 {
		w.t.Error("nobody looks at the backup again, and no watch tells")
	}
	if step := w.ms.Status.Environments[0].Step; step != v1alpha1.StepBackUp {
		w.t.Fatalf("at %s, want BackUp", step)
	}
}

// expectWait fails unless the first environment waits for a backup, and says this of it. stalled says whether a person has to act.
func (w *world) expectWait(ctx context.Context, want v1alpha1.WaitType, message, unblock string, stalled bool) {
	w.t.Helper()
	w.reconcile(ctx)
	waiting := w.ms.Status.Environments[0].WaitingFor
	if waiting == nil || waiting.Type != want || !strings.Contains(waiting.Message, message) || !strings.Contains(waiting.Unblock, unblock) {
		w.t.Errorf("waits for %+v, want %s: %s", waiting, want, message)
	}
	if got := meta.IsStatusConditionTrue(w.ms.Status.Conditions, v1alpha1.ConditionStalled); got != stalled {
		w.t.Errorf("stalled %t, want %t", got, stalled)
	}
	for _, job := range w.jobs(ctx) {
		if stage := job.Labels[v1alpha1.LabelStage]; stage != "check" && len(job.Status.Conditions) == 0 {
			w.t.Errorf("a Job for %s is there without a backup", stage)
		}
	}
	w.expectRest(ctx)
}

func TestCloudNativePGBacksUpBeforeTheSchemaChanges(t *testing.T) {
	ctx := t.Context()
	installKind(t, cluster)
	w := newWorldAsking(ctx, t, cluster)
	w.untilBackup(ctx)
	made := w.one(ctx, cluster.Kind())
	want := map[string]any{
		"cluster": map[string]any{"name": "pg"}, "method": "plugin", "pluginConfiguration": map[string]any{"name": "barman-cloud.cloudnative-pg.io"},
	}
	if diff := cmp.Diff(want, made.Object["spec"]); diff != "" {
		t.Errorf("the Backup (-want +got):\n%s", diff)
	}
	if owner, ok := ownership.Of(made); !ok || owner.Environment != "production" {
		t.Errorf("labels %v", made.GetLabels())
	}
	w.expectWait(ctx, v1alpha1.WaitBackup, "the Backup of Cluster pg was not begun by CloudNativePG yet", "", false)
	w.answer(ctx, made, map[string]any{"phase": "finalizing"})
	w.expectWait(ctx, v1alpha1.WaitBackup, "is at work: finalizing", "", false)
	w.answer(ctx, made, finished(cluster.Kind()))
	w.reconcile(ctx)
	if diff := cmp.Diff([]string{"rehearse"}, w.stages(ctx, 0)); diff != "" {
		t.Fatalf("Jobs (-want +got):\n%s", diff)
	}
	for _, job := range w.jobs(ctx) {
		if args := job.Spec.Template.Spec.Containers[0].Args; job.Labels[v1alpha1.LabelStage] == "rehearse" && !slices.Contains(args, "Schema") {
			t.Errorf("the rehearsal is held with %v, and there is no dump", args)
		}
	}
	w.verify(ctx)
	evidence := w.release(ctx, "scores-1").Status.Environments[0].Database.Backup
	if evidence == nil || evidence.Method != v1alpha1.BackupCloudNativePG || evidence.Source != "pg" || evidence.Name != made.GetName() ||
		evidence.LSN != "0/5000100" || evidence.FinishedAt.Sub(evidence.StartedAt.Time) != time.Minute || evidence.Restored.Duration != 0 || evidence.SHA256 != "" {
		t.Errorf("evidence %+v", evidence)
	}
	kept := &unstructured.Unstructured{}
	kept.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Release"))
	w.must(direct.Get(ctx, client.ObjectKey{Namespace: w.ms.Namespace, Name: "scores-1"}, kept))
	if text, err := json.Marshal(kept.Object["status"]); err != nil || strings.Contains(string(text), `"restored"`) {
		t.Errorf("it tells how long restoring took, which nobody did: %s, %v", text, err)
	}
	w.expectRest(ctx)

	// The next release makes another one, and only when that is complete the first one goes.
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.1.0" })
	w.untilBackup(ctx)
	both := w.asked(ctx, 0, cluster.Kind())
	if len(both) != 2 {
		t.Fatalf("%d Backups, want the first and another one", len(both))
	}
	next := &both[slices.IndexFunc(both, func(u unstructured.Unstructured) bool { return u.GetName() != made.GetName() })]
	w.answer(ctx, next, finished(cluster.Kind()))
	w.reconcile(ctx)
	w.reconcile(ctx)
	if left := w.one(ctx, cluster.Kind()); left.GetName() != next.GetName() {
		t.Errorf("%s is left, want %s", left.GetName(), next.GetName())
	}
	w.verify(ctx)

	// It outlives its Microservice.
	w.must(direct.Delete(ctx, w.ms))
	for range 3 {
		w.reconcile(ctx)
		w.collectGarbage(ctx)
	}
	if err := direct.Get(ctx, w.key(), &v1alpha1.Microservice{}); !apierrors.IsNotFound(err) {
		t.Fatalf("the Microservice stays: %v", err)
	}
	w.one(ctx, cluster.Kind())
}

func TestABackupThatCannotBeMadeStopsTheRelease(t *testing.T) {
	ctx := t.Context()
	installKind(t, cluster)
	w := newWorldAsking(ctx, t, cluster)
	w.untilBackup(ctx)
	made := w.one(ctx, cluster.Kind())
	w.answer(ctx, made, map[string]any{"phase": "failed", "error": "no space left\non device"})
	remove := "kubectl delete backups.postgresql.cnpg.io --namespace " + w.namespace(0) + " " + made.GetName()
	w.expectWait(ctx, v1alpha1.WaitBackup, "has failed: no space left on device", remove, true)
	if rejection := w.release(ctx, "scores-1").Status.Rejection; rejection != nil {
		t.Errorf("the release is blamed: %+v", rejection)
	}

	// Somebody else's object of that name is neither used nor changed.
	w.must(direct.Delete(ctx, made))
	foreign := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"cluster": map[string]any{"name": "other"}}}}
	foreign.SetGroupVersionKind(cluster.Kind())
	foreign.SetNamespace(made.GetNamespace())
	foreign.SetName(made.GetName())
	w.must(direct.Create(ctx, foreign))
	w.answer(ctx, foreign, finished(cluster.Kind()))
	w.expectWait(ctx, v1alpha1.WaitNameConflict, "was not made for this environment", remove, true)
	if live := w.one(ctx, cluster.Kind()); live.GetResourceVersion() != foreign.GetResourceVersion() {
		t.Errorf("it was changed: %v", live.Object)
	}

	// Once it is gone the backup is asked for again, and what CloudNativePG mends by itself needs nobody.
	w.must(direct.Delete(ctx, foreign))
	w.reconcile(ctx)
	made = w.one(ctx, cluster.Kind())
	w.answer(ctx, made, map[string]any{"phase": "walArchivingFailing"})
	w.expectWait(ctx, v1alpha1.WaitBackup, "the write-ahead log is not archived", remove, true)
	w.answer(ctx, made, finished(cluster.Kind()))
	w.verify(ctx)
}

// A Backup that is made again gets another snapshot, and not the one that stayed of the one before.
func TestWhatIsLeftOfABackupHoldsTheNextOneUp(t *testing.T) {
	ctx := t.Context()
	for _, source := range []backup.Source{cluster, snapshot} {
		installKind(t, source)
	}
	w := newWorldOf(ctx, t, "production")
	w.askFor(0, cluster)
	w.ms.Spec.Environments[0].Overrides.Database.Backup.CloudNativePG.Method = new("volumeSnapshot")
	w.create(ctx)
	w.untilBackup(ctx)
	made := w.one(ctx, cluster.Kind())
	left := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"source": map[string]any{"persistentVolumeClaimName": "pg-1"}}}}
	left.SetGroupVersionKind(snapshot.Kind())
	left.SetNamespace(made.GetNamespace())
	left.SetName(made.GetName())
	left.SetLabels(map[string]string{"cnpg.io/backupName": made.GetName()}) // as CloudNativePG does
	w.must(direct.Create(ctx, left))
	w.answer(ctx, made, map[string]any{"phase": "failed", "error": "no such class"})
	remove := "kubectl delete volumesnapshots.snapshot.storage.k8s.io --namespace " + w.namespace(0) + " --selector cnpg.io/backupName=" + made.GetName()
	w.expectWait(ctx, v1alpha1.WaitBackup, "has failed: no such class", remove, true)

	w.must(direct.Delete(ctx, made))
	w.expectWait(ctx, v1alpha1.WaitBackup, "is not asked for again", remove, true)
	if again := w.asked(ctx, 0, cluster.Kind()); len(again) != 0 {
		t.Fatalf("it was asked for: %v", again)
	}
	w.must(direct.Delete(ctx, left))
	w.reconcile(ctx)
	w.answer(ctx, w.one(ctx, cluster.Kind()), finished(cluster.Kind()))
	w.verify(ctx)
}

// CloudNativePG judges Backups by a webhook, which is away while its pod starts anew.
func TestAWebhookThatIsAwayIsWaitedFor(t *testing.T) {
	ctx := t.Context()
	installKind(t, cluster)
	w := newWorldAsking(ctx, t, cluster)
	fail, none := admissionv1.Fail, admissionv1.SideEffectClassNone
	hook := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "vbackup.example.com"}}
	hook.Webhooks = []admissionv1.ValidatingWebhook{{
		Name: "vbackup.example.com", FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
		ClientConfig: admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")}, // nobody listens there
		Rules: []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Create},
			Rule:       admissionv1.Rule{APIGroups: []string{cluster.Kind().Group}, APIVersions: []string{"v1"}, Resources: []string{"backups"}},
		}},
	}}
	w.must(direct.Create(ctx, hook))
	t.Cleanup(func() { w.must(client.IgnoreNotFound(direct.Delete(context.WithoutCancel(ctx), hook))) })
	away := func(ctx context.Context) (bool, error) { // the API server takes a moment to heed it
		owner := ownership.Owner{Microservice: w.key(), Environment: "probe"}
		probe, err := backup.Request{Source: cluster, Owner: owner, Namespace: w.namespace(0)}.Object()
		w.must(err)
		err = direct.Create(ctx, probe, client.DryRunAll)
		return apierrors.IsInternalError(err), nil
	}
	w.must(wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, away))
	w.untilBackup(ctx)
	result := w.reconcile(ctx)
	waiting := w.ms.Status.Environments[0].WaitingFor
	if waiting == nil || !strings.Contains(waiting.Message, "cannot be asked for, and is tried again: Internal error occurred: failed calling webhook") {
		t.Errorf("waits for %+v", waiting)
	}
	if meta.IsStatusConditionTrue(w.ms.Status.Conditions, v1alpha1.ConditionStalled) {
		t.Error("it is stalled, and may end by itself")
	}
	if result.RequeueAfter == 0 || result.RequeueAfter > 10*time.Second {
		t.Errorf("looks again after %s", result.RequeueAfter)
	}

	w.must(direct.Delete(ctx, hook))
	w.eventually(ctx, "the Backup to be asked for", func() bool {
		w.reconcile(ctx)
		return len(w.asked(ctx, 0, cluster.Kind())) == 1
	})
}

func TestAKilledOperatorAsksForOneBackup(t *testing.T) {
	ctx := t.Context()
	installKind(t, cluster)
	w := newWorldAsking(ctx, t, cluster)
	w.reconcile(ctx)
	w.runJobs(ctx, succeeded, "check")
	const writes = 30
	for i := 0; i < writes && len(w.asked(ctx, 0, cluster.Kind())) == 0; i++ { // killed after each write, until that was the object
		w.api.last = w.api.writes + 1
		_, _ = w.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: w.key()})
		w.api.revive()
		w.reconciler = w.operator(podclient.Direct{})
	}
	made := w.one(ctx, cluster.Kind())
	w.expectWait(ctx, v1alpha1.WaitBackup, "was not begun", "", false)
	if again := w.one(ctx, cluster.Kind()); again.GetUID() != made.GetUID() {
		t.Error("it was made again")
	}
	w.answer(ctx, made, finished(cluster.Kind()))
	w.verify(ctx)
}

func TestASnapshotOfAClusterWithoutThem(t *testing.T) {
	ctx := t.Context()
	w := newWorldAsking(ctx, t, snapshot)
	w.untilBackup(ctx)
	w.expectWait(ctx, v1alpha1.WaitBackup, "the cluster does not know VolumeSnapshot of snapshot.storage.k8s.io/v1", "install the CRDs", true)

	installKind(t, snapshot)
	w.eventually(ctx, "the snapshot to be asked for", func() bool { // once discovery has it
		w.reconcile(ctx)
		return w.ms.Status.Environments[0].WaitingFor.Message == "the VolumeSnapshot of PersistentVolumeClaim data-pg-0 was not begun by the snapshot controller yet"
	})
	made := w.one(ctx, snapshot.Kind())
	if diff := cmp.Diff(map[string]any{"source": map[string]any{"persistentVolumeClaimName": "data-pg-0"}}, made.Object["spec"]); diff != "" {
		t.Errorf("the VolumeSnapshot (-want +got):\n%s", diff)
	}
	w.answer(ctx, made, map[string]any{"readyToUse": true, "error": map[string]any{"message": "no such class"}})
	w.expectWait(ctx, v1alpha1.WaitBackup, "has failed, and is tried again: no such class", "", false)
	w.reconciler.Now = func() time.Time { return time.Now().Add(2 * time.Minute) } // long enough for whatever mends itself
	w.expectWait(ctx, v1alpha1.WaitBackup, "has failed, and is tried again: no such class", "kubectl delete volumesnapshots.snapshot.storage.k8s.io", true)
	w.answer(ctx, made, finished(snapshot.Kind()))
	w.verify(ctx)
	evidence := w.release(ctx, "scores-1").Status.Environments[0].Database.Backup
	if evidence == nil || evidence.Method != v1alpha1.BackupVolumeSnapshot || evidence.Source != "data-pg-0" || evidence.Size != 1<<30 {
		t.Errorf("evidence %+v", evidence)
	}
	w.expectRest(ctx)
}

// The rights are those of config/rbac, and nothing but the operator's own clock has it look at the objects.
func TestBackupsAreAskedForWithTheRightsOfTheOperator(t *testing.T) {
	ctx := t.Context()
	sources := []backup.Source{cluster, snapshot}
	w := newWorldOf(ctx, t, "staging", "production")
	for i, source := range sources {
		installKind(t, source)
		w.askFor(i, source)
		w.leaveBackup(ctx, i, source)
	}
	w.create(ctx)
	w.start(ctx)
	for i, source := range sources {
		w.eventually(ctx, "the old backup to give way", func() bool {
			w.runJobs(ctx, succeeded)
			w.readyPods(ctx)
			left := w.asked(ctx, i, source.Kind())
			for j := range left {
				if left[j].GetName() != "old" && left[j].Object["status"] == nil {
					w.answer(ctx, &left[j], finished(source.Kind()))
				}
			}
			return len(left) == 1 && left[0].GetName() != "old"
		})
	}
}

// leaveBackup makes a complete backup as an earlier release would have left it.
func (w *world) leaveBackup(ctx context.Context, i int, source backup.Source) {
	w.t.Helper()
	owner := ownership.Owner{Microservice: w.key(), Environment: w.ms.Spec.Environments[i].Name}
	old, err := backup.Request{Source: source, Owner: owner, Namespace: w.namespace(i)}.Object()
	w.must(err)
	old.SetName("old")
	w.must(direct.Create(ctx, old))
	w.answer(ctx, old, finished(source.Kind()))
}
