package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestLikelihoodsAddUp compares the walk over the terms with the sum over all of them.
func TestLikelihoodsAddUp(t *testing.T) {
	for n := 1.0; n <= 12; n++ {
		for m := 1.0; m <= 12; m++ {
			for s := 0.0; s <= n+m; s++ {
				for _, ratio := range []float64{1, 1.5, 50} {
					want := 0.0
					for k := math.Max(0, s-m); k <= math.Min(s, n); k++ {
						want += math.Exp(logChoose(n, k)+logChoose(m, s-k)) * math.Pow(ratio, k)
					}
					if got := logTilted(n, m, s, ratio); math.Abs(got-math.Log(want)) > 1e-9 {
						t.Fatalf("n %v, m %v, s %v, ratio %v: got %v, want %v", n, m, s, ratio, got, math.Log(want))
					}
				}
			}
		}
	}
}

// TestAnIntervalIsFair computes what a comparison is expected to be after an interval in which both sides are alike: 1, that
// is, no growth. With fewer events on the new side it is below.
func TestAnIntervalIsFair(t *testing.T) {
	for _, tc := range []struct{ n, m, p, q float64 }{{5, 20, .1, .1}, {20, 5, .5, .5}, {7, 7, .01, .01}, {10, 10, .1, .3}} {
		expected := 0.0
		for a := 0.0; a <= tc.n; a++ {
			for b := 0.0; b <= tc.m; b++ {
				var c comparison
				c.add(a, tc.n, b, tc.m)
				probability := math.Exp(logChoose(tc.n, a)+logChoose(tc.m, b)) *
					math.Pow(tc.p, a) * math.Pow(1-tc.p, tc.n-a) * math.Pow(tc.q, b) * math.Pow(1-tc.q, tc.m-b)
				expected += probability * math.Exp(c.evidence())
			}
		}
		if tc.p == tc.q && math.Abs(expected-1) > 1e-9 || expected > 1+1e-9 {
			t.Errorf("%+v: expected to grow to %v", tc, expected)
		}
	}
}

func TestExceedsIsFair(t *testing.T) {
	for _, tc := range []struct{ limit, p float64 }{{.01, .01}, {.3, .3}, {.3, .1}} {
		const n = 40.0
		expected := 0.0
		for a := 0.0; a <= n; a++ {
			expected += math.Exp(logChoose(n, a)+exceeds(tc.limit, a, n)) * math.Pow(tc.p, a) * math.Pow(1-tc.p, n-a)
		}
		if tc.p == tc.limit && math.Abs(expected-1) > 1e-9 || expected > 1+1e-9 {
			t.Errorf("%+v: expected to grow to %v", tc, expected)
		}
	}
}

func TestEvidenceAtTheEdges(t *testing.T) {
	for name, tc := range map[string]struct{ newEvents, newTrials, oldEvents, oldTrials float64 }{
		"no request":                  {},
		"no request of the others":    {newEvents: 100, newTrials: 100},
		"no request of the new":       {oldEvents: 100, oldTrials: 100},
		"no event":                    {newTrials: 100, oldTrials: 100},
		"nothing but events":          {newEvents: 100, newTrials: 100, oldEvents: 100, oldTrials: 100},
		"one event, of one and one":   {newEvents: 0, newTrials: 1, oldEvents: 1, oldTrials: 1},
		"all events with the others":  {newTrials: 100, oldEvents: 50, oldTrials: 100},
		"a million, alike":            {newEvents: 1e4, newTrials: 1e6, oldEvents: 1e4, oldTrials: 1e6},
		"a hundred million, no event": {newTrials: 1e8, oldTrials: 1e8},
	} {
		t.Run(name, func(t *testing.T) {
			var c comparison
			c.add(tc.newEvents, tc.newTrials, tc.oldEvents, tc.oldTrials)
			if got := c.evidence(); math.IsNaN(got) || got > 1e-6 {
				t.Errorf("got %v", got)
			}
		})
	}
	var c comparison
	c.add(5e4, 1e6, 1e4, 1e6)
	if got := c.evidence(); math.IsNaN(got) || got < certain {
		t.Errorf("five times the errors of a million requests: %v", got)
	}
	for name, tc := range map[string]struct{ got, want float64 }{
		"no error accepted, one seen":  {exceeds(0, 1, 1000), math.Inf(1)},
		"no error accepted, none seen": {exceeds(0, 0, 1000), 0},
		"everything accepted":          {exceeds(1, 1000, 1000), 0},
		"no request":                   {exceeds(.01, 0, 0), 0},
		"nothing known":                {upperBound(0, 0), 1},
		"all failed":                   {upperBound(100, 100), 1},
	} {
		if math.Abs(tc.got-tc.want) > 1e-12 {
			t.Errorf("%s: got %v, want %v", name, tc.got, tc.want)
		}
	}
	if got := upperBound(0, 1000); got < .009 || got > .01 {
		t.Errorf("none of 1000: got %v", got)
	}
}

// traffic draws the requests of an interval. One of fifty takes between 100 and 250 ms, one that is slow up to 500 ms.
func traffic(random *rand.Rand, mean int, errors, slow float64) Counts {
	bounds, within := [...]float64{.05, .1, .25, .5, 1}, [5]float64{}
	c := Counts{Requests: float64(mean/2 + random.IntN(mean+1)), Within: map[float64]float64{}}
	c.Timed = c.Requests
	for range int(c.Requests) {
		if random.Float64() < errors {
			c.Errors++
		}
		bucket := 0
		switch took := random.Float64(); {
		case random.Float64() < slow:
			bucket = 3
		case took > .98:
			bucket = 2
		case took > .78:
			bucket = 1
		}
		for i := bucket; i < len(within); i++ {
			within[i]++
		}
	}
	for i, bound := range bounds {
		c.Within[bound] = within[i]
	}
	return c
}
