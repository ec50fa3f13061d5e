// Package traffic says how requests are split between the pods of the last release, the stable ones, and those of a new
// one, the canary's.
//
// Without a gateway the split is made by pods: each pod in service gets an equal share of the connections. What is written
// depends on the weight:
//
//	weight   Service selects             pods that carry v1alpha1.LabelServing
//	0        component api               all stable ones (nobody asks)
//	1..99    the label                   as many of each side as the weight takes
//	100      component canary            all stable ones (nobody asks)
//
// So the way back to weight 0, and the step to 100, is one write of one object, however many pods there are and whatever
// state their labels are in. Labels are changed without restarting a pod, and the number of stable pods stays as it is:
// an autoscaler may go on changing it.
//
// With a gateway the split is made by an HTTPRoute with the two Services as weighted backends, and the Service in front
// stays as at weight 0.
//
// The package owns that arithmetic, the choice of pods, the HTTPRoute and the reading of its status. It reads and writes
// nothing: the caller patches pods and applies manifests. Whether a weight is right is the planner's business.
package traffic

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// Selector returns the labels by which the Service in front selects pods at a weight, in percent.
func Selector(owner ownership.Owner, weight int32) map[string]string {
	switch {
	case weight <= 0:
		return owner.Selector(ownership.ComponentAPI)
	case weight >= 100:
		return owner.Selector(ownership.ComponentCanary)
	}
	return owner.ServingSelector()
}

// ByLabels reports whether labels of pods decide at a weight. If they do, they are written before the Service, so that it
// never selects by labels that are not there yet; otherwise the Service is written first, because it alone decides.
func ByLabels(weight int32) bool { return weight > 0 && weight < 100 }

// Replicas returns how many canary pods a weight takes beside a number of stable ones, without a gateway: for up to 50
// percent as many as give it the share, rounded up; for more, as many as there are stable pods, of which some are then
// taken out of service. So a rollout never needs more than twice the pods, and no fewer than before are ever in service.
// A weight of 100, blue and green, takes as many as there are stable pods. At least 1 for any weight above 0.
func Replicas(stable, weight int32) int32 {
	switch stable = max(stable, 1); {
	case weight <= 0:
		return 0
	case weight <= 50:
		return int32(ceil(int64(stable)*int64(weight), int64(100-weight))) //nolint:gosec // at most stable, an int32
	}
	return stable
}

// RoutedReplicas returns how many canary pods a weight takes behind a gateway, which splits by request: the same share of
// the number of stable pods, rounded up. At least 1 for any weight above 0.
func RoutedReplicas(stable, weight int32) int32 {
	if weight <= 0 {
		return 0
	}
	weight = min(weight, 100)
	return max(1, int32(ceil(int64(stable)*int64(weight), 100))) //nolint:gosec // at most stable, an int32
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }

// shares returns how many of the ready pods of each side shall be in service at a weight that labels decide.
func shares(stable, canary, weight int32) (stableServing, canaryServing int32) {
	canaryServing = min(canary, Replicas(stable, weight))
	if weight <= 50 {
		return stable, canaryServing
	}
	// Rounded down, so that the canary's share is rounded up; but never the last stable pod, without which there is nothing
	// to compare with, and never so many that fewer are in service than before.
	stableServing = int32(int64(canaryServing) * int64(100-weight) / int64(weight)) //nolint:gosec // less than canaryServing
	return min(stable, max(stableServing, stable-canaryServing, 1)), canaryServing
}

// Patch puts a pod in service, or takes it out. It changes nothing else, and needs no version of the pod: putting one in
// service twice is the same as once.
func Patch(serving bool) client.Patch {
	value := "null"
	if serving {
		value = `"` + ownership.Serving + `"`
	}
	return client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, v1alpha1.LabelServing, value))
}
