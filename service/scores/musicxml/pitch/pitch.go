// Package pitch owns the spelling and the height of notes: names, semitones, transposition and the line of fifths.
package pitch

import (
	"strconv"
	"strings"
)

// Pitch is a note as it is spelled. The zero value is no pitch of music; see Valid.
type Pitch struct {
	// Step is a letter from A to G.
	Step byte
	// Alter is in semitones: 1 is a sharp, -1 a flat. Quarter tones are rounded towards the natural note.
	Alter int
	// Octave 4 begins at middle C.
	Octave int
}

// letters are the steps from C upwards, and semitones their distance from C.
const letters = "CDEFGAB"

var semitones = [...]int{0, 2, 4, 5, 7, 9, 11}

// Valid says whether the pitch can be written down: octaves 0 to 9, as MusicXML has them, and a few beyond for
// transposition; at most three accidentals.
func (p Pitch) Valid() bool {
	return strings.IndexByte(letters, p.Step) >= 0 && p.Step != 0 && p.Alter >= -3 && p.Alter <= 3 && p.Octave >= -3 && p.Octave <= 13
}

// Diatonic is the number of steps above C0; a staff position is a difference of two of them.
func (p Pitch) Diatonic() int { return p.Octave*7 + strings.IndexByte(letters, p.Step) }

// MIDI is the number of the key: middle C is 60.
func (p Pitch) MIDI() int {
	return (p.Octave+1)*12 + semitones[strings.IndexByte(letters, p.Step)] + p.Alter
}

// String is the name in scientific notation, such as "F#4" or "Bb3".
func (p Pitch) String() string {
	mark := strings.Repeat("#", max(p.Alter, 0)) + strings.Repeat("b", max(-p.Alter, 0))
	return string(p.Step) + mark + strconv.Itoa(p.Octave)
}

// Transposition is what leads from the written note to the sounding one.
type Transposition struct {
	// Steps is the diatonic part: the number of letters.
	Steps int
	// Semitones is the chromatic part.
	Semitones int
}

// Interval returns the transposition by semitones whose number of steps is not known: the usual spelling.
func Interval(chromatic int) Transposition {
	usual := [...]int{0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6}
	octaves := floorDiv(chromatic, 12)
	return Transposition{Steps: octaves*7 + usual[chromatic-octaves*12], Semitones: chromatic}
}

// Octaves returns the transposition further by so many octaves.
func (t Transposition) Octaves(n int) Transposition {
	return Transposition{Steps: t.Steps + 7*n, Semitones: t.Semitones + 12*n}
}

// Fifths is how far the transposition moves a key on the line of fifths: up a tone is two sharps more.
func (t Transposition) Fifths() int { return 7*t.Semitones - 12*t.Steps }

// Apply returns the sounding pitch. One that would need more than two accidentals is spelled anew.
func (t Transposition) Apply(p Pitch) Pitch {
	if t == (Transposition{}) {
		return p
	}
	target := p.MIDI() + t.Semitones
	d := p.Diatonic() + t.Steps
	moved := at(d)
	moved.Alter = target - moved.MIDI()
	for moved.Alter > 2 || moved.Alter < -2 {
		if moved.Alter > 0 {
			d++
		} else {
			d--
		}
		moved = at(d)
		moved.Alter = target - moved.MIDI()
	}
	return moved
}

// at returns the natural note so many steps above C0.
func at(diatonic int) Pitch {
	octave := floorDiv(diatonic, 7)
	return Pitch{Step: letters[diatonic-octave*7], Octave: octave}
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Key returns the name of the major or minor key with so many sharps, or flats if negative, and false for a signature of more
// than seven.
func Key(fifths int, minor bool) (string, bool) {
	if fifths < -7 || fifths > 7 {
		return "", false
	}
	const line = "FCGDAEB"
	place, mode := fifths+1, " major"
	if minor {
		place, mode = fifths+4, " minor"
	}
	round := floorDiv(place, 7)
	mark := map[int]string{-2: " double flat", -1: " flat", 0: "", 1: " sharp", 2: " double sharp"}[round]
	return string(line[place-round*7]) + mark + mode, true
}
