package incipit

import (
	"fmt"
	"strings"

	"github.com/mirubato/mirubato/service/scores/musicxml/pitch"
)

func (s *system) title() string {
	if s.excerpt.Name == "" {
		return "First measures"
	}
	return "First measures: " + s.excerpt.Name
}

// describe says in words what the picture shows: measures, meter, key and the first notes.
func (s *system) describe() string {
	parts := []string{fmt.Sprintf("%d measures", s.bars)}
	if s.bars == 1 {
		parts[0] = "1 measure"
	}
	if m := s.excerpt.Bars[0].Meter; m != nil {
		parts = append(parts, "in "+m.Over+"/"+m.Under)
	}
	if n := s.excerpt.Staves[0].Fifths; n > 0 {
		parts = append(parts, plural(n, "sharp"))
	} else if n < 0 {
		parts = append(parts, plural(-n, "flat"))
	}
	if s.excerpt.Tempo != "" {
		parts = append(parts, s.excerpt.Tempo)
	}
	text := strings.Join(parts, ", ")
	if notes := s.firstNotes(); notes != "" {
		text += ". Begins with " + notes
	}
	return text + "."
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// firstNotes names the first notes of the highest voice.
func (s *system) firstNotes() string {
	const most = 8
	var names []string
	voice := ""
	for _, e := range s.sounding {
		if e.Staff != 0 || e.Hidden || e.Rest || len(e.notes) == 0 || voice != "" && e.Voice != voice {
			continue
		}
		voice = e.Voice
		top := e.notes[len(e.notes)-1]
		if top.Cross || len(names) == most {
			break
		}
		names = append(names, spoken(top.Pitch))
	}
	return strings.Join(names, ", ")
}

// spoken is a name that screen readers read well.
func spoken(p pitch.Pitch) string {
	mark := map[int]string{-2: " double flat", -1: " flat", 1: " sharp", 2: " double sharp"}[p.Alter]
	return fmt.Sprintf("%c%s %d", p.Step, mark, p.Octave)
}
