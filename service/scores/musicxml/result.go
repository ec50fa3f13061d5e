package musicxml

import (
	"github.com/mirubato/mirubato/service/scores/musicxml/incipit"
	"github.com/mirubato/mirubato/service/scores/musicxml/pitch"
)

// analysis makes the result of what was read.
func (r *reader) analysis() Analysis {
	parts := r.sounding()
	r.tempos = sortTempos(r.tempos)
	a := Analysis{
		Version: r.version, Measures: len(r.bars), Parts: []Part{}, Keys: keysOf(parts), Times: timesOf(parts),
		Tempos: listTempos(r.tempos),
	}
	r.header.fill(&a)
	_, a.TempoSource = initialSpeed(r.tempos)
	lasts := seconds(r.bars, r.tempos)
	play(r.bars, func(i int) {
		a.MeasuresPlayed++
		a.DurationSeconds += lasts[i]
	})
	a.DurationSeconds = round(a.DurationSeconds)
	for _, p := range parts {
		a.Parts = append(a.Parts, p.Part)
		a.Notes += p.Notes
	}
	a.Range = rangeOf(parts)
	a.Difficulty = difficulty(parts, lasts, a.DurationSeconds)
	a.Incipit = r.incipit()
	return a
}

// incipit draws the first measures of the leading part.
func (r *reader) incipit() []byte {
	if r.leading == nil {
		return nil
	}
	e := r.leading.collector.excerpt
	e.Name = r.leading.Name
	if len(r.tempos) > 0 && r.tempos[0].measure <= r.leading.collector.first {
		e.Tempo = r.tempos[0].marking
	}
	return incipit.Draw(e)
}

// keysOf returns the keys of the first part that has some: drums have none, and the others differ by their transposition only.
func keysOf(parts []*part) []Key {
	keys := []Key{}
	for _, p := range parts {
		if len(p.keys) == 0 || p.Range == nil {
			continue
		}
		for i, k := range p.keys {
			if k.usual && k.Mode == "" {
				k.Name, k.Estimated = keyName(k.Fifths, estimateMode(weightsOf(parts, i, len(p.keys)), k.Fifths)), true
			}
			keys = append(keys, k.Key)
		}
		break
	}
	return keys
}

// weightsOf adds what the parts sound in their key of that number; a part with another number of changes is not understood.
func weightsOf(parts []*part, key, keys int) (sum [12]float64) {
	for _, p := range parts {
		if len(p.keys) != keys {
			continue
		}
		for i, w := range p.keys[key].weights {
			sum[i] += w
		}
	}
	return sum
}

func timesOf(parts []*part) []Time {
	for _, p := range parts {
		if len(p.times) > 0 {
			return p.times
		}
	}
	return []Time{}
}

func rangeOf(parts []*part) *Range {
	var lowest, highest *pitch.Pitch
	for _, p := range parts {
		if p.Range == nil {
			continue
		}
		if lowest == nil || p.lowest.MIDI() < lowest.MIDI() {
			lowest = &p.lowest
		}
		if highest == nil || p.highest.MIDI() > highest.MIDI() {
			highest = &p.highest
		}
	}
	if lowest == nil {
		return nil
	}
	return &Range{Lowest: toneOf(*lowest), Highest: toneOf(*highest)}
}
