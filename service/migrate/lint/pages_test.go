package lint

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
)

// update writes what the tests hold pages against.
var update = flag.Bool("update", false, "write the parts of docs/lint that follow from the rules")

const pages = "../../../docs/lint"

// TestPages holds the page of each rule against the rule and against what TestOracle holds against the server.
func TestPages(t *testing.T) {
	shown := statementsByRule()
	for _, r := range Rules() {
		t.Run(r.Name, func(t *testing.T) {
			text := checkPart(t, r.Name+".md", "rule", head(r))
			checkPart(t, r.Name+".md", "measured", measuredTable(shown[r.Name]))
			for _, part := range []string{"# " + r.Name + "\n", "\n## Why\n", "\n## The safe way\n"} {
				if !strings.Contains(text, part) {
					t.Errorf("the page lacks %q", part)
				}
			}
		})
	}
	checkPart(t, "README.md", "rules", ruleTable())
	files, err := filepath.Glob(filepath.Join(pages, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(Rules())+1 {
		t.Errorf("%d pages for %d rules and the list of them", len(files), len(Rules()))
	}
}

// checkPart compares what stands between two marks, and returns the whole page.
func checkPart(t *testing.T, page, part, want string) string {
	t.Helper()
	path := filepath.Join(pages, page)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	begin, end := "<!-- "+part+": begin -->\n", "<!-- "+part+": end -->"
	before, rest, found := strings.Cut(text, begin)
	got, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no part %s", page, part)
	}
	if *update {
		text = before + begin + want + end + after
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return text
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is not what the rules say; go test ./service/migrate/lint -run TestPages -update mends it (-want +got):\n%s", page, diff)
	}
	return text
}

func head(r Rule) string {
	text := fmt.Sprintf("Gate **%s**, level **%s**.", r.Gate, r.Level)
	if r.ExpandOnly {
		text += " Not in files of phase contract."
	}
	if r.Timed {
		text += " Only a warning for a table that a database shows to be small."
	}
	if r.Final {
		text += " Cannot be acknowledged."
	}
	return text + "\n\n> " + plain(r.Message) + "\n"
}

// plain puts a mark where a message names what it is about.
func plain(message string) string { return strings.ReplaceAll(message, "%s", "…") }

// statementsByRule returns the statements of the oracle about which a rule has something to say.
func statementsByRule() map[string][]string {
	shown := map[string][]string{}
	for _, statement := range statements {
		for _, phase := range []func(string) string{up, noTx} {
			e := example{text: phase(statement + ";")}
			rules, _ := judged(e)
			for _, r := range rules {
				r = strings.TrimSuffix(r, "!")
				if !slices.Contains(shown[r], statement) {
					shown[r] = append(shown[r], statement)
				}
			}
		}
	}
	return shown
}

// mostShown is how many statements a page shows.
const mostShown = 8

func measuredTable(statements []string) string {
	if len(statements) == 0 {
		return ""
	}
	known := Replay([]File{{Name: "1_world.sql", Content: []byte(up(world))}})
	known.schema.utc = true
	var text strings.Builder
	text.WriteString("## What PostgreSQL does\n\nMeasured on PostgreSQL 15, on tables that were there before:\n\n| Statement | Locks | Rows |\n|---|---|---|\n")
	for _, statement := range statements[:min(mostShown, len(statements))] {
		locks, rows := predicted(known.schema, statement).cells()
		fmt.Fprintf(&text, "| `%s` | %s | %s |\n", strings.ReplaceAll(statement, "|", `\|`), locks, rows)
	}
	return text.String()
}

// ruleTable has how often each rule is right over all examples.
func ruleTable() string {
	scores := map[string]*score{}
	for _, e := range slices.Concat(unsafe, safe) {
		got, _ := judged(e)
		for _, r := range Rules() {
			if scores[r.Name] == nil {
				scores[r.Name] = &score{}
			}
			scores[r.Name].count(has(got, r.Name), has(wanted(e), r.Name))
		}
	}
	var text strings.Builder
	for _, gate := range []contract.LintGate{contract.LintCompatibility, contract.LintLocks, contract.LintRunner} {
		fmt.Fprintf(&text, "### %s\n\n| Rule | Level | Finding | Precision, recall (examples) |\n|---|---|---|---|\n", gate)
		for _, r := range Rules() {
			if r.Gate == gate {
				fmt.Fprintf(&text, "| [%[1]s](%[1]s.md) | %s | %s | %s |\n", r.Name, r.Level, plain(r.Message), scores[r.Name])
			}
		}
		text.WriteString("\n")
	}
	return text.String()
}

var nextFile = regexp.MustCompile(`(?m)^-- (?:\d+_\w+\.sql|next file|after )[^\n]*\n`)

// TestTheSafeWayIsSafe judges what the pages recommend.
func TestTheSafeWayIsSafe(t *testing.T) {
	for _, r := range Rules() {
		content, err := os.ReadFile(filepath.Join(pages, r.Name+".md"))
		if err != nil {
			t.Fatal(err)
		}
		_, sql, found := strings.Cut(string(content), "```sql\n")
		if !found || r.Name == "dynamic-sql" { // its body is left out
			continue
		}
		sql, _, _ = strings.Cut(sql, "\n```")
		t.Run(r.Name, func(t *testing.T) {
			all := []File{{Name: "1_world.sql", Content: []byte(up(world + missing))}}
			heads := nextFile.FindAllString(sql, -1)
			for i, text := range nextFile.Split(sql, -1) {
				head := ""
				if i > 0 {
					head = heads[i-1]
				}
				all = append(all, File{Name: fmt.Sprintf("%d_step.sql", i+2), Content: []byte(asFile(head, text))})
			}
			for _, f := range Run(all, nil).Findings {
				if f.Level == contract.LintBlock && f.File != "1_world.sql" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// missing is what the pages take to be there beside the world.
const missing = `
ALTER TABLE works ADD COLUMN key text, ADD COLUMN genre text, ADD CONSTRAINT title_short CHECK (length(title) < 200);
ALTER TABLE plain ALTER COLUMN id SET NOT NULL;
CREATE DOMAIN grade AS int;
CREATE INDEX works_by_key ON works (key);
ALTER TABLE movements DROP CONSTRAINT movements_work_id_fkey;
`

func asFile(head, text string) string {
	switch {
	case strings.Contains(text, "+goose Up"):
		return text + "\n"
	case strings.Contains(head, "NO TRANSACTION"):
		return noTx(text)
	case strings.Contains(head, "contract"):
		return contractUp(text)
	}
	return up(text)
}
