package incipit

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// document puts everything together.
func (s *system) document() []byte {
	left, right := -0.5, s.x+0.5
	if len(s.clefs) > 1 {
		left = -1.8
	}
	above, below := s.bounds()
	for _, t := range s.texts {
		right = max(right, t.x+float64(len(t.text))*t.size*0.55)
	}
	width, height := right-left, below-above
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="%s %s %s %s" width="%s" height="%s" fill="currentColor">`,
		number(left), number(above), number(width), number(height), number(width), number(height))
	fmt.Fprintf(&b, "<title>%s</title><desc>%s</desc>", escaped(s.title()), escaped(s.describe()))
	fmt.Fprintf(&b, `<path d="%s"/>`, s.data.String())
	for _, t := range s.texts {
		style := ` font-weight="bold"`
		if t.italic {
			style += ` font-style="italic"`
		}
		if t.middle {
			style += ` text-anchor="middle"`
		}
		fmt.Fprintf(&b, `<text x="%s" y="%s" font-family="serif" font-size="%s"%s>%s</text>`, number(t.x), number(t.y), number(t.size), style, escaped(t.text))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// bounds are the upper and the lower edge of the picture.
func (s *system) bounds() (above, below float64) {
	above, below = s.upper()-1.2, s.bottom()+1.5
	if s.clefs[len(s.clefs)-1].Sign == 'G' {
		below = s.bottom() + 2.5
	}
	for _, e := range s.sounding {
		if len(e.positions) > 0 {
			below = max(below, e.tip+1, e.y(0)+1.5)
		}
	}
	for _, t := range s.texts {
		below = max(below, t.y+0.5)
	}
	return math.Floor(above), math.Ceil(below)
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a builder does not fail
	return b.String()
}
