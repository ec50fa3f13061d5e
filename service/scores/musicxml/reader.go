package musicxml

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mirubato/mirubato/service/scores/refusal"
)

const (
	// maxMeasures is how many measures a part may have.
	maxMeasures = 100_000
	// maxParts is how many parts a score may have.
	maxParts = 500
	// maxCells is how many measures all parts may have together.
	maxCells = 4_000_000
	// maxTempos is how many changes of tempo there may be.
	maxTempos = 100_000
	// maxChanges is how many changes an analysis lists.
	maxChanges = 256
)

// reader gathers what a score says, from its beginning to its end.
type reader struct {
	scanner *scanner
	header  header
	version string
	parts   map[string]*part
	order   []*part
	// bars are the measures of all parts together: the parts are played at once.
	bars   []bar
	tempos []tempoMark
	cells  int
	// leading is the part whose first measures are the incipit, nil until there is one.
	leading *part
	// part, measure and number are where the reader is; part is nil outside of parts, and number is empty outside of measures.
	part    *part
	measure int
	number  string
}

func newReader(text io.Reader) *reader {
	r := &reader{parts: map[string]*part{}, measure: -1}
	r.scanner = newScanner(text, r.where)
	return r
}

// where names the present measure for messages.
func (r *reader) where() string {
	if r.number == "" {
		return ""
	}
	if r.part == nil {
		return "measure " + r.number
	}
	if r.part.Name != "" && r.part.Name != r.part.ID {
		return fmt.Sprintf("measure %s of part %s (%s)", r.number, r.part.ID, r.part.Name)
	}
	return fmt.Sprintf("measure %s of part %s", r.number, r.part.ID)
}

func (r *reader) read() error {
	root, _, err := r.scanner.next()
	if err != nil {
		return err
	}
	if r.version = line(attributeOf(root, "version")); r.version == "" {
		r.version = "1.0"
	}
	switch name := root.Name.Local; name {
	case "score-partwise":
		err = r.within(r.partwise)
	case "score-timewise":
		err = r.within(r.timewise)
	case "opus":
		return refusal.New(refusal.Unsupported, "The file is a MusicXML opus, a list of scores in other files; upload the scores")
	case "museScore":
		return refusal.New(refusal.WrongType, "The file is a MuseScore document; export it as MusicXML")
	default:
		return refusal.New(refusal.WrongType, "The file is XML but no MusicXML")
	}
	if err != nil {
		return err
	}
	return r.rest()
}

// rest makes sure that nothing but comments follows the score.
func (r *reader) rest() error {
	_, _, err := r.scanner.next()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// within calls f for each child of the element that began, until that ends. f reads the child to its end.
func (r *reader) within(f func(xml.StartElement) error) error {
	for {
		token, begins, err := r.scanner.next()
		if err != nil {
			return r.scanner.inside(err)
		}
		if !begins {
			return nil
		}
		if err := f(token); err != nil {
			return err
		}
	}
}

func (r *reader) partwise(child xml.StartElement) error {
	if child.Name.Local != "part" {
		return r.heading(child)
	}
	if err := r.enterPart(child); err != nil {
		return err
	}
	r.measure = -1
	err := r.within(func(child xml.StartElement) error {
		if child.Name.Local != "measure" {
			return r.scanner.skip()
		}
		return r.readMeasure(child, func() error { return r.within(r.music) })
	})
	if err == nil {
		r.part = nil
	}
	return err
}

func (r *reader) timewise(child xml.StartElement) error {
	if child.Name.Local != "measure" {
		return r.heading(child)
	}
	return r.readMeasure(child, func() error {
		return r.within(func(child xml.StartElement) error {
			if child.Name.Local != "part" {
				return r.scanner.skip()
			}
			if err := r.enterPart(child); err != nil {
				return err
			}
			if err := r.readPartOfMeasure(); err != nil {
				return err
			}
			r.part = nil
			return nil
		})
	})
}

// readMeasure reads one measure, in a part or of all parts.
func (r *reader) readMeasure(start xml.StartElement, content func() error) error {
	r.measure++
	if r.number = line(attributeOf(start, "number")); r.number == "" {
		r.number = fmt.Sprint(r.measure + 1)
	}
	if r.measure >= maxMeasures {
		return refusal.New(refusal.TooLarge, "The score has more than %d measures", maxMeasures)
	}
	if r.measure == len(r.bars) {
		r.bars = append(r.bars, bar{number: strings.Clone(r.number)})
	}
	if r.part != nil {
		if err := r.enterMeasure(); err != nil {
			return err
		}
	}
	if err := content(); err != nil {
		return err
	}
	if r.part != nil {
		r.leaveMeasure()
	}
	r.number = ""
	return nil
}

func (r *reader) readPartOfMeasure() error {
	if err := r.enterMeasure(); err != nil {
		return err
	}
	if err := r.within(r.music); err != nil {
		return err
	}
	r.leaveMeasure()
	return nil
}

// enterPart makes the part the present one; a part that the list of parts has not named is added to it.
func (r *reader) enterPart(start xml.StartElement) error {
	id := line(attributeOf(start, "id"))
	if p, ok := r.parts[id]; ok {
		r.part = p
		return nil
	}
	return r.addPart(id)
}

func (r *reader) addPart(id string) error {
	if len(r.order) == maxParts {
		return refusal.New(refusal.TooLarge, "The score has more than %d parts", maxParts)
	}
	r.part = newPart(id)
	r.parts[id] = r.part
	r.order = append(r.order, r.part)
	return nil
}

func attributeOf(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
