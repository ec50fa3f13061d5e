package musicxml

import "math/bits"

// maxTimes is how often a measure may be repeated.
const maxTimes = 16

// bar is a measure of all parts, as far as the order and the time of playing are concerned.
type bar struct {
	number string
	// length is the longest part's, nominal what the time signature says, both in quarters.
	length, nominal float64
	// forward begins a repeat; backward ends one and says how often it is played, 0 if none ends.
	forward  bool
	backward int
	// ending are the passes on which the measure is played, as bits: bit 2 is the second. 0 is all.
	ending                         uint32
	endingStops                    bool
	segno, coda                    bool
	daCapo, dalSegno, toCoda, fine bool
}

// quarters is how long the measure lasts. One that is empty lasts as long as its time signature says.
func (b bar) quarters() float64 {
	if b.length > 0 {
		return b.length
	}
	return b.nominal
}

// walk is the way of a player through the measures.
type walk struct {
	bars []bar
	// precedes and follows say of each measure of an ending that another ending comes before it or after it.
	precedes, follows []bool
	// start is where the present repeat begins, and pass counts how often it has been begun.
	start, pass int
	// jumped is after a da capo or dal segno, which is heeded once: repeats are left out then, and the end and the coda are heeded.
	jumped bool
}

// play calls visit for each measure as often as it is played, in order.
func play(bars []bar, visit func(int)) {
	w := walk{bars: bars, pass: 1}
	w.precedes, w.follows = neighbors(bars)
	for i := 0; i < len(bars); {
		if !w.enters(i) {
			i++
			continue
		}
		visit(i)
		i = w.leave(i)
	}
}

// neighbors finds which endings have another one beside them.
func neighbors(bars []bar) (precedes, follows []bool) {
	precedes, follows = make([]bool, len(bars)), make([]bool, len(bars))
	same := func(i int) bool { return bars[i].ending == bars[i+1].ending && !bars[i].endingStops }
	for i := 1; i < len(bars); i++ {
		precedes[i] = bars[i-1].ending != 0
		if same(i - 1) {
			precedes[i] = precedes[i-1]
		}
	}
	for i := len(bars) - 2; i >= 0; i-- {
		follows[i] = bars[i+1].ending != 0
		if same(i) {
			follows[i] = follows[i+1]
		}
	}
	return precedes, follows
}

// enters says whether the measure is played on this pass, and notes where a repeat begins.
func (w *walk) enters(i int) bool {
	b := w.bars[i]
	if b.ending != 0 {
		if w.jumped {
			return !w.follows[i]
		}
		return b.ending&(1<<w.pass) != 0
	}
	if b.forward && i != w.start {
		w.start, w.pass = i, 1
	}
	return true
}

// leave returns the measure after this one; the number of all measures is the end.
func (w *walk) leave(i int) int {
	b := w.bars[i]
	if w.jumped {
		if b.fine {
			return len(w.bars)
		}
		if b.toCoda {
			return w.find(i+1, func(b bar) bool { return b.coda }, len(w.bars), i+1)
		}
		return i + 1
	}
	if b.backward > 0 {
		if w.pass < w.passesOf(i) {
			w.pass++
			return w.start
		}
		w.start, w.pass = i+1, 1
	} else if b.ending != 0 && (i+1 == len(w.bars) || w.bars[i+1].ending == 0) {
		w.start, w.pass = i+1, 1
	}
	switch {
	case b.daCapo:
		w.jumped = true
		return 0
	case b.dalSegno:
		w.jumped = true
		return w.find(0, func(b bar) bool { return b.segno }, i+1, 0)
	}
	return i + 1
}

// find returns the first measure from one on and before another one that is what is looked for.
func (w *walk) find(from int, is func(bar) bool, before, otherwise int) int {
	for i := from; i < before; i++ {
		if is(w.bars[i]) {
			return i
		}
	}
	return otherwise
}

// passesOf is how often the repeat that the measure ends is played. With an ending it is played once more than the ending's last
// number, whatever the number of times: many programs do not write that.
func (w *walk) passesOf(i int) int {
	b := w.bars[i]
	if b.ending == 0 {
		return b.backward
	}
	last := bits.Len32(b.ending) - 1
	// The last ending of several leads on.
	if w.follows[i] || !w.precedes[i] {
		return min(last+1, maxTimes)
	}
	return last
}
