package interchange

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// The records of a CSV file (RFC 4180). encoding/csv reads and writes them as well, but turns line breaks inside of cells into other ones,
// so that a description would not come back as it was, and it holds a cell of any length in memory.

// byteOrderMark is what spreadsheets tell UTF-8 by.
const byteOrderMark = "\uFEFF"

// writeRecord writes one record.
func writeRecord(out *bufio.Writer, cells []string) error {
	for i, cell := range cells {
		if i > 0 {
			_ = out.WriteByte(',') // the writer keeps its first error
		}
		if !strings.ContainsAny(cell, "\",;\t\r\n") {
			_, _ = out.WriteString(cell)
			continue
		}
		_ = out.WriteByte('"')
		_, _ = out.WriteString(strings.ReplaceAll(cell, `"`, `""`))
		_ = out.WriteByte('"')
	}
	_, err := out.WriteString("\r\n")
	return err
}

var (
	errLong    = errors.New("record too long")
	errQuoting = errors.New("record badly quoted")
)

// recordReader reads records that are separated by one line break of either kind.
type recordReader struct {
	in *bufio.Reader
	// delimiter stands between cells.
	delimiter byte
	// line is that of the next byte, from 1.
	line int

	cells []string
	cell  strings.Builder
	size  int
	wrong error
}

// place is where in a cell a reader is.
type place int

const (
	atStart place = iota
	inPlain
	inQuotes
	behindQuote
)

// read returns the next record and the line that it begins in. errLong and errQuoting concern this record alone; io.EOF means that there
// is none.
func (r *recordReader) read() (cells []string, line int, err error) {
	r.cells, r.size, r.wrong, line = nil, 0, nil, r.line
	r.cell.Reset()
	at := atStart
	for {
		b, err := r.in.ReadByte()
		if errors.Is(err, io.EOF) {
			return r.end(at, line)
		}
		if err != nil {
			return nil, line, err
		}
		if b == '\n' {
			r.line++
		}
		if at != inQuotes && (b == '\n' || b == '\r' && r.isNext('\n')) {
			if b == '\r' {
				_, _ = r.in.Discard(1) // it was looked at
				r.line++
			}
			r.endCell()
			return r.cells, line, r.wrong
		}
		at = r.take(at, b)
	}
}

// take adds a byte, which does not end the record, and returns where the reader then is.
func (r *recordReader) take(at place, b byte) place {
	switch {
	case at == inQuotes && b != '"':
		r.add(b)
		return inQuotes
	case at == inQuotes:
		return behindQuote
	case b == r.delimiter:
		r.endCell()
		return atStart
	case b == '"' && at == atStart:
		return inQuotes
	case b == '"' && at == behindQuote: // two of them are one in the cell
		r.add(b)
		return inQuotes
	case b == '"' || at == behindQuote:
		r.wrong = errQuoting
		return inPlain
	}
	r.add(b)
	return inPlain
}

func (r *recordReader) add(b byte) {
	if r.size++; r.size > maxLine {
		r.wrong = errLong
		return
	}
	_ = r.cell.WriteByte(b)
}

func (r *recordReader) endCell() {
	if r.size++; r.size > maxLine { // so that cells are counted that hold nothing
		r.wrong = errLong
		return
	}
	r.cells = append(r.cells, r.cell.String())
	r.cell.Reset()
}

// end returns what stands behind the last line break.
func (r *recordReader) end(at place, line int) ([]string, int, error) {
	if at == atStart && len(r.cells) == 0 {
		return nil, line, io.EOF
	}
	if at == inQuotes && r.wrong == nil {
		r.wrong = errQuoting
	}
	r.endCell()
	return r.cells, line, r.wrong
}

func (r *recordReader) isNext(b byte) bool {
	next, err := r.in.Peek(1)
	return err == nil && next[0] == b
}
