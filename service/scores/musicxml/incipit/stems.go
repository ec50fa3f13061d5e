package incipit

import (
	"cmp"
	"slices"
)

// stemLength is the usual one.
const stemLength = 3.5

// place finds the positions of the heads, the direction of the stem and its end.
func (p *placed) place(c Clef) {
	slices.SortStableFunc(p.notes, func(a, b Note) int { return cmp.Compare(a.Pitch.Diatonic(), b.Pitch.Diatonic()) })
	p.positions = make([]int, len(p.notes))
	for i, n := range p.notes {
		p.positions[i] = c.position(n.Pitch.Diatonic())
	}
	p.up = p.points()
	p.shift()
	if len(p.positions) == 0 {
		return
	}
	length := stemLength + 0.75*float64(max(hooksOf(p.Value)-2, 0))
	if p.Grace {
		length = 2.6
	}
	// A stem of a note far outside reaches the middle line.
	if p.up {
		p.tip = min(p.y(len(p.positions)-1)-length, p.middleFor())
	} else {
		p.tip = max(p.y(0)+length, p.middleFor())
	}
}

// middleFor is the middle line, for single voices; ornaments need not reach it.
func (p *placed) middleFor() float64 {
	switch {
	case p.Grace && p.up:
		return p.top + 40
	case p.Grace:
		return p.top - 40
	default:
		return p.top + 2
	}
}

// points says whether the stem points upwards.
func (p *placed) points() bool {
	switch {
	case p.Grace:
		return p.Stem >= 0
	case p.Stem != 0:
		return p.Stem > 0
	case p.voices:
		return !p.second
	case len(p.positions) == 0:
		return true
	default:
		// The head that is farthest from the middle line decides.
		return p.positions[0]+p.positions[len(p.positions)-1] < 8
	}
}

// shift puts one of two neighboring heads on the other side of the stem.
func (p *placed) shift() {
	p.shifted = make([]bool, len(p.positions))
	if p.up {
		for i := 1; i < len(p.positions); i++ {
			p.shifted[i] = p.positions[i]-p.positions[i-1] == 1 && !p.shifted[i-1]
		}
		return
	}
	for i := len(p.positions) - 2; i >= 0; i-- {
		p.shifted[i] = p.positions[i+1]-p.positions[i] == 1 && !p.shifted[i+1]
	}
}

// y is that of a head.
func (p *placed) y(i int) float64 { return p.top + 4 - float64(p.positions[i])/2 }

// size is that of the heads.
func (p *placed) size() float64 {
	if p.Grace {
		return graceSize
	}
	return 1
}

// stemX is the middle of the stem.
func (p *placed) stemX() float64 {
	if p.up {
		return p.x + headWidth*p.size() - stemWidth/2
	}
	return p.x + stemWidth/2
}

// root is where the stem begins: at the head that is farthest from its end.
func (p *placed) root() float64 {
	if p.up {
		return p.y(0)
	}
	return p.y(len(p.positions) - 1)
}

// position is that of a step on a staff: 0 is the bottom line, 1 the space above.
func (c Clef) position(diatonic int) int {
	anchor := 32 // G4
	switch c.Sign {
	case 'F':
		anchor = 24
	case 'C':
		anchor = 28
	case 'P':
		return diatonic - 30
	}
	return diatonic - anchor - 7*c.Octaves + 2*(c.Line-1)
}

// beam is the notes under one beam.
type beam []*placed

// beamsOf finds the groups of a measure. A group that the file does not end is none.
func beamsOf(events []*placed) []beam {
	open := map[string]beam{}
	var done []beam
	for _, e := range events {
		if len(e.Beams) == 0 || len(e.positions) == 0 || e.Hidden {
			continue
		}
		key := e.Voice
		if e.Grace {
			key += " grace"
		}
		switch e.Beams[0] {
		case 'b':
			open[key] = beam{e}
		case 'c', 'e':
			if len(open[key]) == 0 {
				continue
			}
			open[key] = append(open[key], e)
			if e.Beams[0] == 'e' {
				done = append(done, open[key])
				delete(open, key)
			}
		}
	}
	return done
}

// join gives the stems of a group one direction, if the file leaves that open, and lets them end at a beam.
func (b beam) join() {
	b.agree()
	first := b[0]
	for _, e := range b {
		e.onBeam = true
		e.shift()
	}
	mixed := slices.ContainsFunc(b, func(e *placed) bool { return e.up != first.up })
	slope := b.slope()
	if mixed {
		slope = 0
	}
	at := func(e *placed) float64 { return slope * (e.stemX() - first.stemX()) }
	length := b.least()
	var offset float64
	if mixed {
		lowest, highest := -1e9, 1e9
		for _, e := range b {
			if e.up {
				highest = min(highest, e.y(len(e.positions)-1)-1)
			} else {
				lowest = max(lowest, e.y(0)+1)
			}
		}
		offset = (lowest + highest) / 2
	} else if first.up {
		offset = 1e9
		for _, e := range b {
			offset = min(offset, e.y(len(e.positions)-1)-length-at(e), e.middleFor()-at(e))
		}
	} else {
		offset = -1e9
		for _, e := range b {
			offset = max(offset, e.y(0)+length-at(e), e.middleFor()-at(e))
		}
	}
	for _, e := range b {
		e.tip = offset + at(e)
	}
}

// least is the length that each stem has at least.
func (b beam) least() float64 {
	hooks := 1
	for _, e := range b {
		hooks = max(hooks, hooksOf(e.Value))
	}
	if b[0].Grace {
		return 2.2
	}
	return 2.7 + 0.6*float64(max(hooks-1, 0))
}

// agree gives all stems the direction that suits most, where none is written.
func (b beam) agree() {
	for _, e := range b {
		if e.Stem != 0 || e.voices || e.Grace {
			return
		}
	}
	lowest, highest := 1000, -1000
	for _, e := range b {
		lowest, highest = min(lowest, e.positions[0]), max(highest, e.positions[len(e.positions)-1])
	}
	for _, e := range b {
		e.up = lowest+highest < 8
	}
}

// slope follows the notes from the first to the last, but gently.
func (b beam) slope() float64 {
	first, last := b[0], b[len(b)-1]
	end := func(e *placed) float64 {
		if e.up {
			return e.y(len(e.positions) - 1)
		}
		return e.y(0)
	}
	width := last.stemX() - first.stemX()
	rise := end(last) - end(first)
	if width <= 0 || first.top != last.top {
		return 0
	}
	// A note between that is nearer to the beam than both ends makes it level.
	for _, e := range b[1 : len(b)-1] {
		if e.up && end(e) < min(end(first), end(last)) || !e.up && end(e) > max(end(first), end(last)) {
			return 0
		}
	}
	rise = min(max(rise/2, -1.25), 1.25)
	return min(max(rise/width, -0.25), 0.25)
}
