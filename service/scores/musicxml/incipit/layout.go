package incipit

import (
	"cmp"
	"math"
	"slices"
)

// Distances, in spaces.
const (
	// apart is from the top line of a staff to that of the next, at least.
	apart = 9.5
	// gap is the least between two signs.
	gap = 0.35
	// graceSize is that of ornaments, beside other notes.
	graceSize = 0.62
)

// placed is an event with its place on the page.
type placed struct {
	*Event
	// x is the left end of its heads.
	x float64
	// positions are those of the heads, in half spaces above the bottom line, from the lowest to the highest.
	positions []int
	notes     []Note
	// shifted says of each head that it stands on the other side of the stem.
	shifted []bool
	// up is the direction of the stem, and tip where it ends.
	up  bool
	tip float64
	// top is the y of the staff's top line.
	top float64
	// onBeam says that the stem ends at a beam and has no flags.
	onBeam bool
	// voices says that there is more than one voice on the staff, and second that this is a lower one of them.
	voices bool
	second bool
	// aside moves heads out of the way of another voice, to the right.
	aside float64
	// drop moves a rest out of the way of another voice, in spaces.
	drop float64
}

// column is what happens at a time of a measure.
type column struct {
	at     int64
	events []*placed
	// clefs are changes before the column.
	clefs []*placed
	// graces are ornaments before it.
	graces []*placed
	// left and right are how far signs reach to both sides of where heads begin.
	left, right float64
	x           float64
}

// ticks makes equal times equal, whatever sums of fractions they come from.
func ticks(at float64) int64 { return int64(math.Round(at * 5040)) }

// columnsOf sorts the events of a measure by time.
func columnsOf(events []*placed) []*column {
	byTime := map[int64]*column{}
	var list []*column
	for _, e := range events {
		at := ticks(e.At)
		c := byTime[at]
		if c == nil {
			c = &column{at: at}
			byTime[at] = c
			list = append(list, c)
		}
		switch {
		case e.Clef != nil:
			c.clefs = append(c.clefs, e)
		case e.Grace:
			c.graces = append(c.graces, e)
		default:
			c.events = append(c.events, e)
		}
	}
	slices.SortFunc(list, func(a, b *column) int { return cmp.Compare(a.at, b.at) })
	return list
}

// avoid lets voices that meet in a column make room for each other.
func (c *column) avoid() {
	for i, e := range c.events {
		for _, other := range c.events[:i] {
			if other.Staff == e.Staff && !other.Hidden && !e.Hidden {
				other.meet(e)
			}
		}
	}
}

// meet moves a rest that another voice would touch, and heads that would lie upon each other.
func (p *placed) meet(other *placed) {
	mine, others := len(p.positions) > 0, len(other.positions) > 0
	switch {
	case p.Rest && other.Rest:
		p.part(other)
		other.part(p)
	case p.Rest && others:
		p.clear(other)
	case other.Rest && mine:
		other.clear(p)
	case mine && others && p.up != other.up:
		upper, lower := p, other
		if other.up {
			upper, lower = other, p
		}
		lower.step(upper)
	}
}

// step moves the heads of a lower voice aside if those of the upper one are too near; heads that look the same may be one.
func (p *placed) step(upper *placed) {
	distance := upper.positions[0] - p.positions[len(p.positions)-1]
	black := func(e *placed) bool { return e.Value >= 4 }
	alike := black(p) == black(upper) && p.Value >= 2 && upper.Value >= 2 && p.Dots == upper.Dots
	if distance < 2 && !(distance == 0 && alike) {
		p.aside = widthOfHead(upper.Value) - 0.1
	}
}

// part moves a rest to the side of its voice, unless the rest of the other voice is the same.
func (p *placed) part(other *placed) {
	switch {
	case p.Value == other.Value && p.Dots == other.Dots:
	case p.second:
		p.drop = 2
	default:
		p.drop = -2
	}
}

// clear moves a rest away from the notes of another voice.
func (p *placed) clear(other *placed) {
	if p.second {
		p.drop = max(p.drop, other.y(0)+1.5-p.top-2)
	} else {
		p.drop = min(p.drop, other.y(len(other.positions)-1)-1.5-p.top-2)
	}
}

// measure finds how much room a column needs.
func (c *column) measure() {
	c.avoid()
	c.left, c.right = 0, 0
	for _, e := range c.events {
		c.left = max(c.left, e.leftOfHeads())
		c.right = max(c.right, e.rightOfHeads()+e.aside)
	}
	for i := len(c.graces) - 1; i >= 0; i-- {
		c.left += graceSize*headWidth + 0.45 + graceSize*c.graces[i].leftOfHeads()
		c.graces[i].x = -c.left
	}
	if len(c.clefs) > 0 {
		c.left += 2.6
	}
}

// leftOfHeads is the room for accidentals and for heads on the left of the stem.
func (p *placed) leftOfHeads() float64 {
	if p.Hidden || p.Rest {
		return 0
	}
	room := p.accidentals(nil)
	for i := range p.shifted {
		if p.shifted[i] && !p.up {
			return room + headWidth
		}
	}
	return room
}

func (p *placed) rightOfHeads() float64 {
	if p.Hidden {
		return 0
	}
	width := widthOfHead(p.Value)
	if p.Rest {
		width = 1.2
	}
	room := width
	for i := range p.shifted {
		if p.shifted[i] && p.up {
			room = 2 * width
		}
	}
	if !p.onBeam && !p.Rest && p.Value > 4 && p.up {
		room += 0.8
	}
	return max(room, width+float64(p.Dots)*0.7)
}

// accidentals calls draw for each one with its distance to the left of the heads, and returns the room of all. Those that would
// touch each other go to the left, alternately from the top and the bottom as far as they are near.
func (p *placed) accidentals(draw func(i int, left float64)) float64 {
	var order []int
	for low, high := 0, len(p.notes)-1; low <= high; {
		order = append(order, high)
		if high--; low <= high {
			order = append(order, low)
			low++
		}
	}
	type track struct{ from, width float64 }
	var tracks []track
	var used [][]int
	next := 0.25
	for _, i := range order {
		width := widthOfAccidental(p.notes[i].Accidental)
		if width == 0 {
			continue
		}
		t := 0
		for ; t < len(tracks); t++ {
			near := slices.ContainsFunc(used[t], func(position int) bool {
				return position-p.positions[i] < 6 && p.positions[i]-position < 6
			})
			if !near && tracks[t].width >= width-0.35 {
				break
			}
		}
		if t == len(tracks) {
			tracks = append(tracks, track{from: next, width: width})
			used = append(used, nil)
			next += width + 0.15
		}
		used[t] = append(used[t], p.positions[i])
		if draw != nil {
			draw(i, tracks[t].from+width)
		}
	}
	if len(tracks) == 0 {
		return 0
	}
	return next
}

// space is the width that a time of so many quarters should have.
func space(quarters float64) float64 {
	return 3.4 * math.Pow(max(quarters, 0.06), 0.55)
}

// spread gives each column its place from x on, in a measure of a length, and returns where the measure ends.
func spread(columns []*column, x, length float64) float64 {
	for i, c := range columns {
		c.measure()
		if i == 0 {
			c.x = x + c.left + 0.3
		} else {
			before := columns[i-1]
			c.x = before.x + max(space(float64(c.at-before.at)/5040), before.right+c.left+gap)
		}
	}
	if len(columns) == 0 {
		return x + 4
	}
	last := columns[len(columns)-1]
	return last.x + max(space(length-float64(last.at)/5040), last.right+0.8)
}
