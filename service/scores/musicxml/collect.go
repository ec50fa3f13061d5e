package musicxml

import (
	"math"
	"slices"
	"strconv"

	"github.com/mirubato/mirubato/service/scores/musicxml/incipit"
	"github.com/mirubato/mirubato/service/scores/musicxml/pitch"
)

const (
	// maxBars is how many measures an incipit has at most, and maxEvents how many notes, chords and rests a measure of it.
	maxBars   = 6
	maxEvents = 96
	// maxHeads is how many notes of a chord are drawn.
	maxHeads = 16
	// maxDrawn is how many staves are drawn.
	maxDrawn = 4
)

// collector gathers the first measures of a part from the first one that has notes.
type collector struct {
	excerpt incipit.Excerpt
	// first is the index of the first measure, -1 until it is found.
	first int
	done  bool
	bar   *incipit.Bar
	// clefs, fifths and meter are the present ones.
	clefs  [maxDrawn]incipit.Clef
	fifths int
	meter  *incipit.Meter
	// newMeter and newKey say that the present measure begins with a change.
	newMeter, newKey bool
	// atBeginning are the clefs before the first note of the measure.
	atBeginning [maxDrawn]incipit.Clef
	// altered are the accidentals that hold in the measure, by staff and step.
	altered map[[2]int]int
	sounds  bool
}

func newCollector() collector {
	c := collector{first: -1}
	for i := range c.clefs {
		c.clefs[i] = incipit.Clef{Sign: 'G', Line: 2}
	}
	return c
}

// attributes takes changes of clef, key and time.
func (c *collector) attributes(e *element, at float64, fifths int) {
	if c.done {
		return
	}
	e.each("clef", func(clef *element) {
		staff, _ := strconv.Atoi(clef.attribute("number"))
		c.clef(max(staff-1, 0), clefOf(clef), at)
	})
	if e.has("key") {
		c.fifths = min(max(fifths, -7), 7)
		c.newKey = true
	}
	if time := e.child("time"); time.name != "" {
		c.meter, c.newMeter = meterOf(time), true
	}
}

func (c *collector) clef(staff int, clef incipit.Clef, at float64) {
	if staff >= maxDrawn || clef == c.clefs[staff] {
		return
	}
	c.clefs[staff] = clef
	if c.bar == nil {
		return
	}
	if at == 0 && c.first < 0 && !c.hasEvents(staff) {
		// Some programs write the clef of a lower staff only where its notes begin.
		c.atBeginning[staff] = clef
		return
	}
	if len(c.bar.Events) > 0 || len(c.excerpt.Bars) > 0 {
		c.add(incipit.Event{Staff: staff, At: at, Clef: &clef})
	}
}

func (c *collector) hasEvents(staff int) bool {
	return slices.ContainsFunc(c.bar.Events, func(e incipit.Event) bool { return e.Staff == staff })
}

func clefOf(e *element) incipit.Clef {
	clef := incipit.Clef{Octaves: e.child("clef-octave-change").integer(-2, 2, 0)}
	switch sign := e.child("sign").text; sign {
	case "F":
		clef.Sign, clef.Line = 'F', e.child("line").integer(1, 5, 4)
	case "C":
		clef.Sign, clef.Line = 'C', e.child("line").integer(1, 5, 3)
	case "percussion", "none":
		clef.Sign, clef.Line = 'P', 3
	default:
		clef.Sign, clef.Line = 'G', e.child("line").integer(1, 5, 2)
	}
	return clef
}

// meterOf returns what is drawn of a time signature, nil if nothing is.
func meterOf(e *element) *incipit.Meter {
	beats, unit := e.child("beats").text, e.child("beat-type").text
	if addends(beats) == 0 || len(unit) > 3 || e.attribute("print-object") == "no" {
		return nil
	}
	return &incipit.Meter{Over: beats, Under: unit, Symbol: e.attribute("symbol")}
}

// enter begins a measure.
func (c *collector) enter() {
	if c.done {
		return
	}
	c.bar, c.sounds = &incipit.Bar{}, false
	c.altered = map[[2]int]int{}
	c.newKey, c.newMeter = false, false
}

// leave ends a measure; it is kept if it is the first with notes or follows that. It says whether it was the first.
func (c *collector) leave(measure int, length float64, staves int) bool {
	if c.done || c.bar == nil || c.first < 0 && !c.sounds {
		return false
	}
	b := c.bar
	b.Length = length
	began := c.first < 0
	if began {
		c.first = measure
		for i := range min(staves, maxDrawn) {
			c.excerpt.Staves = append(c.excerpt.Staves, incipit.Staff{Clef: c.atBeginning[i], Fifths: c.fifths})
		}
	} else if c.newKey {
		fifths := c.fifths
		b.Fifths = &fifths
	}
	if began || c.newMeter {
		b.Meter = c.meter
	}
	c.excerpt.Bars = append(c.excerpt.Bars, *b)
	c.done = len(c.excerpt.Bars) == maxBars || b.Cut
	return began
}

// drop forgets everything: another part begins earlier.
func (c *collector) drop() { *c = collector{first: c.first, done: true} }

func (c *collector) add(e incipit.Event) {
	if len(c.bar.Events) == maxEvents {
		c.bar.Cut = true
		return
	}
	if len(c.bar.Events) == 0 {
		c.atBeginning = c.clefs
	}
	c.bar.Events = append(c.bar.Events, e)
}

// note takes a note or a rest that begins at a position.
func (c *collector) note(e *element, at, quarters float64) {
	if c.done || c.bar == nil || e.has("cue") {
		return
	}
	staff := e.child("staff").integer(1, maxStaves, 1) - 1
	if staff >= maxDrawn {
		return
	}
	head, isNote := c.head(e, staff)
	if isNote && e.has("chord") && c.joins(staff, head) {
		return
	}
	event := eventOf(e, quarters)
	event.Staff, event.At = staff, at
	if isNote {
		event.Notes = []incipit.Note{head}
		c.sounds = c.sounds || !event.Hidden
	} else {
		rest(&event, e)
	}
	c.add(event)
}

// rest makes the event a rest. One without a value is for the whole measure.
func rest(event *incipit.Event, e *element) {
	event.Rest = true
	event.WholeBar = e.child("rest").attribute("measure") == "yes" || e.child("type").text == ""
	if event.WholeBar {
		event.Value, event.Dots = 1, 0
	}
}

// joins adds a head to the chord before it, if there is one on the staff.
func (c *collector) joins(staff int, head incipit.Note) bool {
	if len(c.bar.Events) == 0 {
		return false
	}
	last := &c.bar.Events[len(c.bar.Events)-1]
	if last.Staff != staff || len(last.Notes) == 0 || len(last.Notes) >= maxHeads {
		return false
	}
	last.Notes = append(last.Notes, head)
	return true
}

// head reads a head; false is a rest.
func (c *collector) head(e *element, staff int) (incipit.Note, bool) {
	n := incipit.Note{Cross: e.child("notehead").text == "x"}
	if unpitched := e.child("unpitched"); unpitched.name != "" {
		n.Pitch = pitch.Pitch{Step: 'B', Octave: 4}
		if step := unpitched.child("display-step").text; len(step) == 1 {
			n.Pitch = pitch.Pitch{Step: step[0], Octave: unpitched.child("display-octave").integer(0, 9, 4)}
		}
		return n, n.Pitch.Valid()
	}
	p, ok := writtenPitch(e.child("pitch"))
	if !ok {
		return n, false
	}
	n.Pitch = p
	n.Tied = starts(e)
	n.Accidental = c.accidental(e, staff, p)
	return n, true
}

// starts says whether a tie begins at the note.
func starts(e *element) bool {
	found := false
	e.each("tie", func(t *element) { found = found || t.attribute("type") == "start" })
	e.each("notations", func(n *element) {
		n.each("tied", func(t *element) { found = found || t.attribute("type") == "start" })
	})
	return found
}

// accidental is the one that is written, or else the one that is needed: not all programs write them.
func (c *collector) accidental(e *element, staff int, p pitch.Pitch) string {
	line := [2]int{staff, p.Diatonic()}
	holds, known := c.altered[line]
	if !known {
		holds = alterInKey(p.Step, c.fifths)
	}
	if !isContinued(e) {
		c.altered[line] = p.Alter
	}
	switch written := e.child("accidental"); written.text {
	case "sharp", "flat", "natural", "double-sharp", "flat-flat":
		return written.text
	case "sharp-sharp":
		return "double-sharp"
	case "natural-sharp":
		return "sharp"
	case "natural-flat":
		return "flat"
	}
	if holds == p.Alter || isContinued(e) {
		return ""
	}
	return map[int]string{-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}[p.Alter]
}

// eventOf reads what is not of a single head.
func eventOf(e *element, quarters float64) incipit.Event {
	event := incipit.Event{Voice: e.child("voice").text, Hidden: e.attribute("print-object") == "no"}
	event.Value, event.Dots = valueOf(e, quarters)
	if grace := e.child("grace"); grace.name != "" {
		event.Grace, event.Slash = true, grace.attribute("slash") == "yes"
	}
	switch e.child("stem").text {
	case "up":
		event.Stem = 1
	case "down":
		event.Stem = -1
	}
	event.Beams = beamsOf(e)
	e.each("notations", func(n *element) {
		n.each("tuplet", func(t *element) {
			switch t.attribute("type") {
			case "start":
				event.Tuplet = e.child("time-modification").child("actual-notes").integer(2, 64, 3)
			case "stop":
				event.TupletEnd = true
			}
		})
	})
	return event
}

func beamsOf(e *element) []byte {
	var beams []byte
	e.each("beam", func(b *element) {
		level := 1
		if n, err := strconv.Atoi(b.attribute("number")); err == nil {
			level = n
		}
		does := map[string]byte{"begin": 'b', "continue": 'c', "end": 'e', "forward hook": 'f', "backward hook": 'k'}[b.text]
		if level < 1 || level > 6 || does == 0 {
			return
		}
		for len(beams) < level {
			beams = append(beams, 0)
		}
		beams[level-1] = does
	})
	return beams
}

// values are the numbers by which notes are called.
var values = map[string]int{
	"maxima": 0, "long": 0, "breve": 0, "whole": 1, "half": 2, "quarter": 4, "eighth": 8, "16th": 16, "32nd": 32, "64th": 64, "128th": 128,
}

// valueOf reads value and dots; where they are not written, they follow from the duration.
func valueOf(e *element, quarters float64) (value, dots int) {
	if value, ok := values[e.child("type").text]; ok {
		e.each("dot", func(*element) { dots = min(dots+1, 3) })
		return value, dots
	}
	if quarters <= 0 {
		return 4, 0
	}
	value = 1
	for length := 4.0; value < 128 && length > quarters+0.001; length /= 2 {
		value *= 2
	}
	if math.Abs(quarters-6/float64(value)) < 0.001 {
		dots = 1
	}
	return value, dots
}

// barline takes the lines at both ends of a measure.
func (c *collector) barline(e *element) {
	if c.done || c.bar == nil {
		return
	}
	switch e.child("repeat").attribute("direction") {
	case "forward":
		c.bar.Forward = true
	case "backward":
		c.bar.End = incipit.Backward
	default:
		switch e.child("bar-style").text {
		case "light-heavy":
			c.bar.End = incipit.Final
		case "light-light":
			c.bar.End = incipit.Double
		}
	}
}

// alterInKey is the accidental of a step by the key signature.
func alterInKey(step byte, fifths int) int {
	for alter := -1; alter <= 1; alter++ {
		if inKey(step, alter, fifths) {
			return alter
		}
	}
	return 0
}
