package musicxml

import (
	"cmp"
	"slices"
	"strings"
)

// defaultSpeed is that of a score that says nothing, in quarters a minute: what the players of MIDI files take.
const defaultSpeed = 120

// tempoMark is a tempo at a place.
type tempoMark struct {
	measure int
	number  string
	// at is in quarters from the beginning of the measure.
	at float64
	// speed is in quarters a minute, 0 if there is only a word.
	speed   float64
	marking string
}

// words are the speeds of tempo words, in beats a minute, from the middle of what metronomes print beside them. A longer word comes
// before one that it holds.
var words = []struct {
	word  string
	speed float64
}{
	{"prestissimo", 208},
	{"presto", 184},
	{"vivacissimo", 176},
	{"vivace", 160},
	{"allegrissimo", 172},
	{"allegretto", 112},
	{"allegro", 138},
	{"moderato", 108},
	{"andantino", 88},
	{"andante", 80},
	{"adagietto", 72},
	{"adagio", 68},
	{"larghetto", 62},
	{"larghissimo", 24},
	{"largo", 50},
	{"lento", 54},
	{"grave", 40},
	{"sehr schnell", 176},
	{"schnell", 144},
	{"lebhaft", 138},
	{"mäßig", 104},
	{"mässig", 104},
	{"langsam", 60},
	{"vif", 144},
	{"modéré", 104},
	{"lent", 54},
	{"fast", 144},
	{"lively", 138},
	{"moderately", 108},
	{"slowly", 60},
	{"slow", 60},
}

// wordSpeed returns the speed that a marking means, 0 if it is no tempo word.
func wordSpeed(marking string) float64 {
	lower := strings.ToLower(marking)
	for _, w := range words {
		if i := strings.Index(lower, w.word); i == 0 || i > 0 && !isLetter(lower[i-1]) {
			return w.speed
		}
	}
	return 0
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 0x80 }

// tempoWord returns the words of a direction if they are a marking of tempo, and nothing if they are something else, such as
// "dolce". Tempo is not all that stands in words: "cresc." does as well.
func tempoWord(text string) string {
	if len(text) > 64 || wordSpeed(text) == 0 {
		return ""
	}
	return text
}

// sortTempos brings the tempos of all parts into the order of playing and leaves out what another part has said already.
func sortTempos(tempos []tempoMark) []tempoMark {
	slices.SortStableFunc(tempos, func(a, b tempoMark) int {
		return cmp.Or(cmp.Compare(a.measure, b.measure), cmp.Compare(a.at, b.at))
	})
	kept := tempos[:0]
	for _, t := range tempos {
		if last := len(kept) - 1; last >= 0 && kept[last].measure == t.measure && kept[last].at == t.at {
			// A word and a speed at the same place are two halves of one mark.
			kept[last].speed = cmp.Or(kept[last].speed, t.speed)
			kept[last].marking = cmp.Or(kept[last].marking, t.marking)
			continue
		}
		kept = append(kept, t)
	}
	return kept
}

// initialSpeed returns the speed at the beginning of the score and where it is from.
func initialSpeed(tempos []tempoMark) (float64, TempoSource) {
	if len(tempos) == 0 || tempos[0].measure > 0 {
		return defaultSpeed, TempoDefault
	}
	for _, t := range tempos {
		if t.measure == 0 && t.speed > 0 {
			return t.speed, TempoWritten
		}
	}
	return wordSpeed(tempos[0].marking), TempoWord
}

// seconds returns how long each measure lasts once, by the tempo that is written at its place.
func seconds(bars []bar, tempos []tempoMark) []float64 {
	speed, _ := initialSpeed(tempos)
	lasts := make([]float64, len(bars))
	next := 0
	for i, b := range bars {
		at := 0.0
		for ; next < len(tempos) && tempos[next].measure == i; next++ {
			t := tempos[next]
			if to := min(t.at, b.quarters()); to > at {
				lasts[i] += (to - at) * 60 / speed
				at = to
			}
			speed = cmp.Or(t.speed, wordSpeed(t.marking), speed)
		}
		lasts[i] += (b.quarters() - at) * 60 / speed
	}
	return lasts
}

// listTempos returns the changes of tempo as an analysis lists them.
func listTempos(tempos []tempoMark) []Tempo {
	list := []Tempo{}
	for _, t := range tempos {
		entry := Tempo{Place: Place{Measure: t.measure + 1, Number: t.number}, QuartersPerMinute: t.speed, Marking: t.marking}
		if last := len(list) - 1; last >= 0 && list[last].QuartersPerMinute == entry.QuartersPerMinute && list[last].Marking == entry.Marking {
			continue
		}
		if len(list) == maxChanges {
			break
		}
		list = append(list, entry)
	}
	return list
}
