package analysis

import (
	"bytes"
	"fmt"
	"math"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mirubato/mirubato/api/contract"
)

// reading is what a pod has told of itself: counts since it started, and the metrics that were asked for.
type reading struct {
	Counts

	metrics map[string]metric
}

// metric is the sum of the series of one name in one pod.
type metric struct {
	value   float64
	counter bool
}

// parse reads an exposition in the Prometheus text format. A pod that has not answered anything yet may have no series of the
// requests at all. The error says what breaks the contract.
func parse(body []byte, wanted []MetricRule) (reading, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return reading{}, fmt.Errorf("no Prometheus text format: %w", err)
	}
	r := reading{metrics: map[string]metric{}}
	for _, name := range []string{contract.RequestsMetric, contract.SyntheticRequestsMetric} {
		if err := r.addRequests(families[name]); err != nil {
			return reading{}, err
		}
	}
	for _, name := range []string{contract.RequestDurationMetric, contract.SyntheticDurationMetric} {
		if err := r.addDurations(families[name]); err != nil {
			return reading{}, err
		}
	}
	r.addLookups(families[contract.CacheRequestsMetric])
	for _, rule := range wanted {
		if m, ok := sum(families[rule.Metric]); ok {
			r.metrics[rule.Metric] = m
		}
	}
	return r, nil
}

func (r *reading) addRequests(family *dto.MetricFamily) error {
	for _, series := range family.GetMetric() {
		if isProbe(series) {
			continue
		}
		if series.Counter == nil {
			return fmt.Errorf("%s is no counter", family.GetName())
		}
		value := series.Counter.GetValue()
		if !isCount(value) {
			return fmt.Errorf("%s has the value %v", family.GetName(), value)
		}
		status := label(series, contract.StatusLabel)
		if status == "" {
			return fmt.Errorf("%s lacks the label %s", family.GetName(), contract.StatusLabel)
		}
		r.Requests += value
		switch {
		case status >= "500":
			r.Errors += value
		case status == "429":
			r.Refusals += value
		}
	}
	return nil
}

// addLookups counts what caches were asked. No service has to have any, so what is of another form tells nothing.
func (r *reading) addLookups(family *dto.MetricFamily) {
	for _, series := range family.GetMetric() {
		value := series.GetCounter().GetValue()
		if !isCount(value) {
			continue
		}
		switch label(series, contract.OutcomeLabel) {
		case contract.OutcomeMiss:
			r.Lookups, r.Misses = r.Lookups+value, r.Misses+value
		case contract.OutcomeHit, contract.OutcomeStale:
			r.Lookups += value
		}
	}
}

func (r *reading) addDurations(family *dto.MetricFamily) error {
	for _, series := range family.GetMetric() {
		if isProbe(series) {
			continue
		}
		h := series.Histogram
		if h == nil {
			return fmt.Errorf("%s is no histogram", family.GetName())
		}
		own := Counts{Timed: float64(h.GetSampleCount()), Within: map[float64]float64{}}
		for _, bucket := range h.GetBucket() {
			bound := bucket.GetUpperBound()
			if math.IsNaN(bound) || bucket.GetCumulativeCount() > h.GetSampleCount() {
				return fmt.Errorf("%s has buckets that cannot be", family.GetName())
			}
			if !math.IsInf(bound, 0) {
				own.Within[bound] = float64(bucket.GetCumulativeCount())
			}
		}
		r.Counts = r.Add(own)
	}
	return nil
}

// sum adds up the series of a gauge or a counter. It knows nothing of other types, nor if any of the values is no number.
func sum(family *dto.MetricFamily) (metric, bool) {
	total := metric{counter: family.GetType() == dto.MetricType_COUNTER}
	for _, series := range family.GetMetric() {
		switch {
		case series.Counter != nil:
			total.value += series.Counter.GetValue()
		case series.Gauge != nil:
			total.value += series.Gauge.GetValue()
		case series.Untyped != nil:
			total.value += series.Untyped.GetValue()
		default:
			return metric{}, false
		}
	}
	return total, len(family.GetMetric()) > 0 && !math.IsNaN(total.value) && !math.IsInf(total.value, 0)
}

func isProbe(series *dto.Metric) bool {
	switch label(series, contract.RouteLabel) {
	case contract.LivezPath, contract.ReadyzPath, contract.HealthPath, contract.MetricsPath, contract.SettingsPath:
		return true
	}
	return false
}

func label(series *dto.Metric, name string) string {
	for _, pair := range series.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

// isCount: a float counts exactly up to 2^53.
func isCount(value float64) bool { return value >= 0 && value <= 1<<53 && value == math.Trunc(value) }
