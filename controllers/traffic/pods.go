package traffic

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// Pods are those of one environment, by side. Pods that are being removed belong to neither: no Service sends them
// anything, whatever they carry.
type Pods struct {
	Stable, Canary []corev1.Pod
	// Content is what canary pods must run to be put in service: one that a newer canary replaces is taken out.
	Content string
}

// PodsOf sorts the pods of an environment whose canary runs a content. Those of Jobs are left out.
func PodsOf(pods []corev1.Pod, content string) Pods {
	out := Pods{Content: content}
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		switch ownership.ComponentOf(pod.Labels) {
		case ownership.ComponentAPI:
			out.Stable = append(out.Stable, pod)
		case ownership.ComponentCanary:
			out.Canary = append(out.Canary, pod)
		}
	}
	return out
}

// Labels are the changes of v1alpha1.LabelServing that a weight takes. Add is carried out before Remove, so that never
// fewer pods are in service than before or after.
type Labels struct {
	Add, Remove []corev1.Pod
}

// Empty reports whether nothing is to be changed.
func (l Labels) Empty() bool { return len(l.Add) == 0 && len(l.Remove) == 0 }

// LabelsFor returns the changes by which the pods come to a weight, as far as there are pods for it. It is asked again
// whenever pods come, go, or become ready.
//
// A canary pod is put in service only while it is ready. The choice among several is stable: those that are in service
// already, then by name. A stable pod is born in service; one that is not ready is left so, because more stable pods than
// asked for are harmless.
func LabelsFor(weight int32, pods Pods) Labels {
	stable, canary := ready(pods.Stable), pods.readyCanary()
	var out Labels
	if !ByLabels(weight) {
		out.put(pods.Stable, len(pods.Stable))
		out.put(pods.Canary, 0)
		return out
	}
	stableServing, canaryServing := shares(count(stable), count(canary), weight)
	if int(stableServing) == len(stable) {
		out.put(pods.Stable, len(pods.Stable))
	} else {
		out.put(stable, int(stableServing))
	}
	out.put(canary, int(canaryServing))
	out.put(keep(pods.Canary, func(p corev1.Pod) bool { return !pods.mayServe(p) }), 0)
	return out
}

// put chooses n of the pods to be in service.
func (l *Labels) put(pods []corev1.Pod, n int) {
	pods = slices.SortedFunc(slices.Values(pods), func(a, b corev1.Pod) int {
		if isServing(a) != isServing(b) {
			return cmp.Compare(rank(a), rank(b))
		}
		return cmp.Compare(a.Name, b.Name)
	})
	for i, pod := range pods {
		switch wanted := i < n; {
		case wanted && !isServing(pod):
			l.Add = append(l.Add, pod)
		case !wanted && isServing(pod):
			l.Remove = append(l.Remove, pod)
		}
	}
}

// Weight returns the share of the requests that the canary gets at present, in percent, from the selector of the Service
// in front and the pods. It is asked itself as soon as the pods are those that it takes, although rounding up may give them
// a higher share; else the share of the pods, never 0 while a canary pod is in service and never 100 while the Service goes
// by labels.
func Weight(asked int32, selector map[string]string, pods Pods) int32 {
	if ownership.ComponentOf(selector) == ownership.ComponentCanary {
		return 100
	}
	if selector[v1alpha1.LabelServing] != ownership.Serving {
		return 0
	}
	stable := count(keep(ready(pods.Stable), isServing))
	// Ready or not: one that is not may become so before anybody can take its label away.
	canary := count(keep(pods.Canary, isServing))
	if canary == 0 {
		return 0
	}
	enough := ByLabels(asked) && count(pods.readyCanary()) >= Replicas(count(ready(pods.Stable)), asked)
	if enough && LabelsFor(asked, pods).Empty() {
		return asked
	}
	return min(99, max(1, int32(int64(canary)*100/int64(canary+stable)))) //nolint:gosec // a percentage
}

func (p Pods) mayServe(canary corev1.Pod) bool {
	return isReady(canary) && canary.Labels[v1alpha1.LabelContent] == p.Content
}

func (p Pods) readyCanary() []corev1.Pod { return keep(p.Canary, p.mayServe) }

func ready(pods []corev1.Pod) []corev1.Pod { return keep(pods, isReady) }

// keep returns the pods that a condition holds of.
func keep(pods []corev1.Pod, condition func(corev1.Pod) bool) []corev1.Pod {
	var out []corev1.Pod
	for _, pod := range pods {
		if condition(pod) {
			out = append(out, pod)
		}
	}
	return out
}

func isReady(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func isServing(pod corev1.Pod) bool { return pod.Labels[v1alpha1.LabelServing] == ownership.Serving }

// rank puts pods in service before the others.
func rank(pod corev1.Pod) int {
	if isServing(pod) {
		return 0
	}
	return 1
}

// count is len as the number that Kubernetes counts pods by.
func count(pods []corev1.Pod) int32 { return int32(len(pods)) } //nolint:gosec // pods of one environment, at most some thousand
