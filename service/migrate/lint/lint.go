package lint

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	pgquery "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

// A File is a migration as it lies in its directory.
type File struct {
	// Name is what findings call it; its last element must be a name of a migration, such as 7_add_key.sql.
	Name    string
	Content []byte
}

// MaxFileSize is how long a file may be in bytes. More is not read: so much data does not belong into a migration.
const MaxFileSize = 8 << 20

// Run judges files in the order of their versions. With a catalogue, files that it has as applied are no longer judged, and all others
// are one run: what the first of them makes, nobody uses while the last is applied. Without one (nil), each file is taken for a release of
// its own, and what earlier files made is in use.
//
// The report is the same for the same input. The catalogue is not changed and may be used by several calls at once.
func Run(files []File, known *Catalogue) contract.LintReport {
	r := newRun(known)
	r.files(files)
	slices.SortStableFunc(r.report.Findings, func(a, b contract.LintFinding) int {
		return cmp.Or(cmp.Compare(r.order[a.File], r.order[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(severity[a.Level], severity[b.Level]))
	})
	return r.report
}

// severity puts what blocks first.
var severity = map[contract.LintLevel]int{contract.LintBlock: 0, contract.LintWarn: 1, contract.LintInfo: 2}

// run is one call of Run.
type run struct {
	schema *schema
	known  *Catalogue
	rules  []Rule
	report contract.LintReport
	order  map[string]int // place of a file among the others
	// latest and held are the versions of the last file and of the first contract file that are not applied.
	latest, held numbered
	dropsIndex   map[name]bool
}

type numbered struct {
	version int64
	name    string
}

func newRun(known *Catalogue) *run {
	r := &run{known: known, rules: Rules(), order: map[string]int{}, dropsIndex: map[name]bool{}}
	r.report.Findings = []contract.LintFinding{}
	if known == nil {
		r.schema = newSchema()
	} else {
		r.schema = known.schema.clone()
		r.schema.oneRun = true
	}
	return r
}

func (r *run) files(files []File) {
	sorted := inOrder(files)
	for i, f := range sorted {
		r.order[f.Name] = i
		r.schema.file++
		r.schema.path = r.schema.home
		if r.known != nil && r.known.applied[f.version] && f.version > 0 {
			r.checkApplied(f)
			continue
		}
		r.judge(f)
	}
}

// judge is for one file that has not been applied.
func (r *run) judge(f versioned) {
	r.report.Files++
	if len(f.Content) > MaxFileSize {
		r.checkName(f, migrate.Expand)
		r.unreadable(f.File, errors.New("it is longer than 8 MiB: split it, or load such data by other means than a migration"))
		return
	}
	content, err := migrate.ReadScript(f.Content)
	r.checkName(f, content.Phase)
	if err != nil {
		r.unreadable(f.File, err)
		return
	}
	sc := &script{
		contract: content.Phase == migrate.Contract, transactional: content.Transactional,
		changed: map[*relation]int{}, labels: map[string]bool{}, dropsIndex: r.dropsIndex,
	}
	accepted := newAcceptance(r, f.Name, content.Acknowledged)
	for _, text := range content.Statements {
		accepted.begin(text.Acknowledged)
		r.judgeText(text, sc, accepted)
		accepted.end()
	}
	accepted.finish()
}

// unreadable reports what keeps a whole file from being judged.
func (r *run) unreadable(f File, err error) {
	line := 1
	if at, ok := errors.AsType[*migrate.LineError](err); ok {
		line, err = at.Line, errors.Unwrap(at)
	}
	r.report.Unanalysable++
	r.add(f.Name, place{line, 1}, r.rule(ruleFile).finding(hit{about: err.Error()}, nil))
}

// judgeText is for what goes to the database in one message, which may be several statements.
func (r *run) judgeText(text migrate.Statement, sc *script, accepted *acceptance) {
	at := placer{text: text.Text, line: text.Line}
	tree, err := pgquery.Parse(text.Text)
	if err != nil {
		r.report.Statements++
		r.report.Unanalysable++
		where, reason := syntaxError(text.Text, err)
		accepted.report(at.place(where), r.rule(ruleSyntax).finding(hit{about: reason}, nil), true)
		sc.position++
		return
	}
	for _, raw := range tree.GetStmts() {
		r.report.Statements++
		start := skipBlank(text.Text, int(raw.GetStmtLocation()))
		r.judgeStatement(raw.GetStmt(), text.Text, sc, func(h hit, rule Rule, s *statement) {
			where := int(h.at)
			if where <= start {
				where = start
			}
			accepted.report(at.place(where), rule.finding(h, s), rule.Final)
		})
		sc.position++
	}
}

func (r *run) judgeStatement(n *pgquery.Node, text string, sc *script, found func(hit, Rule, *statement)) {
	s := &statement{node: n, text: text, schema: r.schema, script: sc}
	s.effects = slices.DeleteFunc(r.schema.effectsOf(n), func(e effect) bool { return r.schema.isNew(e.on.made) })
	for _, rule := range r.rules {
		if rule.check == nil || rule.ExpandOnly && sc.contract {
			continue
		}
		for _, h := range rule.check(s) {
			found(h, rule, s)
		}
	}
	r.schema.replay(n)
	sc.remember(s)
}

func (r *run) rule(name string) Rule {
	i := slices.IndexFunc(r.rules, func(rule Rule) bool { return rule.Name == name })
	return r.rules[i]
}

func (r *run) add(file string, at place, f contract.LintFinding) {
	f.File, f.Line, f.Column = file, at.line, at.column
	r.report.Findings = append(r.report.Findings, f)
}

// syntaxError returns the offset at which the grammar gave up, and why in words.
func syntaxError(text string, err error) (offset int, reason string) {
	reason = err.Error()
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, `\`) {
		return strings.IndexByte(text, '\\'), "commands of psql are not SQL"
	}
	if at, ok := errors.AsType[*parser.Error](err); ok && at.Cursorpos > 0 {
		for range at.Cursorpos - 1 {
			_, size := utf8.DecodeRuneInString(text[offset:])
			offset += size
		}
	}
	return offset, reason
}

// place is where something stands in a file, counted from 1; columns count characters.
type place struct{ line, column int }

// placer finds places in the text of a statement.
type placer struct {
	text string
	line int
}

func (p placer) place(offset int) place {
	before := p.text[:min(max(0, offset), len(p.text))]
	begins := strings.LastIndexByte(before, '\n') + 1
	return place{p.line + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[begins:])}
}

// skipBlank returns the offset of the first character that is neither blank nor of a comment.
func skipBlank(text string, from int) int {
	for from < len(text) {
		rest := text[from:]
		switch {
		case rest[0] <= ' ' || rest[0] == ';':
			from++
		case strings.HasPrefix(rest, "--"):
			line, _, _ := strings.Cut(rest, "\n")
			from += len(line)
		case strings.HasPrefix(rest, "/*"):
			from += max(2, strings.Index(rest, "*/")+2)
		default:
			return from
		}
	}
	return from
}

// remember keeps what later statements of the same transaction have to know.
func (sc *script) remember(s *statement) {
	for _, e := range s.effects {
		f := sc.held.add(e.on, e.lock)
		f.scans, f.rewrites = f.scans || e.scans, f.rewrites || e.rewrites
		if s.node.GetAlterTableStmt() != nil {
			sc.changed[e.on]++
		}
	}
	if stmt := s.node.GetAlterEnumStmt(); stmt != nil && stmt.GetNewVal() != "" && stmt.GetOldVal() == "" {
		sc.labels[stmt.GetNewVal()] = true
	}
	if stmt := s.node.GetDropStmt(); stmt != nil && stmt.GetRemoveType() == pgquery.ObjectType_OBJECT_INDEX && stmt.GetMissingOk() {
		for _, n := range stmt.GetObjects() {
			sc.dropsIndex[s.schema.nameOf(words([]*pgquery.Node{n}))] = true
		}
	}
}
