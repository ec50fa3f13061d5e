package musicxml

import (
	"strconv"
	"strings"
	"unicode"
)

// element is an XML element with all that is in it.
type element struct {
	name string
	// attributes are name and value in turn.
	attributes []string
	// text is what stands in the element itself, trimmed.
	text        string
	first, last *element
	next        *element
}

// child returns the first child of that name, or an element without anything: what is missing reads as empty.
func (e *element) child(name string) *element {
	for c := e.first; c != nil; c = c.next {
		if c.name == name {
			return c
		}
	}
	return &element{}
}

// has says whether there is a child of that name.
func (e *element) has(name string) bool { return e.child(name).name != "" }

// each calls f for each child of that name.
func (e *element) each(name string, f func(*element)) {
	for c := e.first; c != nil; c = c.next {
		if c.name == name {
			f(c)
		}
	}
}

func (e *element) add(c *element) {
	if e.last == nil {
		e.first = c
	} else {
		e.last.next = c
	}
	e.last = c
}

// attribute returns the value of an attribute, empty if it is missing.
func (e *element) attribute(name string) string {
	for i := 0; i+1 < len(e.attributes); i += 2 {
		if e.attributes[i] == name {
			return e.attributes[i+1]
		}
	}
	return ""
}

// integer returns the number that the text is, the other value if it is none or out of bounds.
func (e *element) integer(least, greatest, otherwise int) int {
	n, err := strconv.Atoi(strings.TrimPrefix(e.text, "+"))
	if err != nil || n < least || n > greatest {
		return otherwise
	}
	return n
}

// maxNumber bounds durations, tempos and divisions: beyond it there is no music, and sums could lose their precision.
const maxNumber = 1e6

// decimal reads a number from 0 to maxNumber, 0 if the text is none.
func decimal(text string) float64 {
	// Parsing hexadecimal and exponents would do no harm, but "Inf" and "NaN" must not get through.
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(n >= 0 && n <= maxNumber) {
		return 0
	}
	return n
}

// maxLine is how many characters of a text are kept.
const maxLine = 255

// line makes one line of a text, without control characters and at most maxLine characters long.
func line(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar
	}), " ")
	text = strings.Map(func(r rune) rune {
		// Marks that change the direction of what follows could make a title look like another.
		if unicode.Is(unicode.Cf, r) && r != '\u200d' && r != '\u200c' {
			return -1
		}
		return r
	}, text)
	runes := []rune(text)
	if len(runes) > maxLine {
		text = strings.TrimSpace(string(runes[:maxLine-1])) + "…"
	}
	return text
}
