package musicxml

import (
	"slices"

	"github.com/mirubato/mirubato/service/scores/musicxml/pitch"
	"github.com/mirubato/mirubato/service/scores/refusal"
)

// part is a part and the state of reading it.
type part struct {
	Part
	// divisions is how many units of duration make a quarter.
	divisions float64
	// transposition is by staff; staff 0 is all of them.
	transposition map[int]pitch.Transposition
	fifths        int
	keys          []signature
	times         []Time
	// nominal is the length of a measure by its time signature, in quarters.
	nominal float64
	// cursor is the present position in the measure and length the farthest that was reached, in quarters; onset is where the last
	// note began, for the notes of its chord.
	cursor, length, onset float64
	// ending are the passes of the ending that is open, as bits.
	ending          uint32
	lowest, highest pitch.Pitch
	effort          effort
	collector       collector
}

func newPart(id string) *part {
	return &part{
		Part: Part{ID: id, Instruments: []Instrument{}, Staves: 1}, divisions: 1, nominal: 4,
		transposition: map[int]pitch.Transposition{}, effort: newEffort(), collector: newCollector(),
	}
}

// enterMeasure begins a measure of the present part.
func (r *reader) enterMeasure() error {
	p := r.part
	if r.cells++; r.cells > maxCells {
		return refusal.New(refusal.TooLarge, "The parts of the score have more than %d measures together", maxCells)
	}
	// A part of a timewise score may begin late.
	p.Measures = r.measure + 1
	p.cursor, p.length, p.onset = 0, 0, 0
	p.collector.enter()
	return nil
}

// leaveMeasure ends a measure of the present part.
func (r *reader) leaveMeasure() {
	p, b := r.part, &r.bars[r.measure]
	b.length = max(b.length, p.length)
	b.nominal = max(b.nominal, p.nominal)
	if p.ending != 0 {
		b.ending = p.ending
	}
	if b.backward > 0 && b.ending != 0 {
		// Some programs leave the end of an ending out where a repeat ends as well.
		b.endingStops = true
	}
	if b.endingStops {
		p.ending = 0
	}
	p.effort.leave(r.measure)
	r.leaveIncipit()
}

// leaveIncipit lets the part whose notes begin first, of those the one that stands highest, have the incipit.
func (r *reader) leaveIncipit() {
	p := r.part
	if !p.collector.leave(r.measure, max(p.length, 0), p.Staves) {
		return
	}
	if r.leading != nil && r.leading.collector.first <= r.measure {
		p.collector.drop()
		return
	}
	if r.leading != nil {
		r.leading.collector.drop()
	}
	r.leading = p
}

// advance moves the position; it never comes before the beginning of the measure.
func (p *part) advance(quarters float64) {
	p.cursor = min(max(p.cursor+quarters, 0), maxNumber)
	p.length = max(p.length, p.cursor)
}

func (p *part) quarters(e *element) float64 { return decimal(e.child("duration").text) / p.divisions }

// sounds widens the range of the part.
func (p *part) sounds(tone pitch.Pitch) {
	if p.Range == nil {
		p.Range, p.lowest, p.highest = &Range{}, tone, tone
	}
	if tone.MIDI() < p.lowest.MIDI() {
		p.lowest = tone
	}
	if tone.MIDI() > p.highest.MIDI() {
		p.highest = tone
	}
	p.Range.Lowest, p.Range.Highest = toneOf(p.lowest), toneOf(p.highest)
}

func toneOf(p pitch.Pitch) Tone { return Tone{Name: p.String(), MIDI: p.MIDI()} }

// sounding are the parts that have measures.
func (r *reader) sounding() []*part {
	return slices.DeleteFunc(slices.Clone(r.order), func(p *part) bool { return p.Measures == 0 })
}
