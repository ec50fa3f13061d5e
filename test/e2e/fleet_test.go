//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/test/results"
)

// acknowledged is how long a change of settings may take to reach all pods, whatever happens to them meanwhile.
const acknowledged = 3 * time.Minute

func (w *world) client() (client.WithWatch, error) {
	config, err := clientcmd.BuildConfigFromFlags("", suite.local+"/kubeconfig")
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // what is measured must not wait for its measurement
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), clientgoscheme.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}

// betweenChanges is for how long nothing is asked of the kubelet before the next change. It does nothing with a pod before it has listed
// all containers again since it was last done with it, which it does once a second: without a pause, that is what would be measured.
const betweenChanges = 2 * time.Second

// changeSettings is the command change-settings TIMES [FIGURE BOUND]: it changes the settings so many times, each a while after the one
// before is verified, and records the 99th percentile of what that took.
func changeSettings(ts *testscript.TestScript, args []string) error {
	times, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	w := worldOf(ts)
	c, err := w.client()
	if err != nil {
		return err
	}
	var took []time.Duration
	for range times {
		w.changes++
		one, err := w.changeOnce(context.Background(), c)
		if err != nil {
			return fmt.Errorf("change %d: %w", w.changes, err)
		}
		took = append(took, one)
		time.Sleep(betweenChanges)
	}
	slices.Sort(took)
	ts.Logf("settings acknowledged after %s to %s, half of them by %s", took[0], took[len(took)-1], took[len(took)/2])
	if len(args) < 3 {
		return nil
	}
	p99 := took[(99*len(took)+99)/100-1]
	return record(args[1], p99.Seconds(), "s", results.Bound(args[2]))
}

// changeOnce returns how long it took from the request to the API server until the status says that all pods have acknowledged.
func (w *world) changeOnce(ctx context.Context, c client.WithWatch) (time.Duration, error) {
	ms := &v1alpha1.Microservice{}
	ms.Namespace, ms.Name = w.namespace, "scores"
	// It is far above what is asked for; that it is another number is what counts.
	patch := fmt.Sprintf(`{"spec": {"settings": {"rateLimits": {"default": {"requests": %d, "window": "1m"}}}}}`, 500_000+w.changes)
	started := time.Now()
	if err := c.Patch(ctx, ms, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return 0, err
	}
	asked := ms.Generation
	err := w.watch(ctx, c, func(ms *v1alpha1.Microservice) bool {
		return ms.Status.ObservedGeneration >= asked && isAcknowledged(ms)
	})
	took := time.Since(started)
	if err != nil {
		return 0, err
	}
	// The next change comes once this one is done with, not into the middle of it.
	return took, w.watch(ctx, c, func(ms *v1alpha1.Microservice) bool {
		return meta.IsStatusConditionTrue(ms.Status.Conditions, v1alpha1.ConditionReady)
	})
}

// watch returns once the Microservice satisfies the condition. It is told by the API server rather than asking: asking a hundred
// times a second costs more than what is measured.
func (w *world) watch(ctx context.Context, c client.WithWatch, satisfied func(*v1alpha1.Microservice) bool) error {
	ctx, cancel := context.WithTimeout(ctx, acknowledged)
	defer cancel()
	var last v1alpha1.MicroserviceStatus
	for {
		events, err := c.Watch(ctx, &v1alpha1.MicroserviceList{}, client.InNamespace(w.namespace), client.MatchingFields{"metadata.name": "scores"}, fromMemory())
		if err != nil {
			return fmt.Errorf("not within %s; the status is %+v: %w", acknowledged, last, err)
		}
		for event := range events.ResultChan() {
			ms, ok := event.Object.(*v1alpha1.Microservice)
			if !ok {
				break // the watch has expired
			}
			if last = ms.Status; satisfied(ms) {
				events.Stop()
				return nil
			}
		}
		events.Stop()
	}
}

// fromMemory has a watch begin with what the API server has in memory. Without it, an API server whose etcd is older than 3.5.13 waits
// for a change of the kind that is watched, which does not come where everything is at rest.
func fromMemory() client.ListOption {
	return &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: "0"}}
}

// isAcknowledged reports whether all pods run with the settings of the release that is asked for. The number of a release ends
// its name.
func isAcknowledged(ms *v1alpha1.Microservice) bool {
	if len(ms.Status.Environments) == 0 || ms.Status.Environments[0].Settings == nil {
		return false
	}
	said := ms.Status.Environments[0].Settings
	return ms.Status.Release == fmt.Sprintf("%s-%d", ms.Name, said.Generation) && said.Pods > 0 && said.Acknowledged == said.Pods
}

// awaitAcknowledged is the command await-acknowledged PODS: it waits until as many pods, and no others, run with the settings
// asked for.
func awaitAcknowledged(ts *testscript.TestScript, args []string) error {
	pods, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	w := worldOf(ts)
	c, err := w.client()
	if err != nil {
		return err
	}
	return w.watch(context.Background(), c, func(ms *v1alpha1.Microservice) bool {
		return isAcknowledged(ms) && int(ms.Status.Environments[0].Settings.Pods) == pods
	})
}

// killKubelet is the command kill-kubelet. The node starts it again.
func killKubelet(*testscript.TestScript, []string) error {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		program, _, _ := bytes.Cut(line, []byte{0})
		if filepath.Base(string(program)) != "kubelet" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGKILL)
	}
	return fmt.Errorf("no kubelet runs on this machine: the cluster is not the native one")
}

// endLoad is the command end-load.
func endLoad(ts *testscript.TestScript, _ []string) error {
	w := worldOf(ts)
	if w.load == nil {
		return fmt.Errorf("no load was started")
	}
	w.load.stop()
	w.load = nil
	return nil
}

// unloadLimited is the command unload-limited REQUESTS WINDOW: it ends the load and fails if more was let through than that limit
// allows, at any moment.
func unloadLimited(ts *testscript.TestScript, args []string) error {
	limit, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	window, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	w := worldOf(ts)
	if w.load == nil {
		return fmt.Errorf("no load was started")
	}
	l := w.load
	w.load = nil
	l.stop()
	most := mostWithin(l.answered, window)
	lasted := l.answered[len(l.answered)-1].Sub(l.answered[0])
	windows := int(lasted/window) + 2 // the first and the last may be cut off
	ts.Logf("%d requests, %d let through in %s, at most %d in %s", l.sent, len(l.answered), lasted, most, window)
	for message, count := range l.failures {
		ts.Logf("%d x %s", count, message)
	}
	// A window begins with its first request, so that two may meet in as long as one.
	if most > 2*limit || len(l.answered) > windows*limit {
		return fmt.Errorf("%d in %s and %d in %s are more than %d in %s", most, window, len(l.answered), lasted, limit, window)
	}
	if len(l.answered) < limit || l.sent < 2*len(l.answered) {
		return fmt.Errorf("of %d requests %d were let through: that shows nothing", l.sent, len(l.answered))
	}
	return record("most let through in a window, of "+args[0]+" allowed, while pods come and go", float64(most), "requests", results.Bound(fmt.Sprintf("<= %d", 2*limit)))
}

// mostWithin is the greatest number of times, which are sorted here, that lie within a window.
func mostWithin(times []time.Time, window time.Duration) (most int) {
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i, at := range times {
		for at.Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
