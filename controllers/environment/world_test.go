package environment

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// station is one environment of the simulated world.
type station struct {
	consents, hasSecret bool
	live                map[ObjectKey]client.Object
	jobs                []batchv1.Job
	pods                []corev1.Pod
}

// world is what the operator observes and writes, and what happens to it.
type world struct {
	t        *testing.T
	seed     uint64
	random   *rand.Rand
	now      time.Time
	spec     v1alpha1.MicroserviceSpec
	stations []*station
	// migrated holds, for each environment, the migration runs that have succeeded there.
	migrated []map[string]bool
	uids     int
	log      []string
	// rendered are the children of every content so far, shared by many histories: making them takes most of the time.
	rendered map[string]Children
}

func newWorld(t *testing.T, seed uint64, rendered map[string]Children) *world {
	t.Helper()
	w := &world{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), now: now, rendered: rendered}
	w.spec.Database = &v1alpha1.DatabaseSpec{SecretRef: secret("db", "")}
	for _, name := range []string{"development", "staging", "production"} {
		w.spec.Environments = append(w.spec.Environments, v1alpha1.EnvironmentSpec{Name: name, Namespace: name})
		w.stations = append(w.stations, &station{consents: true, hasSecret: true, live: map[ObjectKey]client.Object{}})
		w.migrated = append(w.migrated, map[string]bool{})
	}
	w.release()
	return w
}

func (w *world) release() {
	w.spec.Image = fmt.Sprintf("scores:%d", w.random.IntN(4)) // one of four, so that releases come back
}

func (w *world) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

func (w *world) fatalf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d: %s\nhistory:\n  %s", w.seed, fmt.Sprintf(format, args...), strings.Join(w.log, "\n  "))
}

// observe is what the operator would see of one environment.
func (w *world) observe(i int) Input {
	e, s := &w.spec.Environments[i], w.stations[i]
	p := Place{
		Owner:     ownership.Owner{Microservice: types.NamespacedName{Namespace: "home", Name: "scores"}, Environment: e.Name},
		Namespace: e.Namespace, MigrateImage: "migrate:1",
	}
	content := ContentOf(&w.spec, e)
	key := fmt.Sprint(e.Name, content.Image, content.Env)
	children, ok := w.rendered[key]
	if !ok {
		var err error
		if children, err = ChildrenOf(p, content); err != nil {
			w.fatalf("rendering: %v", err)
		}
		w.rendered[key] = children
	}
	in := Input{Place: p, Content: content, Children: children, Facts: Facts{
		Now: w.now, Live: s.live, Jobs: slices.Clone(s.jobs), Pods: slices.Clone(s.pods),
		Namespace: NamespaceFacts{Exists: true, Consents: s.consents, ConsentLabel: "consent"},
	}}
	if !s.hasSecret && !Settled("scores", children, in.Facts) {
		in.Facts.MissingSecrets = []MissingSecret{{SecretKeyReference: *secret("db", "url"), Field: "spec.database.secretRef"}}
	}
	return in
}

// apply stores what is written, as a new version of what is there.
func (w *world) apply(i int, in Input, m manifest.Manifest) {
	s, key := w.stations[i], KeyOf(m)
	w.note("%s: apply %s %s", in.Place.Owner.Environment, m.Kind(), m.Name())
	object := typed(w.t, m)
	w.uids++
	object.SetUID(types.UID(fmt.Sprint(w.uids)))
	switch object := object.(type) {
	case *batchv1.Job:
		if !slices.ContainsFunc(s.jobs, func(j batchv1.Job) bool { return j.Name == object.Name }) {
			s.jobs = append(s.jobs, *object)
			s.pods = append(s.pods, jobPod(object))
		}
		return
	case *appsv1.Deployment:
		if run := object.Annotations[annotationMigrated]; !w.migrated[i][run] {
			w.fatalf("the pods of %s shall run on a schema that %s has not brought", in.Content.Release, run)
		}
		object.Generation = 1
		if live := in.Facts.deployment("scores"); live != nil {
			object.Generation, object.Status = live.Generation+1, live.Status
			if live.Spec.Template.Labels[v1alpha1.LabelContent] != object.Spec.Template.Labels[v1alpha1.LabelContent] {
				object.Status.UpdatedReplicas = 0
			}
		}
	}
	s.live[key] = object
}

func jobPod(job *batchv1.Job) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: job.Name, OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
		},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "migrate", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}},
		}}},
	}
}

func (w *world) remove(i int, object client.Object) {
	s := w.stations[i]
	w.note("%s: delete %T %s", w.spec.Environments[i].Name, object, object.GetName())
	if _, ok := object.(*batchv1.Job); !ok {
		if object.GetName() == w.mounted(i) {
			w.fatalf("%s is removed, but pods read it", object.GetName())
		}
		delete(s.live, ObjectKey{Kind: "ConfigMap", Name: object.GetName()})
		return
	}
	for k := range s.jobs {
		if s.jobs[k].Name == object.GetName() {
			s.jobs[k].DeletionTimestamp = &metav1.Time{Time: w.now} // gone with the next event
		}
	}
}

// mounted is the ConfigMap that the Deployment's pods read.
func (w *world) mounted(i int) string {
	live := Facts{Live: w.stations[i].live}.deployment("scores")
	if live == nil {
		return ""
	}
	return live.Spec.Template.Spec.Containers[0].EnvFrom[0].ConfigMapRef.Name
}

// fault is something that goes wrong or that a person does.
func (w *world) fault() {
	s := w.stations[w.random.IntN(len(w.stations))]
	switch w.random.IntN(8) {
	case 0:
		w.release()
		w.note("the spec asks for %s", w.spec.Image)
	case 1:
		s.consents = w.random.IntN(3) > 0
		w.note("consent: %t", s.consents)
	case 2:
		s.hasSecret = w.random.IntN(3) > 0
		w.note("secret: %t", s.hasSecret)
	case 3:
		if live := (Facts{Live: s.live}).deployment("scores"); live != nil && live.Status.AvailableReplicas > 0 {
			live.Status.AvailableReplicas--
			w.note("a pod is lost")
		}
	case 4:
		w.spec.Workload.Env = []v1alpha1.EnvironmentVariable{{Name: "A", Value: fmt.Sprint(w.random.IntN(2))}}
		w.note("the variable becomes %s", w.spec.Workload.Env[0].Value)
	case 5:
		delete(s.live, ObjectKey{Kind: "Service", Name: "scores"})
		w.note("a Service is removed")
	}
}

// moveJobs lets about every second Job take its next step: its pod begins, or it ends, with a failure as often as given.
// Jobs that are being removed go.
func (w *world) moveJobs(failures float64) {
	for i, s := range w.stations {
		var jobs []batchv1.Job
		var pods []corev1.Pod
		for k := range s.jobs {
			if s.jobs[k].DeletionTimestamp != nil {
				w.note("%s: %s is gone", w.spec.Environments[i].Name, s.jobs[k].Name)
				continue
			}
			if len(s.jobs[k].Status.Conditions) == 0 && w.random.IntN(2) == 0 {
				w.moveJob(i, &s.jobs[k], &s.pods[k].Status.ContainerStatuses[0].State, failures)
			}
			jobs, pods = append(jobs, s.jobs[k]), append(pods, s.pods[k])
		}
		s.jobs, s.pods = jobs, pods
	}
}

func (w *world) moveJob(i int, job *batchv1.Job, state *corev1.ContainerState, failures float64) {
	end := func(condition batchv1.JobConditionType, report string) {
		w.note("%s: %s is %s: %s", w.spec.Environments[i].Name, job.Name, condition, report)
		*state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: report}}
		job.Status.Conditions = []batchv1.JobCondition{{Type: condition, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(w.now)}}
	}
	switch {
	case state.Waiting != nil:
		*state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		w.note("%s: %s is at work", w.spec.Environments[i].Name, job.Name)
	case w.random.Float64() >= failures:
		w.migrated[i][job.Labels[v1alpha1.LabelMigration]] = true
		end(batchv1.JobComplete, `{"reportVersion":1,"to":3}`)
	case w.random.IntN(3) > 0:
		end(batchv1.JobFailed, `{"reportVersion":1,"to":-1,"error":{"code":"DatabaseUnreachable","message":"away","retryable":true}}`)
	default:
		end(batchv1.JobFailed, `{"reportVersion":1,"to":-1,"error":{"code":"MigrationFailed","message":"refused"}}`)
	}
}

// readyPods completes the rollout of every Deployment.
func (w *world) readyPods() {
	for _, s := range w.stations {
		if live := (Facts{Live: s.live}).deployment("scores"); live != nil {
			n := *live.Spec.Replicas
			live.Status = appsv1.DeploymentStatus{ObservedGeneration: live.Generation, Replicas: n, UpdatedReplicas: n, ReadyReplicas: n, AvailableReplicas: n}
		}
	}
}
