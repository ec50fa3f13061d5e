package musicxml

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// effort is what playing a part takes, as far as it can be counted while reading.
type effort struct {
	// strokes are how often something is struck in each measure, however many notes at once.
	strokes []uint16
	// moments are where in the present measure something is struck.
	moments []moment
	// hands counts strokes on each staff, and notes the notes of them.
	hands, notes int
	// last is the highest note that was struck before, by staff and voice.
	last map[string]int
	// leaps is the sum of distances between one stroke and the next in a voice, in semitones, and moves how many there are.
	leaps, moves int
	// kinds counts notes by their value.
	kinds              map[string]int
	irregular, altered int
}

// moment is a place in a measure, in 1/960 of a quarter, on a staff.
type moment struct{ at, staff int }

const (
	// maxMoments bounds what is remembered of one measure.
	maxMoments = 4096
	// maxKinds and maxVoices bound what a file can make up.
	maxKinds  = 64
	maxVoices = 64
)

func newEffort() effort { return effort{last: map[string]int{}, kinds: map[string]int{}} }

// add counts a note under a written key of so many fifths.
func (e *effort) add(n struck, fifths int) {
	if !n.fresh {
		return
	}
	e.notes++
	if len(e.kinds) < maxKinds || e.kinds[n.kind] > 0 {
		e.kinds[n.kind]++
	}
	if strings.ContainsAny(n.kind, "./") {
		e.irregular++
	}
	if n.pitched && !inKey(n.written.Step, n.written.Alter, fifths) {
		e.altered++
	}
	if !n.grace && len(e.moments) < maxMoments {
		e.moments = append(e.moments, moment{at: int(math.Round(n.at * 960)), staff: n.staff})
	}
	if n.pitched {
		e.move(n)
	}
}

// move counts the way of a voice to a note. Notes of a chord follow each other from the bottom as a rule; the way within a chord is
// no leap of the hand, and so the octave within which a hand lies is not counted.
func (e *effort) move(n struck) {
	voice := strconv.Itoa(n.staff) + " " + n.voice
	before, known := e.last[voice]
	if !known && len(e.last) == maxVoices {
		return
	}
	e.last[strings.Clone(voice)] = n.sounding.MIDI()
	if known {
		e.leaps += max(before-n.sounding.MIDI(), n.sounding.MIDI()-before)
		e.moves++
	}
}

// inKey says whether a note belongs to the key signature.
func inKey(step byte, alter, fifths int) bool {
	const sharps, flats = "FCGDAEB", "BEADGCF"
	wanted := 0
	if i := strings.IndexByte(sharps, step); i < fifths {
		wanted = 1
	}
	if i := strings.IndexByte(flats, step); i < -fifths {
		wanted = -1
	}
	return alter == wanted
}

// leave counts the strokes of the measure that ends.
func (e *effort) leave(measure int) {
	for len(e.strokes) <= measure {
		e.strokes = append(e.strokes, 0)
	}
	slices.SortFunc(e.moments, func(a, b moment) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.staff, b.staff)) })
	e.moments = slices.Compact(e.moments)
	e.hands += len(e.moments)
	at := slices.CompactFunc(e.moments, func(a, b moment) bool { return a.at == b.at })
	e.strokes[measure] = uint16(len(at)) //nolint:gosec // at most maxMoments
	e.moments = e.moments[:0]
}
