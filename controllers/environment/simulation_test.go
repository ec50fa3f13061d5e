package environment

import (
	"flag"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// The simulation drives Decide through random histories of a world in memory and checks, after each step, what must hold
// whatever happens. Every history follows from its seed.
const (
	eventsEach   = 25
	passesToRest = 200
	shards       = 4
)

var histories = flag.Uint64("histories", 300, "how many random histories to simulate")

// pass is one reconcile. It carries out at most limit writes, as if the operator was killed then, and returns the decisions
// and how many writes there were.
func (w *world) pass(limit int) ([]Decision, int) {
	previousVerified, previous, writes := true, "", 0
	var inputs []Input
	var decisions []Decision
	for i := range w.stations {
		in := w.observe(i)
		in.Previous, in.PreviousVerified = previous, previousVerified
		decision, err := Decide(in)
		if err != nil {
			w.fatalf("deciding: %v", err)
		}
		w.checkDecision(i, in, decision)
		inputs, decisions = append(inputs, in), append(decisions, decision)
		previous, previousVerified = w.spec.Environments[i].Name, decision.Step == v1alpha1.StepVerified
	}
	for i, decision := range decisions {
		for _, m := range decision.Apply {
			if writes++; writes > limit {
				w.note("the operator is killed")
				return decisions, limit
			}
			w.apply(i, inputs[i], m)
		}
		for _, object := range decision.Delete {
			if writes++; writes > limit {
				w.note("the operator is killed")
				return decisions, limit
			}
			w.remove(i, object)
		}
	}
	return decisions, writes
}

func (w *world) checkDecision(i int, in Input, d Decision) {
	w.t.Helper()
	name := in.Place.Owner.Environment
	switch {
	case d.Step == v1alpha1.StepVerified && d.Waiting != nil:
		w.fatalf("%s is verified and waits for %s", name, d.Waiting.Message)
	case d.Step != v1alpha1.StepVerified && (d.Waiting == nil || d.Waiting.Type == "" || d.Waiting.Message == ""):
		w.fatalf("%s is at %s and does not say what it waits for", name, d.Step)
	case d.Step == v1alpha1.StepVerified && !Settled("scores", in.Children, in.Facts):
		w.fatalf("%s is verified, but not settled", name)
	}
	if i > 0 && len(d.Apply) > 0 && !admitted(in.Facts.deployment("scores"), in.Children) {
		if before := w.observe(i - 1); !Settled("scores", before.Children, before.Facts) {
			w.fatalf("%s gets %s before %s runs it", name, in.Content.Release, before.Place.Namespace)
		}
	}
	if !w.stations[i].consents && len(d.Apply)+len(d.Delete) > 0 {
		w.fatalf("%s is written to without its consent", name)
	}
}

// checkWorld checks what must hold between any two writes.
func (w *world) checkWorld() {
	w.t.Helper()
	for i, s := range w.stations {
		atWork := 0
		for k := range s.jobs {
			if len(s.jobs[k].Status.Conditions) == 0 && s.pods[k].Status.ContainerStatuses[0].State.Running != nil {
				atWork++
			}
		}
		if atWork > 1 {
			w.fatalf("%d migrations are at work in %s", atWork, w.spec.Environments[i].Name)
		}
		if name := w.mounted(i); name != "" && s.live[ObjectKey{Kind: "ConfigMap", Name: name}] == nil {
			w.fatalf("%s: pods read ConfigMap %s, which is not there", w.spec.Environments[i].Name, name)
		}
	}
}

func TestRandomHistories(t *testing.T) {
	var verified, stalled atomic.Int64
	t.Run("histories", func(t *testing.T) {
		for shard := range uint64(shards) {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				rendered := map[string]Children{}
				for seed := shard; seed < *histories; seed += shards {
					if newWorld(t, seed, rendered).live() {
						verified.Add(1)
					} else {
						stalled.Add(1)
					}
				}
			})
		}
	})
	t.Logf("%d histories ended verified, %d stalled on a migration that was refused", verified.Load(), stalled.Load())
	if verified.Load() == 0 || stalled.Load() == 0 {
		t.Error("the histories do not reach both ends: they prove little")
	}
}

// live goes through one history and reports how it ended.
func (w *world) live() (verified bool) {
	w.t.Helper()
	for range eventsEach {
		w.fault()
		w.moveJobs(0.3)
		w.pass(w.random.IntN(8))
		w.checkWorld()
		if w.random.IntN(3) == 0 {
			w.readyPods()
		}
		w.now = w.now.Add(time.Duration(w.random.IntN(30)) * time.Second)
	}
	return w.rest()
}

// rest ends all faults and runs until nothing changes. It reports whether everything is verified, or else stalled.
func (w *world) rest() bool {
	w.t.Helper()
	w.note("faults end")
	for _, s := range w.stations {
		s.consents, s.hasSecret = true, true
	}
	for range passesToRest {
		w.moveJobs(0)
		w.readyPods()
		w.now = w.now.Add(time.Minute)
		decisions, _ := w.pass(1000)
		w.checkWorld()
		if w.random.IntN(3) == 0 {
			w.lookAgain()
		}
		if slices.ContainsFunc(decisions, func(d Decision) bool { return d.Stalled }) {
			w.lookAgain()
			return false
		}
		done := !slices.ContainsFunc(decisions, func(d Decision) bool { return d.Step != v1alpha1.StepVerified })
		if done && w.tidy() {
			w.lookAgain()
			return true
		}
	}
	w.fatalf("neither verified nor stalled after %d passes", passesToRest)
	return false
}

// lookAgain checks that another look without any event changes nothing: whatever is still to be done waits for the world.
// Only what the pass before has replaced may go.
func (w *world) lookAgain() {
	w.t.Helper()
	decisions, _ := w.pass(1000)
	if slices.ContainsFunc(decisions, func(d Decision) bool { return len(d.Apply) > 0 }) {
		w.fatalf("something is applied although nothing had changed")
	}
	if _, writes := w.pass(1000); writes > 0 {
		w.fatalf("%d writes although nothing had changed", writes)
	}
}

// tidy reports whether nothing of an earlier release is left.
func (w *world) tidy() bool {
	for _, s := range w.stations {
		maps := 0
		for key := range s.live {
			if key.Kind == "ConfigMap" {
				maps++
			}
		}
		if maps != 1 || len(s.jobs) > 1 {
			return false
		}
	}
	return true
}
