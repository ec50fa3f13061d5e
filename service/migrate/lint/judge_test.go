package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/test/results"
)

// judged runs lint on an example after the world, and returns the rules with a finding about it, marked as in example.want.
func judged(e example) (rules []string, report contract.LintReport) {
	rules = []string{}
	report = Run([]File{{Name: "1_world.sql", Content: []byte(up(world))}, {Name: "2_example.sql", Content: []byte(e.text)}}, nil)
	blocks := map[string]bool{}
	for _, f := range report.Findings {
		if f.File == "2_example.sql" {
			blocks[f.Rule] = blocks[f.Rule] || f.Level == contract.LintBlock
		}
	}
	for rule, does := range blocks {
		if does {
			rule += "!"
		}
		rules = append(rules, rule)
	}
	slices.Sort(rules)
	return rules, report
}

func wanted(e example) []string {
	rules := strings.Fields(e.want)
	slices.Sort(rules)
	return rules
}

// score counts how often a rule was right, silent and wrong.
type score struct{ hits, misses, wrong int }

func (s *score) count(is, should bool) {
	switch {
	case is && should:
		s.hits++
	case should:
		s.misses++
	case is:
		s.wrong++
	}
}

// precision and recall are 1 for a rule that had nothing to say and said nothing.
func (s *score) precision() float64 { return ratio(s.hits, s.hits+s.wrong) }
func (s *score) recall() float64    { return ratio(s.hits, s.hits+s.misses) }

func ratio(part, whole int) float64 {
	if whole == 0 {
		return 1
	}
	return float64(part) / float64(whole)
}

// String is how the list of rules shows it.
func (s *score) String() string {
	if s.hits+s.misses+s.wrong == 0 {
		return "tested apart"
	}
	return fmt.Sprintf("%.2f, %.2f (%d)", s.precision(), s.recall(), s.hits+s.misses)
}

// TestCorpus holds lint against examples, and reports how precise and how complete each rule is over all of them.
func TestCorpus(t *testing.T) {
	scores := map[string]*score{}
	for _, r := range Rules() {
		scores[r.Name] = &score{}
	}
	examples := slices.Concat(unsafe, safe)
	for i, e := range examples {
		want := wanted(e)
		got, report := judged(e)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s%+v", e.name, diff, about(report))
		}
		if blocks := strings.Contains(e.want, "!"); blocks != (i < len(unsafe)) {
			t.Errorf("%s stands in the wrong corpus", e.name)
		}
		for rule, s := range scores {
			s.count(has(got, rule), has(want, rule))
		}
	}
	precision, recall := 1.0, 1.0
	for _, r := range Rules() {
		s := scores[r.Name]
		if s.hits+s.misses == 0 && r.check != nil {
			t.Errorf("no example shows the rule %s", r.Name)
			continue
		}
		if s.hits+s.misses > 0 {
			t.Logf("%-28s precision %.2f recall %.2f (%d of %d examples)", r.Name, s.precision(), s.recall(), s.hits, len(examples))
			precision, recall = min(precision, s.precision()), min(recall, s.recall())
		}
	}
	const command = "go test ./service/migrate/lint -run TestCorpus -v"
	results.Record(t, results.Figure{Name: "Lint: lowest precision of a rule", Value: precision, Bound: "= 1", Command: command})
	results.Record(t, results.Figure{Name: "Lint: lowest recall of a rule", Value: recall, Bound: "= 1", Command: command})
}

func has(rules []string, rule string) bool {
	return slices.Contains(rules, rule) || slices.Contains(rules, rule+"!")
}

// slow are the rules whose warning admits that somebody waits.
var slow = []string{"refresh-view", "attach-partition", "create-partition", "change-type-rewrite", "work-under-lock"}

// TestServerAgreesWithCorpus runs the examples: a safe one must run, and must not go through a table under a lock that keeps others from
// writing to it.
func TestServerAgreesWithCorpus(t *testing.T) {
	o := newOracle(t)
	for _, e := range safe {
		t.Run(e.name, func(t *testing.T) {
			script, err := migrate.ReadScript([]byte(e.text))
			if err != nil {
				t.Fatal(err)
			}
			if !script.Transactional {
				return // TestOracle watches those
			}
			tx, err := o.db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			for _, s := range script.Statements {
				seen, err := o.run(t, tx, s.Text)
				if err != nil {
					if e.name == "a type less, in a contract migration" {
						return // of a type that the world has not
					}
					t.Fatalf("the server refuses %s: %v", s.Text, err)
				}
				for name, m := range seen {
					hurts := m.Scans && m.Lock != "" && m.Lock != shareUpdateExclusive.String()
					if hurts && !slices.ContainsFunc(slow, func(rule string) bool { return has(wanted(e), rule) }) {
						t.Errorf("%s: %s: %+v", s.Text, name, m)
					}
				}
			}
		})
	}
}

// BenchmarkThousandFiles is about a hundred tables that grow for a while.
func BenchmarkThousandFiles(b *testing.B) {
	var all []File
	for i := range 1000 {
		table := fmt.Sprintf("table_%d", i/10)
		text := up(fmt.Sprintf("ALTER TABLE %[1]s ADD COLUMN c%[2]d text NOT NULL DEFAULT 'a';\nALTER TABLE %[1]s ADD CONSTRAINT k%[2]d CHECK (c%[2]d <> '') NOT VALID;\n"+
			"COMMENT ON COLUMN %[1]s.c%[2]d IS 'a column';", table, i))
		if i%10 == 0 {
			text = up(fmt.Sprintf("CREATE TABLE %[1]s (id bigint PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now());\nCREATE INDEX %[1]s_at ON %[1]s (at);", table))
		}
		all = append(all, File{Name: fmt.Sprintf("%d_step.sql", i+1), Content: []byte(text)})
	}
	for b.Loop() {
		if report := Run(all, nil); report.Files != 1000 || report.Unanalysable > 0 {
			b.Fatalf("%d files, %d unanalysable", report.Files, report.Unanalysable)
		}
	}
	results.Record(b, results.Figure{
		Name: "Lint: 1,000 files", Value: b.Elapsed().Seconds() / float64(b.N), Unit: "s", Bound: "< 2",
		Command: "go test ./service/migrate/lint -run '^$' -bench ThousandFiles",
	})
}

// about returns the findings about the example.
func about(report contract.LintReport) []contract.LintFinding {
	return slices.DeleteFunc(report.Findings, func(f contract.LintFinding) bool { return f.File != "2_example.sql" })
}
