package musicxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/mirubato/mirubato/service/scores/refusal"
)

const (
	// maxToken is the largest tag, text, comment or declaration: encoding/xml holds it in memory.
	maxToken = 1 << 20
	// maxDepth is how deep elements may be nested. MusicXML itself needs about a dozen.
	maxDepth = 64
	// maxElements is how many elements may be in a note, a direction or a list of credits.
	maxElements = 10_000
	// maxAttributes is how many bytes the attributes of one of those may have together.
	maxAttributes = 4 << 20
	// maxText is how many bytes of the text of an element are kept.
	maxText = 4 << 10
)

// errToken ends the reading of a token that is too long.
var errToken = errors.New("token too long")

// scanner reads the elements of an XML document one after the other. It checks what the raw tokens of encoding/xml leave
// unchecked: that tags match, that there is one root, and that no part of it is too large.
type scanner struct {
	limit   *limited
	decoder *xml.Decoder
	// open are the names of the elements that began and did not end.
	open []string
	// rooted says that the root has begun.
	rooted bool
	// where names the measure that the reader is in, for messages; it is empty outside of measures.
	where func() string
	// room holds the elements of the last call of element.
	room []element
	// attributes is the number of bytes of theirs.
	attributes int
}

func newScanner(r io.Reader, where func() string) *scanner {
	limit := &limited{r: r}
	decoder := xml.NewDecoder(limit)
	// The text is UTF-8 by now, whatever its declaration says.
	decoder.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	return &scanner{limit: limit, decoder: decoder, where: where}
}

// next returns the next beginning or end of an element and its name; beginnings come with the attributes. It returns io.EOF after
// the end of the root.
func (s *scanner) next() (xml.StartElement, bool, error) {
	for {
		token, err := s.token()
		if err != nil {
			return xml.StartElement{}, false, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return t, true, s.begin(t.Name.Local)
		case xml.EndElement:
			return xml.StartElement{Name: t.Name}, false, s.end(t.Name.Local)
		}
	}
}

// token returns the next token, of which a declaration is checked.
func (s *scanner) token() (xml.Token, error) {
	s.limit.token = 0
	token, err := s.decoder.RawToken()
	if err != nil {
		return nil, s.failure(err)
	}
	if d, ok := token.(xml.Directive); ok {
		return token, s.checkDirective(string(d))
	}
	return token, nil
}

// checkDirective lets the document type of MusicXML pass, which is read by nobody, and no declarations of entities.
func (s *scanner) checkDirective(text string) error {
	if s.rooted || !strings.HasPrefix(text, "DOCTYPE") || strings.ContainsAny(text, "[]") || strings.Contains(text, "ENTITY") {
		return refusal.New(refusal.Forbidden, "The file declares XML entities or a document type of its own, which no music needs")
	}
	return nil
}

func (s *scanner) begin(name string) error {
	if len(s.open) == 0 && s.rooted {
		return refusal.New(refusal.Malformed, "The file has something after its end")
	}
	if len(s.open) == maxDepth {
		return refusal.New(refusal.Forbidden, "The file nests elements more than %d deep%s", maxDepth, s.in())
	}
	s.rooted = true
	s.open = append(s.open, name)
	return nil
}

func (s *scanner) end(name string) error {
	last := len(s.open) - 1
	if last < 0 || s.open[last] != name {
		return refusal.New(refusal.Malformed, "The file closes an element that is not open%s", s.in())
	}
	s.open = s.open[:last]
	return nil
}

// failure says what an error of the decoder means.
func (s *scanner) failure(err error) error {
	var refused *refusal.Error
	var syntax *xml.SyntaxError
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, errToken):
		return refusal.New(refusal.TooLarge, "The file has a tag or a text of more than %d MiB%s", maxToken>>20, s.in()).Because(err)
	case errors.Is(err, io.EOF) && s.rooted && len(s.open) == 0:
		return io.EOF
	case s.limit.ended && s.rooted:
		return s.truncated(err)
	case errors.Is(err, io.EOF), s.limit.ended:
		return refusal.New(refusal.WrongType, "The file is no MusicXML").Because(err)
	case errors.As(err, &syntax) && s.rooted:
		return refusal.New(refusal.Malformed, "The file is no well-formed XML in line %d%s", syntax.Line, s.in()).Because(err)
	case errors.As(err, &syntax):
		return refusal.New(refusal.WrongType, "The file is no MusicXML: it is no XML at all").Because(err)
	default:
		return refusal.New(refusal.Malformed, "The file is no XML that can be read%s", s.in()).Because(err)
	}
}

// skip passes over what is in the element that began.
func (s *scanner) skip() error {
	for depth := len(s.open); len(s.open) >= depth; {
		if _, _, err := s.next(); err != nil {
			return s.inside(err)
		}
	}
	return nil
}

// element returns the element that began with all that is in it. It is gone with the next call.
func (s *scanner) element(start xml.StartElement) (*element, error) {
	s.room = s.room[:0]
	s.attributes = 0
	root := s.newElement(start)
	path := []*element{root}
	for len(path) > 0 {
		token, err := s.token()
		if err != nil {
			return nil, s.inside(err)
		}
		top := path[len(path)-1]
		switch t := token.(type) {
		case xml.StartElement:
			if err := s.begin(t.Name.Local); err != nil {
				return nil, err
			}
			if len(s.room) == maxElements || s.attributes > maxAttributes {
				return nil, refusal.New(refusal.TooLarge, "The file has an element <%s> with too much in it%s", root.name, s.in())
			}
			c := s.newElement(t)
			top.add(c)
			path = append(path, c)
		case xml.EndElement:
			if err := s.end(t.Name.Local); err != nil {
				return nil, err
			}
			path = path[:len(path)-1]
		case xml.CharData:
			addText(top, t)
		}
	}
	return root, nil
}

// inside is the error of an element that is not closed: the end of the document is an end in the middle there.
func (s *scanner) inside(err error) error {
	if errors.Is(err, io.EOF) {
		return s.truncated(err)
	}
	return err
}

func (s *scanner) truncated(err error) error {
	if where := s.where(); where != "" {
		return refusal.New(refusal.Truncated, "The file ends in the middle of %s", where).Because(err)
	}
	return refusal.New(refusal.Truncated, "The file ends too early").Because(err)
}

// in is what a message says of the place, with the space before it.
func (s *scanner) in() string {
	if where := s.where(); where != "" {
		return " in " + where
	}
	return ""
}

func (s *scanner) newElement(start xml.StartElement) *element {
	if cap(s.room) == 0 {
		s.room = make([]element, 0, maxElements)
	}
	s.room = append(s.room, element{name: start.Name.Local})
	e := &s.room[len(s.room)-1]
	for _, a := range start.Attr {
		e.attributes = append(e.attributes, a.Name.Local, a.Value)
		s.attributes += len(a.Value)
	}
	return e
}

func addText(e *element, data []byte) {
	data = bytes.TrimSpace(data)
	room := maxText - len(e.text)
	if len(data) == 0 || room <= 1 {
		return
	}
	text := string(data[:min(len(data), room-1)])
	if e.text == "" {
		e.text = text
		return
	}
	e.text += " " + text
}
