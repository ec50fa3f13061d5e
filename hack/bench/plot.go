package main

import (
	"fmt"
	"slices"
	"strings"
)

const (
	plotWidth, labelWidth, barHeight, barGap = 760, 250, 18, 6
)

// plot draws the medians as bars with the spread of the rounds as a line, in one group a work. Colours work on light and dark
// pages.
func (r *report) plot() string {
	greatest := 1.0
	for _, res := range r.Results {
		greatest = max(greatest, slices.Max(res.Rates))
	}
	scale := (plotWidth - labelWidth - 80) / greatest
	var b strings.Builder
	y, work := 8, ""
	for _, res := range r.Results {
		if res.Work != work {
			work = res.Work
			y += 24
			fmt.Fprintf(&b, "<text x=\"0\" y=\"%d\" font-weight=\"bold\">%s, requests a second</text>\n", y-8, work)
		}
		middle, rate := y+barHeight/2, median(res.Rates)
		fmt.Fprintf(&b, "<text x=\"8\" y=\"%d\">%s</text>\n", middle+5, res.Contender)
		fmt.Fprintf(&b, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", labelWidth, y, rate*scale, barHeight, colourOf(res.Contender))
		fmt.Fprintf(&b, "<path d=\"M%.1f %dH%.1f\" stroke=\"#888\" stroke-width=\"2\"/>\n",
			labelWidth+slices.Min(res.Rates)*scale, middle, labelWidth+slices.Max(res.Rates)*scale)
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%d\">%.0f</text>\n", labelWidth+slices.Max(res.Rates)*scale+6, middle+5, rate)
		y += barHeight + barGap
	}
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#888\">\n%s</svg>\n",
		plotWidth, y+8, b.String())
}

func colourOf(contender string) string {
	switch {
	case strings.HasPrefix(contender, "mirubato"):
		return "#2a7de1"
	case strings.HasPrefix(contender, "Hono"):
		return "#e36002"
	}
	return "#8a8f98"
}
