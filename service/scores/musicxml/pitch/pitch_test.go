package pitch_test

import (
	"testing"

	"github.com/mirubato/mirubato/service/scores/musicxml/pitch"
)

func TestNamesAndHeights(t *testing.T) {
	for name, tc := range map[string]struct {
		p        pitch.Pitch
		midi     int
		diatonic int
	}{
		"C4":  {p: pitch.Pitch{Step: 'C', Octave: 4}, midi: 60, diatonic: 28},
		"A4":  {p: pitch.Pitch{Step: 'A', Octave: 4}, midi: 69, diatonic: 33},
		"Bb3": {p: pitch.Pitch{Step: 'B', Alter: -1, Octave: 3}, midi: 58, diatonic: 27},
		"F#5": {p: pitch.Pitch{Step: 'F', Alter: 1, Octave: 5}, midi: 78, diatonic: 38},
		"Cb4": {p: pitch.Pitch{Step: 'C', Alter: -1, Octave: 4}, midi: 59, diatonic: 28},
		"B#3": {p: pitch.Pitch{Step: 'B', Alter: 1, Octave: 3}, midi: 60, diatonic: 27},
		"A0":  {p: pitch.Pitch{Step: 'A', Octave: 0}, midi: 21, diatonic: 5},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.p.String(); got != name {
				t.Errorf("name: got %s", got)
			}
			if got := tc.p.MIDI(); got != tc.midi {
				t.Errorf("MIDI: got %d, want %d", got, tc.midi)
			}
			if got := tc.p.Diatonic(); got != tc.diatonic {
				t.Errorf("diatonic: got %d, want %d", got, tc.diatonic)
			}
			if !tc.p.Valid() {
				t.Error("not valid")
			}
		})
	}
}

func TestWhatIsNoPitch(t *testing.T) {
	for name, p := range map[string]pitch.Pitch{
		"the zero value":         {},
		"a letter of no note":    {Step: 'H', Octave: 4},
		"more sharps than exist": {Step: 'C', Alter: 4, Octave: 4},
		"an octave out of reach": {Step: 'C', Octave: 100},
	} {
		if p.Valid() {
			t.Errorf("%s is valid", name)
		}
	}
}

func TestTransposition(t *testing.T) {
	for name, tc := range map[string]struct {
		by     pitch.Transposition
		from   pitch.Pitch
		want   string
		fifths int
	}{
		"a clarinet in B flat sounds a tone lower":        {by: pitch.Transposition{Steps: -1, Semitones: -2}, from: pitch.Pitch{Step: 'C', Octave: 4}, want: "Bb3", fifths: -2},
		"a horn in F sounds a fifth lower":                {by: pitch.Transposition{Steps: -4, Semitones: -7}, from: pitch.Pitch{Step: 'G', Octave: 4}, want: "C4", fifths: -1},
		"an alto saxophone sounds a major sixth lower":    {by: pitch.Transposition{Steps: -5, Semitones: -9}, from: pitch.Pitch{Step: 'A', Octave: 4}, want: "C4", fifths: -3},
		"a clarinet in A sounds a minor third lower":      {by: pitch.Transposition{Steps: -2, Semitones: -3}, from: pitch.Pitch{Step: 'C', Octave: 5}, want: "A4", fifths: 3},
		"a double bass sounds an octave lower":            {by: pitch.Transposition{}.Octaves(-1), from: pitch.Pitch{Step: 'E', Octave: 3}, want: "E2"},
		"the steps of a tone down are found":              {by: pitch.Interval(-2), from: pitch.Pitch{Step: 'D', Octave: 4}, want: "C4", fifths: -2},
		"the steps of an octave and a tone down are, too": {by: pitch.Interval(-14), from: pitch.Pitch{Step: 'C', Octave: 5}, want: "Bb3", fifths: -2},
		"what would need three sharps is spelled anew":    {by: pitch.Transposition{Steps: 0, Semitones: 3}, from: pitch.Pitch{Step: 'C', Octave: 4}, want: "D#4", fifths: 21},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.by.Apply(tc.from).String(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if got := tc.by.Fifths(); got != tc.fifths {
				t.Errorf("fifths: got %d, want %d", got, tc.fifths)
			}
		})
	}
}

func TestNamesOfKeys(t *testing.T) {
	major := []string{"C flat", "G flat", "D flat", "A flat", "E flat", "B flat", "F", "C", "G", "D", "A", "E", "B", "F sharp", "C sharp"}
	minor := []string{"A flat", "E flat", "B flat", "F", "C", "G", "D", "A", "E", "B", "F sharp", "C sharp", "G sharp", "D sharp", "A sharp"}
	for i := range major {
		if got, ok := pitch.Key(i-7, false); !ok || got != major[i]+" major" {
			t.Errorf("%d fifths: got %s, want %s major", i-7, got, major[i])
		}
		if got, ok := pitch.Key(i-7, true); !ok || got != minor[i]+" minor" {
			t.Errorf("%d fifths: got %s, want %s minor", i-7, got, minor[i])
		}
	}
	if name, ok := pitch.Key(8, false); ok {
		t.Errorf("eight sharps are a key: %s", name)
	}
}
