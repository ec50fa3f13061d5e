package telemetry

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/controllers/gate"
)

// Told notes that a pod was told its settings. Only one that is ready counts: another has to start first, which is not the time
// that is measured.
func (r *Recorder) Told(place gate.Place, pod *corev1.Pod, now time.Time) {
	if r == nil || !isReady(pod) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told[place] == nil {
		r.told[place] = map[types.UID]time.Time{}
	}
	r.told[place][pod.UID] = now
}

// Acknowledged measures those pods of an environment that were told and have acknowledged since. acknowledged says of each pod that
// is there whether it has; pods that are gone are forgotten. What this process has not told itself is not measured: it does not
// know when that was.
func (r *Recorder) Acknowledged(place gate.Place, acknowledged map[types.UID]bool, now time.Time) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told[place]
	for pod, since := range told {
		has, there := acknowledged[pod]
		if has {
			r.events.acknowledge.WithLabelValues(r.names.of(place.Environment)).Observe(atLeastZero(now.Sub(since)).Seconds())
		}
		if has || !there {
			delete(told, pod)
		}
	}
	if len(told) == 0 {
		delete(r.told, place)
	}
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
