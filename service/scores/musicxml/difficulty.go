package musicxml

import (
	"math"
	"slices"
)

// weights are those of the factors in the score of a difficulty; their sum is 1. The order is that of Factors.
var weights = [...]float64{0.38, 0.12, 0.10, 0.14, 0.12, 0.09, 0.05}

// difficulty judges the part that takes most.
func difficulty(parts []*part, lasts []float64, played float64) Difficulty {
	var hardest Difficulty
	for _, p := range parts {
		if p.Notes == 0 {
			continue
		}
		if d := p.difficulty(lasts, played); d.Level > 0 && (hardest.Level == 0 || d.Score > hardest.Score) {
			hardest = d
		}
	}
	return hardest
}

func (p *part) difficulty(lasts []float64, played float64) Difficulty {
	f := p.effort.factors(lasts)
	if p.Range != nil {
		f.Range = scale(float64(p.Range.Highest.MIDI-p.Range.Lowest.MIDI), 7, 60)
	}
	f.Accidentals = (scale(share(p.effort.altered, p.effort.notes), 0, 0.25) + scale(math.Abs(float64(p.widestKey())), 0, 6)) / 2
	f.Length = scale(played, 30, 600)
	score := 0.0
	for i, factor := range []*float64{&f.Speed, &f.Chords, &f.Leaps, &f.Rhythm, &f.Accidentals, &f.Range, &f.Length} {
		score += weights[i] * *factor
		*factor = round(*factor)
	}
	level := min(10, 1+int(score*10/fullScore))
	return Difficulty{Level: level, Grade: gradeOf(level), Part: p.ID, Score: round(score), Factors: f}
}

// fullScore is the score that no piece for one player exceeds by much: a study that is hard in every way at once does not exist.
const fullScore = 0.8

func gradeOf(level int) Grade {
	switch {
	case level <= 3:
		return Beginner
	case level <= 7:
		return Intermediate
	default:
		return Advanced
	}
}

// factors are those that follow from strokes; lasts is the length of each measure in seconds.
func (e *effort) factors(lasts []float64) Factors {
	var rates []float64
	var strokes, time float64
	for i, n := range e.strokes {
		if n > 0 && lasts[i] > 0 {
			rates = append(rates, float64(n)/lasts[i])
			strokes += float64(n)
			time += lasts[i]
		}
	}
	f := Factors{
		Chords: scale(share(e.notes, e.hands), 1, 3),
		Leaps:  scale(share(e.leaps, e.moves), 1.5, 8),
		Rhythm: (scale(float64(len(e.kinds)), 1, 9) + scale(share(e.irregular, e.notes), 0, 0.5)) / 2,
	}
	if time > 0 {
		slices.Sort(rates)
		f.Speed = (scale(strokes/time, 0.8, 10) + scale(rates[len(rates)*9/10], 0.8, 12)) / 2
	}
	return f
}

// widestKey is the number of accidentals of the signature that has most.
func (p *part) widestKey() int {
	widest := 0
	for _, k := range p.keys {
		if k.Fifths < 0 {
			widest = max(widest, -k.Fifths)
		}
		widest = max(widest, k.Fifths)
	}
	return widest
}

// scale maps least to 0 and greatest to 1.
func scale(value, least, greatest float64) float64 {
	return min(max((value-least)/(greatest-least), 0), 1)
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func round(value float64) float64 { return math.Round(value*1000) / 1000 }
