package migrate

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Phase says on which side of a release a migration belongs.
type Phase string

const (
	// Expand adds: the release before can go on running on the result. It is the phase of a file that names none.
	Expand Phase = "expand"
	// Contract removes what only older releases needed; none of them may be running any more.
	Contract Phase = "contract"
)

// A file is one migration, read and checked.
type file struct {
	version       int64
	name          string
	checksum      string // hex SHA-256 of the content with LF line ends, without acknowledgements
	phase         Phase
	transactional bool
	// index is what the file builds concurrently; nil for every other file.
	index *concurrentIndex
}

// concurrentIndex is the name of an index, and of its table as the file spells it.
type concurrentIndex struct {
	name  string
	table string
}

var fileName = regexp.MustCompile(`^([0-9]+)_.+\.sql$`)

// load reads every migration at the top of files, in the order of versions. All that is wrong with any of them is
// found here, before a database is touched.
func load(files fs.FS) ([]file, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("listing the migrations: %w", err)
	}
	byVersion := map[int64]string{}
	var all []file
	for _, name := range names {
		f, err := readFile(files, name)
		if err != nil {
			return nil, invalid(name, err)
		}
		if other, taken := byVersion[f.version]; taken {
			return nil, invalid(name, fmt.Errorf("%s has the same version %d", other, f.version))
		}
		byVersion[f.version] = name
		all = append(all, f)
	}
	if len(all) == 0 {
		return nil, invalid("", errors.New("there are no migrations: no file is named like 1_create_scores.sql"))
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Compare(a.version, b.version) })
	return all, nil
}

// FileVersion returns the version in the name of a file, without its directory. The error says what is wrong with the name.
func FileVersion(name string) (int64, error) {
	match := fileName.FindStringSubmatch(name)
	if match == nil {
		return 0, errors.New("the name must be a number, an underscore and words, like 7_add_key.sql")
	}
	version, err := strconv.ParseInt(match[1], 10, 64)
	if err != nil || version < 1 {
		return 0, fmt.Errorf("version %s is not between 1 and 9223372036854775807", match[1])
	}
	return version, nil
}

// ChecksumOf returns what is recorded of a file with this content; see Checksum.
func ChecksumOf(content []byte) string {
	sum := sha256.Sum256(withoutAcknowledgements(bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))))
	return hex.EncodeToString(sum[:])
}

func readFile(files fs.FS, name string) (file, error) {
	version, err := FileVersion(name)
	if err != nil {
		return file{}, err
	}
	content, err := fs.ReadFile(files, name)
	if err != nil {
		// The error of a file system names its path, which says nothing to the reader of a report.
		return file{}, errors.New("the file cannot be read")
	}
	f, err := parse(content)
	f.version, f.name, f.checksum = version, name, ChecksumOf(content)
	return f, err
}

// parse reads the annotations and the statements of the Up part, and applies the rules.
func parse(content []byte) (file, error) {
	script, err := ReadScript(content)
	if err != nil {
		return file{}, err
	}
	var all []statement
	for _, part := range script.Statements {
		statements := splitStatements(part.Text)
		if err := check(statements); err != nil {
			return file{}, &LineError{Line: part.Line, cause: err}
		}
		all = append(all, statements...)
		if !script.Transactional && len(all) > 1 {
			return file{}, &LineError{Line: part.Line, cause: errors.New("the file is marked NO TRANSACTION and has more than one statement: " +
				"if the second fails, the first cannot be taken back and the file can never run again; give each a file of its own")}
		}
	}
	return file{phase: script.Phase, transactional: script.Transactional, index: indexOf(all)}, nil
}

// check holds the statements against what a run relies on.
func check(statements []statement) error {
	for _, s := range statements {
		switch {
		case s.is("begin"), s.is("start", "transaction"), s.is("commit"), s.is("end"), s.is("abort"), s.is("prepare", "transaction"),
			s.is("rollback") && !s.is("rollback", "to") && !s.is("rollback", "work", "to") && !s.is("rollback", "transaction", "to"):
			return fmt.Errorf("it has the statement %s: a file runs in a transaction that begins and ends with it", strings.ToUpper(s[0].text))
		case s.is("set") && !s.is("set", "local") && !s.is("set", "constraints"), s.is("reset"), s.is("discard"):
			return fmt.Errorf("it has the statement %s, which outlasts the transaction: use SET LOCAL", strings.ToUpper(s[0].text))
		}
	}
	return nil
}

// indexOf recognises CREATE [UNIQUE] INDEX CONCURRENTLY [IF NOT EXISTS] name ON [ONLY] table as the only statement.
func indexOf(statements []statement) *concurrentIndex {
	if len(statements) != 1 {
		return nil
	}
	s, _ := statements[0].after("create")
	s, _ = s.after("unique")
	s, found := s.after("index", "concurrently")
	if !found {
		return nil
	}
	s, _ = s.after("if", "not", "exists")
	if len(s) == 0 || s.is("on") { // without a name PostgreSQL chooses a new one at every attempt
		return nil
	}
	index := &concurrentIndex{name: s[0].text}
	if s, found = s[1:].after("on"); !found {
		return nil
	}
	s, _ = s.after("only")
	for ; len(s) > 0 && s[0].inName() && !s.is("using"); s = s[1:] {
		index.table += identifier(s[0])
	}
	return index
}

// inName is true for the parts of music."Works".
func (t token) inName() bool { return t.quoted || t.text == "." || isWordByte(t.text[0]) }

func identifier(t token) string {
	if t.quoted {
		return `"` + strings.ReplaceAll(t.text, `"`, `""`) + `"`
	}
	return t.text
}
