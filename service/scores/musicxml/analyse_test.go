package musicxml_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/scores/musicxml"
	"github.com/mirubato/mirubato/service/scores/refusal"
)

// analyse reads a file that must be read.
func analyse(t *testing.T, file string) musicxml.Analysis {
	t.Helper()
	a, err := musicxml.Analyse(t.Context(), strings.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// score is a partwise score with one part, of which the measures are given.
func score(measures ...string) string {
	return scoreOf("", part("P1", measures...))
}

// scoreOf is a score of parts with something before the list of parts.
func scoreOf(header string, parts ...string) string {
	var list strings.Builder
	for i := range parts {
		id := "P" + string(rune('1'+i))
		list.WriteString(`<score-part id="` + id + `"><part-name>Part ` + id + `</part-name></score-part>`)
	}
	return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">
<score-partwise version="4.0">` + header + `<part-list>` + list.String() + `</part-list>` + strings.Join(parts, "") + `</score-partwise>`
}

func part(id string, measures ...string) string {
	var b strings.Builder
	b.WriteString(`<part id="` + id + `">`)
	for i, m := range measures {
		b.WriteString(`<measure number="` + string(rune('1'+i)) + `">` + m + `</measure>`)
	}
	b.WriteString(`</part>`)
	return b.String()
}

const (
	// common is 4/4 without accidentals, in which a quarter has 4 divisions.
	common = `<attributes><divisions>4</divisions><key><fifths>0</fifths><mode>major</mode></key><time><beats>4</beats><beat-type>4</beat-type></time></attributes>`
	// whole is a measure of it.
	whole = `<note><pitch><step>C</step><octave>4</octave></pitch><duration>16</duration><voice>1</voice><type>whole</type></note>`
)

func TestAScoreOfOneNote(t *testing.T) {
	a := analyse(t, scoreOf(
		`<work><work-number>Op. 1</work-number><work-title> A  first
 piece </work-title></work><movement-title>Slow</movement-title>
<identification><creator type="composer">Anna Example</creator><creator type="lyricist">Somebody</creator><rights>Public domain</rights>
<encoding><software>Pen and paper 1</software></encoding></identification>`,
		part("P1", common+whole)))
	tone := musicxml.Tone{Name: "C4", MIDI: 60}
	first := musicxml.Place{Measure: 1, Number: "1"}
	want := musicxml.Analysis{
		Title: "A first piece", Movement: "Slow", Opus: "Op. 1", Composer: "Anna Example", Lyricist: "Somebody", Rights: "Public domain",
		Software: "Pen and paper 1", Version: "4.0", Measures: 1, MeasuresPlayed: 1,
		Parts: []musicxml.Part{{
			ID: "P1", Name: "Part P1", Instruments: []musicxml.Instrument{}, Staves: 1, Measures: 1, Notes: 1,
			Range: &musicxml.Range{Lowest: tone, Highest: tone},
		}},
		Keys:   []musicxml.Key{{Place: first, Mode: "major", Name: "C major"}},
		Times:  []musicxml.Time{{Place: first, Signature: "4/4"}},
		Tempos: []musicxml.Tempo{}, TempoSource: musicxml.TempoDefault,
		Notes: 1, Range: &musicxml.Range{Lowest: tone, Highest: tone}, DurationSeconds: 2,
		Difficulty: musicxml.Difficulty{Level: 1, Grade: musicxml.Beginner, Part: "P1"},
	}
	a.Incipit = nil
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("analysis (-want +got):\n%s", diff)
	}
}

func TestTimewiseIsReadLikePartwise(t *testing.T) {
	partwise := scoreOf("", part("P1", common+whole, whole), part("P2", common+whole, whole))
	timewise := strings.ReplaceAll(partwise[:strings.Index(partwise, "<part id")], "partwise", "timewise") +
		`<measure number="1"><part id="P1">` + common + whole + `</part><part id="P2">` + common + whole + `</part></measure>` +
		`<measure number="2"><part id="P1">` + whole + `</part><part id="P2">` + whole + `</part></measure></score-timewise>`
	if diff := cmp.Diff(analyse(t, partwise), analyse(t, timewise)); diff != "" {
		t.Errorf("timewise beside partwise (-partwise +timewise):\n%s", diff)
	}
}

func TestWhatIsRefused(t *testing.T) {
	good := score(common+whole, whole)
	for name, tc := range map[string]struct {
		file    string
		reason  refusal.Reason
		message string
	}{
		"nothing":                    {file: "", reason: refusal.Empty, message: "The file is empty"},
		"white space":                {file: "  \n", reason: refusal.WrongType, message: "The file is no MusicXML"},
		"a PDF under another name":   {file: "%PDF-1.7\n", reason: refusal.WrongType, message: "The file is no MusicXML but a PDF"},
		"plain text":                 {file: "do re mi", reason: refusal.WrongType, message: "The file is no MusicXML"},
		"another kind of XML":        {file: "<html><body/></html>", reason: refusal.WrongType, message: "The file is XML but no MusicXML"},
		"a MuseScore document":       {file: `<museScore version="4.0"></museScore>`, reason: refusal.WrongType, message: "The file is a MuseScore document; export it as MusicXML"},
		"a list of scores":           {file: `<opus/>`, reason: refusal.Unsupported, message: "The file is a MusicXML opus, a list of scores in other files; upload the scores"},
		"an end within a measure":    {file: good[:strings.LastIndex(good, "<voice>")], reason: refusal.Truncated, message: "The file ends in the middle of measure 2 of part P1 (Part P1)"},
		"an end within a tag":        {file: good[:strings.LastIndex(good, "<voice>")+3], reason: refusal.Truncated, message: "The file ends in the middle of measure 2 of part P1 (Part P1)"},
		"an end between measures":    {file: good[:strings.LastIndex(good, "</part>")], reason: refusal.Truncated, message: "The file ends too early"},
		"an end within the head":     {file: good[:strings.Index(good, "<part-list>")+5], reason: refusal.Truncated, message: "The file ends too early"},
		"tags that do not match":     {file: strings.Replace(good, "</note>", "</nota>", 1), reason: refusal.Malformed, message: "The file closes an element that is not open in measure 1 of part P1 (Part P1)"},
		"a second root":              {file: good + "<score-partwise/>", reason: refusal.Malformed, message: "The file has something after its end"},
		"a score without music":      {file: scoreOf(""), reason: refusal.Malformed, message: "The file has no measure in it"},
		"an encoding of nobody's":    {file: `<?xml version="1.0" encoding="EBCDIC-1"?><score-partwise/>`, reason: refusal.Unsupported, message: `The file is encoded as "EBCDIC-1", which is not read; save it as UTF-8`},
		"entities":                   {file: strings.Replace(good, `<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">`, `<!DOCTYPE score-partwise [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>`, 1), reason: refusal.Forbidden, message: "The file declares XML entities or a document type of its own, which no music needs"},
		"an entity from outside":     {file: `<!DOCTYPE score-partwise [<!ENTITY a SYSTEM "file:///etc/passwd">]><score-partwise>&a;</score-partwise>`, reason: refusal.Forbidden, message: "The file declares XML entities or a document type of its own, which no music needs"},
		"a document type in the end": {file: good + `<!DOCTYPE x>`, reason: refusal.Forbidden, message: "The file declares XML entities or a document type of its own, which no music needs"},
		"an entity of nobody's":      {file: strings.Replace(good, "<voice>1", "<voice>&lol;", 1), reason: refusal.Malformed, message: "The file is no well-formed XML in line 3 in measure 1 of part P1 (Part P1)"},
		"deep nesting":               {file: strings.Replace(good, "<voice>", strings.Repeat("<x>", 1000), 1), reason: refusal.Forbidden, message: "The file nests elements more than 64 deep in measure 1 of part P1 (Part P1)"},
		"a note with too much in it": {file: strings.Replace(good, "<voice>", strings.Repeat("<x/>", 20_000)+"<voice>", 1), reason: refusal.TooLarge, message: "The file has an element <note> with too much in it in measure 1 of part P1 (Part P1)"},
		"a tag without an end":       {file: strings.Replace(good, "<voice>", `<voice a="`+strings.Repeat("x", 2<<20), 1), reason: refusal.TooLarge, message: "The file has a tag or a text of more than 1 MiB in measure 1 of part P1 (Part P1)"},
		"a text without an end":      {file: strings.Replace(good, "<voice>", `<voice>`+strings.Repeat("x", 2<<20), 1), reason: refusal.TooLarge, message: "The file has a tag or a text of more than 1 MiB in measure 1 of part P1 (Part P1)"},
		"too many measures":          {file: score(common + whole + strings.Repeat(`</measure><measure>`, 100_001)), reason: refusal.TooLarge, message: "The score has more than 100000 measures"},
		"bytes of no encoding":       {file: strings.Replace(good, "Part P1", "Part \xff", 1), reason: refusal.Malformed, message: "The file is no well-formed XML in line 3"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := musicxml.Analyse(t.Context(), strings.NewReader(tc.file), int64(len(tc.file)))
			var refused *refusal.Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v and %+v, want a refusal", err, a)
			}
			if refused.Reason != tc.reason || refused.Message != tc.message {
				t.Errorf("got %s: %s\nwant %s: %s", refused.Reason, refused.Message, tc.reason, tc.message)
			}
		})
	}
}

// failing is storage that fails after some bytes.
type failing struct {
	*bytes.Reader
	after int64
	err   error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.after {
		return 0, f.err
	}
	return f.Reader.ReadAt(p, off)
}

func TestFailingStorageIsNoFaultOfTheFile(t *testing.T) {
	away := errors.New("the storage is away")
	file := []byte(score(common + strings.Repeat(whole, 2000)))
	for name, after := range map[string]int64{"at once": 0, "in the middle": 100_000} {
		t.Run(name, func(t *testing.T) {
			_, err := musicxml.Analyse(t.Context(), failing{Reader: bytes.NewReader(file), after: after, err: away}, int64(len(file)))
			var refused *refusal.Error
			if !errors.Is(err, away) || errors.As(err, &refused) {
				t.Errorf("got %v, want the error of the storage", err)
			}
		})
	}
}

func TestAnalysisEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := score(common + whole)
	if _, err := musicxml.Analyse(ctx, strings.NewReader(file), int64(len(file))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}
