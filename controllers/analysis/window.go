package analysis

import (
	"maps"
	"math"
	"slices"
)

// Counts are the requests of some pods in some time. The zero value is none.
type Counts struct {
	Requests, Errors float64
	// Refusals are answers with 429.
	Refusals float64
	// Lookups of caches, Misses those of them that had to be read elsewhere.
	Lookups, Misses float64
	// Timed is how many requests the histogram holds; Within how many of them took at most so many seconds. Only bounds that all
	// the pods have are kept.
	Timed  float64
	Within map[float64]float64
}

// Add returns the sum. Neither is changed.
func (c Counts) Add(other Counts) Counts {
	sum := Counts{
		Requests: c.Requests + other.Requests, Errors: c.Errors + other.Errors, Refusals: c.Refusals + other.Refusals,
		Lookups: c.Lookups + other.Lookups, Misses: c.Misses + other.Misses, Timed: c.Timed + other.Timed,
	}
	switch {
	case other.Timed == 0:
		sum.Within = maps.Clone(c.Within)
	case c.Timed == 0:
		sum.Within = maps.Clone(other.Within)
	default:
		sum.Within = map[float64]float64{}
		for bound, count := range c.Within {
			if more, ok := other.Within[bound]; ok {
				sum.Within[bound] = count + more
			}
		}
	}
	return sum
}

// since returns what was counted after an earlier reading of the same pod. A counter that has fallen was started again, and so
// were then all others: what they show now has come since.
func (c Counts) since(earlier Counts) Counts {
	restarted := c.Requests < earlier.Requests || c.Errors < earlier.Errors || c.Refusals < earlier.Refusals ||
		c.Lookups < earlier.Lookups || c.Misses < earlier.Misses || c.Timed < earlier.Timed
	for bound, count := range c.Within {
		before, ok := earlier.Within[bound]
		restarted = restarted || count < before || !ok && earlier.Timed > 0
	}
	if restarted {
		return c
	}
	grown := Counts{
		Requests: c.Requests - earlier.Requests, Errors: c.Errors - earlier.Errors,
		Refusals: c.Refusals - earlier.Refusals, Lookups: c.Lookups - earlier.Lookups, Misses: c.Misses - earlier.Misses,
		Timed: c.Timed - earlier.Timed, Within: map[float64]float64{},
	}
	for bound, count := range c.Within {
		grown.Within[bound] = count - earlier.Within[bound]
	}
	return grown
}

// over is how many requests took longer than bound, which must be one of Within.
func (c Counts) over(bound float64) float64 { return math.Max(0, c.Timed-c.Within[bound]) }

// quantile in seconds, interpolated within its bucket as Prometheus does. It is not known if there were no requests, or if it
// lies above the highest bound.
func (c Counts) quantile(q float64) (seconds float64, ok bool) {
	rank, lowerBound, below := q*c.Timed, 0.0, 0.0
	if c.Timed == 0 {
		return 0, false
	}
	for _, bound := range slices.Sorted(maps.Keys(c.Within)) {
		count := c.Within[bound]
		if count >= rank && count > below {
			return lowerBound + (bound-lowerBound)*(rank-below)/(count-below), true
		}
		lowerBound, below = bound, count
	}
	return 0, false
}

// Window is what was counted since a step began. The zero value is an empty one.
type Window struct {
	// New and Old are the sums of both sides; Before is what the old pods had counted in their lives before the step.
	New, Old, Before Counts

	// newer and older wait for a request of the other side to be compared with.
	newer, older     Counts
	errors, refusals comparison
	// slow has a comparison for each bound that both sides have.
	slow map[float64]*comparison
}

// Add counts one interval of both sides. As long as one of them has answered nothing, the next interval is taken together with
// it: alone, it would tell nothing.
func (w *Window) Add(newer, older Counts) {
	w.New, w.Old = w.New.Add(newer), w.Old.Add(older)
	w.newer, w.older = w.newer.Add(newer), w.older.Add(older)
	if w.newer.Requests == 0 || w.older.Requests == 0 {
		return
	}
	w.compare(w.newer, w.older)
	w.newer, w.older = Counts{}, Counts{}
}

func (w *Window) compare(newer, older Counts) {
	w.errors.add(newer.Errors, newer.Requests, older.Errors, older.Requests)
	w.refusals.add(newer.Refusals, newer.Requests, older.Refusals, older.Requests)
	if w.slow == nil {
		w.slow = map[float64]*comparison{}
	}
	for _, bound := range commonBounds(newer, older) {
		if w.slow[bound] == nil {
			w.slow[bound] = &comparison{}
		}
		w.slow[bound].add(newer.over(bound), newer.Timed, older.over(bound), older.Timed)
	}
}

// slower is the evidence that more requests take longer than bound with the new pods.
func (w *Window) slower(bound float64) float64 {
	if c := w.slow[bound]; c != nil {
		return c.evidence()
	}
	return 0
}

// quiet reports whether the old pods get too few requests to be compared with over the same time, as at a weight of 100.
func (w *Window) quiet(minSamples float64) bool {
	return w.Old.Requests < minSamples && w.Old.Requests < w.New.Requests/10
}

// reference is what the new pods are compared with, and its name: the old pods since the step began, or before it if they
// are quiet.
func (w *Window) reference(minSamples float64) (old Counts, who string) {
	if w.quiet(minSamples) {
		return w.Before, "the others before this step"
	}
	return w.Old, "the others"
}

// commonBounds are the bounds of the buckets that both have, rising.
func commonBounds(a, b Counts) []float64 {
	var bounds []float64
	for bound := range a.Within {
		if _, ok := b.Within[bound]; ok {
			bounds = append(bounds, bound)
		}
	}
	slices.Sort(bounds)
	return bounds
}

// atLeast is the lowest of the rising bounds that is not below value.
func atLeast(bounds []float64, value float64) (bound float64, ok bool) {
	i, _ := slices.BinarySearch(bounds, value)
	if i == len(bounds) {
		return 0, false
	}
	return bounds[i], true
}
