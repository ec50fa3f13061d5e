package environment

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// typed brings a manifest into the form in which the caches deliver it.
func typed(t testing.TB, m manifest.Manifest) client.Object {
	t.Helper()
	object, err := scheme.Scheme.New(m.Object().GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m.Object().Object, object); err != nil {
		t.Fatal(err)
	}
	child, ok := object.(client.Object)
	if !ok {
		t.Fatalf("%T is not an object", object)
	}
	child.SetUID(types.UID(m.Kind() + "/" + m.Name()))
	return child
}

// empty is an environment that lacks nothing and holds nothing: the namespace consents, the one before has verified.
func empty(t testing.TB, content Content) Input {
	t.Helper()
	return Input{
		Place: place(), Content: content, Children: childrenOf(t, content),
		Facts: Facts{
			Now:       now,
			Namespace: NamespaceFacts{Exists: true, Consents: true, ConsentLabel: "consent.platform.mirubato.com/mirubato.scores"},
			Live:      map[ObjectKey]client.Object{},
		},
		Previous: "development", PreviousVerified: true,
	}
}

// job is the n-th attempt at the content's migrations, in the given state: Complete, Failed or none.
func job(t testing.TB, content Content, attempt int, state batchv1.JobConditionType) batchv1.Job {
	t.Helper()
	m, err := childrenOf(t, content).Migration.Job(attempt)
	if err != nil {
		t.Fatal(err)
	}
	job, ok := typed(t, m).(*batchv1.Job)
	if !ok {
		t.Fatal("the manifest of a Job is none")
	}
	if state != "" {
		job.Status.Conditions = []batchv1.JobCondition{{Type: state, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now)}}
	}
	return *job
}

// podOf is a Job's pod, whose migrate container ended with a report or is at work.
func podOf(job batchv1.Job, report string) corev1.Pod {
	state := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	if report != "" {
		state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: report}}
	}
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&job, batchv1.SchemeGroupVersion.WithKind("Job"))}},
		Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "migrate", State: state}}},
	}
}

// running is an environment that wants one content and whose objects are those of another, all pods ready.
func running(t testing.TB, live, want Content) Input {
	t.Helper()
	in := empty(t, want)
	children := childrenOf(t, live)
	for _, m := range append([]manifest.Manifest{children.ServiceAccount}, children.Workload...) {
		in.Facts.Live[KeyOf(m)] = typed(t, m)
	}
	n := live.Replicas
	liveDeployment(in).Status = appsv1.DeploymentStatus{Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n}
	if live.Database != nil {
		in.Facts.Jobs = []batchv1.Job{job(t, live, 1, batchv1.JobComplete)}
	}
	return in
}

func liveDeployment(in Input) *appsv1.Deployment { return in.Facts.deployment(in.Place.name()) }

// outcome is a Decision in the words of a test.
type outcome struct {
	Step          v1alpha1.Step
	Waiting       v1alpha1.WaitType
	Message       string
	Stalled       bool
	Apply, Delete []string
}

func decide(t testing.TB, in Input) outcome {
	t.Helper()
	decision, err := Decide(in)
	if err != nil {
		t.Fatal(err)
	}
	out := outcome{Step: decision.Step, Stalled: decision.Stalled}
	if decision.Waiting != nil {
		out.Waiting, out.Message = decision.Waiting.Type, decision.Waiting.Message
	}
	for _, m := range decision.Apply {
		out.Apply = append(out.Apply, m.Kind())
	}
	for _, object := range decision.Delete {
		out.Delete = append(out.Delete, object.GetName())
	}
	return out
}

// newer is the content of the release after full.
func newer(changes ...func(*Content)) Content {
	return full(append([]func(*Content){func(c *Content) {
		c.Image = "example.com/scores:1.5.0"
		c.Release = ReleaseName(c.Image)
	}}, changes...)...)
}

func TestGates(t *testing.T) {
	admit := func(waiting v1alpha1.WaitType, message string) outcome {
		return outcome{Step: v1alpha1.StepAdmit, Waiting: waiting, Message: message}
	}
	namespace := func(in *Input) { in.Facts.Namespace.Exists = false }
	terminating := func(in *Input) { in.Facts.Namespace.Terminating = true }
	consent := func(in *Input) { in.Facts.Namespace.Consents = false }
	name := func(in *Input) {
		in.Facts.Foreign = []ObjectKey{{Kind: "Service", Name: "scores"}, {Kind: "Deployment", Name: "scores"}}
	}
	noSecret := func(in *Input) {
		in.Facts.MissingSecrets = []MissingSecret{{SecretKeyReference: *secret("db", "url"), Field: "spec.database.secretRef"}}
	}
	noKey := func(in *Input) {
		in.Facts.MissingSecrets = []MissingSecret{{SecretKeyReference: *secret("db", "url"), Exists: true, Field: "spec.database.secretRef"}}
	}
	previous := func(in *Input) { in.PreviousVerified = false }
	for name, tc := range map[string]struct {
		closed []func(*Input)
		want   outcome
	}{
		"no namespace":                      {[]func(*Input){namespace}, admit(v1alpha1.WaitNamespace, "namespace scores-staging does not exist")},
		"a namespace that is being deleted": {[]func(*Input){terminating}, admit(v1alpha1.WaitNamespace, "namespace scores-staging is being deleted")},
		"no consent":                        {[]func(*Input){consent}, admit(v1alpha1.WaitConsent, "namespace scores-staging does not consent: it has no label consent.platform.mirubato.com/mirubato.scores=true")},
		"a name that is taken":              {[]func(*Input){name}, admit(v1alpha1.WaitNameConflict, "Service scores exists in namespace scores-staging and was not made for this Microservice")},
		"no Secret":                         {[]func(*Input){noSecret}, admit(v1alpha1.WaitSecret, "Secret db does not exist in namespace scores-staging (spec.database.secretRef)")},
		"no key in the Secret":              {[]func(*Input){noKey}, admit(v1alpha1.WaitSecret, "Secret db in namespace scores-staging has no value for key url (spec.database.secretRef)")},
		"the environment before":            {[]func(*Input){previous}, admit(v1alpha1.WaitPreviousEnvironment, "environment development has not verified release "+ReleaseName(image))},
		// What a person has to mend is told first, and what must be mended first of all before the rest.
		"the namespace before its consent":         {[]func(*Input){previous, noSecret, name, consent, namespace}, admit(v1alpha1.WaitNamespace, "namespace scores-staging does not exist")},
		"consent before names":                     {[]func(*Input){previous, noSecret, name, consent}, admit(v1alpha1.WaitConsent, "namespace scores-staging does not consent: it has no label consent.platform.mirubato.com/mirubato.scores=true")},
		"names before Secrets":                     {[]func(*Input){previous, noSecret, name}, admit(v1alpha1.WaitNameConflict, "Service scores exists in namespace scores-staging and was not made for this Microservice")},
		"Secrets before the environment before it": {[]func(*Input){previous, noSecret}, admit(v1alpha1.WaitSecret, "Secret db does not exist in namespace scores-staging (spec.database.secretRef)")},
	} {
		t.Run(name, func(t *testing.T) {
			in := empty(t, full())
			for _, closes := range tc.closed {
				closes(&in)
			}
			if diff := cmp.Diff(tc.want, decide(t, in)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			decision, err := Decide(in)
			if err != nil {
				t.Fatal(err)
			}
			if decision.Waiting.Unblock == "" && decision.Waiting.Type != v1alpha1.WaitPreviousEnvironment {
				t.Error("a person has to act, but is not told how")
			}
		})
	}
}

func TestDecide(t *testing.T) {
	const migrating = "the migrations are running"
	starting := "the pods of release " + ReleaseName(newer().Image) + " are not all ready"
	expand := func(apply ...string) outcome {
		return outcome{Step: v1alpha1.StepExpand, Waiting: v1alpha1.WaitMigration, Message: migrating, Apply: apply}
	}
	promote := func(apply ...string) outcome {
		return outcome{Step: v1alpha1.StepPromote, Waiting: v1alpha1.WaitPods, Message: starting, Apply: apply}
	}
	without := func(c *Content) { c.Database, c.Auth = nil, nil }
	everything := []string{"ServiceAccount", "ConfigMap", "Service", "PodDisruptionBudget", "Deployment"}
	jobName := func(c Content, attempt int) string { return job(t, c, attempt, "").Name }
	configMap := childrenOf(t, full()).ConfigMap

	for name, tc := range map[string]struct {
		in     Input
		change func(*Input)
		want   outcome
	}{
		"the first environment waits for nobody": {
			in: empty(t, newer()), change: func(in *Input) { in.Previous = "" },
			want: expand("ServiceAccount", "Job"),
		},
		"the migration comes before everything but its ServiceAccount": {
			in: empty(t, newer()), want: expand("ServiceAccount", "Job"),
		},
		"a service without a database goes straight to its pods": {
			in: empty(t, newer(without)), want: promote(everything...),
		},
		"while the migration runs nothing is written": {
			in: running(t, full(), newer()), change: func(in *Input) { in.Facts.Jobs = append(in.Facts.Jobs, job(t, newer(), 1, "")) },
			want: expand(),
		},
		"a migration that failed for good stalls": {
			in: running(t, full(), newer()), change: func(in *Input) {
				failed := job(t, newer(), 1, batchv1.JobFailed)
				in.Facts.Jobs = append(in.Facts.Jobs, failed)
				in.Facts.Pods = []corev1.Pod{podOf(failed, `{"reportVersion":1,"error":{"code":"MigrationFailed","message":"no such table"}}`)}
			},
			want: outcome{Step: v1alpha1.StepExpand, Waiting: v1alpha1.WaitMigration, Message: "no such table", Stalled: true},
		},
		"a migration that failed for the moment waits for its time": {
			in: running(t, full(), newer()), change: func(in *Input) {
				failed := job(t, newer(), 1, batchv1.JobFailed)
				in.Facts.Jobs = append(in.Facts.Jobs, failed)
				in.Facts.Pods = []corev1.Pod{podOf(failed, `{"reportVersion":1,"error":{"message":"no answer","retryable":true}}`)}
			},
			want: outcome{Step: v1alpha1.StepExpand, Waiting: v1alpha1.WaitDatabase, Message: "no answer"},
		},
		"when its time has come the next attempt is made, and the one before removed later": {
			in: running(t, full(), newer()), change: func(in *Input) {
				in.Facts.Jobs = append(in.Facts.Jobs, job(t, newer(), 1, batchv1.JobFailed))
				in.Facts.Now = now.Add(time.Minute)
			},
			want: outcome{Step: v1alpha1.StepExpand, Waiting: v1alpha1.WaitMigration, Message: "the last attempt failed", Apply: []string{"Job"}},
		},
		"a migration of an earlier release that has not begun is removed first": {
			in: running(t, full(), newer()), change: func(in *Input) { in.Facts.Jobs = []batchv1.Job{job(t, full(), 1, "")} },
			want: outcome{
				Step: v1alpha1.StepExpand, Waiting: v1alpha1.WaitMigration,
				Message: "a migration of an earlier release is being removed", Delete: []string{jobName(full(), 1)},
			},
		},
		"after the migration the pods are replaced": {
			in: running(t, full(), newer()), change: func(in *Input) { in.Facts.Jobs = append(in.Facts.Jobs, job(t, newer(), 1, batchv1.JobComplete)) },
			want: promote("ConfigMap", "Deployment"),
		},
		"a change that concerns the pods only needs no migration": {
			in: running(t, newer(), newer(func(c *Content) { c.Env = nil })), want: promote("ConfigMap", "Deployment"),
		},
		"while pods become ready nothing is written": {
			in: running(t, newer(), newer()), change: func(in *Input) { liveDeployment(*in).Status.AvailableReplicas-- },
			want: promote(),
		},
		"pods that are not ready in time stall": {
			in: running(t, newer(), newer()), change: func(in *Input) {
				status := &liveDeployment(*in).Status
				status.AvailableReplicas--
				status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded"}}
			},
			want: outcome{Step: v1alpha1.StepPromote, Waiting: v1alpha1.WaitPods, Message: starting, Stalled: true},
		},
		"pods of the release before that gave up do not stall the next": {
			in: running(t, full(without), newer(without)), change: func(in *Input) {
				liveDeployment(*in).Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded"}}
			},
			want: promote("ConfigMap", "Deployment"),
		},
		"what runs as wanted is verified, and nothing is written": {
			in: running(t, newer(), newer()), want: outcome{Step: v1alpha1.StepVerified},
		},
		"what runs already needs no environment before it": {
			in: running(t, newer(), newer()), change: func(in *Input) { in.PreviousVerified = false },
			want: outcome{Step: v1alpha1.StepVerified},
		},
		"what runs already but has lost a pod needs none either": {
			in: running(t, newer(), newer()), change: func(in *Input) { in.PreviousVerified, liveDeployment(*in).Status.AvailableReplicas = false, 1 },
			want: promote(),
		},
		"what runs with another schema does need it": {
			in:     running(t, newer(), newer(func(c *Content) { c.Database.Migrations.ExportCommand = []string{"cp"} })),
			change: func(in *Input) { in.PreviousVerified = false },
			want:   outcome{Step: v1alpha1.StepAdmit, Waiting: v1alpha1.WaitPreviousEnvironment, Message: "environment development has not verified release " + newer().Release},
		},
		"an object that was removed comes back": {
			in: running(t, newer(), newer()), change: func(in *Input) { delete(in.Facts.Live, ObjectKey{"Service", "scores"}) },
			want: outcome{Step: v1alpha1.StepVerified, Apply: []string{"Service"}},
		},
		"an object that was edited is put right": {
			in: running(t, newer(), newer()), change: func(in *Input) { liveDeployment(*in).Spec.Template.Spec.Containers[0].Image = "other" },
			want: outcome{Step: v1alpha1.StepVerified, Apply: []string{"Deployment"}},
		},
		"more replicas are written without another round": {
			in:   running(t, newer(), newer(func(c *Content) { c.Replicas = 5 })),
			want: outcome{Step: v1alpha1.StepVerified, Apply: []string{"Deployment"}},
		},
		"a Deployment that was removed comes back without another migration": {
			in: running(t, newer(), newer()), change: func(in *Input) { delete(in.Facts.Live, ObjectKey{"Deployment", "scores"}) },
			want: promote("Deployment"),
		},
		"what an earlier release left behind goes when the new one is verified": {
			in: running(t, newer(), newer()), change: func(in *Input) {
				in.Facts.Jobs = append(in.Facts.Jobs, job(t, full(), 1, batchv1.JobComplete))
				in.Facts.Live[ObjectKey{"ConfigMap", configMap}] = find[corev1.ConfigMap](t, childrenOf(t, full()), "ConfigMap")
			},
			want: outcome{Step: v1alpha1.StepVerified, Delete: []string{jobName(full(), 1), configMap}},
		},
		"what is being removed already is not removed again": {
			in: running(t, newer(), newer()), change: func(in *Input) {
				old := find[corev1.ConfigMap](t, childrenOf(t, full()), "ConfigMap")
				old.DeletionTimestamp = &metav1.Time{Time: now}
				in.Facts.Live[ObjectKey{"ConfigMap", configMap}] = old
			},
			want: outcome{Step: v1alpha1.StepVerified},
		},
		"back to the release before, a migration that never began goes": {
			in: running(t, full(), full()), change: func(in *Input) { in.Facts.Jobs = append(in.Facts.Jobs, job(t, newer(), 1, "")) },
			want: outcome{Step: v1alpha1.StepVerified, Delete: []string{jobName(newer(), 1)}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.change != nil {
				tc.change(&tc.in)
			}
			if diff := cmp.Diff(tc.want, decide(t, tc.in)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if settled := Settled("scores", tc.in.Children, tc.in.Facts); settled != (tc.want.Step == v1alpha1.StepVerified) {
				t.Errorf("settled = %t at step %s: what is not settled is looked into, what is verified is not", settled, tc.want.Step)
			}
		})
	}
}

func TestSchemaVersionIsToldByTheLastJob(t *testing.T) {
	in := running(t, full(), full())
	in.Facts.Pods = []corev1.Pod{podOf(in.Facts.Jobs[0], `{"reportVersion":1,"from":0,"to":7,"target":7}`)}
	for name, step := range map[string]func(){
		"while pods start": func() { liveDeployment(in).Status.AvailableReplicas = 0 },
		"when verified":    func() { liveDeployment(in).Status.AvailableReplicas = in.Content.Replicas },
	} {
		step()
		decision, err := Decide(in)
		if err != nil {
			t.Fatal(err)
		}
		if decision.SchemaVersion == nil || *decision.SchemaVersion != 7 {
			t.Errorf("%s: version = %v, want 7", name, decision.SchemaVersion)
		}
	}
}

func TestObsoleteIsInAStableOrder(t *testing.T) {
	in := running(t, full(), full())
	for _, name := range []string{"scores-c", "scores-a", "scores-b"} {
		in.Facts.Live[ObjectKey{"ConfigMap", name}] = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	if got := decide(t, in).Delete; !slices.IsSorted(got) || len(got) != 3 {
		t.Errorf("deletes %v, want three in order", got)
	}
}
