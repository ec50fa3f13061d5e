package musicxml_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/scores/musicxml"
)

// repeat and ending are barlines at the right or the left of a measure.
func repeat(direction string, more ...string) string {
	return `<barline><repeat direction="` + direction + `" ` + strings.Join(more, " ") + `/></barline>`
}

func ending(number, kind string) string {
	return `<barline><ending number="` + number + `" type="` + kind + `"/></barline>`
}

// A measure of 4/4 lasts 2 seconds at the default speed, so that the duration tells how many are played.
func TestMeasuresThatArePlayed(t *testing.T) {
	for name, tc := range map[string]struct {
		measures []string
		want     int
	}{
		"straight on":               {measures: []string{whole, whole, whole}, want: 3},
		"a repeat from the start":   {measures: []string{whole, whole + repeat("backward"), whole}, want: 5},
		"a repeat from a sign":      {measures: []string{whole, repeat("forward") + whole, whole + repeat("backward"), whole}, want: 6},
		"three times":               {measures: []string{whole + repeat("backward", `times="3"`), whole}, want: 4},
		"two repeats, one sign":     {measures: []string{whole + repeat("backward"), whole + repeat("backward")}, want: 4},
		"two endings":               {measures: []string{whole, ending("1", "start") + whole + ending("1", "stop") + repeat("backward"), ending("2", "start") + whole + ending("2", "discontinue"), whole}, want: 5},
		"an ending for two passes":  {measures: []string{whole, ending("1, 2", "start") + whole + ending("1, 2", "stop") + repeat("backward"), ending("3", "start") + whole + ending("3", "stop")}, want: 6},
		"an ending of two measures": {measures: []string{whole, ending("1", "start") + whole, whole + ending("1", "stop") + repeat("backward"), ending("2", "start") + whole + ending("2", "stop")}, want: 5},
		"an ending without its end": {measures: []string{whole, ending("1", "start") + whole + repeat("backward"), whole}, want: 4},
		"after endings, a repeat begins anew": {
			measures: []string{whole, ending("1", "start") + whole + ending("1", "stop") + repeat("backward"), ending("2", "start") + whole + ending("2", "stop"), whole + repeat("backward")}, want: 6,
		},
		"da capo al fine":          {measures: []string{whole, whole + `<sound fine="yes"/>`, whole + `<sound dacapo="yes"/>`}, want: 5},
		"da capo without repeats":  {measures: []string{whole + repeat("backward"), whole + `<sound dacapo="yes"/>`}, want: 5},
		"da capo, the last ending": {measures: []string{whole, ending("1", "start") + whole + ending("1", "stop") + repeat("backward"), ending("2", "start") + whole + ending("2", "stop"), whole + `<sound dacapo="yes"/>`}, want: 8},
		"dal segno al coda":        {measures: []string{whole, `<sound segno="s"/>` + whole, whole + `<sound tocoda="c"/>`, whole + `<sound dalsegno="s"/>`, `<sound coda="c"/>` + whole}, want: 7},
		"a repeat beyond reason":   {measures: []string{whole + repeat("backward", `times="1000000"`)}, want: 16},
		"a measure that is empty":  {measures: []string{whole, "", whole}, want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			tc.measures[0] = common + tc.measures[0]
			a := analyse(t, score(tc.measures...))
			if a.MeasuresPlayed != tc.want || a.DurationSeconds != float64(2*tc.want) {
				t.Errorf("got %d measures in %v s, want %d", a.MeasuresPlayed, a.DurationSeconds, tc.want)
			}
			if a.Measures != len(tc.measures) {
				t.Errorf("got %d measures as written, want %d", a.Measures, len(tc.measures))
			}
		})
	}
}

func metronome(unit, perMinute string) string {
	return `<direction><direction-type><metronome>` + unit + `<per-minute>` + perMinute + `</per-minute></metronome></direction-type></direction>`
}

func words(text string) string {
	return `<direction><direction-type><words>` + text + `</words></direction-type></direction>`
}

func TestTimeByTempo(t *testing.T) {
	half := `<note><pitch><step>C</step><octave>4</octave></pitch><duration>8</duration></note>`
	for name, tc := range map[string]struct {
		measure string
		seconds float64
		source  musicxml.TempoSource
		tempos  []musicxml.Tempo
	}{
		"nothing written":             {measure: whole, seconds: 2, source: musicxml.TempoDefault},
		"a speed for players":         {measure: `<sound tempo="60"/>` + whole, seconds: 4, source: musicxml.TempoWritten, tempos: []musicxml.Tempo{{QuartersPerMinute: 60}}},
		"a metronome":                 {measure: metronome("<beat-unit>quarter</beat-unit>", "80") + whole, seconds: 3, source: musicxml.TempoWritten, tempos: []musicxml.Tempo{{QuartersPerMinute: 80}}},
		"a metronome in halves":       {measure: metronome("<beat-unit>half</beat-unit>", "60") + whole, seconds: 2, source: musicxml.TempoWritten, tempos: []musicxml.Tempo{{QuartersPerMinute: 120}}},
		"in dotted quarters":          {measure: metronome("<beat-unit>quarter</beat-unit><beat-unit-dot/>", "c. 80-90") + whole, seconds: 2, source: musicxml.TempoWritten, tempos: []musicxml.Tempo{{QuartersPerMinute: 120}}},
		"a word":                      {measure: words("Largo e mesto") + whole, seconds: 4.8, source: musicxml.TempoWord, tempos: []musicxml.Tempo{{Marking: "Largo e mesto"}}},
		"a word and a speed":          {measure: words("Largo") + `<sound tempo="60"/>` + whole, seconds: 4, source: musicxml.TempoWritten, tempos: []musicxml.Tempo{{Marking: "Largo", QuartersPerMinute: 60}}},
		"a word of something else":    {measure: words("dolce") + whole, seconds: 2, source: musicxml.TempoDefault},
		"a change in the middle":      {measure: `<sound tempo="60"/>` + half + `<sound tempo="120"/>` + half, seconds: 3, source: musicxml.TempoWritten, tempos: []musicxml.Tempo{{QuartersPerMinute: 60}, {QuartersPerMinute: 120}}},
		"a speed of nothing":          {measure: `<sound tempo="0"/>` + whole, seconds: 2, source: musicxml.TempoDefault},
		"a speed that is none":        {measure: `<sound tempo="NaN"/><sound tempo="Inf"/><sound tempo="-5"/>` + whole, seconds: 2, source: musicxml.TempoDefault},
		"backup does not take longer": {measure: half + `<backup><duration>8</duration></backup>` + half + half, seconds: 2, source: musicxml.TempoDefault},
		"a chord sounds at once":      {measure: whole + strings.Replace(whole, "<pitch>", "<chord/><pitch>", 1), seconds: 2, source: musicxml.TempoDefault},
	} {
		t.Run(name, func(t *testing.T) {
			a := analyse(t, score(common+tc.measure))
			if math.Abs(a.DurationSeconds-tc.seconds) > 0.001 || a.TempoSource != tc.source {
				t.Errorf("got %v s by %s, want %v by %s", a.DurationSeconds, a.TempoSource, tc.seconds, tc.source)
			}
			want := []musicxml.Tempo{}
			for _, tempo := range tc.tempos {
				tempo.Place = musicxml.Place{Measure: 1, Number: "1"}
				want = append(want, tempo)
			}
			if diff := cmp.Diff(want, a.Tempos); diff != "" {
				t.Errorf("tempos (-want +got):\n%s", diff)
			}
		})
	}
}

// sung is a melody in quarters, such as "C4 F#4".
func sung(names string) string {
	var b strings.Builder
	for name := range strings.FieldsSeq(names) {
		alter := strings.Count(name, "#") - strings.Count(name[1:], "b")
		fmt.Fprintf(&b, `<note><pitch><step>%c</step><alter>%d</alter><octave>%c</octave></pitch><duration>4</duration><type>quarter</type></note>`, name[0], alter, name[len(name)-1])
	}
	return b.String()
}

func key(fifths int, mode string) string {
	return fmt.Sprintf(`<attributes><key><fifths>%d</fifths>%s</key></attributes>`, fifths, mode)
}

func TestKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		music string
		want  []musicxml.Key
	}{
		"with its mode":         {music: key(-3, "<mode>minor</mode>") + whole, want: []musicxml.Key{{Fifths: -3, Mode: "minor", Name: "C minor"}}},
		"a mode of old":         {music: key(0, "<mode>dorian</mode>") + whole, want: []musicxml.Key{{Mode: "dorian", Name: "D dorian"}}},
		"without, and major":    {music: key(1, "") + sung("G4 B4 D5 G5 F#5 G5 C5 B4 A4 G4"), want: []musicxml.Key{{Fifths: 1, Name: "G major", Estimated: true}}},
		"without, and minor":    {music: key(0, "") + sung("A4 C5 E5 A5 G#5 A5 E5 D5 C5 B4 A4"), want: []musicxml.Key{{Name: "A minor", Estimated: true}}},
		"a change":              {music: key(0, "<mode>major</mode>") + whole + key(2, "<mode>major</mode>") + whole, want: []musicxml.Key{{Mode: "major", Name: "C major"}, {Fifths: 2, Mode: "major", Name: "D major"}}},
		"said again":            {music: key(2, "<mode>major</mode>") + whole + key(2, "<mode>major</mode>") + whole, want: []musicxml.Key{{Fifths: 2, Mode: "major", Name: "D major"}}},
		"one of nobody's":       {music: `<attributes><key><key-step>F</key-step><key-alter>1</key-alter></key></attributes>` + whole, want: []musicxml.Key{{}}},
		"a number out of reach": {music: key(99, "<mode>major</mode>") + whole, want: []musicxml.Key{{Mode: "major", Name: "C major"}}},
		"none":                  {music: whole, want: []musicxml.Key{}},
	} {
		t.Run(name, func(t *testing.T) {
			a := analyse(t, score(`<attributes><divisions>4</divisions></attributes>`+tc.music))
			for i := range tc.want {
				tc.want[i].Place = musicxml.Place{Measure: 1, Number: "1"}
			}
			if diff := cmp.Diff(tc.want, a.Keys); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTransposingInstrumentsSound(t *testing.T) {
	horn := `<attributes><divisions>4</divisions><key><fifths>1</fifths><mode>major</mode></key><transpose><diatonic>-4</diatonic><chromatic>-7</chromatic></transpose></attributes>`
	a := analyse(t, score(horn+sung("G4 D5")))
	if a.Keys[0].Name != "C major" {
		t.Errorf("a horn in F that reads G major sounds in %s", a.Keys[0].Name)
	}
	want := &musicxml.Range{Lowest: musicxml.Tone{Name: "C4", MIDI: 60}, Highest: musicxml.Tone{Name: "G4", MIDI: 67}}
	if diff := cmp.Diff(want, a.Range); diff != "" {
		t.Errorf("range (-want +got):\n%s", diff)
	}
}

func TestWhatCountsAsANote(t *testing.T) {
	c := `<pitch><step>C</step><octave>4</octave></pitch>`
	for name, tc := range map[string]struct {
		music string
		want  int
	}{
		"a rest does not":             {music: `<note><rest/><duration>4</duration></note>`, want: 0},
		"each note of a chord":        {music: `<note>` + c + `<duration>4</duration></note><note><chord/>` + c + `<duration>4</duration></note>`, want: 2},
		"what is tied once":           {music: `<note>` + c + `<duration>4</duration><tie type="start"/></note><note>` + c + `<duration>4</duration><tie type="stop"/></note>`, want: 1},
		"what is tied by sign only":   {music: `<note>` + c + `<duration>4</duration></note><note>` + c + `<duration>4</duration><notations><tied type="stop"/></notations></note>`, want: 1},
		"an ornament":                 {music: `<note><grace/>` + c + `</note>`, want: 1},
		"what others play does not":   {music: `<note><cue/>` + c + `<duration>4</duration></note>`, want: 0},
		"a drum":                      {music: `<note><unpitched/><duration>4</duration></note>`, want: 1},
		"what is neither does not":    {music: `<note><duration>4</duration></note>`, want: 0},
		"a pitch that is none":        {music: `<note><pitch><step>X</step><octave>4</octave></pitch><duration>4</duration></note>`, want: 0},
		"an octave that is not there": {music: `<note><pitch><step>C</step><octave>99</octave></pitch><duration>4</duration></note>`, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			if a := analyse(t, score(common+tc.music)); a.Notes != tc.want {
				t.Errorf("got %d notes, want %d", a.Notes, tc.want)
			}
		})
	}
}

func TestMeters(t *testing.T) {
	for want, time := range map[string]string{
		"3/4":     `<beats>3</beats><beat-type>4</beat-type>`,
		"3+2/8":   `<beats>3+2</beats><beat-type>8</beat-type>`,
		"2/4+3/8": `<beats>2</beats><beat-type>4</beat-type><beats>3</beats><beat-type>8</beat-type>`,
		"free":    `<senza-misura/>`,
	} {
		a := analyse(t, score(`<attributes><time>`+time+`</time></attributes>`+whole))
		if len(a.Times) != 1 || a.Times[0].Signature != want {
			t.Errorf("got %+v, want %s", a.Times, want)
		}
	}
	if a := analyse(t, score(`<attributes><time><beats>x</beats><beat-type>0</beat-type></time></attributes>`+whole)); len(a.Times) != 0 {
		t.Errorf("nonsense is read as %+v", a.Times)
	}
}

func TestDifficultyGrowsWithWhatIsDifficult(t *testing.T) {
	slow := `<sound tempo="80"/>`
	easy := sung("C4 D4 E4 C4 C4 D4 E4 C4")
	level := func(music string) musicxml.Difficulty { return analyse(t, score(common+music)).Difficulty }
	base := level(slow + easy)
	if base.Grade != musicxml.Beginner || base.Level > 2 {
		t.Errorf("a song for children is %+v", base)
	}
	for name, music := range map[string]string{
		"faster":           `<sound tempo="300"/>` + easy,
		"with leaps":       slow + sung("C4 C6 E3 C5 C4 D6 E4 C3"),
		"with accidentals": slow + sung("C#4 D#4 E4 C#4 C#4 D#4 E4 C#4"),
		"in a hard key":    slow + key(-6, "") + sung("Cb4 Db4 Eb4 Cb4 Cb4 Db4 Eb4 Cb4"),
		"in chords":        slow + strings.Repeat(sung("C4")+strings.ReplaceAll(sung("E4 G4"), "<note>", "<note><chord/>"), 8),
		"with dots":        slow + strings.ReplaceAll(easy, "<type>quarter</type>", "<type>quarter</type><dot/>"),
	} {
		if harder := level(music); harder.Score <= base.Score {
			t.Errorf("%s it is %v, not harder than %v", name, harder.Score, base.Score)
		}
	}
	if none := level(`<note><rest/><duration>16</duration></note>`); none != (musicxml.Difficulty{}) {
		t.Errorf("silence is %+v", none)
	}
}

func TestTextsAreOneLine(t *testing.T) {
	a := analyse(t, scoreOf("<work><work-title>A\u202e\u0085 b\tc"+strings.Repeat("x", 400)+"</work-title></work>", part("P1", whole)))
	if runes := []rune(a.Title); len(runes) != 255 || !strings.HasPrefix(a.Title, "A b cx") || !strings.HasSuffix(a.Title, "x…") {
		t.Errorf("got %d characters: %q", len(runes), a.Title)
	}
}

func TestPlaceholdersAreNoTitles(t *testing.T) {
	a := analyse(t, scoreOf(`<work><work-title>Untitled score</work-title></work><identification><creator type="composer">Composer / arranger</creator></identification>
<credit page="1"><credit-type>title</credit-type><credit-words>The real title</credit-words></credit>`, part("P1", whole)))
	if a.Title != "The real title" || a.Composer != "" {
		t.Errorf("got %q by %q", a.Title, a.Composer)
	}
}

func TestTheIncipitBeginsWithTheMusic(t *testing.T) {
	silent := `<note><rest measure="yes"/><duration>16</duration></note>`
	a := analyse(t, scoreOf("", part("P1", common+silent, silent, whole), part("P2", common+silent, sung("D4 E4 F4 G4"), whole)))
	if svg := string(a.Incipit); !strings.Contains(svg, "<title>First measures: Part P2</title>") || !strings.Contains(svg, "Begins with D 4, E 4, F 4, G 4, C 4.") {
		t.Errorf("got %.400s", svg)
	}
	if a := analyse(t, score(common+silent)); a.Incipit != nil {
		t.Errorf("silence is drawn: %.200s", a.Incipit)
	}
}
