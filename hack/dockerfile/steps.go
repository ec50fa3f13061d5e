package main

import (
	"bytes"
	"regexp"
	"strings"
)

// steps tells of the lines by which the programs that are started say what they begin with. It is written to by one of them at a time.
type steps struct {
	tell func(format string, args ...any)
	line bytes.Buffer
}

// beginning of a step of buildah, which may say of which stage, and of mmdebstrap.
var beginning = regexp.MustCompile(`^(?:\[\S+\] )?(?:STEP|I:) (.*)$`)

// widest is how much of a line is told.
const widest = 60

func (s *steps) Write(text []byte) (int, error) {
	for _, one := range text {
		if one != '\n' {
			s.line.WriteByte(one)
			continue
		}
		if found := beginning.FindStringSubmatch(s.line.String()); found != nil {
			s.tell("%.*s", widest, strings.Join(strings.Fields(found[1]), " "))
		}
		s.line.Reset()
	}
	return len(text), nil
}
