package musicxml_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// counted is what was counted in a file apart from this project; testdata/SOURCES.md says how.
type counted struct {
	Title, Composer string
	Measures        int
	// Played follows from the repeats and endings, by hand.
	Played int
	// Notes, lowest and highest key of each part.
	Parts [][3]int
	// Key is the name at the beginning, as the file says it.
	Key  string
	Time string
	// Keys and Times are how many there are.
	Keys, Times int
	Seconds     float64
}

// own are files in testdata.
var own = map[string]counted{
	// 2/4 at 92 quarters a minute: 47 measures of 2 quarters are 61.3 s.
	"echigo-jishi.mxl": {
		Title: "越後獅子", Measures: 47, Played: 47, Parts: [][3]int{{163, 59, 78}}, Key: "C major", Time: "2/4", Keys: 1, Times: 1, Seconds: 61.304,
	},
	// 52 measures of 3/8 at 120 quarters a minute, since no speed is written: 39 s.
	"bwv-775-capella.xml": {
		Measures: 52, Played: 52, Parts: [][3]int{{451, 36, 82}}, Key: "F major", Time: "3/8", Keys: 1, Times: 1, Seconds: 39,
	},
	// MuseScore has completed six ties of which the other program wrote one end.
	"bwv-775-musescore.mxl": {
		Measures: 52, Played: 52, Parts: [][3]int{{445, 36, 82}}, Key: "F major", Time: "3/8", Keys: 1, Times: 1, Seconds: 39,
	},
}

// fetched are files of the npm package that `make test-corpus` fetches; they may be read but not passed on.
var fetched = map[string]counted{
	"MozartTrio.mxl": {
		Title: "Excerpt from Clarinet Quintet, K. 581", Composer: "Wolfgang Amadeus Mozart", Measures: 19,
		// The first 13 measures, one of them a pick-up, are repeated.
		Played: 32, Parts: [][3]int{{51, 50, 81}, {52, 61, 78}, {36, 56, 73}, {29, 52, 64}, {19, 40, 57}},
		// 2 * (1 + 11*3 + 2) + 1 + 5*3 quarters of half a second; the clarinet in A reads C major.
		Key: "A major", Time: "3/4", Keys: 1, Times: 1, Seconds: 44,
	},
	"Saltarello.mxl": {
		Title: "Saltarello", Composer: "Anonymous", Measures: 22,
		// 8 + 7 with the first endings, 1 between, 10 + 9 with the second ones, 1 at the end; each lasts a second.
		Played: 36, Parts: [][3]int{{112, 55, 67}}, Key: "C major", Time: "6/8", Keys: 1, Times: 1, Seconds: 36,
	},
	"Telemann.mxl": {
		Title: `Excerpt from "Liebe! Liebe! Was ist schöner als die Liebe?"`, Composer: "Georg Philipp Telemann", Measures: 35,
		Played: 35, Parts: [][3]int{{45, 62, 79}, {240, 40, 81}}, Key: "D major", Time: "3/8", Keys: 1, Times: 1,
	},
	"Dichterliebe01.mxl": {
		Title: "Dichterliebe", Composer: "Robert Schumann", Measures: 27,
		Played: 27, Parts: [][3]int{{62, 66, 79}, {297, 40, 80}}, Key: "A major", Time: "2/4", Keys: 1, Times: 1,
	},
	"BeetAnGeSample.mxl": {
		Title: "An die ferne Geliebte (Page 1)", Composer: "Ludwig van Beethoven", Measures: 15,
		Played: 15, Parts: [][3]int{{48, 63, 75}, {214, 32, 82}}, Key: "E flat major", Time: "3/4", Keys: 1, Times: 1,
	},
	"MahlFaGe4Sample.mxl": {
		Title: "Lieder eines fahrenden Gesellen", Composer: "Gustav Mahler", Measures: 11,
		Played: 11, Parts: [][3]int{{54, 64, 79}, {238, 26, 79}}, Key: "G major", Time: "4/4", Keys: 1, Times: 4,
	},
	"DebuMandSample.mxl": {
		Title: "Mandoline (Page 1)", Composer: "Claude Debussy", Measures: 12,
		Played: 12, Parts: [][3]int{{37, 64, 77}, {200, 48, 95}}, Key: "C major", Time: "6/8", Keys: 1, Times: 1,
	},
	"Binchois.mxl": {
		Title: "Excerpt from Magnificat secundi toni", Composer: "Gilles Binchois", Measures: 17,
		Played: 17, Parts: [][3]int{{60, 53, 67}, {96, 45, 60}}, Key: "F major", Time: "3/4", Keys: 1, Times: 1,
	},
}

func TestScoresOfOtherPrograms(t *testing.T) {
	for name, want := range own {
		t.Run(name, func(t *testing.T) { compare(t, filepath.Join("testdata", name), want) })
	}
}

// TestScoresOfTheCorpus needs files that are not in the repository: `make test-corpus` fetches them and sets the variable.
func TestScoresOfTheCorpus(t *testing.T) {
	dir := os.Getenv("MUSICXML_CORPUS")
	if dir == "" {
		t.Skip("MUSICXML_CORPUS names no directory; see make test-corpus")
	}
	for name, want := range fetched {
		t.Run(name, func(t *testing.T) { compare(t, filepath.Join(dir, name), want) })
	}
}

func compare(t *testing.T, path string, want counted) {
	t.Helper()
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the file is missing: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	a := analyse(t, string(content))
	got := counted{
		Title: a.Title, Composer: a.Composer, Measures: a.Measures, Played: a.MeasuresPlayed, Key: a.Keys[0].Name,
		Time: a.Times[0].Signature, Keys: len(a.Keys), Times: len(a.Times), Seconds: want.Seconds,
	}
	if want.Seconds > 0 {
		got.Seconds = a.DurationSeconds
	}
	for _, p := range a.Parts {
		got.Parts = append(got.Parts, [3]int{p.Notes, p.Range.Lowest.MIDI, p.Range.Highest.MIDI})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-counted +read):\n%s", path, diff)
	}
	if len(a.Incipit) == 0 || a.Difficulty.Level == 0 {
		t.Error("there is no incipit or no difficulty")
	}
}
