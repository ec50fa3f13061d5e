package analysis

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// service is how the pods of a release answer, and how many requests they get in an interval.
type service struct {
	requests     int
	errors, slow float64
}

var everyRule = Rules{
	MinSamples: 50, Errors: &RatioRule{}, Latency: &LatencyRule{Quantile: .99, Factor: 1.2},
}

// simulate reads both sides until there is a failure, at most so many times, and returns how many requests the new side had
// then answered.
func simulate(seed uint64, rules Rules, readings int, newer, older func(reading int) service) (requests float64, failed bool) {
	random := rand.New(rand.NewPCG(seed, 1))
	var w Window
	for i := range readings {
		n, o := newer(i), older(i)
		w.Add(traffic(random, n.requests, n.errors, n.slow), traffic(random, o.requests, o.errors, o.slow))
		if Judge(rules, &w, nil).Verdict == v1alpha1.VerdictFail {
			return w.New.Requests, true
		}
	}
	return w.New.Requests, false
}

func always(s service) func(int) service { return func(int) service { return s } }

// TestFalseAlarms looks a hundred times at releases that are as good as the ones before. Two rules are applied, each of
// which may fail one release in a thousand.
func TestFalseAlarms(t *testing.T) {
	const releases, readings = 500, 100
	limit := Rules{MinSamples: 50, Errors: &RatioRule{Max: new(.02)}}
	outage := func(requests int) func(int) service {
		return func(i int) service {
			if i%20 < 3 {
				return service{requests: requests, errors: .5, slow: .8}
			}
			return service{requests: requests, errors: .005, slow: .005}
		}
	}
	for name, tc := range map[string]struct {
		rules        Rules
		newer, older func(int) service
	}{
		"alike, without errors":      {everyRule, always(service{10, 0, .005}), always(service{40, 0, .005})},
		"alike, one percent":         {everyRule, always(service{10, .01, .02}), always(service{40, .01, .02})},
		"alike, one of three fails":  {everyRule, always(service{10, .33, .3}), always(service{10, .33, .3})},
		"better than the others":     {everyRule, always(service{10, .01, .01}), always(service{40, .05, .1})},
		"an outage of both":          {everyRule, outage(10), outage(40)},
		"exactly at the limit":       {limit, always(service{10, .02, 0}), always(service{40, .02, 0})},
		"few requests of the others": {everyRule, always(service{40, .02, .02}), always(service{3, .02, .02})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alarms := 0
			for seed := range uint64(releases) {
				if _, failed := simulate(seed, tc.rules, readings, tc.newer, tc.older); failed {
					alarms++
				}
			}
			t.Logf("%d of %d releases failed", alarms, releases)
			// If each of the two rules failed one in a thousand, more than four of 500 would come with a probability below one
			// percent. The seeds are fixed, so the outcome is too.
			if alarms > 4 {
				t.Errorf("%d of %d releases failed that were no worse", alarms, releases)
			}
		})
	}
}

// TestPower tells how many requests the new pods answer until a bad release is noticed, at a weight of 20.
func TestPower(t *testing.T) {
	const releases = 100
	good := service{requests: 40, errors: 0, slow: .002}
	for name, tc := range map[string]struct {
		rules        Rules
		newer, older service
		// median and nearly all (95 of 100) of the releases are noticed within so many requests.
		median, nearly float64
	}{
		"5 % errors, others none":               {everyRule, service{10, .05, .002}, good, 150, 300},
		"1 % errors, others none":               {everyRule, service{10, .01, .002}, good, 700, 1400},
		"20 % errors, others none":              {everyRule, service{10, .2, .002}, good, 50, 100},
		"all fail":                              {everyRule, service{10, 1, .002}, good, 25, 30},
		"5 % errors, others 1 %":                {everyRule, service{10, .05, .002}, service{40, .01, .002}, 400, 800},
		"2 % errors, others 1 %":                {everyRule, service{10, .02, .002}, service{40, .01, .002}, 4000, 8000},
		"5 % errors, 1 % accepted":              {Rules{MinSamples: 50, Errors: &RatioRule{Max: new(.01)}}, service{10, .05, 0}, service{40, .04, 0}, 300, 600},
		"5 % take 400 ms longer":                {everyRule, service{10, 0, .05}, good, 400, 800},
		"half of the requests take 400 ms more": {everyRule, service{10, 0, .5}, good, 60, 150},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var needed []float64
			for seed := range uint64(releases) {
				requests, failed := simulate(seed, tc.rules, 3000, always(tc.newer), always(tc.older))
				if !failed {
					t.Fatalf("seed %d: not noticed within %v requests", seed, requests)
				}
				needed = append(needed, requests)
			}
			slices.Sort(needed)
			median, nearly := needed[releases/2], needed[releases*95/100]
			t.Logf("noticed within %v requests, 95 of 100 within %v", median, nearly)
			if median > tc.median || nearly > tc.nearly {
				t.Errorf("noticed within %v, 95 of 100 within %v; want %v and %v", median, nearly, tc.median, tc.nearly)
			}
		})
	}
}
