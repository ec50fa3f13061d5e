package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
)

// What is so, from the statuses of the Microservices.
var (
	infoDesc          = prometheus.NewDesc("mirubato_operator_info", "Always 1; the label says which version runs.", []string{"version"}, nil)
	leadingDesc       = prometheus.NewDesc("mirubato_operator_leading", "1 if this replica works, 0 if it waits for its turn.", nil, nil)
	microservicesDesc = prometheus.NewDesc("mirubato_microservices", "Microservices that there are.", nil, nil)
	waitingDesc       = prometheus.NewDesc("mirubato_environments_waiting", "Environments that wait, by what for.", []string{"reason"}, nil)
	rolloutsDesc      = prometheus.NewDesc("mirubato_rollouts", "Rollouts under way.", nil, nil)
	maxRolloutsDesc   = prometheus.NewDesc("mirubato_rollouts_max", "Rollouts that may be under way at once.", nil, nil)
	conditionDesc     = prometheus.NewDesc("mirubato_microservice_condition",
		"1 if a condition of a Microservice is True, 0 if it is False; none while it is Unknown.", of("type", "reason"), nil)
	stepDesc  = prometheus.NewDesc("mirubato_environment_step", "Always 1; the label says at which step the environment's target is.", of("environment", "step"), nil)
	sinceDesc = prometheus.NewDesc("mirubato_environment_waiting_since_timestamp_seconds",
		"Since when an environment has waited for the same thing, as seconds since 1970; none if it does not wait.", of("environment", "reason"), nil)
	weightDesc = prometheus.NewDesc("mirubato_environment_weight_ratio",
		"Share of the requests, from 0 to 1, that the new pods get beside the others; none while there are no others.", of("environment"), nil)
	podsDesc = prometheus.NewDesc("mirubato_environment_settings_pods",
		"Pods that are to run with live settings, by what they say: acknowledged, waiting, refused; none without settings.", of("environment", "state"), nil)
)

// states are all that the Recorder tells besides events.
var states = []*prometheus.Desc{
	infoDesc, leadingDesc, microservicesDesc, waitingDesc, rolloutsDesc, maxRolloutsDesc, conditionDesc, stepDesc, sinceDesc, weightDesc, podsDesc,
	deploymentsDesc, leadDesc, restoreDesc,
}

func (r *Recorder) collectStates(out chan<- prometheus.Metric, microservices []v1alpha1.Microservice) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	waiting, rollouts := map[v1alpha1.WaitType]int{}, 0
	for i := range microservices {
		ms := &microservices[i]
		for _, claim := range gate.Claims(ms) {
			if claim.Begun {
				rollouts++
			}
		}
		for _, condition := range ms.Status.Conditions {
			if condition.Status != metav1.ConditionUnknown {
				gauge(conditionDesc, number(condition.Status == metav1.ConditionTrue), ms.Namespace, ms.Name, condition.Type, condition.Reason)
			}
		}
		for j := range ms.Status.Environments {
			e := &ms.Status.Environments[j]
			collectEnvironment(gauge, ms, e)
			if e.WaitingFor != nil {
				waiting[e.WaitingFor.Type]++
			}
		}
	}
	for reason, count := range waiting {
		gauge(waitingDesc, float64(count), string(reason))
	}
	gauge(microservicesDesc, float64(len(microservices)))
	gauge(rolloutsDesc, float64(rollouts))
	gauge(maxRolloutsDesc, float64(r.options.MaxRollouts))
}

// percent is what weights are told in by a status; a metric tells a ratio.
const percent = 100

func collectEnvironment(gauge func(*prometheus.Desc, float64, ...string), ms *v1alpha1.Microservice, e *v1alpha1.EnvironmentStatus) {
	gauge(stepDesc, 1, ms.Namespace, ms.Name, e.Name, string(e.Step))
	if e.WaitingFor != nil {
		gauge(sinceDesc, float64(e.WaitingFor.Since.Unix()), ms.Namespace, ms.Name, e.Name, string(e.WaitingFor.Type))
	}
	if e.Weight > 0 {
		gauge(weightDesc, float64(e.Weight)/percent, ms.Namespace, ms.Name, e.Name)
	}
	if s := e.Settings; s != nil {
		refused := len(s.Rejected)
		gauge(podsDesc, float64(s.Acknowledged), ms.Namespace, ms.Name, e.Name, "acknowledged")
		gauge(podsDesc, float64(refused), ms.Namespace, ms.Name, e.Name, "refused")
		gauge(podsDesc, float64(max(0, int(s.Pods-s.Acknowledged)-refused)), ms.Namespace, ms.Name, e.Name, "waiting")
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
