//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/settings"
	"github.com/mirubato/mirubato/test/results"
)

// takenBack is the command taken-back FIGURE BOUND: it waits until the release is rejected in the last environment and gets no
// requests there, and records how long callers have felt it: from the first request that was not answered well to the last.
func takenBack(ts *testscript.TestScript, args []string) error {
	w := worldOf(ts)
	if w.load == nil {
		return fmt.Errorf("no load was started")
	}
	c, err := w.client()
	if err != nil {
		return err
	}
	err = w.watch(context.Background(), c, func(ms *v1alpha1.Microservice) bool {
		n := len(ms.Status.Environments)
		return n > 0 && ms.Status.Environments[n-1].Step == v1alpha1.StepRejected && ms.Status.Environments[n-1].Weight == 0
	})
	if err != nil {
		return err
	}
	felt, some := w.load.failing()
	if !some {
		return fmt.Errorf("no request failed: that shows nothing")
	}
	return record(args[0], felt.Seconds(), "s", results.Bound(args[1]))
}

// generations are those that the stable pods of an environment were given, by the names of the pods.
type generations struct {
	cancel   context.CancelFunc
	watching sync.WaitGroup

	mu   sync.Mutex
	seen map[string][]int64
	err  error
}

// watchGenerations is the command watch-generations ENV.
func watchGenerations(ts *testscript.TestScript, args []string) error {
	w := worldOf(ts)
	c, err := w.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadLimit)
	g := &generations{cancel: cancel, seen: map[string][]int64{}}
	events, err := c.Watch(ctx, &corev1.PodList{}, client.InNamespace(w.of(args[0])), fromMemory())
	if err != nil {
		cancel()
		return err
	}
	g.watching.Go(func() {
		for event := range events.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok {
				g.note(pod)
			} else if ctx.Err() == nil {
				g.fail(fmt.Errorf("watching pods: %v", event.Object))
			}
		}
	})
	w.generations = g
	return nil
}

func (g *generations) note(pod *corev1.Pod) {
	g.mu.Lock()
	defer g.mu.Unlock()
	given := settings.Own(*pod)
	if ownership.ComponentOf(pod.Labels) == ownership.ComponentAPI && !slices.Contains(g.seen[pod.Name], given) {
		g.seen[pod.Name] = append(g.seen[pod.Name], given)
	}
}

func (g *generations) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = errors.Join(g.err, err)
}

// expectGeneration is the command only-generation N: it fails if a stable pod was ever given another while they were watched.
func expectGeneration(ts *testscript.TestScript, args []string) error {
	g := worldOf(ts).generations
	if g == nil {
		return fmt.Errorf("no pods are watched")
	}
	g.cancel()
	g.watching.Wait()
	if g.err != nil || len(g.seen) == 0 {
		return fmt.Errorf("no pod was seen, or not all the time, which shows nothing: %w", errors.Join(g.err, errors.New("the watch has ended")))
	}
	for pod, seen := range g.seen {
		if text := fmt.Sprint(seen); text != "["+args[0]+"]" {
			return fmt.Errorf("pod %s was given %s, want only %s", pod, text, args[0])
		}
	}
	return nil
}

// killings are pods that end at random, those of the operator at once, those of the service as when a node is drained.
type killings struct {
	cancel  context.CancelFunc
	killing sync.WaitGroup
	// killed counts them, by what they were; err is why one could not be.
	killed map[string]int
	err    error
}

// killAtRandom is the command kill-at-random EVERY.
func killAtRandom(ts *testscript.TestScript, args []string) error {
	every, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	w := worldOf(ts)
	c, err := w.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), loadLimit)
	k := &killings{cancel: cancel, killed: map[string]int{}}
	seed := rand.Uint64()
	ts.Logf("pods are killed by the seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	k.killing.Go(func() {
		for tick := time.Tick(every); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick:
				k.err = errors.Join(k.err, k.killOne(ctx, c, w, chance))
			}
		}
	})
	w.killings = k
	return nil
}

// killOne asks for the eviction of a pod of the service, which its disruption budget may refuse, or kills one of the operator.
func (k *killings) killOne(ctx context.Context, c client.Client, w *world, chance *rand.Rand) error {
	namespaces := []string{"mirubato-system"}
	for _, environment := range w.environments {
		namespaces = append(namespaces, w.of(environment))
	}
	namespace := namespaces[chance.IntN(len(namespaces))]
	pods := &corev1.PodList{}
	if err := c.List(ctx, pods, client.InNamespace(namespace)); err != nil {
		return ignoreEnd(ctx, err)
	}
	var running []corev1.Pod
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning {
			running = append(running, pod)
		}
	}
	if len(running) == 0 {
		return nil
	}
	victim := running[chance.IntN(len(running))]
	kind := strings.TrimPrefix(namespace, w.namespace+"-")
	var err error
	if namespace == namespaces[0] {
		err = c.Delete(ctx, &victim, client.GracePeriodSeconds(0))
	} else {
		err = c.SubResource("eviction").Create(ctx, &victim, &policyv1.Eviction{})
	}
	switch {
	case apierrors.IsTooManyRequests(err):
		k.killed[kind+", refused by the disruption budget"]++
		return nil
	case client.IgnoreNotFound(err) != nil:
		return ignoreEnd(ctx, fmt.Errorf("killing pod %s: %w", types.NamespacedName{Namespace: namespace, Name: victim.Name}, err))
	}
	k.killed[kind]++
	return nil
}

// endKillings is the command end-killings LEAST: it fails if fewer were killed.
func endKillings(ts *testscript.TestScript, args []string) error {
	w := worldOf(ts)
	if w.killings == nil {
		return fmt.Errorf("nobody kills")
	}
	k := w.killings
	w.killings = nil
	k.stop()
	total := 0
	for kind, n := range k.killed {
		ts.Logf("%d x %s", n, kind)
		total += n
	}
	if err := record("pods killed at random, "+ts.Name(), float64(total), "pods", results.Bound(">= "+args[0])); err != nil {
		return err
	}
	return k.err
}

func (k *killings) stop() {
	k.cancel()
	k.killing.Wait()
}

// ignoreEnd drops an error that is only that the killing has ended.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}
