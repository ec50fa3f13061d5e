package interchange

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/scores"
)

// kind says what the cells of a column hold.
type kind int

const (
	text kind = iota
	// word is a text that is left out if its cell is empty, since it cannot be cleared.
	word
	number
	// list is a JSON array, or texts separated by semicolons.
	list
	mapping
	// given is told by the service and not heeded by an import.
	given
)

// columns are those of a file, in the order of an export.
var columns = []struct {
	name string
	kind kind
}{
	{"id", word},
	{"title", text},
	{"composer", text},
	{"opus", text},
	{"instrument", text},
	{"difficulty", text},
	{"difficultyLevel", number},
	{"stylePeriod", text},
	{"keySignature", text},
	{"timeSignature", text},
	{"tempoMarking", text},
	{"durationSeconds", number},
	{"description", text},
	{"tags", list},
	{"metadata", mapping},
	{"status", word},
	{"visibility", word},
	{"ownerId", given},
	{"version", given},
	{"createdAt", given},
	{"updatedAt", given},
}

// cellsOf are the cells of a score, in the order of columns.
func cellsOf(s *scores.Score) ([]string, error) {
	tags, err := jsonOf(s.Tags)
	if err != nil {
		return nil, err
	}
	metadata, err := jsonOf(s.Metadata)
	if err != nil {
		return nil, err
	}
	cells := []string{
		s.ID, s.Title, said(s.Composer), said(s.Opus), said(s.Instrument), said(s.Difficulty),
		numeral(s.DifficultyLevel), said(s.StylePeriod), said(s.KeySignature), said(s.TimeSignature), said(s.TempoMarking),
		numeral(s.DurationSeconds), said(s.Description), tags, metadata, string(s.Status), string(s.Visibility),
		s.OwnerID, strconv.FormatInt(s.Version, 10), s.CreatedAt.Format(time.RFC3339Nano), s.UpdatedAt.Format(time.RFC3339Nano),
	}
	for i, cell := range cells {
		cells[i] = guarded(cell)
	}
	return cells, nil
}

func said[T ~string](value *T) string {
	if value == nil {
		return ""
	}
	return string(*value)
}

func numeral(value *int) string {
	if value == nil {
		return ""
	}
	return strconv.Itoa(*value)
}

// jsonOf is the value as JSON without spaces.
func jsonOf(value any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(value)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// formulas are the characters by which spreadsheets tell a formula, in the widths in which they take them, and the apostrophe that
// guards a cell.
const formulas = "=+-@\t\r\n＝＋－＠'"

// guarded keeps a spreadsheet from taking the text of a cell for a formula, which could send what is in the table elsewhere
// (https://owasp.org/www-community/attacks/CSV_Injection). A cell that begins with the guard itself is guarded as well, so that plain can tell.
func guarded(cell string) string {
	if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune(formulas, first) {
		return "'" + cell
	}
	return cell
}

// plain undoes guarded, and leaves alone what it has not made, such as 's Gravenhage.
func plain(cell string) string {
	behind, ok := strings.CutPrefix(cell, "'")
	if !ok {
		return cell
	}
	if first, _ := utf8.DecodeRuneInString(behind); behind != "" && strings.ContainsRune(formulas, first) {
		return behind
	}
	return cell
}

// tableReader reads scores from a CSV file.
type tableReader struct {
	records recordReader
	// heads are indexes of columns, in the order of the file.
	heads []int
}

// newTableReader reads the head of the file. Its fault is Invalid.
func newTableReader(in *bufio.Reader) (*tableReader, error) {
	t := &tableReader{records: recordReader{in: in, delimiter: ',', line: 1}}
	if begin, err := in.Peek(len(byteOrderMark)); err == nil && string(begin) == byteOrderMark {
		_, _ = in.Discard(len(byteOrderMark)) // it was looked at
	}
	// Where the comma stands in numbers, spreadsheets separate cells by something else. No name of a column holds any of them.
	line, err := in.Peek(in.Size())
	if head, _, _ := bytes.Cut(line, []byte{'\n'}); len(head) > 0 && !bytes.ContainsRune(head, ',') {
		if at := bytes.IndexAny(head, ";\t"); at >= 0 {
			t.records.delimiter = head[at]
		}
	} else if len(line) == 0 {
		return nil, badFile("required", "The file is empty; its first line names the columns", err)
	}
	names, _, err := t.records.read()
	switch {
	case errors.Is(err, errLong), errors.Is(err, errQuoting):
		return nil, badFile("malformed", "The first line names the columns, such as id,title,composer", err)
	case err != nil:
		return nil, err
	}
	return t, t.readHeads(names)
}

func badFile(code, message string, err error) error {
	return &fault.Error{
		Code: fault.Invalid, Message: httpapi.InvalidBody, Err: err,
		Details: []fault.Detail{{Code: code, Message: message}},
	}
}

// readHeads finds the columns, and tells of everything that is wrong with their names at once.
func (t *tableReader) readHeads(names []string) error {
	var details []fault.Detail
	seen := map[int]bool{}
	for i, name := range names {
		at := columnOf(strings.TrimSpace(name))
		switch {
		case len(details) == maxDetails:
		case at < 0:
			details = append(details, fault.Detail{Field: fmt.Sprintf("column %d", i+1), Code: "unknown_field", Message: "the first line names the columns, and this is none: " + shortened(name)})
		case seen[at]:
			details = append(details, fault.Detail{Field: columns[at].name, Code: "repeated", Message: "must be given once"})
		}
		seen[at] = true
		t.heads = append(t.heads, at)
	}
	if len(details) > 0 {
		return fault.InvalidInput(httpapi.InvalidBody, details...)
	}
	return nil
}

// maxDetails is how many mistakes in a head are told.
const maxDetails = 10

func columnOf(name string) int {
	for i, c := range columns {
		if strings.EqualFold(c.name, name) {
			return i
		}
	}
	return -1
}

// shortened is what is echoed of a name.
func shortened(name string) string {
	const most = 40
	if !utf8.ValidString(name) {
		return "it is not in UTF-8"
	}
	if len(name) > most {
		return strings.ToValidUTF8(name[:most], "") + "..."
	}
	return strconv.Quote(name)
}

// next implements reader.
func (t *tableReader) next() (entry, error) {
	for {
		cells, line, err := t.records.read()
		switch {
		case errors.Is(err, errLong):
			return tooLong(line), nil
		case errors.Is(err, errQuoting):
			return refused(line, fault.Detail{Code: "malformed", Message: `A cell with a quote in it must stand in quotes, and each quote in it twice: "the ""New World"""`}), nil
		case err != nil:
			return entry{}, err
		case len(cells) == 1 && cells[0] == "" && len(t.heads) > 1:
			continue // an empty line
		case len(cells) != len(t.heads):
			return refused(line, fault.Detail{Code: "columns", Message: fmt.Sprintf("The line has %d cells where the first line names %d columns", len(cells), len(t.heads))}), nil
		}
		for i, cell := range cells {
			if !utf8.ValidString(cell) {
				return refused(line, fault.Detail{Field: columns[t.heads[i]].name, Code: "text", Message: "must be encoded in UTF-8"}), nil
			}
		}
		return newEntry(line, t.object(cells)), nil
	}
}

// object is the record as the line of JSON that says the same, so that one set of rules judges both.
func (t *tableReader) object(cells []string) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, at := range t.heads {
		c, cell := columns[at], plain(cells[i])
		if c.kind == given || c.kind == word && strings.TrimSpace(cell) == "" {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(quoted(c.name) + ":" + valueOf(c.kind, cell))
	}
	b.WriteByte('}')
	return b.Bytes()
}

// valueOf is a cell as JSON.
func valueOf(k kind, cell string) string {
	trimmed := strings.TrimSpace(cell)
	switch {
	case trimmed == "":
		return "null"
	case k == list && trimmed[0] != '[':
		return listOf(cell)
	case k == number && isNumeral(trimmed), (k == list || k == mapping) && json.Valid([]byte(cell)):
		return trimmed
	}
	return quoted(cell) // if it should have been something else, the rules say so
}

// isNumeral reports whether a text is a whole number as JSON writes it.
func isNumeral(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil && json.Valid([]byte(text))
}

// listOf is the JSON of texts that are separated by semicolons.
func listOf(cell string) string {
	var all []string
	for part := range strings.SplitSeq(cell, ";") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, quoted(part))
		}
	}
	return "[" + strings.Join(all, ",") + "]"
}

func quoted(text string) string {
	// A text in UTF-8 can always be written.
	written, _ := json.Marshal(text)
	return string(written)
}
