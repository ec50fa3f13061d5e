package analysis

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
	"github.com/mirubato/mirubato/controllers/release"
)

// run is one comparison.
type run struct {
	since   time.Time
	release string
	usedAt  time.Time // guarded by Recorder.mu

	mu     sync.Mutex
	said   release.Analysis
	readAt time.Time
	// countedSince is when the first reading was taken, zero before.
	countedSince time.Time
	window       Window
	// newer and older are the last readings of the pods, by UID.
	newer, older map[string]reading
	// grown is what the counters of MetricRules have counted since; outside is that of Figure, by the name of the rule.
	grown   map[string]float64
	outside map[string]int
}

// settled reports whether what was said last still holds. A clock that was set back does not stop the readings.
func (c *run) settled(now time.Time) bool {
	if c.said.Verdict == v1alpha1.VerdictFail {
		return true
	}
	return now.Before(c.said.Next) && !now.Before(c.readAt)
}

// read takes a reading of both sides and judges. If one side cannot be read the other one does not count either, so that both
// are counted over the same time.
func (r *Recorder) read(ctx context.Context, c *run, s *Subject, rules Rules, now time.Time) Judgement {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	newPods, oldPods := sample(s.New), sample(s.Old)
	var newer, older map[string]reading
	var newErr, oldErr error
	var sides sync.WaitGroup
	sides.Go(func() { newer, newErr = r.scrape(bounded, s, newPods, rules.Metrics) })
	sides.Go(func() { older, oldErr = r.scrape(bounded, s, oldPods, nil) })
	answers := r.queryAll(bounded, s, rules)
	sides.Wait()
	for _, err := range []error{newErr, oldErr} {
		if err != nil {
			return Judgement{v1alpha1.VerdictSourceDown, "reading metrics: " + err.Error()}
		}
	}
	c.count(s, newer, older, now)
	judgement := Judge(rules, &c.window, c.figures(rules, newer, answers, now))
	if judgement.Verdict != v1alpha1.VerdictFail {
		for _, rule := range rules.Metrics {
			if err := answers[rule.Name].err; err != nil {
				judgement = Judgement{v1alpha1.VerdictSourceDown, fmt.Sprintf("metric %s: %v", rule.Name, err)}
			}
		}
	}
	if rules.Synthetic != nil && min(c.window.New.Requests, c.window.Old.Requests) < rules.MinSamples {
		r.sendToBoth(ctx, s, *rules.Synthetic, newPods, oldPods)
	}
	return judgement
}

// sendToBoth gives both sides the same number of requests, at the same time.
func (r *Recorder) sendToBoth(ctx context.Context, s *Subject, synthetic Synthetic, newPods, oldPods []podclient.Pod) {
	bounded, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	var sides sync.WaitGroup
	sides.Go(func() { r.send(bounded, s, synthetic, newPods) })
	sides.Go(func() { r.send(bounded, s, synthetic, oldPods) })
	sides.Wait()
}

// count adds what has come since the last reading. Of a pod that is seen for the first time nothing is counted, since nobody
// knows when it came.
func (c *run) count(s *Subject, newer, older map[string]reading, now time.Time) {
	if c.countedSince.IsZero() {
		c.countedSince = now
		c.grown, c.outside = map[string]float64{}, map[string]int{}
		for _, r := range older {
			c.window.Before = c.window.Before.Add(r.Counts)
		}
	}
	c.window.Add(total(newer, c.newer), total(older, c.older))
	for uid, r := range newer {
		earlier, seen := c.newer[uid]
		for name, m := range r.metrics {
			if before := earlier.metrics[name].value; seen && m.counter {
				c.grown[name] += grownBy(m.value, before)
			}
		}
	}
	c.newer, c.older = remember(c.newer, newer, s.New), remember(c.older, older, s.Old)
}

func total(now, before map[string]reading) Counts {
	var sum Counts
	for uid, r := range now {
		if earlier, seen := before[uid]; seen {
			sum = sum.Add(r.since(earlier.Counts))
		}
	}
	return sum
}

// grownBy: a counter that has fallen was started again.
func grownBy(value, before float64) float64 {
	if value < before {
		return value
	}
	return value - before
}

// remember returns the last reading of each pod that is there: one that could not be read this time is counted from the
// reading before.
func remember(before, now map[string]reading, pods []podclient.Pod) map[string]reading {
	last := map[string]reading{}
	for _, pod := range pods {
		if r, ok := before[pod.UID]; ok {
			last[pod.UID] = r
		}
	}
	maps.Copy(last, now)
	return last
}

// figures of the MetricRules, from the pods' metrics and the answers to queries.
func (c *run) figures(rules Rules, newer map[string]reading, answers map[string]answer, now time.Time) map[string]Figure {
	figures := map[string]Figure{}
	for _, rule := range rules.Metrics {
		var f Figure
		if rule.Query != "" {
			f.Value, f.Known = answers[rule.Name].value, answers[rule.Name].known
		} else {
			f.Value, f.Known = c.figure(rule.Metric, newer, now)
		}
		switch {
		case !f.Known: // tells neither good nor bad
		case rule.outside(f.Value):
			c.outside[rule.Name]++
		default:
			c.outside[rule.Name] = 0
		}
		f.Outside = c.outside[rule.Name]
		figures[rule.Name] = f
	}
	return figures
}

// figure is the mean of a gauge over the pods that have it, or the rate of a counter a second over the whole step.
func (c *run) figure(name string, newer map[string]reading, now time.Time) (value float64, known bool) {
	var sum, pods float64
	counter := false
	for _, r := range newer {
		if m, ok := r.metrics[name]; ok {
			sum, pods, counter = sum+m.value, pods+1, counter || m.counter
		}
	}
	elapsed := now.Sub(c.countedSince).Seconds()
	switch {
	case pods == 0, counter && elapsed <= 0:
		return 0, false
	case counter:
		return c.grown[name] / elapsed, true
	}
	return sum / pods, true
}
