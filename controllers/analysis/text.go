package analysis

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Figures in messages have at most three digits that say something.

func share(part, whole float64) string {
	if whole <= 0 {
		return "0 of 0"
	}
	return fmt.Sprintf("%s of %s (%s)", count(part), count(whole), percent(part/whole))
}

func count(n float64) string { return strconv.FormatFloat(math.Round(n), 'f', -1, 64) }

func percent(share float64) string { return rounded(share*100) + " %" }

func rounded(value float64) string {
	if value == 0 || math.IsInf(value, 0) || math.IsNaN(value) {
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(value))))
	if math.Abs(value) >= 1000 || math.IsInf(scale, 0) {
		scale = 1
	}
	return strconv.FormatFloat(math.Round(value*scale)/scale, 'f', -1, 64)
}

func duration(seconds float64) string {
	if seconds < 1 {
		return rounded(seconds*1000) + " ms"
	}
	if seconds < 1000 {
		return rounded(seconds) + " s"
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}

func quantileText(c Counts, q float64) string {
	name := "p" + strconv.Itoa(int(math.Round(q*100)))
	if seconds, ok := c.quantile(q); ok {
		return name + " " + duration(seconds)
	}
	if c.Timed == 0 {
		return name + " of no requests"
	}
	return name + " beyond the highest bucket"
}
