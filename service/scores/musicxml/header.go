package musicxml

import (
	"encoding/xml"
	"strings"
)

// header is what stands before the music.
type header struct {
	work, movement, opus                 string
	composer, lyricist, arranger, rights string
	software                             string
	// credits are texts on the first page by their kind, for files that say it nowhere else.
	credits map[string]string
}

// heading reads a child of the score that is no part and no measure.
func (r *reader) heading(child xml.StartElement) error {
	switch child.Name.Local {
	case "work", "movement-title", "movement-number", "identification", "credit":
		e, err := r.scanner.element(child)
		if err != nil {
			return err
		}
		r.header.take(e)
		return nil
	case "part-list":
		return r.within(r.listedPart)
	default:
		return r.scanner.skip()
	}
}

func (h *header) take(e *element) {
	switch e.name {
	case "work":
		h.work, h.opus = named(e.child("work-title").text), named(e.child("work-number").text)
	case "movement-title":
		h.movement = named(e.text)
	case "identification":
		h.identify(e)
	case "credit":
		h.credit(e)
	}
}

func (h *header) identify(e *element) {
	e.each("creator", func(c *element) {
		switch c.attribute("type") {
		case "composer", "":
			set(&h.composer, c.text)
		case "lyricist", "poet":
			set(&h.lyricist, c.text)
		case "arranger":
			set(&h.arranger, c.text)
		}
	})
	set(&h.rights, e.child("rights").text)
	set(&h.software, e.child("encoding").child("software").text)
}

// credit keeps what is printed on the first page under a name.
func (h *header) credit(e *element) {
	kind := e.child("credit-type").text
	if page := e.attribute("page"); (page != "" && page != "1") || kind == "" {
		return
	}
	if h.credits == nil {
		h.credits = map[string]string{}
	}
	words := named(e.child("credit-words").text)
	switch kind {
	case "title", "composer", "lyricist", "arranger", "rights":
		if h.credits[kind] == "" {
			h.credits[kind] = words
		}
	}
}

func (h *header) fill(a *Analysis) {
	a.Title = first(h.work, h.movement, h.credits["title"])
	if h.work != "" && h.movement != h.work {
		a.Movement = h.movement
	}
	a.Opus = h.opus
	a.Composer = first(h.composer, h.credits["composer"])
	a.Lyricist = first(h.lyricist, h.credits["lyricist"])
	a.Arranger = first(h.arranger, h.credits["arranger"])
	a.Rights = first(h.rights, h.credits["rights"])
	a.Software = h.software
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func set(field *string, text string) {
	if *field == "" {
		*field = named(text)
	}
}

// named returns a text as one line, empty if it is what programs write where their user has written nothing.
func named(text string) string {
	text = line(text)
	switch strings.ToLower(strings.Trim(text, "[]<>() ")) {
	case "title", "untitled", "untitled score", "composer", "composer / arranger", "composer/arranger", "lyricist", "arranger", "unknown":
		return ""
	}
	return text
}

// listedPart reads an entry of the list of parts.
func (r *reader) listedPart(child xml.StartElement) error {
	if child.Name.Local != "score-part" {
		return r.scanner.skip()
	}
	e, err := r.scanner.element(child)
	if err != nil {
		return err
	}
	id := line(e.attribute("id"))
	if _, ok := r.parts[id]; ok {
		return nil
	}
	if err := r.addPart(id); err != nil {
		return err
	}
	r.part.name(e)
	r.part = nil
	return nil
}

// maxInstruments is how many instruments of a part are listed.
const maxInstruments = 32

func (p *part) name(e *element) {
	p.Name = line(e.child("part-name").text)
	programs := map[string]int{}
	e.each("midi-instrument", func(m *element) {
		programs[m.attribute("id")] = m.child("midi-program").integer(1, 128, 0)
	})
	e.each("score-instrument", func(i *element) {
		if len(p.Instruments) < maxInstruments {
			p.Instruments = append(p.Instruments, Instrument{
				Name: line(i.child("instrument-name").text), Sound: line(i.child("instrument-sound").text), Program: programs[i.attribute("id")],
			})
		}
	})
}
