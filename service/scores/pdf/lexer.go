package pdf

import (
	"bytes"
	"errors"
	"strconv"
)

// The objects of a PDF are nil, bool, float64, name, text, reference, array and dictionary.
type (
	name       string
	text       []byte
	reference  int64
	array      []any
	dictionary map[string]any
)

// maxNesting is how deep objects may be nested in each other.
const maxNesting = 32

// errMore says that the data ends within an object, errSyntax that they are none.
var (
	errMore   = errors.New("the object goes on after the data")
	errSyntax = errors.New("no object")
)

// lexer reads objects from the beginning of data.
type lexer struct {
	data []byte
	at   int
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func isDelimiter(c byte) bool { return bytes.IndexByte([]byte("()<>[]{}/%"), c) >= 0 }

// space passes over white space and comments.
func (l *lexer) space() {
	for ; l.at < len(l.data); l.at++ {
		if c := l.data[l.at]; c == '%' {
			for l.at < len(l.data) && l.data[l.at] != '\n' && l.data[l.at] != '\r' {
				l.at++
			}
			l.at--
		} else if !isSpace(c) {
			return
		}
	}
}

// word reads until the next space or delimiter.
func (l *lexer) word() string {
	from := l.at
	for l.at < len(l.data) && !isSpace(l.data[l.at]) && !isDelimiter(l.data[l.at]) {
		l.at++
	}
	return string(l.data[from:l.at])
}

// keyword passes over a word if it comes next.
func (l *lexer) keyword(word string) bool {
	l.space()
	if !bytes.HasPrefix(l.data[l.at:], []byte(word)) {
		return false
	}
	l.at += len(word)
	return true
}

// integer reads a number that is not negative.
func (l *lexer) integer() (int64, bool) {
	l.space()
	before := l.at
	n, err := strconv.ParseInt(l.word(), 10, 64)
	if err != nil || n < 0 {
		l.at = before
		return 0, false
	}
	return n, true
}

// object reads the next object.
func (l *lexer) object(depth int) (any, error) {
	l.space()
	rest := l.data[l.at:]
	switch {
	case len(rest) < 2:
		return nil, errMore
	case depth > maxNesting:
		return nil, errSyntax
	case rest[0] == '/':
		return l.name()
	case rest[0] == '(':
		return l.literal()
	case rest[0] == '[':
		l.at++
		return l.array(depth)
	case rest[0] == '<' && rest[1] == '<':
		l.at += 2
		return l.dictionary(depth)
	case rest[0] == '<':
		return l.hexadecimal()
	default:
		return l.atom()
	}
}

// atom reads a number, a reference or a word.
func (l *lexer) atom() (any, error) {
	word := l.word()
	if l.at == len(l.data) {
		return nil, errMore
	}
	switch word {
	case "true", "false":
		return word == "true", nil
	case "null":
		return nil, nil //nolint:nilnil // null is an object, and this is it
	}
	number, err := strconv.ParseFloat(word, 64)
	if err != nil || number != number {
		return nil, errSyntax
	}
	if id, err := strconv.ParseInt(word, 10, 64); err == nil && id >= 0 {
		if l.isReference() {
			return reference(id), nil
		}
	}
	return number, nil
}

// isReference passes over the rest of a reference, "0 R", if it comes next.
func (l *lexer) isReference() bool {
	before := l.at
	if _, ok := l.integer(); ok {
		l.space()
		if l.word() == "R" {
			return true
		}
	}
	l.at = before
	return false
}

func (l *lexer) name() (any, error) {
	l.at++
	word := l.word()
	if l.at == len(l.data) {
		return nil, errMore
	}
	return name(word), nil
}

func (l *lexer) array(depth int) (any, error) {
	list := array{}
	for {
		l.space()
		if l.at < len(l.data) && l.data[l.at] == ']' {
			l.at++
			return list, nil
		}
		o, err := l.object(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
}

func (l *lexer) dictionary(depth int) (any, error) {
	d := dictionary{}
	for {
		if l.keyword(">>") {
			return d, nil
		}
		key, err := l.object(depth + 1)
		if err != nil {
			return nil, err
		}
		n, ok := key.(name)
		if !ok {
			return nil, errSyntax
		}
		if d[string(n)], err = l.object(depth + 1); err != nil {
			return nil, err
		}
	}
}

// literal reads a text in brackets.
func (l *lexer) literal() (any, error) {
	out := text{}
	open := 0
	for ; l.at < len(l.data); l.at++ {
		switch c := l.data[l.at]; c {
		case '(':
			if open++; open > 1 {
				out = append(out, c)
			}
		case ')':
			if open--; open == 0 {
				l.at++
				return out, nil
			}
			out = append(out, c)
		case '\\':
			out = l.escape(out)
		default:
			out = append(out, c)
		}
	}
	return nil, errMore
}

// escape reads what follows a backslash, and stays at its last byte.
func (l *lexer) escape(out text) text {
	l.at++
	if l.at >= len(l.data) {
		return out
	}
	c := l.data[l.at]
	if i := bytes.IndexByte([]byte("nrtbf"), c); i >= 0 {
		return append(out, "\n\r\t\b\f"[i])
	}
	if c == '\r' || c == '\n' {
		if c == '\r' && l.at+1 < len(l.data) && l.data[l.at+1] == '\n' {
			l.at++
		}
		return out
	}
	if c < '0' || c > '7' {
		return append(out, c)
	}
	return append(out, l.octal())
}

// octal reads up to three digits, and stays at the last one; high bits are to be ignored.
func (l *lexer) octal() byte {
	code := 0
	end := min(l.at+3, len(l.data))
	for ; l.at < end && l.data[l.at] >= '0' && l.data[l.at] <= '7'; l.at++ {
		code = code*8 + int(l.data[l.at]-'0')
	}
	l.at--
	return byte(code & 0xff)
}

func (l *lexer) hexadecimal() (any, error) {
	end := bytes.IndexByte(l.data[l.at:], '>')
	if end < 0 {
		return nil, errMore
	}
	digits := make([]byte, 0, end)
	for _, c := range l.data[l.at+1 : l.at+end] {
		if !isSpace(c) {
			digits = append(digits, c)
		}
	}
	if len(digits)%2 == 1 {
		digits = append(digits, '0')
	}
	l.at += end + 1
	out := make(text, 0, len(digits)/2)
	for i := 0; i < len(digits); i += 2 {
		b, err := strconv.ParseUint(string(digits[i:i+2]), 16, 8)
		if err != nil {
			return nil, errSyntax
		}
		out = append(out, byte(b))
	}
	return out, nil
}
