package analysis

import "math"

// The tests of this file may be looked at after every reading, as often as one likes, and stop whenever they have seen
// enough. They keep a test martingale: a product of likelihood ratios that is expected not to grow while the new release is
// no worse. That it ever reaches 1/alpha has then at most the probability alpha, however many readings there are (Ville's
// inequality; Grünwald, de Heide, Koolen, "Safe Testing", 2024; Johari et al., "Always Valid Inference", 2022). A p-value
// that is read again and again has no such bound.
//
// All evidence is the natural logarithm of that product: 0 says nothing, log(1/alpha) is enough.

// alpha bounds the probability that one rule fails a release that is no worse, over a whole step.
const alpha = 0.001

// doubt is how often a release that is no worse looks bad enough, at some time, not to be let pass yet.
const doubt = 0.1

var (
	certain   = math.Log(1 / alpha)
	suspicion = math.Log(1 / doubt)
)

// odds are how many times more likely a new pod is taken to fail, in alternatives that are given equal weight: a small change
// takes many requests to be seen, a large one a few.
var odds = [...]float64{1.5, 2, 4, 10, 50}

// comparison collects, interval by interval, the evidence that events are more likely on the new side.
//
// Of each interval only the share of the new side in its events counts, given their number: the sequential form of Fisher's
// exact test. What makes both sides fail more often in the same interval, such as a slow database, is no evidence.
type comparison struct {
	log [len(odds)]float64
}

// add counts an interval: events of trials on both sides.
func (c *comparison) add(newEvents, newTrials, oldEvents, oldTrials float64) {
	events := newEvents + oldEvents
	if newTrials <= 0 || oldTrials <= 0 || events <= 0 || events >= newTrials+oldTrials {
		return // whoever had them, they tell nothing
	}
	all := logChoose(newTrials+oldTrials, events)
	for i, ratio := range odds {
		c.log[i] += newEvents*math.Log(ratio) + all - logTilted(newTrials, oldTrials, events, ratio)
	}
}

// evidence that events are more likely on the new side.
func (c *comparison) evidence() float64 { return logMean(c.log[:]) }

// logTilted is the logarithm of the sum over k of choose(n,k) choose(m,s-k) ratio^k: the normaliser of Fisher's noncentral
// hypergeometric distribution. It walks from the largest term outwards, since all others together weigh little.
func logTilted(n, m, s, ratio float64) float64 {
	low, high := math.Max(0, s-m), math.Min(s, n)
	// next is the term after k divided by the one of k. It falls with k, so the largest term is where it passes 1.
	next := func(k float64) float64 { return ratio * (s - k) * (n - k) / ((k + 1) * (m - s + k + 1)) }
	peak, end := low, high
	for peak < end {
		if middle := math.Floor((peak + end) / 2); next(middle) >= 1 {
			peak = middle + 1
		} else {
			end = middle
		}
	}
	const negligible = 1e-17
	sum := 1.0
	for k, term := peak, 1.0; k < high && term > negligible; k++ {
		term *= next(k)
		sum += term
	}
	for k, term := peak, 1.0; k > low && term > negligible; k-- {
		term /= next(k - 1)
		sum += term
	}
	return logChoose(n, peak) + logChoose(m, s-peak) + peak*math.Log(ratio) + math.Log(sum)
}

func logChoose(n, k float64) float64 {
	all, _ := math.Lgamma(n + 1)
	some, _ := math.Lgamma(k + 1)
	rest, _ := math.Lgamma(n - k + 1)
	return all - some - rest
}

// exceeds is the evidence that events of so many trials have a probability above limit, from 0 to 1.
func exceeds(limit, events, trials float64) float64 {
	switch {
	case limit >= 1 || limit <= 0 && events == 0:
		return 0
	case limit <= 0:
		return math.Inf(1)
	}
	var log [len(odds)]float64
	for i, ratio := range odds {
		alternative := ratio * limit / (1 - limit + ratio*limit)
		log[i] = events*math.Log(alternative/limit) + (trials-events)*math.Log((1-alternative)/(1-limit))
	}
	return logMean(log[:])
}

// upperBound is the highest probability that is compatible with so many events of so many trials: the upper end of Wilson's
// score interval (Wilson, 1927) at the one-sided level alpha.
func upperBound(events, trials float64) float64 {
	const z = 3.0902 // the normal distribution's quantile at 1-alpha
	if trials <= 0 {
		return 1
	}
	share := events / trials
	return (share + z*z/(2*trials) + z*math.Sqrt(share*(1-share)/trials+z*z/(4*trials*trials))) / (1 + z*z/trials)
}

// logMean is the logarithm of the mean of numbers that are given by their logarithms.
func logMean(logs []float64) float64 {
	highest := logs[0]
	for _, log := range logs {
		highest = math.Max(highest, log)
	}
	sum := 0.0
	for _, log := range logs {
		sum += math.Exp(log - highest)
	}
	return highest + math.Log(sum/float64(len(logs)))
}
