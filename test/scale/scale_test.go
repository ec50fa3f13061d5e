//go:build scale

// Package scale measures the operator with a thousand Microservices of three environments, on a real API server, as a process
// of its own that runs as config/manager has it run, with the rights of config/rbac. What no API server does by itself, it does here:
// it makes the pods of Deployments, ready at once, and finishes deletions.
//
// It owns the measuring; `make scale` runs it, and its figures are listed by `make results`. Nodes, images and databases are not measured.
package scale

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/test/results"
)

var (
	count       = flag.Int("microservices", 1000, "how many Microservices there are")
	atRest      = flag.Duration("rest", 10*time.Minute, "for how long nothing happens while writes are counted")
	changes     = flag.Int("changes", 200, "how many changes of a spec are timed at each pace, at most one a Microservice")
	concurrency = flag.Int("concurrency", 0, "--concurrency of the operator; 0 for that of config/manager")
	maxRollouts = flag.Int("max-rollouts", 0, "--max-rollouts of the operator; 0 for that of config/manager")
	calls       = flag.Bool("calls", false, "tell the requests to the API server apart; writing them down costs it time")
	command     = flag.String("command", "make scale", "what a person types to measure it again")
)

// environments are those of each Microservice.
var environments = []string{"development", "staging", "production"}

// notInTime is when waiting is given up: many times the bounds, so that a bound that is missed is still measured.
const notInTime = 30 * time.Minute

func TestThousand(t *testing.T) {
	ctx := t.Context()
	w := newWorld(ctx, t)
	began := time.Now()
	w.createAll(ctx)
	w.untilReady(began)
	w.tellCalls("until all are ready", *count)
	w.record("all settled", time.Since(began).Seconds(), "s", "< 240")
	w.record("greatest memory while they settle", w.operator.peakMemory(), "MB", "< 250")
	w.touchAll(ctx)
	w.tellCalls("passes over nothing", *count)
	w.change(ctx)
	w.record("greatest memory", w.operator.peakMemory(), "MB", "< 250")
	w.rest()
	w.restart(ctx)
}

// record writes a figure down. A bound that is missed fails the test, which goes on with the others.
func (w *world) record(name string, value float64, unit string, bound results.Bound) {
	w.t.Helper()
	f := results.Figure{Name: fmt.Sprintf("operator of %d Microservices, %s", *count, name), Value: value, Unit: unit, Bound: bound, Command: *command}
	results.Record(w.t, f)
	if f.Missed() {
		w.t.Errorf("%s: %.1f %s, and it must be %s", f.Name, f.Value, f.Unit, f.Bound)
	}
}

func name(i int) string { return fmt.Sprintf("service-%d", i) }

// createAll makes all Microservices. Each has as many pods as one has that says nothing about it.
func (w *world) createAll(ctx context.Context) {
	w.t.Helper()
	w.each(*count, func(i int) error {
		ms := &v1alpha1.Microservice{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: name(i)}, Spec: v1alpha1.MicroserviceSpec{Image: "localhost/service:1.0.0"}}
		for _, environment := range environments {
			ms.Spec.Environments = append(ms.Spec.Environments, v1alpha1.EnvironmentSpec{Name: environment, Namespace: name(i) + "-" + environment})
		}
		ms.Spec.Environments[0].Rollout = &v1alpha1.RolloutSpec{Steps: []v1alpha1.RolloutStep{{Weight: 50}}}
		return w.client.Create(ctx, ms)
	})
}

// untilReady waits for all Microservices, and tells now and then how many are.
func (w *world) untilReady(began time.Time) {
	w.t.Helper()
	const tell = 15 * time.Second // as often as the metrics are asked for where they are
	for {
		select {
		case <-w.fleet.settled(*count):
			w.t.Logf("all ready after %s: %s", time.Since(began).Round(time.Millisecond), w.operator.usage())
			return
		case <-time.After(tell):
			w.t.Logf("%s: %d ready, %s", time.Since(began).Round(time.Second), w.fleet.count(), w.operator.usage())
		}
		if time.Since(began) > notInTime {
			w.t.Fatal("they are not ready in time")
		}
	}
}

// rest counts what is written while nobody asks for anything.
func (w *world) rest() {
	w.t.Helper()
	w.operator.untilQuiet() // the last changes have come through
	w.tellCalls("changes of an image", 2*min(*changes, *count))
	writes, reads, cpu := w.operator.writes(), w.operator.reads(), w.operator.cpu()
	time.Sleep(*atRest)
	w.record("writes at rest", w.operator.writes()-writes, "writes", "= 0")
	w.tellCalls("rest", *count)
	w.t.Logf("in %s of rest: %.0f reads and watches, %.2f s of processor time", *atRest, w.operator.reads()-reads, w.operator.cpu()-cpu)
	w.record("memory at rest", w.operator.memory(), "MB", "")
}

// touchAll has the operator look at each Microservice although there is nothing to do.
func (w *world) touchAll(ctx context.Context) {
	w.t.Helper()
	const apart = 20 * time.Millisecond // so that a pass is not timed that waits for another one's processor
	w.operator.untilQuiet()
	before, writes := w.operator.passes(), w.operator.writes()
	touch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"example.com/touched":"now"}}}`))
	for i := range *count {
		w.must(w.client.Patch(ctx, &v1alpha1.Microservice{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: name(i)}}, touch))
		time.Sleep(apart)
	}
	w.operator.untilQuiet()
	passes := w.operator.passes().since(before)
	if passes.count < *count {
		w.t.Fatalf("only %d passes for %d Microservices", passes.count, *count)
	}
	w.t.Logf("%d passes over nothing, %.2f ms on average, %s", passes.count, 1000*passes.sum/float64(passes.count), passes)
	w.record("writes of passes over nothing", w.operator.writes()-writes, "writes", "= 0")
	w.record("passes over nothing that take at most 5 ms", 100*passes.within(0.005), "%", ">= 99")
}

// changeSome times how long it takes from a new image to the first pod of a canary, the one after the other, each so long after the one before; with no
// pace each comes at once when the pod of the one before is there. While one is timed, those before go on through their environments.
func (w *world) changeSome(ctx context.Context, image string, pace time.Duration) []time.Duration {
	w.t.Helper()
	w.operator.untilQuiet()
	var took []time.Duration
	for i := range min(*changes, *count) {
		ms := &v1alpha1.Microservice{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: name(i)}}
		seen := w.nodes.expect(name(i) + "-" + environments[0])
		began := time.Now()
		w.must(w.client.Patch(ctx, ms, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"image":"`+image+`"}}`))))
		select {
		case at := <-seen:
			took = append(took, at.Sub(began))
		case <-time.After(time.Minute):
			w.t.Fatalf("%s: no pod of a canary within a minute", name(i))
		}
		time.Sleep(max(0, pace-time.Since(began)))
	}
	slices.Sort(took)
	return took
}

// change measures changes as a busy fleet has them, and as many as there can be.
func (w *world) change(ctx context.Context) {
	w.t.Helper()
	const paced = 2 * time.Second
	w.recordChanges("p99 from a change to the first pod of a canary", w.changeSome(ctx, "localhost/service:1.1.0", paced), "< 500")
	w.recordChanges("p99 from a change to the first pod of a canary, one after the other", w.changeSome(ctx, "localhost/service:1.2.0", 0), "")
}

func (w *world) recordChanges(figure string, took []time.Duration, bound results.Bound) {
	w.t.Helper()
	p99 := took[(99*len(took)+99)/100-1]
	w.t.Logf("%s: %s, half by %s, at most %s", figure, p99, took[len(took)/2], took[len(took)-1])
	w.record(figure, float64(p99.Microseconds())/1000, "ms", bound)
}

// restart has another process take over, which has seen nothing: it must write nothing either.
func (w *world) restart(ctx context.Context) {
	w.t.Helper()
	w.operator.stop()
	began := time.Now()
	w.operator.start(ctx)
	for w.operator.passes().count < *count {
		if time.Since(began) > notInTime {
			w.t.Fatal("a new process has not looked at all Microservices in time")
		}
		time.Sleep(time.Second)
	}
	w.t.Logf("a new process has looked at all within %s", time.Since(began).Round(time.Second))
	w.operator.untilQuiet()
	w.record("writes after a restart", w.operator.writes(), "writes", "= 0")
	w.record("greatest memory after a restart", w.operator.peakMemory(), "MB", "< 250")
}
