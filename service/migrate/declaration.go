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
	"time"
)

// backfillSuffix marks the files beside the migrations that declare backfills.
const backfillSuffix = ".backfill.sql"

// IsBackfill says whether a file of this name declares a backfill, and so is no migration.
func IsBackfill(name string) bool { return strings.HasSuffix(name, backfillSuffix) }

// Defaults of a declaration.
const (
	defaultBatch     = 1000
	defaultBatchTime = 500 * time.Millisecond
	defaultPause     = 100 * time.Millisecond
	defaultMaxLag    = 10 * time.Second
	defaultMaxWaits  = 5
)

// backfill is a declaration: one statement that is run for a batch of rows after the other, in the order of a unique key.
type backfill struct {
	name     string
	checksum string // as of a migration
	// after is the schema version that must have been applied.
	after int64
	// table and key are what is passed over, as SQL.
	table string
	key   []string
	// batch is how many rows a batch has at most; batchTime is how long one should take at most.
	batch     int
	batchTime time.Duration
	// pause lies between two batches.
	pause time.Duration
	// maxLag and maxWaits are how far a standby may be behind, and how many sessions may wait for locks, before the backfill waits too.
	maxLag   time.Duration
	maxWaits int
	// remaining is a condition that holds for a row that is not done; empty if nobody has said how to tell.
	remaining string
	// statement is what is run, without its semicolon; recursive says that it begins with WITH RECURSIVE, and with that it begins with
	// WITH. What follows those words is body.
	body            string
	with, recursive bool
	// line is where the statement begins.
	line int
}

var backfillName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// loadBackfills reads every declaration at the top of files, in the order in which they run: by the version that they need, then by name.
func loadBackfills(files fs.FS) ([]backfill, error) {
	names, err := fs.Glob(files, "*"+backfillSuffix)
	if err != nil {
		return nil, fmt.Errorf("listing the backfills: %w", err)
	}
	var all []backfill
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, invalid(name, errors.New("the file cannot be read"))
		}
		b, err := parseBackfill(name, bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")))
		if err != nil {
			return nil, invalid(name, err)
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b backfill) int { return cmp.Or(cmp.Compare(a.after, b.after), cmp.Compare(a.name, b.name)) })
	return all, nil
}

func parseBackfill(fileName string, content []byte) (backfill, error) {
	sum := sha256.Sum256(content)
	b := backfill{
		name: strings.TrimSuffix(fileName, backfillSuffix), checksum: hex.EncodeToString(sum[:]), after: -1,
		batch: defaultBatch, batchTime: defaultBatchTime, pause: defaultPause, maxLag: defaultMaxLag, maxWaits: defaultMaxWaits,
	}
	if !backfillName.MatchString(b.name) {
		return b, fmt.Errorf("the name before %s must be of a-z, 0-9 and _, and begin with a letter", backfillSuffix)
	}
	if line, err := checkEncoding(content); err != nil {
		return b, &LineError{Line: line, cause: err}
	}
	var text strings.Builder
	number := 0
	for line := range strings.Lines(string(content)) {
		number++
		trimmed := strings.TrimSpace(line)
		if match := header.FindStringSubmatch(trimmed); match != nil {
			if err := b.set(match[1], match[2]); err != nil {
				return b, &LineError{Line: number, cause: err}
			}
			continue
		}
		if b.line == 0 && trimmed != "" && !strings.HasPrefix(trimmed, "--") {
			b.line = number
		}
		text.WriteString(line)
	}
	if err := b.setStatement(text.String()); err != nil {
		return b, &LineError{Line: max(1, b.line), cause: err}
	}
	return b, b.complete()
}

// set takes one '-- mirubato:KEY VALUE'.
func (b *backfill) set(key, value string) (err error) {
	switch key {
	case "after":
		b.after, err = parseAfter(value)
	case "over":
		b.table, b.key, err = parseOver(value)
	case "batch":
		b.batch, err = between(key, value, 1, 100_000)
	case "max-waits":
		b.maxWaits, err = between(key, value, 1, 10_000)
	case "batch-time":
		b.batchTime, err = duration(key, value, 10*time.Millisecond, time.Minute)
	case "pause":
		b.pause, err = duration(key, value, 0, time.Hour)
	case "max-lag":
		b.maxLag, err = duration(key, value, 100*time.Millisecond, time.Hour)
	case "remaining":
		b.remaining, err = value, checkCondition(value)
	default:
		err = fmt.Errorf("'-- mirubato:%s' is no setting of a backfill: they are after, over, batch, batch-time, pause, max-lag, max-waits and remaining", key)
	}
	return err
}

func parseAfter(value string) (int64, error) {
	version, err := strconv.ParseInt(value, 10, 64)
	if err != nil || version < 1 {
		return 0, fmt.Errorf("'-- mirubato:after' is %q: it must be the version of the migration that the backfill needs", value)
	}
	return version, nil
}

func checkCondition(value string) error {
	if len(splitStatements(value)) != 1 || strings.Contains(value, ";") {
		return errors.New("'-- mirubato:remaining' must be one condition, such as 'sort_title IS NULL'")
	}
	return nil
}

func between(key, value string, least, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("'-- mirubato:%s' is %q: it must be a number between %d and %d", key, value, least, most)
	}
	return n, nil
}

func duration(key, value string, least, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < least || d > most {
		return 0, fmt.Errorf("'-- mirubato:%s' is %q: it must be a duration like 500ms, between %s and %s", key, value, least, most)
	}
	return d, nil
}

// parseOver reads TABLE (COLUMN, COLUMN).
func parseOver(text string) (table string, key []string, err error) {
	problem := fmt.Errorf("'-- mirubato:over' is %q: it must name a table and its unique key, like 'works (id)'", text)
	statements := splitStatements(text)
	if len(statements) != 1 {
		return "", nil, problem
	}
	s := statements[0]
	for ; len(s) > 0 && s[0].inName(); s = s[1:] {
		table += identifier(s[0])
	}
	if table == "" || !s.is("(") || s[len(s)-1] != (token{text: ")"}) {
		return "", nil, problem
	}
	if key = parseKey(s[1 : len(s)-1]); key == nil {
		return "", nil, problem
	}
	return table, key, nil
}

// parseKey reads names with commas between them; it returns nil for anything else.
func parseKey(s statement) (key []string) {
	for i, t := range s {
		comma := t == token{text: ","}
		if comma != (i%2 == 1) || !comma && !t.inName() {
			return nil
		}
		if !comma {
			key = append(key, quoted(t.text))
		}
	}
	if len(s)%2 == 0 {
		return nil
	}
	return key
}

func (b *backfill) setStatement(text string) error {
	statements := splitStatements(text)
	if len(statements) != 1 {
		return fmt.Errorf("it must have one statement, and has %d", len(statements))
	}
	s := statements[0]
	if !s.is("update") && !s.is("insert") && !s.is("delete") && !s.is("select") && !s.is("with") {
		return fmt.Errorf("it has the statement %s: it must be UPDATE, INSERT, DELETE, SELECT or WITH", strings.ToUpper(s[0].text))
	}
	if !slices.Contains(s, token{text: "batch"}) {
		return errors.New("it does not speak of batch, the rows of which it is run for: join with it, like 'FROM batch WHERE works.id = batch.id'")
	}
	rest := trimStart(text)
	b.with = s.is("with")
	b.recursive = s.is("with", "recursive")
	if b.with {
		rest = trimStart(rest[len("with"):])
	}
	if b.recursive {
		rest = rest[len("recursive"):]
	}
	b.body = strings.TrimSuffix(strings.TrimSpace(rest), ";")
	if len(splitStatements(b.body+"\nx")) != 1 { // the semicolon was not the last character
		return errors.New("nothing may come after the semicolon of the statement, not even a comment")
	}
	return nil
}

// trimStart takes blanks and comments off the front.
func trimStart(sql string) string {
	for sql != "" {
		n := skipped(sql)
		if n == 0 {
			break
		}
		sql = sql[n:]
	}
	return sql
}

func (b *backfill) complete() error {
	switch {
	case b.after < 0:
		return errors.New("it needs the line '-- mirubato:after VERSION', which names the migration that it needs")
	case b.table == "":
		return errors.New("it needs the line '-- mirubato:over TABLE (KEY)', which names what it passes over")
	}
	return nil
}

// checkDependencies holds the contract files against the backfills that they wait for.
func checkDependencies(files []file, backfills []backfill) error {
	byName := map[string]backfill{}
	for _, b := range backfills {
		if !slices.ContainsFunc(files, func(f file) bool { return f.version == b.after }) {
			return invalid(b.name+backfillSuffix, fmt.Errorf("it needs version %d, and there is no such migration", b.after))
		}
		byName[b.name] = b
	}
	for _, f := range files {
		for _, name := range f.afterBackfills {
			b, declared := byName[name]
			switch {
			case f.phase != Contract:
				return invalid(f.name, errors.New("'-- mirubato:after-backfill' is for files of phase contract: expand files are applied before any backfill"))
			case !declared:
				return invalid(f.name, fmt.Errorf("it waits for the backfill %s, and there is no file %s%s", name, name, backfillSuffix))
			case b.after >= f.version:
				return invalid(f.name, fmt.Errorf("it waits for the backfill %s, which needs the later version %d", name, b.after))
			}
		}
	}
	return nil
}
