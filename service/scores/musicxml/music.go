package musicxml

import (
	"encoding/xml"
	"math"
	"strconv"
	"strings"

	"github.com/mirubato/mirubato/service/scores/refusal"
)

// music reads a child of a measure.
func (r *reader) music(child xml.StartElement) error {
	switch child.Name.Local {
	case "note", "attributes", "direction", "sound", "barline", "backup", "forward":
	default:
		return r.scanner.skip()
	}
	e, err := r.scanner.element(child)
	if err != nil {
		return err
	}
	switch e.name {
	case "note":
		r.note(e)
	case "attributes":
		r.attributes(e)
	case "direction":
		return r.direction(e)
	case "sound":
		return r.sound(e, r.part.cursor, "")
	case "barline":
		r.barline(e)
	case "backup":
		r.part.advance(-r.part.quarters(e))
	case "forward":
		r.part.advance(r.part.quarters(e))
	}
	return nil
}

// direction reads words and marks of tempo. One that changes the order of measures acts at the end of its measure.
func (r *reader) direction(e *element) error {
	var words string
	var speed float64
	e.each("direction-type", func(t *element) {
		t.each("words", func(w *element) { words = strings.TrimSpace(words + " " + w.text) })
		if m := t.child("metronome"); m.name != "" && speed == 0 {
			speed = metronome(m)
		}
		r.signs(t)
	})
	words = line(words)
	at := r.part.cursor
	if offset, err := strconv.ParseFloat(e.child("offset").text, 64); err == nil && math.Abs(offset) <= maxNumber {
		at = max(0, at+offset/r.part.divisions)
	}
	sound := e.child("sound")
	if sound.attribute("tempo") == "" && speed > 0 {
		return r.tempo(tempoMark{measure: r.measure, at: at, speed: speed, marking: tempoWord(words)}, sound)
	}
	return r.sound(sound, at, words)
}

// signs notes signs to which jumps lead.
func (r *reader) signs(t *element) {
	b := &r.bars[r.measure]
	b.segno = b.segno || t.has("segno")
	b.coda = b.coda || t.has("coda")
}

// sound reads what a player does besides playing notes.
func (r *reader) sound(e *element, at float64, words string) error {
	mark := tempoMark{measure: r.measure, at: at, speed: decimal(e.attribute("tempo")), marking: tempoWord(words)}
	return r.tempo(mark, e)
}

func (r *reader) tempo(mark tempoMark, sound *element) error {
	b := &r.bars[r.measure]
	b.daCapo = b.daCapo || sound.attribute("dacapo") == "yes"
	b.dalSegno = b.dalSegno || sound.attribute("dalsegno") != ""
	b.toCoda = b.toCoda || sound.attribute("tocoda") != ""
	b.fine = b.fine || sound.attribute("fine") != ""
	b.segno = b.segno || sound.attribute("segno") != ""
	b.coda = b.coda || sound.attribute("coda") != ""
	b.forward = b.forward || sound.attribute("forward-repeat") == "yes"
	if mark.speed == 0 && mark.marking == "" {
		return nil
	}
	if len(r.tempos) == maxTempos {
		return refusal.New(refusal.TooLarge, "The score has more than %d changes of tempo", maxTempos)
	}
	mark.number = b.number
	r.tempos = append(r.tempos, mark)
	return nil
}

// units are the lengths of notes, in quarters.
var units = map[string]float64{
	"maxima": 32, "long": 16, "breve": 8, "whole": 4, "half": 2, "quarter": 1, "eighth": 0.5, "16th": 0.25, "32nd": 0.125,
	"64th": 1. / 16, "128th": 1. / 32, "256th": 1. / 64, "512th": 1. / 128, "1024th": 1. / 256,
}

// metronome returns quarters a minute, 0 for a mark that says something else, such as that two values are equal.
func metronome(m *element) float64 {
	if m.child("per-minute").name == "" {
		return 0
	}
	// "c. 120" and "120-132" are written as well: the first number counts.
	text := strings.TrimLeft(m.child("per-minute").text, "ca.=~ (")
	if end := strings.IndexFunc(text, func(c rune) bool { return (c < '0' || c > '9') && c != '.' }); end >= 0 {
		text = text[:end]
	}
	length := units[m.child("beat-unit").text]
	dot := length / 2
	dots := 0
	m.each("beat-unit-dot", func(*element) {
		if dots++; dots <= 3 {
			length += dot
			dot /= 2
		}
	})
	return decimal(text) * length
}

// barline reads repeats and endings.
func (r *reader) barline(e *element) {
	p, b := r.part, &r.bars[r.measure]
	p.collector.barline(e)
	ending := e.child("ending")
	switch ending.attribute("type") {
	case "start":
		p.ending = passes(ending.attribute("number"))
		b.ending = p.ending
	case "stop", "discontinue":
		b.endingStops = true
	}
	switch repeat := e.child("repeat"); repeat.attribute("direction") {
	case "forward":
		b.forward = true
	case "backward":
		times := 2
		if n, err := strconv.Atoi(repeat.attribute("times")); err == nil {
			times = n
		}
		b.backward = max(b.backward, min(max(times, 1), maxTimes))
	}
	b.segno = b.segno || e.has("segno")
	b.coda = b.coda || e.has("coda")
}

// passes reads the numbers of an ending, such as "1, 2", as bits.
func passes(numbers string) uint32 {
	var bits uint32
	for _, number := range strings.FieldsFunc(numbers, func(c rune) bool { return c == ',' || c == ' ' || c == '.' }) {
		if n, err := strconv.Atoi(number); err == nil && n >= 1 && n <= maxTimes {
			bits |= 1 << n
		}
	}
	if bits == 0 {
		bits = 1 << 1
	}
	return bits
}
