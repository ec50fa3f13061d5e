package musicxml

import (
	"strconv"
	"strings"

	"github.com/mirubato/mirubato/service/scores/musicxml/pitch"
)

// maxStaves is how many staves a part may have; more are read as one.
const maxStaves = 16

// attributes reads a change of key, time or transposition.
func (r *reader) attributes(e *element) {
	p := r.part
	if d := decimal(e.child("divisions").text); d > 0 {
		p.divisions = d
	}
	p.Staves = max(p.Staves, e.child("staves").integer(1, maxStaves, 1))
	e.each("transpose", func(t *element) {
		staff, _ := strconv.Atoi(t.attribute("number"))
		if staff >= 0 && staff <= maxStaves {
			p.transposition[staff] = transpose(t)
		}
	})
	if key := e.child("key"); key.name != "" {
		r.key(key)
	}
	if time := e.child("time"); time.name != "" {
		r.time(time)
	}
	p.collector.attributes(e, p.cursor, p.fifths)
}

func transpose(t *element) pitch.Transposition {
	chromatic := t.child("chromatic").integer(-60, 60, 0)
	by := pitch.Interval(chromatic)
	if t.has("diatonic") {
		by.Steps = t.child("diatonic").integer(-35, 35, by.Steps)
	}
	return by.Octaves(t.child("octave-change").integer(-5, 5, 0))
}

// transposed returns the transposition of a staff.
func (p *part) transposed(staff int) pitch.Transposition {
	if by, ok := p.transposition[staff]; ok {
		return by
	}
	return p.transposition[0]
}

func (r *reader) place() Place { return Place{Measure: r.measure + 1, Number: r.number} }

// key reads a key signature, of which the part lists the sounding one.
func (r *reader) key(e *element) {
	p := r.part
	p.fifths = e.child("fifths").integer(-15, 15, 0)
	if len(p.keys) == maxChanges {
		return
	}
	k := signature{Key: Key{Place: r.place(), Mode: modeOf(e)}, usual: e.has("fifths")}
	if k.usual {
		k.Fifths = simplest(p.fifths + p.transposed(1).Fifths())
		k.Name = keyName(k.Fifths, k.Mode)
	}
	if last := len(p.keys) - 1; last >= 0 && p.keys[last].Fifths == k.Fifths && p.keys[last].Mode == k.Mode && p.keys[last].usual == k.usual {
		return
	}
	p.keys = append(p.keys, k)
}

// modeOf returns the mode; "none" says that there is no key at all, and is kept.
func modeOf(e *element) string {
	mode := strings.ToLower(e.child("mode").text)
	switch mode {
	case "major", "minor", "dorian", "phrygian", "lydian", "mixolydian", "aeolian", "ionian", "locrian", "none":
		return mode
	default:
		return ""
	}
}

// simplest replaces a key that nobody writes, such as one of nine flats, by what sounds the same.
func simplest(fifths int) int {
	for fifths > 7 {
		fifths -= 12
	}
	for fifths < -7 {
		fifths += 12
	}
	return fifths
}

// time reads a time signature.
func (r *reader) time(e *element) {
	p := r.part
	t := Time{Place: r.place()}
	var length float64
	if e.has("senza-misura") {
		t.Signature = "free"
	} else if t.Signature, length = meter(e); t.Signature == "" {
		return
	}
	if length > 0 {
		p.nominal = length
	}
	if symbol := e.attribute("symbol"); symbol == "common" || symbol == "cut" {
		t.Symbol = symbol
	}
	if len(p.times) == maxChanges {
		return
	}
	if last := len(p.times) - 1; last >= 0 && p.times[last].Signature == t.Signature && p.times[last].Symbol == t.Symbol {
		return
	}
	p.times = append(p.times, t)
}

// meter returns the signature and the length of a measure in quarters. Pairs of beats and beat-type are added.
func meter(e *element) (string, float64) {
	var pairs []string
	var total float64
	var beats string
	for c := e.first; c != nil && len(pairs) < 8; c = c.next {
		switch c.name {
		case "beats":
			beats = strings.ReplaceAll(c.text, " ", "")
		case "beat-type":
			unit := c.integer(1, 1024, 0)
			count := addends(beats)
			if unit == 0 || count == 0 {
				return "", 0
			}
			pairs = append(pairs, beats+"/"+strconv.Itoa(unit))
			total += float64(count) * 4 / float64(unit)
		}
	}
	return strings.Join(pairs, "+"), total
}

// addends adds what is written as "3" or "3+2", 0 if it is anything else.
func addends(beats string) int {
	total := 0
	if len(beats) > 16 {
		return 0
	}
	for n := range strings.SplitSeq(beats, "+") {
		count, err := strconv.Atoi(n)
		if err != nil || count < 1 || count > 256 {
			return 0
		}
		total += count
	}
	return total
}
