package incipit

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
