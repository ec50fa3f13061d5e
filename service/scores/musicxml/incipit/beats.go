package incipit

import "fmt"

// beamByBeats gives beams to an excerpt of a file that has none: some programs leave them to the reader.
func beamByBeats(bars []Bar) {
	for _, b := range bars {
		for _, e := range b.Events {
			if len(e.Beams) > 0 {
				return
			}
		}
	}
	beat := 1.0
	for i := range bars {
		if m := bars[i].Meter; m != nil {
			beat = beatOf(*m)
		}
		beamBar(&bars[i], beat)
	}
}

// beatOf is the time in quarters that a beam may span: a dotted quarter in 6/8, 9/8 and 12/8, a measure in 3/8.
func beatOf(m Meter) float64 {
	if m.Under == "8" && (m.Over == "3" || m.Over == "6" || m.Over == "9" || m.Over == "12") {
		return 1.5
	}
	return 1
}

// beamBar joins neighbors of a voice within a beat.
func beamBar(b *Bar, beat float64) {
	runs := map[string][]*Event{}
	for i := range b.Events {
		e := &b.Events[i]
		if e.Clef != nil || e.Grace {
			continue
		}
		voice := fmt.Sprint(e.Staff, " ", e.Voice)
		run := runs[voice]
		joins := !e.Rest && !e.Hidden && e.Value >= 8
		if len(run) > 0 && (!joins || int(run[0].At/beat+1e-6) != int(e.At/beat+1e-6)) {
			beamRun(run)
			run = nil
		}
		if joins {
			run = append(run, e)
		}
		runs[voice] = run
	}
	for _, run := range runs {
		beamRun(run)
	}
}

// beamRun gives each note of a run its beams: as many as it has hooks, joined with a neighbor that has as many.
func beamRun(run []*Event) {
	if len(run) < 2 {
		return
	}
	hooks := func(i int) int {
		if i < 0 || i >= len(run) {
			return 0
		}
		return hooksOf(run[i].Value)
	}
	for i, e := range run {
		e.Beams = make([]byte, min(hooks(i), 6))
		for level := range e.Beams {
			before, after := hooks(i-1) > level, hooks(i+1) > level
			switch {
			case before && after:
				e.Beams[level] = 'c'
			case after:
				e.Beams[level] = 'b'
			case before:
				e.Beams[level] = 'e'
			case i == 0:
				e.Beams[level] = 'f'
			default:
				e.Beams[level] = 'k'
			}
		}
	}
}
