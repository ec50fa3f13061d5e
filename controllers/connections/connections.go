// Package connections is the guard against a rollout that takes more connections than the database has: while pods of two
// releases run side by side, there are more of them than at rest.
//
// Ask reads what a pod tells of itself and of its database; Demand and Missing are pure. It needs no access to the database and
// no Secret. When it is asked, and what waiting means, is the caller's affair.
package connections

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
)

const (
	// askTimeout is that of one pod.
	askTimeout = time.Second
	// maxExposition is in bytes.
	maxExposition = 4 << 20
	// migrationConnections are what a migration takes: one for its lock, one for its statements.
	migrationConnections = 2
	// surgeDivisor is the share of the pods that a replacement adds, as in the Deployment: a quarter, rounded up.
	surgeDivisor = 4
)

// Report is what a pod says. PerPod is how many connections it opens at most, Available how many the database has for all pods of
// the service together.
type Report struct{ PerPod, Available int64 }

// Ask asks a pod. ok is false if it does not answer or does not tell: nothing is known then.
func Ask(ctx context.Context, client *podclient.Client, endpoints podclient.Endpoints, pod podclient.Pod) (report Report, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	base, err := endpoints.BaseURL(pod, contract.OperationsPort)
	if err != nil {
		return Report{}, false
	}
	answer, err := client.Do(ctx, podclient.Request{
		URL: base + contract.MetricsPath, MaxBody: maxExposition, Header: http.Header{"Accept": {"text/plain; version=0.0.4"}},
	})
	if err != nil || answer.Status != http.StatusOK {
		return Report{}, false
	}
	return parse(answer.Body)
}

func parse(body []byte) (report Report, ok bool) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return Report{}, false
	}
	perPod, told := gauge(families[contract.ConnectionsMetric])
	available, known := gauge(families[contract.ConnectionsAvailableMetric])
	return Report{PerPod: perPod, Available: available}, told && known
}

// gauge is the whole number that a family of one gauge holds.
func gauge(family *dto.MetricFamily) (value int64, ok bool) {
	if len(family.GetMetric()) != 1 || family.GetMetric()[0].GetGauge() == nil {
		return 0, false
	}
	number := family.GetMetric()[0].GetGauge().GetValue()
	if !(number >= 0 && number <= math.MaxInt32 && number == math.Trunc(number)) {
		return 0, false
	}
	return int64(number), true
}

// Demand is what a rollout brings about.
type Demand struct {
	// Stable is how many pods there are at most at rest, Canary how many beside them.
	Stable, Canary int32
	// Replaces says whether the stable pods are replaced; a quarter more run meanwhile.
	Replaces bool
	// Migrates says whether a migration is run.
	Migrates bool
}

// Missing is what a rollout waits for that needs more connections than there are; nil if they suffice.
func Missing(d Demand, r Report) *v1alpha1.WaitingFor {
	pods := int64(d.Stable) + int64(d.Canary)
	if d.Replaces {
		pods += (int64(d.Stable) + surgeDivisor - 1) / surgeDivisor
	}
	needed, migration := pods*r.PerPod, ""
	if d.Migrates {
		needed += migrationConnections
		migration = fmt.Sprintf(" and %d for the migration", migrationConnections)
	}
	if needed <= r.Available {
		return nil
	}
	return &v1alpha1.WaitingFor{
		Type: v1alpha1.WaitConnections,
		Message: fmt.Sprintf("the rollout takes up to %d pods with %d connections each%s, %d together; the database has %d for this service",
			pods, r.PerPod, migration, needed, r.Available),
		Unblock: "lower workload.replicas or workload.autoscaling.max until it is through, or raise max_connections of the database",
	}
}
