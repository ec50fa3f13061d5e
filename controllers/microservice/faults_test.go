package microservice_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
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
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/migration"
)

// Killed after a call means the same as killed before the next one: nobody has heard the answer.
var kills = flag.String("kills", "2", `before how many calls of a rollout the operator is killed, others in each run; "all" takes an hour`)

// faulty is a world in which one canary rollout follows another while something goes wrong.
type faulty struct {
	*world
	kubelet *kubelet
	now     time.Time
	// watched are the operator's writes that watch has seen the outcome of, collected the deletions that were finished.
	watched, collected int
	// rollouts counts those that were begun.
	rollouts int
	// made are the Jobs of a rollout, by UID. Those in earlier were there before.
	made    map[types.UID]batchv1.Job
	earlier map[types.UID]bool
}

// newFaulty makes one whose two environments run version 1.0.0, with migrations or without a database.
func newFaulty(ctx context.Context, t *testing.T, migrates bool) *faulty {
	t.Helper()
	f := &faulty{world: newWorldOf(ctx, t, "staging", "production"), kubelet: newKubelet(t), now: time.Now(), made: map[types.UID]batchv1.Job{}}
	f.ms.Spec.Environments[1].Rollout = &v1alpha1.RolloutSpec{
		Steps: []v1alpha1.RolloutStep{
			{Weight: 20, Hold: &metav1.Duration{Duration: 5 * time.Second}}, {Weight: 50, Hold: &metav1.Duration{Duration: 5 * time.Second}},
		},
		SmokeTests: []v1alpha1.SmokeTest{
			{Name: "answers", HTTP: &v1alpha1.HTTPTest{Path: "/health"}},
			{Name: "works", Job: &v1alpha1.JobTest{Image: "example.com/test:1"}},
		},
		Analysis: &v1alpha1.AnalysisSpec{Interval: &metav1.Duration{Duration: 5 * time.Second}},
		Soak:     &metav1.Duration{Duration: 5 * time.Second},
	}
	if !migrates {
		f.ms.Spec.Database = nil
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
			f.work(ctx)
			f.now = f.now.Add(3 * time.Second)
		}
	}
	f.t.Fatalf("not verified after %d passes: %s, %+v (%v)", passes, f.ms.Status.Summary, f.ms.Status.Environments[1].WaitingFor, last)
	return killed
}

// work does what the kubelet and the garbage collector would.
func (f *faulty) work(ctx context.Context) {
	f.t.Helper()
	if f.collected != f.api.deletions {
		f.collected = f.api.deletions
		f.collectGarbage(ctx)
		f.collectReleases(ctx)
	}
	f.kubelet.run(ctx, f.world)
}

// watch remembers which Jobs there are, and expects that requests go somewhere at any time.
func (f *faulty) watch(ctx context.Context) {
	f.t.Helper()
	if f.watched == f.api.writes {
		return
	}
	f.watched = f.api.writes
	for _, job := range f.jobs(ctx) {
		if !f.earlier[job.UID] {
			f.made[job.UID] = job
		}
	}
	for i, e := range f.ms.Status.Environments {
		if e.Release != "" && f.serving(ctx, i) == 0 {
			f.t.Errorf("environment %s: no pod is in service", e.Name)
		}
	}
}

// end is what a rollout comes to, in words that are the same for every release.
type end struct {
	Release string
	// Tests are those by requests, which are made again if nobody has noted the first attempt.
	Tests []string
	// Jobs says how many were made, by namespace and what they are for, but for checks: they only read, and are made again by whoever
	// does not see in time that one was made.
	Jobs map[string]int
	// Objects are what there is in the environments, but for Jobs and their pods, by kind and name. The values are their content.
	Objects map[string]string
}

// mostReleases is how many there may be after a rollout: the last ten, and whatever is removed in the next one.
const mostReleases = 11

// rollOut rolls another version out, and tells the end and how often the operator was killed.
func (f *faulty) rollOut(ctx context.Context) (got end, killed int) {
	f.t.Helper()
	f.made, f.earlier = map[types.UID]batchv1.Job{}, map[types.UID]bool{}
	for _, job := range f.jobs(ctx) {
		f.earlier[job.UID] = true
	}
	f.rollouts++
	version := fmt.Sprintf("2.0.0-rollout%d", f.rollouts)
	f.edit(ctx, func(spec *v1alpha1.MicroserviceSpec) { spec.Image = "localhost/scores:" + version })
	killed = f.settle(ctx)
	f.api.refuse, f.api.lag = nil, nil
	f.api.revive() // a rollout may take fewer calls than the one that they were chosen from
	f.work(ctx)
	f.reconcile(ctx)
	f.work(ctx)
	f.expectRest(ctx)
	if n := len(list(ctx, f.world, &v1alpha1.ReleaseList{}).Items); n > mostReleases {
		f.t.Errorf("there are %d releases, and no more than %d are kept", n, mostReleases)
	}
	return f.end(ctx, version), killed
}

func (f *faulty) end(ctx context.Context, version string) end {
	f.t.Helper()
	rel := f.release(ctx, f.ms.Status.Release)
	out := end{Jobs: map[string]int{}, Objects: map[string]string{}}
	if rel.Spec.Version != version || rel.Status.Rejection != nil {
		f.t.Errorf("release %s of version %s is the last one, rejection %+v", rel.Name, rel.Spec.Version, rel.Status.Rejection)
	}
	out.Release = rel.Status.Summary
	for _, e := range rel.Status.Environments {
		for _, test := range e.SmokeTests {
			out.Tests = append(out.Tests, fmt.Sprintf("%s %s %s: %t", e.Name, test.Target, test.Name, test.Passed))
		}
	}
	slices.Sort(out.Tests) // one that is made again is noted after the others
	once := map[client.ObjectKey]bool{}
	for _, job := range f.made {
		if stage := cmp.Or(job.Labels[v1alpha1.LabelStage], "smoke test"); stage != string(migration.Check) {
			out.Jobs[job.Namespace+" "+stage]++
		}
		if key := client.ObjectKeyFromObject(&job); once[key] {
			f.t.Errorf("Job %s was made twice", key)
		}
		once[client.ObjectKeyFromObject(&job)] = true
	}
	deployments := f.deployments(ctx)
	for _, e := range f.ms.Spec.Environments {
		content := deployments[e.Name].Spec.Template.Labels[v1alpha1.LabelContent]
		number := strconv.FormatInt(rel.Spec.Number, 10) // of a generation of the settings
		same := strings.NewReplacer(content, "CONTENT", version, "VERSION", `"`+number+`"`, `"NUMBER"`, `"`+number+`.yaml"`, `"NUMBER.yaml"`)
		for _, object := range f.in(ctx, e.Namespace) {
			out.Objects[same.Replace(fmt.Sprintf("%s %T %s", e.Name, object, object.GetName()))] = same.Replace(f.contentOf(object))
		}
	}
	return out
}

// in returns what is in a namespace, but for Jobs and their pods.
func (f *faulty) in(ctx context.Context, namespace string) []client.Object {
	f.t.Helper()
	return slices.DeleteFunc(f.everything(ctx), func(object client.Object) bool {
		_, isJob := object.(*batchv1.Job)
		pod, isPod := object.(*corev1.Pod)
		return object.GetNamespace() != namespace || isJob || isPod && metav1.GetControllerOf(pod) != nil
	})
}

// contentOf is an object without what the API server adds, and without what belongs to a single release.
func (f *faulty) contentOf(object client.Object) string {
	f.t.Helper()
	if _, isPod := object.(*corev1.Pod); isPod {
		return "" // the kubelet's
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	f.must(err)
	delete(content, "metadata")
	delete(content, "status")
	encoded, err := json.Marshal(content)
	f.must(err)
	return string(encoded)
}

func TestTheSameEndWhateverGoesWrong(t *testing.T) {
	t.Run("with migrations", func(t *testing.T) { theSameEndWhateverGoesWrong(t, true) })
	// Then what is let in begins in the same pass.
	t.Run("without a database", func(t *testing.T) { theSameEndWhateverGoesWrong(t, false) })
}

func theSameEndWhateverGoesWrong(t *testing.T, migrates bool) {
	t.Helper()
	ctx := t.Context()
	f := newFaulty(ctx, t, migrates)
	f.api.all = 0
	want, _ := f.rollOut(ctx)
	total := f.api.all
	moments, seed := momentsOf(t, total)
	t.Logf("a rollout takes %d calls; killed before %d of them (seed %d); it makes %v and ends with\n%s",
		total, len(moments), seed, want.Jobs, strings.Join(slices.Sorted(maps.Keys(want.Objects)), "\n"))
	expect := func(t *testing.T) (killed int) {
		t.Helper()
		outer := f.t
		defer func() { f.t = outer }()
		f.t = t
		defer func() { f.api.refuse, f.api.lag = nil, nil }()
		got, killed := f.rollOut(ctx)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("the end is another one (-want +got):\n%s", diff)
		}
		return killed
	}
	for _, moment := range moments {
		t.Run(fmt.Sprintf("the operator is killed before call %d", moment), func(t *testing.T) {
			f.api.all, f.api.killAt = 0, moment
			if killed := expect(t); killed == 0 && moment < total/2 {
				t.Error("it was not")
			}
		})
	}
	faults := f.faults()
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		t.Run(name, func(t *testing.T) {
			faults[name]()
			expect(t)
		})
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

// faults are what goes wrong in the next rollout, by what it is.
func (f *faulty) faults() map[string]func() {
	random := rand.New(rand.NewPCG(1, 2))
	return map[string]func(){
		"a fifth of the writes meet a conflict, and one of forty calls gets no answer": func() {
			f.api.refuse = func(write bool) error {
				if write && random.IntN(5) == 0 {
					return apierrors.NewConflict(schema.GroupResource{Resource: "things"}, "scores", errors.New("it was changed meanwhile"))
				}
				if random.IntN(40) == 0 {
					return context.DeadlineExceeded
				}
				return nil
			}
		},
		"caches are behind half of the time": func() {
			f.api.lag = &lag{random: random, now: func() time.Time { return f.now }, seen: map[string]reading{}}
		},
		"the API server is away for a minute": func() {
			began := f.now.Add(10 * time.Second)
			f.api.refuse = func(bool) error {
				if away := f.now.Sub(began); away > 0 && away < time.Minute {
					return &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
				}
				return nil
			}
		},
		"the operator's clock is an hour ahead, and is set back in between": func() {
			const call = 300
			f.now, f.api.all = f.now.Add(time.Hour), 0
			f.api.refuse = func(bool) error {
				if f.api.all == call {
					f.now = f.now.Add(-2 * time.Hour)
				}
				return nil
			}
		},
	}
}
