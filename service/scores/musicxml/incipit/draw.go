package incipit

import "math"

// notes draws what is on the staves in a measure.
func (d *drawing) events(events []*placed) {
	for _, e := range events {
		switch {
		case e.Hidden || e.Clef != nil:
		case e.Rest:
			d.restOf(e)
		case len(e.positions) > 0:
			d.chord(e)
		}
	}
}

func (d *drawing) restOf(e *placed) {
	// Rests stay on lines, from which longer ones hang.
	shift := math.Round(e.drop)
	d.rest(e.x, e.top+2+shift, e.Value)
	for i := range e.Dots {
		d.circle(e.x+1.6+0.6*float64(i), e.top+1.5+shift, 0.2)
	}
}

// chord draws heads, accidentals, dots, ledger lines and the stem.
func (d *drawing) chord(e *placed) {
	size, width := e.size(), widthOfHead(e.Value)*e.size()
	for i, n := range e.notes {
		x := e.x
		if e.shifted[i] && e.up {
			x += width - stemWidth/2
		} else if e.shifted[i] {
			x -= width - stemWidth/2
		}
		if n.Cross {
			d.cross(x, e.y(i))
		} else {
			d.head(x, e.y(i), e.Value, size)
		}
		d.ledgers(e, i, x, width)
		d.dots(e, i, width)
	}
	e.accidentals(func(i int, left float64) {
		x := e.x - left*size
		for j := range e.shifted {
			if e.shifted[j] && !e.up {
				x = e.x - headWidth - left
				break
			}
		}
		d.accidental(x, e.y(i), e.notes[i].Accidental)
	})
	if e.Value >= 2 {
		d.stem(e)
	}
}

// ledgers draws the lines that lead to a head outside of the staff.
func (d *drawing) ledgers(e *placed, i int, x, width float64) {
	for position := -2; position >= e.positions[i]; position -= 2 {
		d.rectangle(x-0.32, e.top+4-float64(position)/2-0.08, width+0.64, 0.16)
	}
	for position := 10; position <= e.positions[i]; position += 2 {
		d.rectangle(x-0.32, e.top+4-float64(position)/2-0.08, width+0.64, 0.16)
	}
}

// dots stand in spaces; that of a head on a line is above it, for a lower voice below.
func (d *drawing) dots(e *placed, i int, width float64) {
	y := e.y(i)
	if e.positions[i]%2 == 0 {
		if e.voices && e.second {
			y += 0.5
		} else {
			y -= 0.5
		}
	}
	right := width
	for j := range e.shifted {
		if e.shifted[j] && e.up {
			right = 2 * width
		}
	}
	for n := range e.Dots {
		d.circle(e.x+right+0.45+0.6*float64(n), y, 0.2)
	}
}

func (d *drawing) stem(e *placed) {
	x, root := e.stemX(), e.root()
	// It begins at the side of the head, which is above or below its middle.
	if e.up {
		root -= 0.15 * e.size()
	} else {
		root += 0.15 * e.size()
	}
	width := stemWidth
	if e.Grace {
		width *= 0.8
	}
	d.rectangle(x-width/2, min(root, e.tip), width, math.Abs(root-e.tip))
	if e.onBeam {
		return
	}
	flags := hooksOf(e.Value)
	for i := range flags {
		y := e.tip + 0.78*float64(i)*e.size()
		if !e.up {
			y = e.tip - 0.78*float64(i)*e.size()
		}
		d.flag(x-width/2, y, e.size(), e.up)
	}
	if e.Slash && flags > 0 && e.up {
		d.line(x-0.5, e.tip+1.35, x+0.75, e.tip+0.45, 0.1)
	}
}

// beam draws the beams of a group: each note says what its beams do, and the first beam goes through.
func (d *drawing) beam(b beam) {
	thick, step := 0.5, 0.75
	if b[0].Grace {
		thick, step = 0.3, 0.45
	}
	for level := range 6 {
		from := -1
		for i, e := range b {
			does := byte(0)
			if level < len(e.Beams) {
				does = e.Beams[level]
			}
			switch does {
			case 'b':
				from = i
			case 'e':
				if from >= 0 {
					d.beamLine(b[from], e, b[from].stemX(), e.stemX(), level, thick, step)
				}
				from = -1
			case 'f', 'k':
				d.hook(b, i, does == 'f', level, thick, step)
			}
		}
	}
}

// hook is a short beam at one note, towards its neighbor.
func (d *drawing) hook(b beam, i int, forward bool, level int, thick, step float64) {
	if forward && i+1 < len(b) {
		to := min(b[i].stemX()+1.1, b[i+1].stemX())
		d.beamLine(b[i], b[i+1], b[i].stemX(), to, level, thick, step)
	}
	if !forward && i > 0 {
		from := max(b[i].stemX()-1.1, b[i-1].stemX())
		d.beamLine(b[i-1], b[i], from, b[i].stemX(), level, thick, step)
	}
}

// beamLine draws a beam on the line through the ends of two stems.
func (d *drawing) beamLine(one, other *placed, from, to float64, level int, thick, step float64) {
	slope := (other.tip - one.tip) / max(other.stemX()-one.stemX(), 0.1)
	shift := step * float64(level)
	inward := thick
	if !one.up {
		shift, inward = -shift, -thick
	}
	y1, y2 := one.tip+slope*(from-one.stemX())+shift, one.tip+slope*(to-one.stemX())+shift
	half := stemWidth / 2
	d.polygon(false, point{from - half, y1}, point{to + half, y2}, point{to + half, y2 + inward}, point{from - half, y1 + inward})
}

// tie joins two heads, or leads out of the picture.
func (d *drawing) tie(from, to, y float64, above bool) {
	height := min(0.45+(to-from)*0.05, 1.1)
	direction := 1.0
	if above {
		direction = -1
	}
	y += 0.55 * direction
	d.stroke(0, 0, 1, knot{from, y, 0.06}, knot{from + (to-from)*0.25, y + height*0.8*direction, 0.16}, knot{(from + to) / 2, y + height*direction, 0.22},
		knot{from + (to-from)*0.75, y + height*0.8*direction, 0.16}, knot{to, y, 0.06})
}
