package microservice_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// The operator is killed before each of its calls with -kills all, which takes half an hour, and else before some of them: others in
// each run. Killed after a call means the same as killed before the next one: nobody has heard the answer.
var kills = flag.String("kills", "3", "before how many calls of a rollout the operator is killed, or all")

// faulty is a world in which one canary rollout follows another while something goes wrong.
type faulty struct {
	*world
	kubelet *kubelet
	now     time.Time
	// jobs are all that were made in a rollout, by what they are for and their names, and then by UID. Those in earlier were there before.
	jobs    map[string]map[types.UID]bool
	earlier map[types.UID]bool
}

// newFaulty makes one whose two environments run version 1.0.0.
func newFaulty(ctx context.Context, t *testing.T) *faulty {
	t.Helper()
	f := &faulty{world: newWorldOf(ctx, t, "staging", "production"), kubelet: newKubelet(t), now: time.Now(), jobs: map[string]map[types.UID]bool{}}
	f.ms.Spec.Environments[1].Rollout = &v1alpha1.RolloutSpec{
		Steps: []v1alpha1.RolloutStep{
			{Weight: 20, Hold: &metav1.Duration{Duration: 10 * time.Second}}, {Weight: 50, Hold: &metav1.Duration{Duration: 10 * time.Second}},
		},
		SmokeTests: []v1alpha1.SmokeTest{
			{Name: "answers", HTTP: &v1alpha1.HTTPTest{Path: "/health"}},
			{Name: "works", Job: &v1alpha1.JobTest{Image: "example.com/test:1"}},
		},
		Analysis: &v1alpha1.AnalysisSpec{Interval: &metav1.Duration{Duration: 5 * time.Second}},
		Soak:     &metav1.Duration{Duration: 10 * time.Second},
	}
	f.restart()
	f.create(ctx)
	f.settle(ctx)
	return f
}

// restart starts an operator that knows nothing of the one before.
func (f *faulty) restart() {
	f.api.revive()
	f.reconciler = f.operator(f.kubelet)
	f.reconciler.Now = func() time.Time { return f.now }
	f.reconciler.Smoke.Now = f.reconciler.Now
}

// settle lets the operator and everything around it work until the release is verified everywhere. An operator that is killed is
// started again; other errors are for the next pass. It returns how often it was killed.
func (f *faulty) settle(ctx context.Context) (killed int) {
	f.t.Helper()
	const passes = 400
	var last error
	for range passes {
		var result ctrl.Result
		result, last = f.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: f.key()})
		f.watch(ctx)
		if f.api.dead {
			killed++
			f.restart()
			continue
		}
		f.read(ctx)
		if f.ms.Status.Release != "" && f.release(ctx, f.ms.Status.Release).Status.Rejection != nil {
			f.t.Fatalf("the release is rejected: %+v", f.release(ctx, f.ms.Status.Release).Status.Rejection)
		}
		if last == nil && meta.IsStatusConditionTrue(f.ms.Status.Conditions, v1alpha1.ConditionReady) && f.ms.Status.ObservedGeneration == f.ms.Generation {
			return killed
		}
		if last != nil || result.RequeueAfter == 0 || result.RequeueAfter > time.Millisecond {
			f.runJobs(ctx, succeeded)
			f.kubelet.run(ctx, f.world)
			f.now = f.now.Add(3 * time.Second)
		}
	}
	f.t.Fatalf("not verified after %d passes: %s, %+v (%v)", passes, f.ms.Status.Summary, f.ms.Status.Environments[1].WaitingFor, last)
	return killed
}

// watch remembers which Jobs there are, and expects that requests go somewhere at any time.
func (f *faulty) watch(ctx context.Context) {
	f.t.Helper()
	for _, job := range f.world.jobs(ctx) {
		if f.earlier[job.UID] {
			continue
		}
		name := job.Namespace + " " + job.Labels[v1alpha1.LabelStage] + job.Labels[v1alpha1.LabelSmokeTest] + " " + job.Name
		if f.jobs[name] == nil {
			f.jobs[name] = map[types.UID]bool{}
		}
		f.jobs[name][job.UID] = true
	}
	for i, e := range f.ms.Status.Environments {
		if e.Release != "" && f.serving(ctx, i) == 0 {
			f.t.Errorf("environment %s: no pod is in service", e.Name)
		}
	}
}

// rollOut rolls a version out and tells the end, in words that are the same for every version, and how often the operator was
// killed.
func (f *faulty) rollOut(ctx context.Context, version string) (end []string, killed int) {
	f.t.Helper()
	f.jobs, f.earlier = map[string]map[types.UID]bool{}, map[types.UID]bool{}
	for _, job := range f.world.jobs(ctx) {
		f.earlier[job.UID] = true
	}
	f.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:" + version })
	killed = f.settle(ctx)
	f.api.refuse, f.api.lag = nil, nil
	f.api.revive() // a rollout may take fewer calls than the one that they were chosen from
	f.kubelet.run(ctx, f.world)
	f.reconcile(ctx)
	f.kubelet.run(ctx, f.world)
	f.expectRest(ctx)
	return f.end(ctx, version), killed
}

func (f *faulty) end(ctx context.Context, version string) []string {
	f.t.Helper()
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	rel := f.release(ctx, f.ms.Status.Release)
	add("the release has version %s, rejection %v, %s", rel.Spec.Version, rel.Status.Rejection, rel.Status.Summary)
	for _, e := range rel.Status.Environments {
		for _, test := range e.SmokeTests {
			add("%s: smoke test %s of %s: passed %t, attempts %d", e.Name, test.Name, test.Target, test.Passed, test.Attempts)
		}
	}
	var jobs []string
	for name, uids := range f.jobs {
		jobs = append(jobs, fmt.Sprintf("%s: a Job was made %d times", name[:strings.LastIndexByte(name, ' ')], len(uids)))
	}
	out = append(out, slices.Sorted(slices.Values(jobs))...)
	for i, e := range f.ms.Spec.Environments {
		d := f.deployments(ctx)[e.Name]
		content := d.Spec.Template.Labels[v1alpha1.LabelContent]
		add("%s: %s, %d pods in service", e.Name, d.Spec.Template.Spec.Containers[0].Image, f.serving(ctx, i))
		for _, name := range f.names(ctx, e.Namespace) {
			add("%s: %s", e.Name, strings.ReplaceAll(name, content, "CONTENT"))
		}
	}
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], version, "VERSION")
	}
	return out
}

// names of what is in a namespace, but for Jobs and their pods, whose names tell a hash.
func (f *faulty) names(ctx context.Context, namespace string) []string {
	f.t.Helper()
	var out []string
	for _, object := range f.everything(ctx) {
		_, isJob := object.(*batchv1.Job)
		pod, isPod := object.(*corev1.Pod)
		if object.GetNamespace() == namespace && !isJob && !(isPod && metav1.GetControllerOf(pod) != nil) {
			out = append(out, fmt.Sprintf("%T %s", object, object.GetName()))
		}
	}
	slices.Sort(out)
	return out
}

func TestKilledBeforeEveryCall(t *testing.T) {
	ctx := t.Context()
	f := newFaulty(ctx, t)
	f.api.all = 0
	want, _ := f.rollOut(ctx, "1.1.0")
	total := f.api.all
	moments, seed := momentsOf(t, total)
	t.Logf("a rollout takes %d calls; killed before %d of them (seed %d); it ends with\n%s", total, len(moments), seed, strings.Join(want, "\n"))
	for i, moment := range moments {
		f.api.all, f.api.killAt = 0, moment
		got, killed := f.rollOut(ctx, fmt.Sprintf("1.1.%d", i+1))
		if diff := gocmp.Diff(want, got); diff != "" || killed == 0 && moment < total/2 {
			t.Fatalf("killed %d times, before call %d (-want +got):\n%s", killed, moment, diff)
		}
	}
}

// momentsOf chooses calls, one in each stretch of the rollout.
func momentsOf(t *testing.T, total int) (moments []int, seed uint64) {
	t.Helper()
	n := total
	if *kills != "all" {
		if _, err := fmt.Sscan(*kills, &n); err != nil || n < 1 {
			t.Fatalf("-kills must be a number or all, and is %q", *kills)
		}
		n = min(n, total)
	}
	seed = rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range n {
		from, to := i*total/n, (i+1)*total/n
		moments = append(moments, from+1+random.IntN(to-from))
	}
	return moments, seed
}

func TestTheSameEndWhateverTheAPIServerDoes(t *testing.T) {
	ctx := t.Context()
	f := newFaulty(ctx, t)
	want, _ := f.rollOut(ctx, "1.1.0")
	random := rand.New(rand.NewPCG(1, 2))
	began := time.Time{}
	for i, tc := range []struct {
		name  string
		spoil func()
	}{
		{"a third of the writes meet a conflict", func() {
			f.api.refuse = func(write bool) error {
				if write && random.IntN(3) == 0 {
					return apierrors.NewConflict(schema.GroupResource{Resource: "things"}, "scores", errors.New("it was changed meanwhile"))
				}
				return nil
			}
		}},
		{"a tenth of the calls time out", func() {
			f.api.refuse = func(bool) error {
				if random.IntN(10) == 0 {
					return context.DeadlineExceeded
				}
				return nil
			}
		}},
		{"caches are behind half of the time", func() {
			f.api.lag, f.api.seen, f.api.sets = random, map[string]client.Object{}, map[string]client.ObjectList{}
		}},
		{"the API server is away for a minute", func() {
			began = f.now.Add(20 * time.Second)
			f.api.refuse = func(bool) error {
				if away := f.now.Sub(began); away > 0 && away < time.Minute {
					return &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
				}
				return nil
			}
		}},
		{"the operator's clock is an hour ahead", func() { f.now = f.now.Add(time.Hour) }},
		{"the operator's clock is set back by two hours", func() { f.now = f.now.Add(-2 * time.Hour) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spoil()
			got, _ := f.rollOut(ctx, fmt.Sprintf("1.2.%d", i))
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("the end is another one (-want +got):\n%s", diff)
			}
		})
	}
}
