// Package analysis judges a new release by its figures: it compares the pods of the new release with those of the one before,
// over the same time, and says Pass, Fail, NotEnoughData or SourceDown.
//
// Resolve, Window and Judge are pure: rules, what was counted, the verdict. Recorder keeps what running comparisons have
// counted and is the only part that asks pods, Prometheus and never the clock. What follows from a verdict is decided by
// package release; docs/analysis.md tells users what is compared and how sure a verdict is.
package analysis

import (
	"fmt"
	"strconv"
	"time"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Rules are v1alpha1.AnalysisSpec with defaults filled in and numbers read.
type Rules struct {
	Interval time.Duration
	// MinSamples is how many requests the new pods must have answered before they may pass.
	MinSamples float64
	// Errors is nil if errors are not judged, and so are the others.
	Errors, Refusals *RatioRule
	Latency          *LatencyRule
	CacheHits        *CacheHitRule
	Metrics          []MetricRule
	PrometheusURL    string
	NotEnoughData    v1alpha1.AnalysisPolicy
	SourceDown       v1alpha1.AnalysisPolicy
	// Synthetic is nil if the operator sends no requests.
	Synthetic *Synthetic
}

// RatioRule bounds the share of a kind of answers. Max is from 0 to 1, nil for none.
type RatioRule struct{ Max *float64 }

// CacheHitRule bounds the share of lookups that a cache answers. Min is from 0 to 1.
type CacheHitRule struct{ Min float64 }

// LatencyRule bounds a quantile.
type LatencyRule struct {
	// Quantile is between 0 and 1.
	Quantile float64
	// Factor by which the others' quantile may be exceeded, at least 1.
	Factor float64
	// Max is in seconds, 0 for none.
	Max float64
}

// MetricRule bounds a figure that is read by the name of a metric of the pods or by a query.
type MetricRule struct {
	Name, Metric, Query string
	Min, Max            *float64
}

// Synthetic says which requests the operator sends: so many to each side in an interval.
type Synthetic struct {
	Path     string
	Requests int
}

// Resolve fills in defaults. An analysis that names no rule judges errors and refusals. The error names the field that is no number; the
// API server lets none through.
func Resolve(spec v1alpha1.AnalysisSpec) (Rules, error) {
	rules := Rules{
		Interval:      10 * time.Second,
		MinSamples:    float64(or(spec.MinSamples, 50)),
		PrometheusURL: spec.PrometheusURL,
		NotEnoughData: orWait(spec.NotEnoughData),
		SourceDown:    orWait(v1alpha1.AnalysisPolicy(spec.SourceDown)),
	}
	if spec.Interval != nil {
		rules.Interval = spec.Interval.Duration
	}
	if s := spec.SyntheticTraffic; s != nil {
		rules.Synthetic = &Synthetic{Path: s.Path, Requests: int(or(s.RequestsPerInterval, 10))}
	}
	if l := spec.Latency; l != nil {
		rules.Latency = &LatencyRule{
			Quantile: float64(or(l.Quantile, 99)) / 100,
			Factor:   1 + float64(or(l.MaxIncreasePercent, 20))/100,
		}
		if l.Max != nil {
			rules.Latency.Max = l.Max.Seconds()
		}
	}
	if err := rules.resolveShares(spec); err != nil {
		return Rules{}, err
	}
	var err error
	rules.Metrics, err = resolveMetrics(spec.Metrics)
	return rules, err
}

// resolveShares reads the rules that bound shares.
func (rules *Rules) resolveShares(spec v1alpha1.AnalysisSpec) (err error) {
	if rules.Errors, err = resolveRatio("errorRatio", spec.ErrorRatio); err != nil {
		return err
	}
	if rules.Refusals, err = resolveRatio("refusalRatio", spec.RefusalRatio); err != nil {
		return err
	}
	if h := spec.CacheHitRatio; h != nil {
		least, err := number("cacheHitRatio.minPercent", h.MinPercent)
		if err != nil {
			return err
		}
		rules.CacheHits = &CacheHitRule{Min: or(least, 0) / 100}
	}
	if rules.Errors == nil && rules.Refusals == nil && rules.Latency == nil && rules.CacheHits == nil && len(spec.Metrics) == 0 {
		rules.Errors, rules.Refusals = &RatioRule{}, &RatioRule{}
	}
	return nil
}

func resolveRatio(field string, spec *v1alpha1.RatioRule) (*RatioRule, error) {
	if spec == nil {
		return nil, nil //nolint:nilnil // no rule is what the field says
	}
	limit, err := number(field+".maxPercent", spec.MaxPercent)
	if err != nil || limit == nil {
		return &RatioRule{}, err
	}
	*limit /= 100
	return &RatioRule{Max: limit}, nil
}

func resolveMetrics(specs []v1alpha1.MetricRule) (rules []MetricRule, err error) {
	for _, m := range specs {
		rule := MetricRule{Name: m.Name, Metric: m.Metric, Query: m.Query}
		if rule.Min, err = number("metrics["+m.Name+"].min", m.Min); err != nil {
			return nil, err
		}
		if rule.Max, err = number("metrics["+m.Name+"].max", m.Max); err != nil {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

func number(field, text string) (*float64, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no number is what the field says
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("analysis.%s is %q, which is no number", field, text)
	}
	return &value, nil
}

func or[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}

func orWait(policy v1alpha1.AnalysisPolicy) v1alpha1.AnalysisPolicy {
	if policy == "" {
		return v1alpha1.AnalysisWait
	}
	return policy
}
