package incipit

import "fmt"

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
		switch {
		case len(e.positions) == 0:
		case above:
			y = min(y, e.tip-0.5, e.y(len(e.positions)-1)-1)
		default:
			y = max(y, e.tip+0.5, e.y(0)+1)
		}
	}
	s.bracket(first.Tuplet, from, to, y, above, beamed)
}

// bracket writes a number at y, in the middle of a bracket if no beam is there.
func (s *system) bracket(count int, from, to, y float64, above, beamed bool) {
	middle := (from + to) / 2
	text := label{x: middle, y: y + 0.1, size: 1.5, italic: true, middle: true, text: fmt.Sprint(count)}
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
