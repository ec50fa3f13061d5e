package musicxml

import (
	"math"
	"strconv"

	"github.com/mirubato/mirubato/service/scores/musicxml/pitch"
)

// note reads a note or a rest.
func (r *reader) note(e *element) {
	p := r.part
	length := p.quarters(e)
	grace, cue := e.has("grace"), e.has("cue")
	at := p.cursor
	switch {
	case e.has("chord"):
		at = p.onset
	case grace:
		p.onset = p.cursor
	default:
		p.onset = p.cursor
		p.advance(length)
	}
	p.collector.note(e, at, length)
	if e.has("rest") || cue {
		return
	}
	staff := e.child("staff").integer(1, maxStaves, 1)
	p.Staves = max(p.Staves, staff)
	n := struck{at: at, length: length, staff: staff, voice: e.child("voice").text, grace: grace, kind: kindOfValue(e), fresh: !isContinued(e)}
	if n.fresh {
		p.Notes++
	}
	if written, ok := writtenPitch(e.child("pitch")); ok {
		n.pitched = true
		n.written, n.sounding = written, p.transposed(staff).Apply(written)
		p.sounds(n.sounding)
		p.weigh(n.sounding, length)
	} else if !e.has("unpitched") {
		// Nothing that a player could play.
		if n.fresh {
			p.Notes--
		}
		return
	}
	p.effort.add(n, p.fifths)
}

// struck is a note as far as the effort of playing it is concerned.
type struck struct {
	at, length        float64
	staff             int
	voice             string
	grace             bool
	kind              string
	fresh             bool
	pitched           bool
	written, sounding pitch.Pitch
}

// isContinued says whether the note is tied to the one before, and not struck.
func isContinued(e *element) bool {
	continued := false
	e.each("tie", func(t *element) { continued = continued || t.attribute("type") == "stop" })
	if !continued && !e.has("tie") {
		e.each("notations", func(n *element) {
			n.each("tied", func(t *element) { continued = continued || t.attribute("type") == "stop" })
		})
	}
	return continued
}

func writtenPitch(e *element) (pitch.Pitch, bool) {
	if e.name == "" || len(e.child("step").text) != 1 {
		return pitch.Pitch{}, false
	}
	alter, err := strconv.ParseFloat(e.child("alter").text, 64)
	if err != nil || math.IsNaN(alter) || math.Abs(alter) > 3 {
		alter = 0
	}
	p := pitch.Pitch{Step: e.child("step").text[0], Alter: int(alter), Octave: e.child("octave").integer(0, 9, -100)}
	return p, p.Valid()
}

// kindOfValue names a value of a note so that different ones have different names.
func kindOfValue(e *element) string {
	kind := e.child("type").text
	if len(kind) > 8 {
		kind = ""
	}
	if e.has("dot") {
		kind += "."
	}
	if e.has("time-modification") {
		kind += "/" + strconv.Itoa(e.child("time-modification").child("actual-notes").integer(1, 64, 3))
	}
	return kind
}
