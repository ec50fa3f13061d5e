package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxLine is how long a line may be in bytes: the reader of goose takes no longer one.
const maxLine = 4<<20 - 1

// A Script is the Up part of a migration file as it will be applied.
type Script struct {
	Phase Phase
	// Transactional is false for a file that is marked NO TRANSACTION.
	Transactional bool
	// Statements are the texts as they go to the database, each in one message. Several SQL statements on one line are one text.
	Statements []Statement
	// Acknowledged are findings of lint that somebody has accepted for the whole file.
	Acknowledged []Acknowledgement
}

// A Statement is what lies between two ends of statements, or between StatementBegin and StatementEnd.
type Statement struct {
	Text string
	// Line is where Text begins, counted from 1.
	Line int
	// Acknowledged are findings of lint that somebody has accepted for this statement.
	Acknowledged []Acknowledgement
}

// An Acknowledgement is the line '-- mirubato:acknowledge RULE: REASON'.
type Acknowledgement struct {
	Rule   string
	Reason string
	// Line is counted from 1.
	Line int
}

// A LineError is what is wrong with a file, and where.
type LineError struct {
	// Line is counted from 1; it is the last one where something is missing.
	Line  int
	cause error
}

// Error names the line.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.cause) }

// Unwrap returns the error without the line.
func (e *LineError) Unwrap() error { return e.cause }

// ReadScript reads the annotations of a file and cuts it into statements. It does not hold them against the rules of a run; Up does.
// Its error is a *LineError, and the script is then what was read up to there.
func ReadScript(content []byte) (Script, error) {
	p := parser{script: Script{Transactional: true}}
	err := p.read(content)
	if p.script.Phase == "" {
		p.script.Phase = Expand
	}
	if err != nil {
		return p.script, &LineError{Line: max(1, p.at), cause: err}
	}
	return p.script, nil
}

func (p *parser) read(content []byte) error {
	if line, err := checkEncoding(content); err != nil {
		p.at = line
		return err
	}
	for line := range strings.Lines(string(content)) {
		p.at++
		if len(line) > maxLine {
			return errors.New("the line is longer than 4 MiB: break it up, or load such data by other means than a migration")
		}
		if err := p.line(strings.TrimSuffix(strings.TrimRight(line, "\n"), "\r")); err != nil {
			return err
		}
	}
	return p.end()
}

// checkEncoding returns the line of the first byte that PostgreSQL would not take for text, and what it is.
func checkEncoding(content []byte) (line int, err error) {
	for _, mark := range []struct{ bytes, name string }{
		{"\xef\xbb\xbf", "a byte order mark: save it as UTF-8 without one"},
		{"\xff\xfe", "the mark of UTF-16: save it as UTF-8"},
		{"\xfe\xff", "the mark of UTF-16: save it as UTF-8"},
	} {
		if bytes.HasPrefix(content, []byte(mark.bytes)) {
			return 1, errors.New("the file begins with " + mark.name)
		}
	}
	if i := bytes.IndexByte(content, 0); i >= 0 {
		return lineOf(content, i), errors.New("it has a NUL byte, which no text of PostgreSQL may hold: remove it, or save the file as UTF-8 if it is UTF-16")
	}
	if utf8.Valid(content) {
		return 0, nil
	}
	for i := 0; i < len(content); {
		r, size := utf8.DecodeRune(content[i:])
		if r == utf8.RuneError && size == 1 {
			return lineOf(content, i), fmt.Errorf("the byte 0x%02X is not UTF-8: save the file as UTF-8", content[i])
		}
		i += size
	}
	return 0, nil
}

// lineOf returns the line, counted from 1, that holds the byte at offset.
func lineOf(content []byte, offset int) int { return 1 + bytes.Count(content[:offset], []byte("\n")) }

// acknowledgement is how a line begins that says of a finding of lint that it is accepted.
const acknowledgement = "acknowledge"

// withoutAcknowledgements leaves out what changes nothing in the database, so that a finding in a file that has been applied can
// still be acknowledged there: its checksum stays.
func withoutAcknowledgements(content []byte) []byte {
	if !bytes.Contains(content, []byte("mirubato:"+acknowledgement)) {
		return content
	}
	var kept []byte
	for line := range bytes.Lines(content) {
		if match := header.FindSubmatch(bytes.TrimSpace(line)); match == nil || string(match[1]) != acknowledgement {
			kept = append(kept, line...)
		}
	}
	return kept
}
