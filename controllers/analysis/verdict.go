package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Figure is what a MetricRule has read.
type Figure struct {
	Value float64
	// Known is false if nobody told a number.
	Known bool
	// Outside is how many readings in a row, this one included, were out of bounds.
	Outside int
}

// tolerated is how many readings in a row a figure may be out of bounds before it fails a release: a single reading of a gauge
// may be an accident.
const tolerated = 2

// Judgement is a verdict and the figures that led to it.
type Judgement struct {
	Verdict v1alpha1.Verdict
	Message string
}

// Judge applies rules to what was counted; figures are those of rules.Metrics, by name. One rule that fails is enough, at any
// time. To pass takes all of them, and MinSamples requests of the new pods. SourceDown is never said here.
func Judge(rules Rules, w *Window, figures map[string]Figure) Judgement {
	var findings []Judgement
	if w.New.Requests < rules.MinSamples {
		findings = append(findings, Judgement{
			v1alpha1.VerdictNotEnoughData,
			fmt.Sprintf("%s of the %s requests that it takes to pass", count(w.New.Requests), count(rules.MinSamples)),
		})
	}
	if rules.Errors != nil {
		findings = append(findings, judgeRatio(errorAnswers, *rules.Errors, w, rules.MinSamples)...)
	}
	if rules.Refusals != nil {
		findings = append(findings, judgeRatio(refusalAnswers, *rules.Refusals, w, rules.MinSamples)...)
	}
	if rules.CacheHits != nil {
		findings = append(findings, judgeCacheHits(*rules.CacheHits, w, rules.MinSamples))
	}
	if rules.Latency != nil {
		findings = append(findings, judgeLatency(*rules.Latency, w, rules.MinSamples)...)
	}
	for _, rule := range rules.Metrics {
		findings = append(findings, judgeFigure(rule, figures[rule.Name]))
	}
	return merge(findings)
}

// merge names first what decides.
func merge(findings []Judgement) Judgement {
	rank := map[v1alpha1.Verdict]int{v1alpha1.VerdictFail: 0, v1alpha1.VerdictNotEnoughData: 1, v1alpha1.VerdictPass: 2}
	slices.SortStableFunc(findings, func(a, b Judgement) int { return rank[a.Verdict] - rank[b.Verdict] })
	messages := make([]string, len(findings))
	for i, f := range findings {
		messages[i] = f.Message
	}
	return Judgement{Verdict: findings[0].Verdict, Message: strings.Join(messages, "; ")}
}

// weigh says what evidence comes to, when so much of it is certain. What looks bad without being certain neither fails nor
// passes.
func weigh(evidence, certain float64, looksBad bool, text string) Judgement {
	switch {
	case evidence >= certain:
		return Judgement{v1alpha1.VerdictFail, text}
	case looksBad || evidence >= suspicion:
		return Judgement{v1alpha1.VerdictNotEnoughData, text + ", not certain yet"}
	}
	return Judgement{v1alpha1.VerdictPass, text}
}

// answers are a kind of answers whose share is judged.
type answers struct {
	name, field string
	of          func(Counts) float64
	compared    func(*Window) *comparison
}

var (
	errorAnswers = answers{
		"errors", "errorRatio",
		func(c Counts) float64 { return c.Errors }, func(w *Window) *comparison { return &w.errors },
	}
	refusalAnswers = answers{
		"refusals", "refusalRatio",
		func(c Counts) float64 { return c.Refusals }, func(w *Window) *comparison { return &w.refusals },
	}
)

func judgeRatio(kind answers, rule RatioRule, w *Window, minSamples float64) []Judgement {
	events := kind.of(w.New)
	own := kind.name + " " + share(events, w.New.Requests)
	old, who := w.reference(minSamples)
	evidence := kind.compared(w).evidence()
	if w.quiet(minSamples) {
		evidence = exceeds(upperBound(kind.of(old), old.Requests), events, w.New.Requests)
	}
	var findings []Judgement
	switch {
	case old.Requests > 0:
		text := own + ", " + who + " " + share(kind.of(old), old.Requests)
		findings = append(findings, weigh(evidence, certain, false, text))
	case rule.Max == nil && w.New.Requests >= minSamples:
		findings = append(findings, nothingToCompare(kind.field+".maxPercent"))
	}
	if rule.Max != nil {
		text := own + ", at most " + percent(*rule.Max) + " accepted"
		looksBad := events > *rule.Max*w.New.Requests
		findings = append(findings, weigh(exceeds(*rule.Max, events, w.New.Requests), certain, looksBad, text))
	}
	return findings
}

func judgeCacheHits(rule CacheHitRule, w *Window, minSamples float64) Judgement {
	lookups, misses := w.New.Lookups, w.New.Misses
	text := "cache hits " + share(lookups-misses, lookups) + ", at least " + percent(rule.Min) + " accepted"
	if lookups < minSamples {
		return Judgement{v1alpha1.VerdictNotEnoughData, text}
	}
	accepted := 1 - rule.Min
	return weigh(exceeds(accepted, misses, lookups), certain, misses > accepted*lookups, text)
}

// judgeLatency asks of the requests that took longer than a bound whether they are more than the quantile leaves, and more
// than with the others.
func judgeLatency(rule LatencyRule, w *Window, minSamples float64) []Judgement {
	if w.New.Timed < minSamples && w.New.Timed < w.New.Requests {
		return []Judgement{{v1alpha1.VerdictNotEnoughData, "the histogram of durations holds " + count(w.New.Timed) + " requests"}}
	}
	var findings []Judgement
	if old, _ := w.reference(minSamples); old.Timed > 0 {
		findings = append(findings, compareLatency(rule, w, minSamples))
	} else if rule.Max == 0 && w.New.Requests >= minSamples {
		findings = append(findings, nothingToCompare("latency.max"))
	}
	if rule.Max > 0 {
		findings = append(findings, limitLatency(rule, w))
	}
	return findings
}

func compareLatency(rule LatencyRule, w *Window, minSamples float64) Judgement {
	old, who := w.reference(minSamples)
	text := fmt.Sprintf("%s, %s %s", quantileText(w.New, rule.Quantile), who, quantileText(old, rule.Quantile))
	bounds := commonBounds(w.New, old)
	usual, known := old.quantile(rule.Quantile)
	bound, found := atLeast(bounds, usual*rule.Factor)
	if !known || !found {
		if rule.Max > 0 {
			return Judgement{v1alpha1.VerdictPass, text + " (not compared: no bucket of both is long enough)"}
		}
		return Judgement{v1alpha1.VerdictNotEnoughData, text + ": no bucket of both is long enough to tell; set latency.max, or add buckets"}
	}
	slow := w.New.over(bound)
	text += fmt.Sprintf(", %s took more than %s", share(slow, w.New.Timed), duration(bound))
	evidence := exceeds(1-rule.Quantile, slow, w.New.Timed)
	if !w.quiet(minSamples) {
		// The bound is chosen after looking at the figures, so the evidence must do for whichever could have been chosen.
		evidence = math.Min(evidence, w.slower(bound)-math.Log(float64(len(bounds))))
	}
	return weigh(evidence, certain, false, text)
}

func limitLatency(rule LatencyRule, w *Window) Judgement {
	text := fmt.Sprintf("%s, at most %s accepted", quantileText(w.New, rule.Quantile), duration(rule.Max))
	bound, found := atLeast(commonBounds(w.New, w.New), rule.Max)
	if !found && w.New.Timed > 0 {
		return Judgement{v1alpha1.VerdictNotEnoughData, text + ": no bucket is long enough to tell; add buckets, or lower latency.max"}
	}
	slow := w.New.over(bound)
	return weigh(exceeds(1-rule.Quantile, slow, w.New.Timed), certain, slow > (1-rule.Quantile)*w.New.Timed, text)
}

func judgeFigure(rule MetricRule, figure Figure) Judgement {
	bounds := []string{}
	if rule.Min != nil {
		bounds = append(bounds, "at least "+rounded(*rule.Min))
	}
	if rule.Max != nil {
		bounds = append(bounds, "at most "+rounded(*rule.Max))
	}
	accepted := ", " + strings.Join(bounds, " and ") + " accepted"
	switch {
	case !figure.Known:
		return Judgement{v1alpha1.VerdictNotEnoughData, rule.Name + " is not known" + accepted}
	case figure.Outside > tolerated:
		return Judgement{v1alpha1.VerdictFail, rule.Name + " " + rounded(figure.Value) + accepted}
	case figure.Outside > 0:
		return Judgement{v1alpha1.VerdictNotEnoughData, rule.Name + " " + rounded(figure.Value) + accepted + ", not certain yet"}
	}
	return Judgement{v1alpha1.VerdictPass, rule.Name + " " + rounded(figure.Value) + accepted}
}

// outside reports whether a value is out of bounds.
func (r MetricRule) outside(value float64) bool {
	return r.Min != nil && value < *r.Min || r.Max != nil && value > *r.Max
}

func nothingToCompare(field string) Judgement {
	return Judgement{v1alpha1.VerdictNotEnoughData, "the others have answered nothing to compare with; set analysis." + field}
}
