package analysis

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestResolve(t *testing.T) {
	for name, tc := range map[string]struct {
		spec v1alpha1.AnalysisSpec
		want Rules
	}{
		"nothing said judges errors and refusals": {
			want: Rules{
				Interval: 10 * time.Second, MinSamples: 50, NotEnoughData: v1alpha1.AnalysisWait, SourceDown: v1alpha1.AnalysisWait,
				Errors: &RatioRule{}, Refusals: &RatioRule{},
			},
		},
		"latency alone judges nothing else": {
			spec: v1alpha1.AnalysisSpec{Latency: &v1alpha1.LatencyRule{}},
			want: Rules{
				Interval: 10 * time.Second, MinSamples: 50, NotEnoughData: v1alpha1.AnalysisWait, SourceDown: v1alpha1.AnalysisWait,
				Latency: &LatencyRule{Quantile: .99, Factor: 1.2},
			},
		},
		"everything said": {
			spec: v1alpha1.AnalysisSpec{
				Interval: &metav1.Duration{Duration: time.Second}, MinSamples: new(int32(7)),
				ErrorRatio:    &v1alpha1.RatioRule{MaxPercent: "0.5"},
				RefusalRatio:  &v1alpha1.RatioRule{MaxPercent: "2"},
				CacheHitRatio: &v1alpha1.CacheHitRule{MinPercent: "40"},
				Latency:       &v1alpha1.LatencyRule{Quantile: new(int32(50)), Max: &metav1.Duration{Duration: 1500 * time.Millisecond}, MaxIncreasePercent: new(int32(0))},
				Metrics:       []v1alpha1.MetricRule{{Name: "a", Metric: "m", Min: "-1.5"}, {Name: "b", Query: "q", Max: "2"}},
				PrometheusURL: "http://p", NotEnoughData: v1alpha1.AnalysisPass, SourceDown: v1alpha1.SourceDownFail,
				SyntheticTraffic: &v1alpha1.SyntheticTraffic{Path: "/x"},
			},
			want: Rules{
				Interval: time.Second, MinSamples: 7, NotEnoughData: v1alpha1.AnalysisPass, SourceDown: v1alpha1.AnalysisFail,
				Errors: &RatioRule{Max: new(.005)}, Refusals: &RatioRule{Max: new(.02)}, CacheHits: &CacheHitRule{Min: .4}, Latency: &LatencyRule{Quantile: .5, Factor: 1, Max: 1.5},
				Metrics:       []MetricRule{{Name: "a", Metric: "m", Min: new(-1.5)}, {Name: "b", Query: "q", Max: new(2.0)}},
				PrometheusURL: "http://p", Synthetic: &Synthetic{Path: "/x", Requests: 10},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Resolve(tc.spec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for field, spec := range map[string]v1alpha1.AnalysisSpec{
		"analysis.errorRatio.maxPercent":    {ErrorRatio: &v1alpha1.RatioRule{MaxPercent: "x"}},
		"analysis.refusalRatio.maxPercent":  {RefusalRatio: &v1alpha1.RatioRule{MaxPercent: "x"}},
		"analysis.cacheHitRatio.minPercent": {CacheHitRatio: &v1alpha1.CacheHitRule{MinPercent: "x"}},
		"analysis.metrics[a].min":           {Metrics: []v1alpha1.MetricRule{{Name: "a", Min: "x"}}},
		"analysis.metrics[a].max":           {Metrics: []v1alpha1.MetricRule{{Name: "a", Max: "x"}}},
	} {
		if _, err := Resolve(spec); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want an error about %s", err, field)
		}
	}
}

// timed makes counts of which so many took at most a bound and the rest longer than all bounds.
func timed(requests, errors float64, within map[float64]float64) Counts {
	return Counts{Requests: requests, Errors: errors, Timed: requests, Within: within}
}

func TestJudge(t *testing.T) {
	errors := Rules{MinSamples: 50, Errors: &RatioRule{}}
	atMost := func(share float64) Rules { return Rules{MinSamples: 50, Errors: &RatioRule{Max: &share}} }
	refusals := Rules{MinSamples: 50, Refusals: &RatioRule{}}
	hits := Rules{MinSamples: 50, CacheHits: &CacheHitRule{Min: .4}}
	latency := Rules{MinSamples: 50, Latency: &LatencyRule{Quantile: .9, Factor: 1.2}}
	atMostTime := func(seconds float64) Rules {
		return Rules{MinSamples: 50, Latency: &LatencyRule{Quantile: .9, Factor: 1.2, Max: seconds}}
	}
	fast := timed(400, 0, map[float64]float64{.1: 380, .2: 400, 1: 400})
	before := Counts{Requests: 10000, Errors: 10, Timed: 10000, Within: map[float64]float64{.1: 9500, .2: 10000, 1: 10000}}
	for name, tc := range map[string]struct {
		rules                Rules
		newer, older, before Counts
		want                 v1alpha1.Verdict
		message              string
	}{
		"nothing yet":              {rules: errors, want: v1alpha1.VerdictNotEnoughData, message: "0 of the 50 requests that it takes to pass"},
		"others without traffic":   {rules: errors, newer: Counts{Requests: 60}, want: v1alpha1.VerdictNotEnoughData, message: "the others have answered nothing to compare with; set analysis.errorRatio.maxPercent"},
		"all requests, as before":  {rules: errors, newer: Counts{Requests: 600}, before: before, want: v1alpha1.VerdictPass, message: "errors 0 of 600 (0 %), the others before this step 10 of 10000 (0.1 %)"},
		"all requests, worse":      {rules: errors, newer: Counts{Requests: 600, Errors: 30}, before: before, want: v1alpha1.VerdictFail, message: "errors 30 of 600 (5 %), the others before this step 10 of 10000 (0.1 %)"},
		"all but a few leftovers":  {rules: errors, newer: Counts{Requests: 600, Errors: 30}, older: Counts{Requests: 2}, before: before, want: v1alpha1.VerdictFail, message: "before this step"},
		"limit, others without":    {rules: atMost(.01), newer: Counts{Requests: 60}, want: v1alpha1.VerdictPass, message: "errors 0 of 60 (0 %), at most 1 % accepted"},
		"over the limit, by luck?": {rules: atMost(.01), newer: Counts{Requests: 60, Errors: 1}, older: Counts{Requests: 60, Errors: 1}, want: v1alpha1.VerdictNotEnoughData, message: "at most 1 % accepted, not certain yet; errors 1 of 60 (1.67 %), the others 1 of 60 (1.67 %)"},
		"over the limit":           {rules: atMost(.01), newer: Counts{Requests: 60, Errors: 12}, older: Counts{Requests: 60, Errors: 12}, want: v1alpha1.VerdictFail, message: "errors 12 of 60 (20 %), at most 1 % accepted"},
		"none accepted":            {rules: atMost(0), newer: Counts{Requests: 2, Errors: 1}, want: v1alpha1.VerdictFail, message: "at most 0 % accepted; 2 of the 50"},
		"no more refusals":         {rules: refusals, newer: Counts{Requests: 60, Refusals: 6}, older: Counts{Requests: 240, Refusals: 24}, want: v1alpha1.VerdictPass, message: "refusals 6 of 60 (10 %), the others 24 of 240 (10 %)"},
		"refused by a new limit":   {rules: refusals, newer: Counts{Requests: 60, Refusals: 30}, older: Counts{Requests: 240}, want: v1alpha1.VerdictFail, message: "refusals 30 of 60 (50 %), the others 0 of 240 (0 %)"},
		"refusals are no errors":   {rules: errors, newer: Counts{Requests: 60, Refusals: 60}, older: Counts{Requests: 240}, want: v1alpha1.VerdictPass, message: "errors 0 of 60"},
		"refusals, nobody else":    {rules: refusals, newer: Counts{Requests: 60}, want: v1alpha1.VerdictNotEnoughData, message: "set analysis.refusalRatio.maxPercent"},
		"hits enough":              {rules: hits, newer: Counts{Requests: 60, Lookups: 100, Misses: 50}, want: v1alpha1.VerdictPass, message: "cache hits 50 of 100 (50 %), at least 40 % accepted"},
		"hits too few":             {rules: hits, newer: Counts{Requests: 60, Lookups: 100, Misses: 95}, want: v1alpha1.VerdictFail, message: "cache hits 5 of 100 (5 %)"},
		"hits too few, by luck?":   {rules: hits, newer: Counts{Requests: 60, Lookups: 60, Misses: 39}, want: v1alpha1.VerdictNotEnoughData, message: "not certain yet"},
		"no lookups":               {rules: hits, newer: Counts{Requests: 60}, want: v1alpha1.VerdictNotEnoughData, message: "cache hits 0 of 0"},
		"as slow":                  {rules: latency, newer: fast, older: fast, want: v1alpha1.VerdictPass, message: "p90 94.7 ms, the others p90 94.7 ms, 0 of 400 (0 %) took more than 200 ms"},
		"slower":                   {rules: latency, newer: timed(100, 0, map[float64]float64{.1: 0, .2: 50, 1: 100}), older: fast, want: v1alpha1.VerdictFail, message: "p90 840 ms, the others p90 94.7 ms, 50 of 100 (50 %) took more than 200 ms"},
		"slower, within tolerance": {rules: latency, newer: timed(1000, 0, map[float64]float64{.1: 0, .2: 950, 1: 1000}), older: fast, want: v1alpha1.VerdictPass, message: "50 of 1000 (5 %) took more than 200 ms"},
		"slower than before":       {rules: latency, newer: timed(1000, 0, map[float64]float64{.1: 0, .2: 500, 1: 1000}), before: before, want: v1alpha1.VerdictFail, message: "the others before this step p90 94.7 ms"},
		"nothing timed":            {rules: latency, newer: Counts{Requests: 60}, older: fast, want: v1alpha1.VerdictNotEnoughData, message: "the histogram of durations holds 0 requests"},
		"beyond the highest":       {rules: latency, newer: fast, older: timed(400, 0, map[float64]float64{.1: 0}), want: v1alpha1.VerdictNotEnoughData, message: "the others p90 beyond the highest bucket: no bucket of both is long enough"},
		"tolerance beyond":         {rules: latency, newer: fast, older: timed(400, 0, map[float64]float64{.1: 300, .2: 320, 1: 400}), want: v1alpha1.VerdictPass, message: "took more than 1 s"},
		"no bucket in common":      {rules: latency, newer: timed(400, 0, map[float64]float64{.3: 400}), older: fast, want: v1alpha1.VerdictNotEnoughData, message: "no bucket of both is long enough"},
		"one bucket in common":     {rules: latency, newer: timed(400, 0, map[float64]float64{.15: 390, .2: 400}), older: fast, want: v1alpha1.VerdictPass, message: "took more than 200 ms"},
		"short enough":             {rules: atMostTime(.2), newer: fast, want: v1alpha1.VerdictPass, message: "p90 94.7 ms, at most 200 ms accepted"},
		"too long for anybody":     {rules: atMostTime(.1), newer: timed(400, 0, map[float64]float64{.1: 200, .2: 400, 1: 400}), older: timed(400, 0, map[float64]float64{.1: 200, .2: 400, 1: 400}), want: v1alpha1.VerdictFail, message: "p90 180 ms, at most 100 ms accepted"},
		"too long, by luck?":       {rules: atMostTime(.1), newer: timed(60, 0, map[float64]float64{.1: 53, .2: 60, 1: 60}), older: fast, want: v1alpha1.VerdictNotEnoughData, message: "at most 100 ms accepted, not certain yet"},
		"max beyond the buckets":   {rules: atMostTime(2), newer: fast, older: fast, want: v1alpha1.VerdictNotEnoughData, message: "at most 2 s accepted: no bucket is long enough to tell; add buckets, or lower latency.max"},
	} {
		t.Run(name, func(t *testing.T) {
			w := Window{Before: tc.before}
			w.Add(tc.newer, tc.older)
			got := Judge(tc.rules, &w, nil)
			if got.Verdict != tc.want || !strings.Contains(got.Message, tc.message) {
				t.Errorf("got %s: %s\nwant %s: %s", got.Verdict, got.Message, tc.want, tc.message)
			}
			if again := Judge(tc.rules, &w, nil); again != got {
				t.Errorf("the second time: %+v", again)
			}
		})
	}
}

func TestBucketsThatBothStopHaving(t *testing.T) {
	var w Window
	for range 3 {
		w.Add(timed(50, 0, map[float64]float64{.1: 50, .2: 50}), timed(200, 0, map[float64]float64{.1: 190, .2: 200}))
	}
	// A pod with other buckets joins: from here on only the common one counts.
	w.Add(timed(50, 0, map[float64]float64{.15: 0, .2: 10}), timed(200, 0, map[float64]float64{.1: 190, .2: 200}))
	got := Judge(Rules{MinSamples: 50, Latency: &LatencyRule{Quantile: .9, Factor: 1}}, &w, nil)
	if got.Verdict != v1alpha1.VerdictFail || !strings.Contains(got.Message, "40 of 200 (20 %) took more than 200 ms") {
		t.Errorf("got %+v", got)
	}
}

func TestAnIntervalOfOneSideWaitsForTheOther(t *testing.T) {
	rules := Rules{MinSamples: 50, Errors: &RatioRule{}}
	var w Window
	w.Add(Counts{Requests: 20, Errors: 20}, Counts{})
	if got := Judge(rules, &w, nil); got.Verdict != v1alpha1.VerdictNotEnoughData {
		t.Errorf("with nothing to compare: %+v", got)
	}
	w.Add(Counts{}, Counts{Requests: 20})
	if got := Judge(rules, &w, nil); got.Verdict != v1alpha1.VerdictFail {
		t.Errorf("with the others' answers: %+v", got)
	}
}

func TestCountsSince(t *testing.T) {
	for name, tc := range map[string]struct{ before, now, want Counts }{
		"grown":              {timed(10, 1, map[float64]float64{.1: 5}), timed(15, 2, map[float64]float64{.1: 9}), timed(5, 1, map[float64]float64{.1: 4})},
		"started again":      {timed(10, 1, map[float64]float64{.1: 5}), timed(3, 0, map[float64]float64{.1: 2}), timed(3, 0, map[float64]float64{.1: 2})},
		"only a bucket fell": {timed(10, 1, map[float64]float64{.1: 5}), timed(15, 1, map[float64]float64{.1: 4}), timed(15, 1, map[float64]float64{.1: 4})},
		"other buckets":      {timed(10, 1, map[float64]float64{.1: 5}), timed(15, 1, map[float64]float64{.2: 9}), timed(15, 1, map[float64]float64{.2: 9})},
		"first request":      {Counts{}, timed(5, 0, map[float64]float64{.1: 5}), timed(5, 0, map[float64]float64{.1: 5})},
		"nothing new":        {timed(5, 0, map[float64]float64{.1: 5}), timed(5, 0, map[float64]float64{.1: 5}), timed(0, 0, map[float64]float64{.1: 0})},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.now.since(tc.before)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFiguresAreRounded(t *testing.T) {
	for want, got := range map[string]string{
		"0.826 %": percent(1.0 / 121), "1.67 %": percent(1.0 / 60), "0 %": percent(0), "100 %": percent(1), "12346": rounded(12345.678),
		"0.000123": rounded(.00012345), "-1.23": rounded(-1.2345), "94.7 ms": duration(.0947), "2.5 s": duration(2.5), "1h0m0s": duration(3600),
		"0 of 0": share(0, 0), "1000000 of 2000000 (50 %)": share(1e6, 2e6), "0 ms": duration(0),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
