package interchange

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
)

// maxLine is how many bytes a line, or a record, has at most. No line of an export has a quarter of it.
const maxLine = 1 << 20

// entry is one line of a file: a change of the score with the ID, or of a new one if that is empty, or why it is refused.
type entry struct {
	line    int
	id      string
	change  scores.Change
	details []fault.Detail
}

// reader reads the lines of a file. Those that hold nothing are passed over.
type reader interface {
	// next returns io.EOF at the end, and any other error if the file cannot be read on.
	next() (entry, error)
}

// newReader begins to read. Its faults are Invalid and those of in.
func newReader(format Format, in io.Reader) (reader, error) {
	const size = 16 << 10
	buffered := bufio.NewReaderSize(in, size)
	if format == CSV {
		return newTableReader(buffered)
	}
	return &lineReader{in: buffered}, nil
}

// lineReader reads JSON Lines.
type lineReader struct {
	in   *bufio.Reader
	line int
}

// next implements reader.
func (l *lineReader) next() (entry, error) {
	for {
		text, err := l.read()
		l.line++
		switch {
		case errors.Is(err, errLong):
			return tooLong(l.line), nil
		case err != nil:
			return entry{}, err
		}
		if l.line == 1 {
			text = bytes.TrimPrefix(text, []byte(byteOrderMark))
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			return newEntry(l.line, text), nil
		}
	}
}

// read returns the next line, or errLong when that was passed over.
func (l *lineReader) read() ([]byte, error) {
	var line []byte
	for long := false; ; {
		part, err := l.in.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLine; !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF), errors.Is(err, io.EOF) && len(line) == 0 && !long:
			return nil, err
		case long:
			return nil, errLong
		}
		return line, nil
	}
}

// object is what a line may hold: what a change holds, the ID, and what the service tells of a score, which is not heeded.
type object struct {
	ID *string `json:"id"`
	scores.Change
	OwnerID   json.RawMessage `json:"ownerId"`
	Analysis  json.RawMessage `json:"analysis"`
	Version   json.RawMessage `json:"version"`
	CreatedAt json.RawMessage `json:"createdAt"`
	UpdatedAt json.RawMessage `json:"updatedAt"`
}

// newEntry reads the JSON of a line as strictly as the body of a request.
func newEntry(line int, text []byte) entry {
	read, err := httpapi.DecodeObject[object](text)
	if err != nil {
		return refused(line, detailsOf(err)...)
	}
	e := entry{line: line, change: read.Change}
	if read.ID == nil {
		return e
	}
	id, ok := httpapi.ParseUUID(*read.ID)
	if !ok {
		return refused(line, fault.Detail{Field: "id", Code: "uuid", Message: "must be a UUID, or left out to have one given"})
	}
	e.id = id
	return e
}

func refused(line int, details ...fault.Detail) entry { return entry{line: line, details: details} }

func tooLong(line int) entry {
	return refused(line, fault.Detail{Code: "max", Message: fmt.Sprintf("The line must have at most %d bytes", maxLine)})
}

// detailsOf are those of an Invalid fault, in words that speak of a line and not of the body of a request, and of the fields by the names that they
// have there: encoding/json puts the name of an embedded struct before them.
func detailsOf(err error) []fault.Detail {
	details := fault.Of(err).Details
	for i := range details {
		details[i].Field = strings.TrimPrefix(details[i].Field, "Change.")
		details[i].Message = strings.Replace(details[i].Message, "The body", "The line", 1)
	}
	return details
}
