// Package incipit owns the picture of the first measures of a score: what is in an excerpt, where it stands on the page, and the
// shapes of the signs, as an SVG document. It draws what it is given and knows nothing of files. The shapes are drawn here, as strokes
// of a pen and outlines; they are of no font.
package incipit

import "github.com/mirubato/mirubato/service/scores/musicxml/pitch"

// Excerpt is what to draw: the first measures of one part.
type Excerpt struct {
	// Name says for whoever does not see the picture whose music it is, such as "Piano".
	Name string
	// Tempo is written above the first measure, if there is one.
	Tempo string
	// Staves are from top to bottom, at least one, as they are at the beginning.
	Staves []Staff
	Bars   []Bar
}

// Staff is one staff at the beginning.
type Staff struct {
	Clef Clef
	// Fifths is the number of sharps of the key signature, of flats if negative.
	Fifths int
}

// Clef is a clef.
type Clef struct {
	// Sign is 'G', 'F', 'C', or 'P' for percussion.
	Sign byte
	// Line is that on which the clef stands, counted from the bottom, 1 to 5.
	Line int
	// Octaves is how many octaves higher than written it is read: -1 is the clef of tenors.
	Octaves int
}

// Meter is a time signature; without a number none is drawn.
type Meter struct {
	// Over and Under are the numbers as written.
	Over, Under string
	// Symbol is "common" or "cut" instead of numbers.
	Symbol string
}

// Bar is a measure.
type Bar struct {
	// Meter is drawn at the beginning if it is not nil.
	Meter *Meter
	// Fifths is a change of key at the beginning, nil if there is none.
	Fifths *int
	// Forward is a repeat sign at the beginning.
	Forward bool
	// End is what closes the measure.
	End BarLine
	// Length is in quarters.
	Length float64
	// Events are in the order of the file.
	Events []Event
	// Cut says that events were left out at the end.
	Cut bool
}

// BarLine is a kind of line.
type BarLine int

// The lines.
const (
	Regular BarLine = iota
	Double
	Final
	Backward
)

// Event is a note, a chord, a rest, or a change of clef.
type Event struct {
	// Staff counts from 0, the top one.
	Staff int
	Voice string
	// At is in quarters from the beginning of the measure.
	At float64
	// Value is 1 for a whole note, 2 for a half, 4 for a quarter and so on; 0 for a double whole note.
	Value int
	Dots  int
	Rest  bool
	// WholeBar is a rest for the whole measure, drawn in its middle.
	WholeBar bool
	// Hidden takes place but is not drawn.
	Hidden bool
	// Grace is an ornament before the next note; Slash strikes its flag through.
	Grace, Slash bool
	Notes        []Note
	// Stem is 1 for up, -1 for down and 0 for what is usual.
	Stem int
	// Beams say for each beam, the one of eighths first, what it does: 'b'egin, 'c'ontinue, 'e'nd, 'f'orward or 'k' for a backward hook.
	Beams []byte
	// Tuplet is the number over a group, on its first note; TupletEnd is its last note.
	Tuplet    int
	Bracket   bool
	TupletEnd bool
	// Clef is a change of clef instead of a note.
	Clef *Clef
}

// Note is one head of a chord.
type Note struct {
	Pitch pitch.Pitch
	// Accidental is "sharp", "flat", "natural", "double-sharp" or "flat-flat"; empty for none.
	Accidental string
	// Tied says that a tie begins at the note.
	Tied bool
	// Cross is a head that is an x, of percussion.
	Cross bool
}
