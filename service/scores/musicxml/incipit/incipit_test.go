package incipit_test

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/service/scores/musicxml/incipit"
	"github.com/mirubato/mirubato/service/scores/musicxml/pitch"
)

// note is a note of a value that begins at a time.
func note(at float64, value int, step byte, octave int, change ...func(*incipit.Event)) incipit.Event {
	e := incipit.Event{Voice: "1", At: at, Value: value, Notes: []incipit.Note{{Pitch: pitch.Pitch{Step: step, Octave: octave}}}}
	for _, c := range change {
		c(&e)
	}
	return e
}

// treble is an excerpt of measures of 4/4 on one staff.
func treble(bars ...[]incipit.Event) incipit.Excerpt {
	e := incipit.Excerpt{Name: "Flute", Staves: []incipit.Staff{{Clef: incipit.Clef{Sign: 'G', Line: 2}}}}
	for i, events := range bars {
		b := incipit.Bar{Length: 4, Events: events}
		if i == 0 {
			b.Meter = &incipit.Meter{Over: "4", Under: "4"}
		}
		e.Bars = append(e.Bars, b)
	}
	return e
}

// document is a picture, taken apart.
type document struct {
	attributes  map[string]string
	title, desc string
	texts       []string
	path        string
	elements    []string
}

// shapes is how many shapes are filled.
func (d document) shapes() int { return strings.Count(d.path, "Z") }

func draw(t *testing.T, e incipit.Excerpt) document {
	t.Helper()
	d := document{attributes: map[string]string{}}
	decoder := xml.NewDecoder(strings.NewReader(string(incipit.Draw(e))))
	var open []string
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			open = append(open, token.Name.Local)
			d.elements = append(d.elements, token.Name.Local)
			for _, a := range token.Attr {
				if token.Name.Local == "svg" {
					d.attributes[a.Name.Local] = a.Value
				}
				if token.Name.Local == "path" && a.Name.Local == "d" {
					d.path = a.Value
				}
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			switch text := string(token); {
			case len(open) == 0:
			case open[len(open)-1] == "title":
				d.title += text
			case open[len(open)-1] == "desc":
				d.desc += text
			case open[len(open)-1] == "text":
				d.texts = append(d.texts, text)
			}
		}
	}
}

func TestAPictureMayStandInAnyPage(t *testing.T) {
	e := treble([]incipit.Event{note(0, 1, 'C', 5)})
	e.Name = `<script>alert("1")</script>`
	e.Tempo = `Allegro & "molto" </text><a href="x">`
	d := draw(t, e)
	for _, element := range d.elements {
		if !slices.Contains([]string{"svg", "title", "desc", "path", "text"}, element) {
			t.Errorf("there is an element <%s>", element)
		}
	}
	if d.attributes["role"] != "img" || d.attributes["fill"] != "currentColor" || d.attributes["viewBox"] == "" {
		t.Errorf("attributes: %v", d.attributes)
	}
	if !strings.Contains(d.title, e.Name) || !slices.Contains(d.texts, e.Tempo) {
		t.Errorf("texts are changed: %q, %q", d.title, d.texts)
	}
	if text := string(incipit.Draw(e)); strings.Contains(text, "<script") || strings.Contains(text, "url(") {
		t.Errorf("not safe: %s", text)
	}
}

func TestThePictureSaysWhatItShows(t *testing.T) {
	e := treble(
		[]incipit.Event{note(0, 4, 'G', 4), note(1, 4, 'B', 4, func(e *incipit.Event) { e.Notes[0].Pitch.Alter = -1 }), {Voice: "1", At: 2, Value: 2, Rest: true}},
		[]incipit.Event{note(0, 1, 'D', 5)},
	)
	e.Staves[0].Fifths = -2
	d := draw(t, e)
	if want := "First measures: Flute"; d.title != want {
		t.Errorf("title: got %q, want %q", d.title, want)
	}
	if want := "2 measures, in 4/4, 2 flats. Begins with G 4, B flat 4, D 5."; d.desc != want {
		t.Errorf("description: got %q, want %q", d.desc, want)
	}
}

// What differs between two pictures is the signs that one has more: each is a known number of shapes.
func TestSignsThatAreDrawn(t *testing.T) {
	plain := func() incipit.Event { return note(0, 4, 'C', 5) }
	with := func(change func(*incipit.Event)) incipit.Event {
		e := plain()
		change(&e)
		return e
	}
	one := draw(t, treble([]incipit.Event{plain()})).shapes()
	for name, tc := range map[string]struct {
		event incipit.Event
		more  int
	}{
		"a half note has a hole":              {event: note(0, 2, 'C', 5), more: 1},
		"a whole note has a hole and no stem": {event: note(0, 1, 'C', 5), more: 0},
		"an eighth has a flag":                {event: note(0, 8, 'C', 5), more: 1},
		"a sixteenth has two":                 {event: note(0, 16, 'C', 5), more: 2},
		"a dot":                               {event: with(func(e *incipit.Event) { e.Dots = 1 }), more: 1},
		"a sharp has four lines":              {event: with(func(e *incipit.Event) { e.Notes[0].Accidental = "sharp" }), more: 4},
		"a flat has two strokes":              {event: with(func(e *incipit.Event) { e.Notes[0].Accidental = "flat" }), more: 2},
		"a natural has four":                  {event: with(func(e *incipit.Event) { e.Notes[0].Accidental = "natural" }), more: 4},
		"middle C has a ledger line":          {event: note(0, 4, 'C', 4), more: 1},
		"the A below it has two":              {event: note(0, 4, 'A', 3), more: 2},
		"the D above it has none":             {event: note(0, 4, 'D', 4), more: 0},
		"the A above the staff has one":       {event: note(0, 4, 'A', 5), more: 1},
		"the G above the staff has none":      {event: note(0, 4, 'G', 5), more: 0},
		"a chord has one stem": {event: with(func(e *incipit.Event) {
			e.Notes = append(e.Notes, incipit.Note{Pitch: pitch.Pitch{Step: 'E', Octave: 5}})
		}), more: 1},
		"a tie":                                   {event: with(func(e *incipit.Event) { e.Notes[0].Tied = true }), more: 1},
		"a rest of a quarter has four strokes":    {event: incipit.Event{Voice: "1", Value: 4, Rest: true}, more: 4 - 2},
		"a rest of a half is a block":             {event: incipit.Event{Voice: "1", Value: 2, Rest: true}, more: 1 - 2},
		"a rest of a sixteenth has two hooks":     {event: incipit.Event{Voice: "1", Value: 16, Rest: true}, more: 5 - 2},
		"what is hidden is not drawn":             {event: with(func(e *incipit.Event) { e.Hidden = true }), more: -2},
		"a slash through the flag of an ornament": {event: note(0, 8, 'C', 5, func(e *incipit.Event) { e.Grace, e.Slash = true, true }), more: 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := draw(t, treble([]incipit.Event{tc.event})).shapes(); got != one+tc.more {
				t.Errorf("got %d shapes more, want %d", got-one, tc.more)
			}
		})
	}
}

func TestKeysHaveAsManySignsAsFifths(t *testing.T) {
	bar := []incipit.Event{note(0, 1, 'C', 5)}
	for _, clef := range []incipit.Clef{{Sign: 'G', Line: 2}, {Sign: 'F', Line: 4}, {Sign: 'C', Line: 3}, {Sign: 'C', Line: 4}} {
		for fifths := -7; fifths <= 7; fifths++ {
			plain, e := treble(bar), treble(bar)
			plain.Staves[0].Clef = clef
			e.Staves[0] = incipit.Staff{Clef: clef, Fifths: fifths}
			none := draw(t, plain).shapes()
			want := max(4*fifths, -2*fifths)
			if got := draw(t, e).shapes() - none; got != want {
				t.Errorf("%d fifths in a clef of %c: got %d shapes, want %d", fifths, clef.Sign, got, want)
			}
		}
	}
}

func TestBeamsTakeThePlaceOfFlags(t *testing.T) {
	beamed := func(at float64, does string) incipit.Event {
		return note(at, 8, 'C', 5, func(e *incipit.Event) { e.Beams = []byte(does) })
	}
	flagged := draw(t, treble([]incipit.Event{note(0, 8, 'C', 5), {Voice: "1", At: 0.5, Value: 8, Rest: true}, note(1, 8, 'C', 5)})).shapes()
	joined := draw(t, treble([]incipit.Event{beamed(0, "b"), {Voice: "1", At: 0.5, Value: 8, Rest: true}, beamed(1, "e")})).shapes()
	if joined != flagged-1 {
		t.Errorf("got %d shapes instead of %d: one beam for two flags", joined, flagged)
	}
}

// A file without any beam leaves them to the reader: eighths are joined by the beat.
func TestBeamsOfAFileWithoutBeams(t *testing.T) {
	alone := draw(t, treble([]incipit.Event{note(0.5, 8, 'C', 5), note(1, 8, 'C', 5)})).shapes()
	joined := draw(t, treble([]incipit.Event{note(0, 8, 'C', 5), note(0.5, 8, 'C', 5)})).shapes()
	if joined != alone-1 {
		t.Errorf("within a beat there are %d shapes, across beats %d: want one beam for two flags", joined, alone)
	}
}

func TestOnlyWhatHasRoomIsDrawn(t *testing.T) {
	var many []incipit.Event
	for i := range 16 {
		many = append(many, note(float64(i)/4, 16, 'C', 5))
	}
	d := draw(t, treble(many, many, many, many, many, many))
	width, err := strconv.ParseFloat(d.attributes["width"], 64)
	if err != nil || width > 1000 {
		t.Errorf("the picture is %s wide", d.attributes["width"])
	}
	if !regexp.MustCompile(`^[1-4] measures?`).MatchString(d.desc) {
		t.Errorf("got %q, want as many measures as have room", d.desc)
	}
}

func TestStavesMakeRoomForNotesBetween(t *testing.T) {
	height := func(octave int) float64 {
		e := treble([]incipit.Event{note(0, 4, 'C', octave)})
		e.Staves = append(e.Staves, incipit.Staff{Clef: incipit.Clef{Sign: 'F', Line: 4}})
		h, err := strconv.ParseFloat(draw(t, e).attributes["height"], 64)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if near, far := height(5), height(3); far <= near {
		t.Errorf("the picture is %v high with a low note and %v without", far, near)
	}
}

func TestNothingIsNotDrawn(t *testing.T) {
	if got := incipit.Draw(incipit.Excerpt{}); got != nil {
		t.Errorf("got %s", got)
	}
}
