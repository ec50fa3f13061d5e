package incipit

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
	lead, several := voicesOf(b.Events)
	count := map[int]int{}
	for _, e := range b.Events {
		if e.Clef == nil {
			count[e.Staff]++
		}
	}
	var events []*placed
	for i := range b.Events {
		e := &b.Events[i]
		if e.Rest && e.Value == 1 && count[e.Staff] == 1 {
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

// voicesOf returns the first voice of each staff, and which staves have more than one.
func voicesOf(events []Event) (lead map[int]string, several map[int]bool) {
	lead, several = map[int]string{}, map[int]bool{}
	for _, e := range events {
		if e.Hidden || e.Clef != nil {
			continue
		}
		if first, ok := lead[e.Staff]; !ok {
			lead[e.Staff] = e.Voice
		} else if first != e.Voice {
			several[e.Staff] = true
		}
	}
	return lead, several
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
