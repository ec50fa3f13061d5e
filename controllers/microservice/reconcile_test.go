package microservice_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func steps(ms *v1alpha1.Microservice) []v1alpha1.Step {
	var out []v1alpha1.Step
	for _, e := range ms.Status.Environments {
		out = append(out, e.Step)
	}
	return out
}

func TestEnvironmentsMoveInOrder(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.create(ctx)

	expect := func(what string, want ...v1alpha1.Step) {
		t.Helper()
		w.reconcile(ctx)
		if diff := cmp.Diff(want, steps(w.ms)); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", what, diff)
		}
		w.expectRest(ctx)
	}
	expect("at first, migrations are checked in the first environment", "Check", "Admit", "Admit")
	w.runJobs(ctx, succeeded)
	expect("then they run there", "Expand", "Admit", "Admit")
	if n := len(w.deployments(ctx)); n != 0 {
		t.Fatalf("%d Deployments exist before the migrations have run", n)
	}
	w.runJobs(ctx, succeeded)
	expect("after its migrations the first environment gets its pods", "Promote", "Admit", "Admit")
	w.readyPods(ctx)
	expect("when they are ready the second environment begins", "Verified", "Check", "Admit")
	w.migrate(ctx, succeeded)
	expect("and so on", "Verified", "Promote", "Admit")
	w.readyPods(ctx)
	expect("to the last", "Verified", "Verified", "Check")
	w.migrate(ctx, succeeded)
	expect("one", "Verified", "Verified", "Promote")
	w.readyPods(ctx)
	expect("until all have verified the release", "Verified", "Verified", "Verified")

	if want := "1.0.0: development verified, staging verified, production verified"; w.ms.Status.Summary != want {
		t.Errorf("summary is %q, want %q", w.ms.Status.Summary, want)
	}
	for _, e := range w.ms.Status.Environments {
		if e.SchemaVersion == nil || *e.SchemaVersion != 3 {
			t.Errorf("environment %s does not tell schema version 3", e.Name)
		}
		if e.Image != "localhost/scores:1.0.0" || e.Release != w.ms.Status.Release {
			t.Errorf("environment %s tells image %s and release %s", e.Name, e.Image, e.Release)
		}
	}
}

// expectRest fails unless another pass over an unchanged world writes nothing.
func (w *world) expectRest(ctx context.Context) {
	w.t.Helper()
	before := w.api.writes
	w.reconcile(ctx)
	if n := w.api.writes - before; n != 0 {
		w.t.Fatalf("%d writes although nothing changed (%s)", n, w.ms.Status.Summary)
	}
}

func TestNewImageRollsInOrder(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.create(ctx)
	w.verify(ctx)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.1.0" })

	images := func() []string {
		var out []string
		deployments := w.deployments(ctx)
		for _, e := range w.ms.Spec.Environments {
			image := deployments[e.Name].Spec.Template.Spec.Containers[0].Image
			out = append(out, image[strings.LastIndex(image, ":")+1:])
		}
		return out
	}
	for i, want := range [][]string{{"1.1.0", "1.0.0", "1.0.0"}, {"1.1.0", "1.1.0", "1.0.0"}, {"1.1.0", "1.1.0", "1.1.0"}} {
		w.reconcile(ctx)
		w.migrate(ctx, succeeded)
		w.reconcile(ctx)
		if diff := cmp.Diff(want, images()); diff != "" {
			t.Fatalf("after round %d (-want +got):\n%s", i+1, diff)
		}
		w.readyPods(ctx)
	}
	w.verify(ctx)
	w.reconcile(ctx)
	w.collectGarbage(ctx)
	if n := len(list(ctx, w, &corev1.ConfigMapList{}).Items); n != 6 {
		t.Errorf("%d ConfigMaps are left, want the variables and the settings of each environment", n)
	}
	if n := len(w.jobs(ctx)); n != 3 {
		t.Errorf("%d Jobs are left, want the last one of each environment", n)
	}
}

func TestFailedMigrationChangesNoPod(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.create(ctx)
	w.verify(ctx)
	before := w.deployments(ctx)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.1.0" })
	w.reconcile(ctx)
	w.migrate(ctx, refused)
	w.reconcile(ctx)
	w.expectRest(ctx)

	for name, d := range w.deployments(ctx) {
		if d.ResourceVersion != before[name].ResourceVersion {
			t.Errorf("the Deployment of %s was written", name)
		}
	}
	stalled := meta.FindStatusCondition(w.ms.Status.Conditions, v1alpha1.ConditionStalled)
	if stalled == nil || stalled.Status != metav1.ConditionTrue || !strings.Contains(stalled.Message, "00003_broken.sql") {
		t.Errorf("Stalled does not name the migration: %+v", stalled)
	}
	waiting := w.ms.Status.Environments[0].WaitingFor
	if waiting == nil || waiting.Type != v1alpha1.WaitRejected || !strings.Contains(waiting.Unblock, v1alpha1.VerbRetry) {
		t.Errorf("the environment does not say how to go on: %+v", waiting)
	}
	if rejection := w.release(ctx, w.ms.Status.Release).Status.Rejection; rejection == nil || rejection.Reason != v1alpha1.FailureMigration {
		t.Errorf("the release is not rejected: %+v", rejection)
	}

	t.Run("and is tried again when somebody asks for it", func(t *testing.T) {
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // times are kept in seconds
		w.annotate(ctx, v1alpha1.VerbRetry, "now")
		w.reconcile(ctx)
		w.runJobs(ctx, succeeded, "check")
		w.reconcile(ctx) // what is left of the failed run goes
		w.collectGarbage(ctx)
		w.verify(ctx)
		if rejection := w.release(ctx, w.ms.Status.Release).Status.Rejection; rejection != nil {
			t.Errorf("the rejection stays: %+v", rejection)
		}
	})
}

func TestUnreachableDatabaseIsTriedAgain(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	clock := time.Now()
	w.reconciler.Now = func() time.Time { return clock }
	w.create(ctx)
	w.reconcile(ctx)
	w.migrate(ctx, unreachable)
	result := w.reconcile(ctx)
	waiting := w.ms.Status.Environments[0].WaitingFor
	if waiting == nil || waiting.Type != v1alpha1.WaitDatabase || waiting.Deadline == nil {
		t.Fatalf("the environment does not wait for its database: %+v", waiting)
	}
	if result.RequeueAfter <= 0 || result.RequeueAfter > time.Minute {
		t.Fatalf("the next look is in %s", result.RequeueAfter)
	}
	w.expectRest(ctx)
	clock = waiting.Deadline.Add(time.Second)
	w.reconcile(ctx)
	if n := len(w.jobs(ctx)); n != 3 {
		t.Fatalf("%d Jobs after the pause, want the check and a second attempt", n)
	}
	w.verify(ctx)
}

func TestWhatIsMissingIsNamedAndMended(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil, mend func(ctx context.Context, w *world)
		want        v1alpha1.WaitType
		message     string
	}{
		"a Secret that does not exist": {
			spoil: func(ctx context.Context, w *world) {
				w.must(direct.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace(0), Name: "database"}}))
			},
			mend: func(ctx context.Context, w *world) { w.createSecret(ctx, w.namespace(0), "database", "url") },
			want: v1alpha1.WaitSecret, message: "Secret database does not exist",
		},
		"a key that is missing": {
			spoil: func(ctx context.Context, w *world) {
				w.must(direct.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace(0), Name: "auth"}}))
				w.createSecret(ctx, w.namespace(0), "auth", "other")
			},
			mend: func(ctx context.Context, w *world) {
				w.must(direct.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace(0), Name: "auth"}}))
				w.createSecret(ctx, w.namespace(0), "auth", "secret")
			},
			want: v1alpha1.WaitSecret, message: "has no value for key secret",
		},
		"a Secret with the headers of a smoke test": {
			spoil: func(_ context.Context, w *world) {
				w.ms.Spec.Environments[0].Rollout = &v1alpha1.RolloutSpec{SmokeTests: []v1alpha1.SmokeTest{{
					Name: "login", HTTP: &v1alpha1.HTTPTest{Path: "/", HeadersFrom: "robot"},
				}}}
			},
			mend: func(ctx context.Context, w *world) {
				w.createSecret(ctx, w.namespace(0), "robot", "Authorization")
				w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Environments[0].Rollout = nil }) // nobody answers here
			},
			want: v1alpha1.WaitSecret, message: "Secret robot does not exist",
		},
		"a namespace that does not consent": {
			spoil: func(ctx context.Context, w *world) { w.label(ctx, w.namespace(0), nil) },
			mend: func(ctx context.Context, w *world) {
				w.label(ctx, w.namespace(0), map[string]string{w.consentLabel(): "true"})
			},
			want: v1alpha1.WaitConsent, message: "does not consent",
		},
		"a name that somebody else has taken": {
			spoil: func(ctx context.Context, w *world) {
				w.must(direct.Create(ctx, foreignService(w.namespace(0))))
			},
			mend: func(ctx context.Context, w *world) { w.must(direct.Delete(ctx, foreignService(w.namespace(0)))) },
			want: v1alpha1.WaitNameConflict, message: "Service scores exists",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			w := newWorld(ctx, t)
			tc.spoil(ctx, w)
			w.create(ctx)
			w.reconcile(ctx)
			waiting := w.ms.Status.Environments[0].WaitingFor
			if waiting == nil || waiting.Type != tc.want || !strings.Contains(waiting.Message, tc.message) || waiting.Unblock == "" {
				t.Fatalf("waits for %+v, want %s with %q and a way out", waiting, tc.want, tc.message)
			}
			if ready := meta.FindStatusCondition(w.ms.Status.Conditions, v1alpha1.ConditionReady); ready.Reason != string(tc.want) {
				t.Errorf("Ready has reason %s, want %s", ready.Reason, tc.want)
			}
			if n := w.children(ctx); n != 0 {
				t.Errorf("%d objects were made", n)
			}
			w.expectRest(ctx)
			tc.mend(ctx, w)
			w.verify(ctx)
		})
	}
}

func foreignService(namespace string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "scores"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) label(ctx context.Context, name string, labels map[string]string) {
	w.t.Helper()
	namespace := &corev1.Namespace{}
	w.must(direct.Get(ctx, client.ObjectKey{Name: name}, namespace))
	namespace.Labels = labels
	w.must(direct.Update(ctx, namespace))
}

func TestHandEditsAreUndone(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.create(ctx)
	w.verify(ctx)
	d := w.deployments(ctx)["production"]
	d.Spec.Template.Spec.Containers[0].Image = "example.com/other:1"
	d.Spec.Replicas = new(int32)
	w.must(direct.Update(ctx, &d))
	service := &corev1.Service{}
	w.must(direct.Get(ctx, client.ObjectKey{Namespace: w.namespace(1), Name: "scores"}, service))
	w.must(direct.Delete(ctx, service))
	w.verify(ctx)
	d = w.deployments(ctx)["production"]
	if image := d.Spec.Template.Spec.Containers[0].Image; image != "localhost/scores:1.0.0" || *d.Spec.Replicas != 2 {
		t.Errorf("the Deployment kept image %s and %d replicas", image, *d.Spec.Replicas)
	}
	w.must(direct.Get(ctx, client.ObjectKey{Namespace: w.namespace(1), Name: "scores"}, service))
}

func TestRemovedEnvironmentIsEmptied(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.create(ctx)
	w.verify(ctx)
	removed := w.namespace(2)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Environments = spec.Environments[:2] })
	w.reconcile(ctx)
	w.collectGarbage(ctx)
	d := &appsv1.Deployment{}
	if err := direct.Get(ctx, client.ObjectKey{Namespace: removed, Name: "scores"}, d); !apierrors.IsNotFound(err) {
		t.Errorf("the Deployment of the removed environment is still there: %v", err)
	}
	if n := len(w.ms.Status.Environments); n != 2 {
		t.Errorf("the status tells %d environments", n)
	}
	w.verify(ctx)
}

func TestDeletionLeavesNothing(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.create(ctx)
	w.verify(ctx)
	w.must(direct.Delete(ctx, w.ms))
	w.reconcile(ctx)
	if w.ms.Status.Summary != "being removed" {
		t.Errorf("summary is %q", w.ms.Status.Summary)
	}
	w.collectGarbage(ctx)
	w.reconcile(ctx)
	if n := w.children(ctx); n != 0 {
		t.Errorf("%d children are left", n)
	}
	if err := direct.Get(ctx, w.key(), &v1alpha1.Microservice{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Microservice is still there: %v", err)
	}
}

func TestMigrationOfAnEarlierReleaseIsNotOvertaken(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	w.create(ctx)
	w.reconcile(ctx)
	w.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:1.1.0" })
	w.reconcile(ctx)
	jobs := w.jobs(ctx)
	if len(jobs) != 1 || jobs[0].DeletionTimestamp == nil {
		t.Fatalf("the Job that had not begun is not being removed: %d Jobs", len(jobs))
	}
	w.collectGarbage(ctx)
	w.verify(ctx)
	for _, job := range w.jobs(ctx) {
		if image := job.Spec.Template.Spec.InitContainers[0].Image; image != "localhost/scores:1.1.0" {
			t.Errorf("a Job ran the migrations of %s", image)
		}
	}
}
