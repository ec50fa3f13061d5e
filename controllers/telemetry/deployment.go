package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// outcome is how a deployment to the last environment ended.
type outcome string

// The outcomes. Each is of a change; going back to an earlier release is the end of the change before and no deployment of its own.
const (
	// outcomeVerified: the last environment has verified the release.
	outcomeVerified outcome = "verified"
	// outcomeFailed: it was let in there and taken back.
	outcomeFailed outcome = "failed"
	// outcomeReverted: it had been verified there, and an earlier one was verified in its place.
	outcomeReverted outcome = "reverted"
)

var outcomes = []outcome{outcomeVerified, outcomeFailed, outcomeReverted}

// deployment is what became of a change in the last environment. Its outcome is empty while it tells a time only.
type deployment struct {
	outcome outcome
	// lead is from the cut of the release until it was verified, restore from a failure until a verified release ran again.
	lead, restore *time.Duration
}

// deploymentOf is what a stored status tells of the last environment, nil if nothing.
func deploymentOf(w Written) *deployment {
	before, after := recordOf(w.Before, w.Last), recordOf(w.Release.Status, w.Last)
	rejection := w.Release.Status.Rejection
	verified := after.VerifiedAt != nil && before.VerifiedAt == nil
	switch {
	case verified && w.Release.Spec.Number < w.Previous:
		return reverted(after)
	case verified:
		return &deployment{outcome: outcomeVerified, lead: new(atLeastZero(after.VerifiedAt.Sub(w.Release.CreationTimestamp.Time)))}
	case rejection == nil || rejection.Environment != w.Last || after.AdmittedAt == nil:
		return nil
	case w.Before.Rejection == nil:
		return &deployment{outcome: outcomeFailed}
	case after.RolledBackAt != nil && before.RolledBackAt == nil:
		return &deployment{restore: new(atLeastZero(after.RolledBackAt.Sub(rejection.Time.Time)))}
	}
	return nil
}

// reverted is a deployment whose place an earlier release has taken: it was let in to mend something, and did when all pods were of it.
func reverted(earlier v1alpha1.ReleaseEnvironmentStatus) *deployment {
	out := &deployment{outcome: outcomeReverted}
	if earlier.AdmittedAt != nil && earlier.PromotedAt != nil {
		out.restore = new(atLeastZero(earlier.PromotedAt.Sub(earlier.AdmittedAt.Time)))
	}
	return out
}

// figures are the sums of a Microservice since the process began.
type figures struct {
	deployments   map[outcome]int
	lead, restore sum
}

type sum struct {
	count uint64
	total time.Duration
}

func (s *sum) add(d *time.Duration) {
	if d != nil {
		s.count++
		s.total += *d
	}
}

func (f *figures) add(d deployment) {
	if d.outcome != "" {
		f.deployments[d.outcome]++
	}
	f.lead.add(d.lead)
	f.restore.add(d.restore)
}

var (
	deploymentsDesc = prometheus.NewDesc("mirubato_deployments_total",
		"Changes that came to an end in the last environment of a Microservice, by outcome: verified, failed, reverted.", of("outcome"), nil)
	leadDesc = prometheus.NewDesc("mirubato_microservice_lead_time_seconds",
		"Time from the cut of a release until the last environment had verified it, by Microservice.", of(), nil)
	restoreDesc = prometheus.NewDesc("mirubato_microservice_restore_time_seconds",
		"Time from a failure in the last environment until it ran a verified release again, by Microservice.", of(), nil)
)

// of are the labels of what belongs to a Microservice. They are not called namespace and name, which Prometheus gives to the
// operator's own pod.
func of(more ...string) []string {
	return append([]string{"microservice_namespace", "microservice"}, more...)
}

// collectFigures tells the figures of each Microservice, from 0, and forgets those of the ones that are gone.
func (r *Recorder) collectFigures(out chan<- prometheus.Metric, microservices []v1alpha1.Microservice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	there := make(map[types.NamespacedName]bool, len(microservices))
	for i := range microservices {
		ms := &microservices[i]
		key := types.NamespacedName{Namespace: ms.Namespace, Name: ms.Name}
		there[key] = true
		f := r.figures[key]
		if f == nil {
			f = &figures{}
		}
		for _, o := range outcomes {
			out <- prometheus.MustNewConstMetric(deploymentsDesc, prometheus.CounterValue, float64(f.deployments[o]), ms.Namespace, ms.Name, string(o))
		}
		out <- prometheus.MustNewConstSummary(leadDesc, f.lead.count, f.lead.total.Seconds(), nil, ms.Namespace, ms.Name)
		out <- prometheus.MustNewConstSummary(restoreDesc, f.restore.count, f.restore.total.Seconds(), nil, ms.Namespace, ms.Name)
	}
	for key := range r.figures {
		if !there[key] {
			delete(r.figures, key)
		}
	}
	for place := range r.told {
		if !there[place.Microservice] {
			delete(r.told, place)
		}
	}
}
