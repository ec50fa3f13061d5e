package incipit

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// maxWidth is how wide a picture is that has more than one measure.
const maxWidth = 96.0

// system is a picture as it is being laid out, from left to right.
type system struct {
	drawing
	excerpt Excerpt
	// tops are the y of the top lines of the staves.
	tops   []float64
	clefs  []Clef
	fifths []int
	// x is where the next sign may stand.
	x     float64
	texts []label
	// sounding are the notes of all measures so far, in order, for ties.
	sounding []*placed
	bars     int
}

// label is a text on the picture.
type label struct {
	x, y, size float64
	italic     bool
	middle     bool
	text       string
}

// Draw returns the excerpt as an SVG document, as many measures of it as there is room for and at least one; nil if there is none. It
// holds shapes and text only, in currentColor, and a title and a description for whoever does not see it.
func Draw(e Excerpt) []byte {
	if len(e.Bars) == 0 || len(e.Staves) == 0 {
		return nil
	}
	tops := make([]float64, len(e.Staves))
	for i := range tops {
		tops[i] = apart * float64(i)
	}
	beamByBeats(e.Bars)
	// How far apart staves must be is known when the notes are in their places.
	return layOut(e, layOut(e, tops).roomy()).document()
}

// layOut draws an excerpt on staves with the given top lines.
func layOut(e Excerpt, tops []float64) *system {
	s := &system{excerpt: e, tops: tops}
	for _, staff := range e.Staves {
		s.clefs = append(s.clefs, staff.Clef)
		s.fifths = append(s.fifths, staff.Fifths)
	}
	s.begin()
	for i := range e.Bars {
		if !s.bar(&e.Bars[i], i) {
			break
		}
		s.bars++
	}
	s.finish()
	return s
}

// roomy returns top lines so far apart that what is on one staff does not touch what is on the next.
func (s *system) roomy() []float64 {
	above, below := make([]float64, len(s.tops)), make([]float64, len(s.tops))
	for i := range below {
		below[i] = 5
	}
	for _, e := range s.sounding {
		if len(e.positions) == 0 || e.Hidden {
			continue
		}
		top := s.tops[e.Staff]
		above[e.Staff] = max(above[e.Staff], top-min(e.tip, e.y(len(e.positions)-1)-1))
		below[e.Staff] = max(below[e.Staff], max(e.tip, e.y(0)+1)-top)
	}
	tops := make([]float64, len(s.tops))
	for i := 1; i < len(tops); i++ {
		tops[i] = tops[i-1] + min(max(apart, below[i-1]+above[i]+1), 2*apart)
	}
	return tops
}

func (s *system) top(staff int) float64 { return s.tops[staff] }

// bottom is the lowest line of the lowest staff.
func (s *system) bottom() float64 { return s.top(len(s.clefs)-1) + 4 }

// begin draws clefs and key signatures.
func (s *system) begin() {
	if len(s.clefs) > 1 {
		s.brace(-0.1, 0, s.bottom())
		s.rectangle(0, 0, 0.16, s.bottom())
	}
	s.x = 0.7
	for i, c := range s.clefs {
		s.clefAt(s.x, i, c, 1)
	}
	s.x += 3.5
	width := 0.0
	for i := range s.clefs {
		width = max(width, s.key(s.x, i, s.fifths[i], false))
	}
	if width > 0 {
		s.x += width + 0.6
	}
}

func (s *system) clefAt(x float64, staff int, c Clef, size float64) {
	y := s.top(staff) + 4 - float64(c.Line-1)
	if c.Sign == 'P' {
		y = s.top(staff) + 2
	}
	s.clef(x, y, c.Sign, size)
	if c.Octaves != 0 && c.Sign != 'P' {
		mark := label{x: x + 1.2*size, y: s.top(staff) - 1.2, size: 1.5 * size, italic: true, middle: true, text: "8"}
		if c.Octaves < 0 {
			mark.y = s.top(staff) + 7.6
		}
		if c.Octaves > 1 || c.Octaves < -1 {
			mark.text = "15"
		}
		s.texts = append(s.texts, mark)
	}
}

// key draws a key signature and returns its width; naturals cancel it.
func (s *system) key(x float64, staff, fifths int, natural bool) float64 {
	sign, step := "sharp", 1.05
	// The signs of a key as positions in the clef of G on the second line.
	places := []int{8, 5, 9, 6, 3, 7, 4}
	if fifths < 0 {
		sign, step = "flat", 0.95
		places = []int{4, 7, 3, 6, 2, 5, 1}
	}
	if natural {
		sign, step = "natural", 0.9
	}
	c := s.clefs[staff]
	if c.Sign == 'P' {
		return 0
	}
	// Where the same note stands in this clef, within the staff.
	shift := Clef{Sign: c.Sign, Line: c.Line}.position(30)
	shift = ((shift % 7) + 7) % 7
	if shift > 3 {
		shift -= 7
	}
	count := min(max(fifths, -fifths), 7)
	for i := range count {
		position := places[i] + shift
		if position > 9 {
			position -= 7
		}
		if position < 0 {
			position += 7
		}
		s.accidental(x+step*float64(i), s.top(staff)+4-float64(position)/2, sign)
	}
	return step * float64(count)
}

// bar lays out and draws one measure, if there is room or it is the first.
func (s *system) bar(b *Bar, index int) bool {
	before, labels, data, fifths := s.x, len(s.texts), s.data.Len(), append([]int(nil), s.fifths...)
	s.opening(b, index)
	events := s.place(b)
	columns := columnsOf(events)
	end := spread(columns, s.x, b.Length)
	if index > 0 && end > maxWidth {
		s.x, s.texts, s.fifths = before, s.texts[:labels], fifths
		text := s.data.String()[:data]
		s.data.Reset()
		s.data.WriteString(text)
		return false
	}
	for _, c := range columns {
		s.settle(c)
	}
	center := (s.x + end) / 2
	for _, e := range events {
		if e.WholeBar {
			e.x = center - 0.6
		}
	}
	groups := beamsOf(events)
	for _, g := range groups {
		g.join()
	}
	s.events(events)
	for _, g := range groups {
		s.beam(g)
	}
	s.tuplets(events)
	s.sounding = append(s.sounding, events...)
	s.x = end
	if !b.Cut {
		s.close(b.End)
	}
	return true
}

// opening draws what stands before the notes of a measure.
func (s *system) opening(b *Bar, index int) {
	if b.Fifths != nil && index > 0 {
		s.changeKey(*b.Fifths)
	}
	if b.Meter != nil {
		if index > 0 {
			s.x += 0.6
		}
		width := 0.0
		for i := range s.clefs {
			width = max(width, s.meter(s.x, i, *b.Meter))
		}
		s.x += width + 0.7
	}
	if b.Forward {
		s.rectangle(s.x, 0, 0.5, s.bottom())
		s.rectangle(s.x+0.75, 0, 0.16, s.bottom())
		s.repeatDots(s.x + 1.4)
		s.x += 1.9
	}
	s.x += 0.5
}

func (s *system) changeKey(fifths int) {
	width := 0.0
	for i, before := range s.fifths {
		if fifths == 0 {
			width = max(width, s.key(s.x+0.4, i, before, true))
		} else {
			width = max(width, s.key(s.x+0.4, i, fifths, false))
		}
		s.fifths[i] = fifths
	}
	s.x += width + 0.8
}

// meter draws a time signature and returns its width.
func (s *system) meter(x float64, staff int, m Meter) float64 {
	y := s.top(staff)
	if m.Symbol == "common" || m.Symbol == "cut" {
		return s.common(x, y+2, m.Symbol == "cut")
	}
	var measured drawing
	over, under := measured.number(0, 0, m.Over), measured.number(0, 0, m.Under)
	width := max(over, under)
	s.number(x+(width-over)/2, y+1, m.Over)
	s.number(x+(width-under)/2, y+3, m.Under)
	return width
}

// place makes events of a measure ready for being laid out.
func (s *system) place(b *Bar) []*placed {
	lead := map[int]string{}
	several := map[int]bool{}
	for _, e := range b.Events {
		if e.Hidden || e.Clef != nil {
			continue
		}
		if first, ok := lead[e.Staff]; !ok {
			lead[e.Staff] = e.Voice
		} else if first != e.Voice {
			several[e.Staff] = true
		}
	}
	var events []*placed
	alone := map[int]int{}
	for _, e := range b.Events {
		if e.Clef == nil {
			alone[e.Staff]++
		}
	}
	for i := range b.Events {
		e := &b.Events[i]
		if e.Rest && e.Value == 1 && alone[e.Staff] == 1 {
			e.WholeBar = true
		}
		if e.Staff < 0 || e.Staff >= len(s.clefs) {
			continue
		}
		p := &placed{Event: e, notes: append([]Note(nil), e.Notes...), top: s.top(e.Staff)}
		p.voices = several[e.Staff]
		p.second = p.voices && lead[e.Staff] != e.Voice
		if e.Clef != nil {
			s.clefs[e.Staff] = *e.Clef
		}
		p.place(s.clefs[e.Staff])
		events = append(events, p)
	}
	return events
}

// settle gives the events of a column their places.
func (s *system) settle(c *column) {
	for _, e := range c.events {
		e.x = c.x + e.aside
		if !e.Rest && e.Value < 2 && len(c.events) > 1 {
			e.x -= (widthOfHead(e.Value) - headWidth) / 2
		}
	}
	for _, e := range c.graces {
		e.x += c.x
	}
	for _, e := range c.clefs {
		s.clefAt(c.x-c.left, e.Staff, *e.Clef, 0.75)
	}
}

// close draws the line at the end of a measure.
func (s *system) close(kind BarLine) {
	switch kind {
	case Double:
		s.rectangle(s.x-0.55, 0, 0.16, s.bottom())
		s.rectangle(s.x-0.16, 0, 0.16, s.bottom())
	case Final, Backward:
		if kind == Backward {
			s.repeatDots(s.x + 0.1)
		}
		s.x += 1.2
		s.rectangle(s.x-0.9, 0, 0.16, s.bottom())
		s.rectangle(s.x-0.5, 0, 0.5, s.bottom())
	default:
		s.rectangle(s.x-0.16, 0, 0.16, s.bottom())
	}
}

func (s *system) repeatDots(x float64) {
	for i := range s.clefs {
		s.circle(x, s.top(i)+1.5, 0.22)
		s.circle(x, s.top(i)+2.5, 0.22)
	}
}

// tuplets writes the number of each group, with a bracket if no beam shows which notes belong to it.
func (s *system) tuplets(events []*placed) {
	open := map[string][]*placed{}
	for _, e := range events {
		key := fmt.Sprint(e.Staff, " ", e.Voice)
		if e.Tuplet > 0 {
			open[key] = []*placed{}
		}
		group, ok := open[key]
		if !ok || e.Grace || e.Clef != nil {
			continue
		}
		group = append(group, e)
		open[key] = group
		if e.TupletEnd {
			s.tuplet(group)
			delete(open, key)
		}
	}
}

func (s *system) tuplet(group []*placed) {
	first, last := group[0], group[len(group)-1]
	beamed := first.onBeam && last.onBeam && len(first.Beams) > 0 && first.Beams[0] == 'b' && last.Beams[0] == 'e'
	from, to := first.x, last.x+headWidth
	y := first.top - 1
	above := !first.second
	if len(first.positions) > 0 && !first.voices {
		above = first.up
	}
	if !above {
		y = first.top + 5
	}
	for _, e := range group {
		if len(e.positions) == 0 {
			continue
		}
		if above {
			y = min(y, e.tip-0.5, e.y(len(e.positions)-1)-1)
		} else {
			y = max(y, e.tip+0.5, e.y(0)+1)
		}
	}
	middle := (from + to) / 2
	text := label{x: middle, y: y + 0.1, size: 1.5, italic: true, middle: true, text: fmt.Sprint(first.Tuplet)}
	if !above {
		text.y = y + 1
	}
	if !beamed {
		text.y = y + 0.5
		inward := 0.6
		if !above {
			inward = -0.6
		}
		s.rectangle(from, y-0.06, middle-from-0.7, 0.12)
		s.rectangle(middle+0.7, y-0.06, to-middle-0.7, 0.12)
		s.line(from+0.06, y, from+0.06, y+inward, 0.12)
		s.line(to-0.06, y, to-0.06, y+inward, 0.12)
	}
	s.texts = append(s.texts, text)
}

// finish draws ties and staves over the whole width.
func (s *system) finish() {
	s.ties()
	for i := range s.clefs {
		for line := range 5 {
			s.rectangle(0, s.top(i)+float64(line)-lineWidth/2, s.x, lineWidth)
		}
	}
	if s.excerpt.Tempo != "" {
		s.texts = append(s.texts, label{x: 0.7, y: min(-2.2, s.upper()-0.7), size: 2, text: s.excerpt.Tempo})
	}
}

// upper is the y of the highest note or stem.
func (s *system) upper() float64 {
	y := 0.0
	if len(s.clefs) > 0 && s.clefs[0].Sign == 'G' {
		y = -1.6
	}
	for _, e := range s.sounding {
		if len(e.positions) > 0 {
			y = min(y, e.tip, e.y(len(e.positions)-1)-1)
		}
	}
	for _, t := range s.texts {
		y = min(y, t.y-t.size)
	}
	return y
}

// ties joins each note that is tied with the next one of its pitch.
func (s *system) ties() {
	for i, e := range s.sounding {
		if e.Hidden {
			continue
		}
		for j, n := range e.notes {
			if !n.Tied {
				continue
			}
			from, to := e.x+widthOfHead(e.Value)*e.size()+0.1, s.x
			if next := s.follower(i, n); next != nil {
				to = next.x - 0.1
			}
			above := !e.up
			if len(e.notes) > 1 && !e.voices {
				above = j >= (len(e.notes)+1)/2
			}
			if to > from+0.4 {
				s.tie(from, to, e.y(j), above)
			}
		}
	}
}

// follower is the note to which a tie leads.
func (s *system) follower(i int, n Note) *placed {
	for _, next := range s.sounding[i+1:] {
		if next.Staff != s.sounding[i].Staff || next.x <= s.sounding[i].x || next.Hidden {
			continue
		}
		for _, other := range next.notes {
			if other.Pitch == n.Pitch {
				return next
			}
		}
	}
	return nil
}

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
