package musicxml

// Analysis is what a file says of its music, and what follows from that. Texts are one line each, of at most 255 characters.
// Lists of changes hold at most 256 entries, the first ones.
type Analysis struct {
	// Title is the title of the work, or else that of the movement; empty if the file names neither.
	Title string `json:"title,omitempty"`
	// Movement is the title of the movement, if the work has a title of its own.
	Movement string `json:"movement,omitempty"`
	// Opus is the number of the work as written, such as "Op. 36".
	Opus     string `json:"opus,omitempty"`
	Composer string `json:"composer,omitempty"`
	Lyricist string `json:"lyricist,omitempty"`
	Arranger string `json:"arranger,omitempty"`
	// Rights is the copyright notice.
	Rights string `json:"rights,omitempty"`
	// Software is what wrote the file.
	Software string `json:"software,omitempty"`
	// Version is that of MusicXML, "1.0" if the file does not say.
	Version string `json:"version"`
	// Measures is the number of measures of the longest part as they stand in the file, a pick-up included.
	Measures int `json:"measures"`
	// MeasuresPlayed counts measures as often as they are played.
	MeasuresPlayed int    `json:"measuresPlayed"`
	Parts          []Part `json:"parts"`
	// Keys are the sounding key at the beginning and each change of it.
	Keys []Key `json:"keys"`
	// Times are the time signature at the beginning and each change of it.
	Times []Time `json:"times"`
	// Tempos are the tempo at the beginning, if it is written, and each change of it.
	Tempos []Tempo `json:"tempos"`
	// TempoSource says where the tempo of the beginning is from.
	TempoSource TempoSource `json:"tempoSource"`
	// Notes is the sum over the parts.
	Notes int `json:"notes"`
	// Range is that of all parts together; nil without notes of a pitch.
	Range *Range `json:"range,omitempty"`
	// DurationSeconds is the playing time with repeats, endings and jumps.
	DurationSeconds float64    `json:"durationSeconds"`
	Difficulty      Difficulty `json:"difficulty"`
	// Incipit is the first measures as an SVG document, empty if there is nothing to draw. It holds no script and refers to nothing
	// outside of itself; it is drawn in the color of the text around it.
	Incipit []byte `json:"-"`
}

// Part is one player's music.
type Part struct {
	// ID is what the file calls the part.
	ID string `json:"id"`
	// Name is what a reader of the score sees, such as "Clarinet in A".
	Name        string       `json:"name,omitempty"`
	Instruments []Instrument `json:"instruments"`
	// Staves is the greatest number of staves that the part is written on, 2 for a piano.
	Staves   int `json:"staves"`
	Measures int `json:"measures"`
	// Notes counts what is struck, blown or sung anew: each note of a chord, grace notes as well; no rests, no cue notes, and a note
	// with what is tied to it once.
	Notes int `json:"notes"`
	// Range is of sounding pitches; nil without notes of a pitch.
	Range *Range `json:"range,omitempty"`
}

// Instrument is one sound of a part.
type Instrument struct {
	Name string `json:"name,omitempty"`
	// Sound is an ID of MusicXML's list of standard sounds, such as "keyboard.piano".
	Sound string `json:"sound,omitempty"`
	// Program is that of General MIDI, from 1 to 128; 0 if the file does not say.
	Program int `json:"program,omitempty"`
}

// Range is the lowest and the highest pitch, as they sound.
type Range struct {
	Lowest  Tone `json:"lowest"`
	Highest Tone `json:"highest"`
}

// Tone is a sounding pitch.
type Tone struct {
	// Name is in scientific notation: "C4" is middle C, "F#5" and "Bb3" are altered.
	Name string `json:"name"`
	// MIDI is the number of the key, 60 for middle C.
	MIDI int `json:"midi"`
}

// Place is where something changes.
type Place struct {
	// Measure counts from 1, in the order of the file.
	Measure int `json:"measure"`
	// Number is what the file calls the measure, such as "12" or "X1".
	Number string `json:"number"`
}

// Key is a key signature, as it sounds: those of transposing instruments are brought to concert pitch.
type Key struct {
	Place
	// Fifths is the number of sharps, of flats if negative.
	Fifths int `json:"fifths"`
	// Mode is as in the file, such as "major" or "dorian"; empty if the file does not say.
	Mode string `json:"mode,omitempty"`
	// Name is such as "E flat major". It is empty for a signature that is none of the usual ones.
	Name string `json:"name,omitempty"`
	// Estimated says that the file gives no mode and the name follows from the notes.
	Estimated bool `json:"estimated,omitempty"`
}

// Time is a time signature.
type Time struct {
	Place
	// Signature is such as "4/4", "3+2/8" or "2/4+3/8"; "free" without a meter.
	Signature string `json:"signature"`
	// Symbol is "common" or "cut" where the signature is written so.
	Symbol string `json:"symbol,omitempty"`
}

// Tempo is a tempo from its place on.
type Tempo struct {
	Place
	// QuartersPerMinute is the speed, whatever the unit of the mark; 0 for a word alone.
	QuartersPerMinute float64 `json:"quartersPerMinute,omitempty"`
	// Marking is the word that stands there, such as "Allegro"; empty if there is none.
	Marking string `json:"marking,omitempty"`
}

// TempoSource says how the speed of the beginning was found.
type TempoSource string

// The sources.
const (
	// TempoWritten: the file has a speed.
	TempoWritten TempoSource = "written"
	// TempoWord: the file has a word of which musicians know what speed it means.
	TempoWord TempoSource = "word"
	// TempoDefault: the file has neither, and 120 quarters a minute are taken.
	TempoDefault TempoSource = "default"
)

// Grade is a coarse difficulty.
type Grade string

// The grades.
const (
	// Beginner is the levels 1 to 3.
	Beginner Grade = "beginner"
	// Intermediate is the levels 4 to 7.
	Intermediate Grade = "intermediate"
	// Advanced is the levels 8 to 10.
	Advanced Grade = "advanced"
)

// Difficulty is an estimate for the most difficult part. Its formula is in docs/music.md.
type Difficulty struct {
	// Level is from 1, the easiest, to 10; 0 without notes.
	Level int `json:"level"`
	// Grade is empty without notes.
	Grade Grade `json:"grade,omitempty"`
	// Part is the ID of the part that was judged.
	Part string `json:"part,omitempty"`
	// Score is what the level is rounded from, from 0 to 1: the weighted mean of the factors.
	Score   float64 `json:"score"`
	Factors Factors `json:"factors"`
}

// Factors are each from 0, as easy as can be, to 1.
type Factors struct {
	// Speed is how quickly strokes follow each other.
	Speed float64 `json:"speed"`
	// Chords is how many notes are struck at once.
	Chords float64 `json:"chords"`
	// Leaps is how far the hand moves from one stroke to the next.
	Leaps float64 `json:"leaps"`
	// Rhythm is how many different values there are, and how many are tuplets or dotted.
	Rhythm float64 `json:"rhythm"`
	// Accidentals is how many notes are outside of the key, and how many sharps or flats it has.
	Accidentals float64 `json:"accidentals"`
	// Range is the distance from the lowest to the highest note.
	Range float64 `json:"range"`
	// Length is the playing time.
	Length float64 `json:"length"`
}
