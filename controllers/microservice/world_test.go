package microservice_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/analysis"
	"github.com/mirubato/mirubato/controllers/gate"
	"github.com/mirubato/mirubato/controllers/microservice"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/podclient"
	"github.com/mirubato/mirubato/controllers/settings"
	"github.com/mirubato/mirubato/controllers/smoke"
)

// world is a Microservice with its environments on the real API server, and what no API server does by itself: Jobs that
// run and pods that become ready.
type world struct {
	t          testing.TB
	ms         *v1alpha1.Microservice
	reconciler *microservice.Reconciler
	// api is what the operator's calls pass through.
	api *calls
}

// newWorld makes a Microservice called scores with three environments that lack nothing.
func newWorld(ctx context.Context, t testing.TB) *world {
	t.Helper()
	return newWorldOf(ctx, t, "development", "staging", "production")
}

func newWorldOf(ctx context.Context, t testing.TB, environments ...string) *world {
	t.Helper()
	home := newNamespace(ctx, t, nil)
	ms := &v1alpha1.Microservice{
		ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "scores"},
		Spec: v1alpha1.MicroserviceSpec{
			Image: "localhost/scores:1.0.0",
			Auth:  &v1alpha1.AuthSpec{SecretRef: &v1alpha1.SecretKeyReference{Name: "auth"}},
			Database: &v1alpha1.DatabaseSpec{
				SecretRef:          &v1alpha1.SecretKeyReference{Name: "database"},
				MigrationSecretRef: &v1alpha1.SecretKeyReference{Name: "database-owner"},
			},
		},
	}
	w := &world{t: t, ms: ms, api: &calls{}}
	for _, name := range environments {
		namespace := newNamespace(ctx, t, map[string]string{w.consentLabel(): "true"})
		for secret, key := range map[string]string{"auth": "secret", "database": "url", "database-owner": "url"} {
			w.createSecret(ctx, namespace, secret, key)
		}
		ms.Spec.Environments = append(ms.Spec.Environments, v1alpha1.EnvironmentSpec{Name: name, Namespace: namespace})
	}
	w.reconciler = w.operator(podclient.Direct{})
	return w
}

// operator is one that remembers nothing and reaches pods in a way.
func (w *world) operator(endpoints podclient.Endpoints) *microservice.Reconciler {
	w.t.Helper()
	cached, live := w.api.client(w.t, true), w.api.client(w.t, false)
	pods := podclient.New()
	return &microservice.Reconciler{
		Client:       cached,
		Live:         live,
		OwnedBy:      func(key client.ObjectKey) client.ListOption { return ownership.ByMicroservice(key) },
		Events:       events.NewFakeRecorder(1000),
		MigrateImage: "example.com/migrate:1.0.0",
		Smoke:        &smoke.Executor{Client: pods, Endpoints: endpoints, Reader: live, Writer: cached, Now: time.Now},
		Analysis:     analysis.NewRecorder(pods),
		Settings:     settings.NewReader(pods, nil),
		Budget:       gate.NewBudget(100),
		Claims:       gate.NewClaimants(),
		Now:          time.Now,
	}
}

func (w *world) consentLabel() string {
	return "consent.platform.mirubato.com/" + w.ms.Namespace + ".scores"
}

func (w *world) createSecret(ctx context.Context, namespace, name, key string) {
	w.t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		StringData: map[string]string{key: "a value of at least thirty-two bytes"},
	}
	if err := direct.Create(ctx, secret); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(ctx context.Context) {
	w.t.Helper()
	if err := direct.Create(ctx, w.ms); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) key() client.ObjectKey { return client.ObjectKeyFromObject(w.ms) }

func (w *world) namespace(i int) string { return w.ms.Spec.Environments[i].Namespace }

// reconcile runs passes as long as each wants the next one at once, and reads the Microservice back.
func (w *world) reconcile(ctx context.Context) ctrl.Result {
	w.t.Helper()
	const atOnce, passes = time.Millisecond, 30
	for range passes {
		result, err := w.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: w.key()})
		if err != nil {
			w.t.Fatal(err)
		}
		if result.RequeueAfter == 0 || result.RequeueAfter > atOnce {
			w.read(ctx)
			return result
		}
	}
	w.read(ctx)
	w.t.Fatalf("still busy after %d passes: %s", passes, w.ms.Status.Summary)
	return ctrl.Result{}
}

func (w *world) read(ctx context.Context) {
	w.t.Helper()
	fresh := &v1alpha1.Microservice{}
	if err := direct.Get(ctx, w.key(), fresh); client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	} else if err == nil {
		w.ms = fresh
	}
}

// verify reconciles, lets Jobs succeed and pods become ready, until every environment has verified the release.
func (w *world) verify(ctx context.Context) {
	w.t.Helper()
	const passes = 30
	for range passes {
		w.reconcile(ctx)
		if meta.IsStatusConditionTrue(w.ms.Status.Conditions, v1alpha1.ConditionReady) &&
			w.ms.Status.ObservedGeneration == w.ms.Generation {
			return
		}
		w.runJobs(ctx, succeeded)
		w.readyPods(ctx)
	}
	w.t.Fatalf("not verified after %d passes: %s", passes, w.ms.Status.Summary)
}

// release reads a Release.
func (w *world) release(ctx context.Context, name string) *v1alpha1.Release {
	w.t.Helper()
	out := &v1alpha1.Release{}
	if err := direct.Get(ctx, client.ObjectKey{Namespace: w.ms.Namespace, Name: name}, out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// annotate gives a verb as a user would.
func (w *world) annotate(ctx context.Context, key, value string) {
	w.t.Helper()
	w.read(ctx)
	metav1.SetMetaDataAnnotation(&w.ms.ObjectMeta, key, value)
	if err := direct.Update(ctx, w.ms); err != nil {
		w.t.Fatal(err)
	}
}

// edit changes the spec as a user would.
func (w *world) edit(ctx context.Context, change func(*v1alpha1.MicroserviceSpec)) {
	w.t.Helper()
	w.read(ctx)
	change(&w.ms.Spec)
	if err := direct.Update(ctx, w.ms); err != nil {
		w.t.Fatal(err)
	}
}

func list[L client.ObjectList](ctx context.Context, w *world, into L) L {
	w.t.Helper()
	if err := direct.List(ctx, into, ownership.ByMicroservice(w.key())); err != nil {
		w.t.Fatal(err)
	}
	return into
}

func (w *world) jobs(ctx context.Context) []batchv1.Job {
	w.t.Helper()
	return list(ctx, w, &batchv1.JobList{}).Items
}

func (w *world) deployments(ctx context.Context) map[string]appsv1.Deployment {
	w.t.Helper()
	out := map[string]appsv1.Deployment{}
	for _, d := range list(ctx, w, &appsv1.DeploymentList{}).Items {
		if ownership.ComponentOf(d.Labels) == ownership.ComponentAPI {
			out[d.Labels[v1alpha1.LabelEnvironment]] = d
		}
	}
	return out
}

func (w *world) children(ctx context.Context) int {
	w.t.Helper()
	return len(w.everything(ctx))
}

// everything is all that was made for the Microservice.
func (w *world) everything(ctx context.Context) []client.Object {
	w.t.Helper()
	var out []client.Object
	for _, into := range []client.ObjectList{
		&appsv1.DeploymentList{}, &batchv1.JobList{}, &corev1.PodList{}, &corev1.ConfigMapList{},
		&corev1.ServiceList{}, &corev1.ServiceAccountList{}, &policyv1.PodDisruptionBudgetList{},
		&autoscalingv2.HorizontalPodAutoscalerList{}, &networkingv1.NetworkPolicyList{}, &networkingv1.IngressList{},
	} {
		w.must(meta.EachListItem(list(ctx, w, into), func(item runtime.Object) error {
			if object, ok := item.(client.Object); ok {
				out = append(out, object)
			}
			return nil
		}))
	}
	return out
}

var (
	succeeded = contract.MigrationReport{ReportVersion: contract.MigrationReportVersion, From: 0, To: 3, Target: 3}
	refused   = contract.MigrationReport{ReportVersion: contract.MigrationReportVersion, To: 2, Target: 3, Error: &contract.MigrationError{
		Code: contract.MigrationFailed, Migration: "00003_broken.sql", Message: "relation does not exist", SQLState: "42P01",
	}}
	unreachable = contract.MigrationReport{ReportVersion: contract.MigrationReportVersion, From: -1, To: -1, Target: 3, Error: &contract.MigrationError{
		Code: contract.DatabaseUnreachable, Message: "the database does not answer", Retryable: true,
	}}
)

// migrate lets the checks succeed, and ends the migrations that follow with a report.
func (w *world) migrate(ctx context.Context, report contract.MigrationReport) {
	w.t.Helper()
	check := report
	check.Error = nil
	w.runJobs(ctx, check, "check")
	w.reconcile(ctx)
	w.runJobs(ctx, report)
}

// runJobs ends every Job that has not ended, of the given stages or of all, as the Job controller and the kubelet would.
func (w *world) runJobs(ctx context.Context, report contract.MigrationReport, stages ...string) {
	w.t.Helper()
	for _, job := range w.jobs(ctx) {
		if len(job.Status.Conditions) > 0 || len(stages) > 0 && !slices.Contains(stages, job.Labels[v1alpha1.LabelStage]) {
			continue
		}
		w.endPod(ctx, &job, report)
		now := metav1.Now()
		job.Status.StartTime = &now
		if report.Error == nil {
			job.Status.Succeeded, job.Status.CompletionTime = 1, &now
			job.Status.Conditions = jobConditions(now, batchv1.JobSuccessCriteriaMet, batchv1.JobComplete)
		} else {
			job.Status.Failed = 1
			job.Status.Conditions = jobConditions(now, batchv1.JobFailureTarget, batchv1.JobFailed)
		}
		if err := direct.Status().Update(ctx, &job); err != nil {
			w.t.Fatal(err)
		}
	}
}

func jobConditions(now metav1.Time, types ...batchv1.JobConditionType) []batchv1.JobCondition {
	var out []batchv1.JobCondition
	for _, kind := range types {
		out = append(out, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now, LastProbeTime: now})
	}
	return out
}

// reportOf is what a Job of any stage reports where the migrations would report this.
func reportOf(job *batchv1.Job, report contract.MigrationReport) any {
	switch job.Labels[v1alpha1.LabelStage] {
	case "check":
		return contract.CheckReport{
			ReportVersion: contract.CheckReportVersion, Passed: report.Error == nil, Phase: "expand", Fingerprint: "f1", Error: report.Error,
			Schema:   contract.SchemaState{Current: 2, Target: 4, Floor: report.Floor},
			Pending:  []contract.PendingMigration{{Version: 3, Name: "00003_add.sql", Phase: "expand", Checksum: "cc"}},
			Held:     report.Held,
			Database: contract.DatabaseIdentity{Name: job.Namespace, System: "42"},
		}
	case "backup":
		if report.Error != nil {
			return contract.BackupReport{ReportVersion: contract.BackupReportVersion, Error: report.Error}
		}
		return contract.BackupReport{
			ReportVersion: contract.BackupReportVersion, Method: contract.BackupByDump, Name: "20261128T080000Z-abcdefgh", Verified: true,
			Started: time.Now(), Finished: time.Now(), Size: 4711, Rows: 3, TableCount: 2, LSN: "0/16B3748", Fingerprint: "f1",
			Files: []contract.BackupFile{{Name: "dump", Size: 4711, SHA256: "ab"}},
		}
	case "rehearse":
		return rehearsed("expand", contract.PendingMigration{Version: 3, Name: "00003_add.sql", Phase: "expand", Checksum: "cc"}, report)
	case "rehearse-contract":
		return rehearsed("contract", contract.PendingMigration{Version: 4, Name: "00004_drop.sql", Phase: "contract", Checksum: "dd"}, report)
	}
	return report
}

func rehearsed(phase string, file contract.PendingMigration, report contract.MigrationReport) contract.RehearsalReport {
	return contract.RehearsalReport{
		ReportVersion: contract.RehearsalReportVersion, Mode: contract.RehearsalOnData, Phase: phase, Passed: report.Error == nil,
		FingerprintBefore: "f1", DatabaseFingerprint: "f1", From: report.From, To: report.To, Error: report.Error,
		Files: []contract.PendingMigration{file},
	}
}

func (w *world) endPod(ctx context.Context, job *batchv1.Job, report contract.MigrationReport) {
	w.t.Helper()
	message, err := json.Marshal(reportOf(job, report))
	if err != nil {
		w.t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: job.Namespace, Name: job.Name, Labels: job.Spec.Template.Labels,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
	}, Spec: job.Spec.Template.Spec}
	if err := direct.Create(ctx, pod); err != nil {
		w.t.Fatal(err)
	}
	exit := int32(contract.ExitOK)
	if report.Error != nil {
		exit = contract.ExitFailed
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name:  "migrate",
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: exit, Message: string(message)}},
	}}
	if err := direct.Status().Update(ctx, pod); err != nil {
		w.t.Fatal(err)
	}
}

// readyPods completes the rollout of every Deployment.
func (w *world) readyPods(ctx context.Context) {
	w.t.Helper()
	for _, d := range list(ctx, w, &appsv1.DeploymentList{}).Items {
		n := *d.Spec.Replicas
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n}
		if err := direct.Status().Update(ctx, &d); err != nil {
			w.t.Fatal(err)
		}
	}
}

// collectGarbage finishes the foreground deletions that a garbage collector would finish.
func (w *world) collectGarbage(ctx context.Context) {
	w.t.Helper()
	release := func(object client.Object) { w.collect(ctx, object) }
	for _, d := range list(ctx, w, &appsv1.DeploymentList{}).Items {
		release(&d)
	}
	for _, job := range w.jobs(ctx) {
		if job.DeletionTimestamp == nil {
			continue
		}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: job.Namespace, Name: job.Name}}
		if err := client.IgnoreNotFound(direct.Delete(ctx, pod, client.GracePeriodSeconds(0))); err != nil {
			w.t.Fatal(err)
		}
		release(&job)
	}
	for _, cm := range list(ctx, w, &corev1.ConfigMapList{}).Items {
		release(&cm)
	}
	for _, s := range list(ctx, w, &corev1.ServiceList{}).Items {
		release(&s)
	}
	for _, sa := range list(ctx, w, &corev1.ServiceAccountList{}).Items {
		release(&sa)
	}
	for _, pdb := range list(ctx, w, &policyv1.PodDisruptionBudgetList{}).Items {
		release(&pdb)
	}
	for _, policy := range list(ctx, w, &networkingv1.NetworkPolicyList{}).Items {
		release(&policy)
	}
	for _, ingress := range list(ctx, w, &networkingv1.IngressList{}).Items {
		release(&ingress)
	}
	for _, hpa := range list(ctx, w, &autoscalingv2.HorizontalPodAutoscalerList{}).Items {
		release(&hpa)
	}
}

// collectReleases does the same for Releases, which other clusters than the operator's own know nothing of.
func (w *world) collectReleases(ctx context.Context) {
	w.t.Helper()
	for _, rel := range list(ctx, w, &v1alpha1.ReleaseList{}).Items {
		w.collect(ctx, &rel)
	}
}

// collect removes an object that waits for nothing but the garbage collector.
func (w *world) collect(ctx context.Context, object client.Object) {
	w.t.Helper()
	if object.GetDeletionTimestamp() == nil {
		return
	}
	object.SetFinalizers(nil)
	w.must(client.IgnoreNotFound(direct.Update(ctx, object)))
}
