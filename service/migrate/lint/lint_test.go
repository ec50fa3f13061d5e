package lint

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// up makes the text of a transactional migration.
func up(sql string) string { return "-- +goose Up\n" + sql + "\n" }

func noTx(sql string) string { return "-- +goose NO TRANSACTION\n" + up(sql) }

func contractUp(sql string) string { return "-- mirubato:phase contract\n" + up(sql) }

// files names texts 1_a.sql, 2_a.sql and so on.
func files(texts ...string) []File {
	var all []File
	for i, text := range texts {
		all = append(all, File{Name: string(rune('1'+i)) + "_a.sql", Content: []byte(text)})
	}
	return all
}

// blocked returns the names of the rules with a blocking finding, and warned those of the others.
func rulesOf(r contract.LintReport, level contract.LintLevel) []string {
	var names []string
	for _, f := range r.Findings {
		if f.Level == level && !slices.Contains(names, f.Rule) {
			names = append(names, f.Rule)
		}
	}
	slices.Sort(names)
	return names
}

func TestFindingsHaveTheirPlace(t *testing.T) {
	report := Run(files(up("SELECT 1;\n\n  /* ü */ ALTER TABLE works\n    ADD COLUMN ünique text NOT NULL;\nSELECT 2; DROP TABLE a;")), nil)
	want := []contract.LintFinding{
		{File: "1_a.sql", Line: 5, Column: 16, Rule: "required-column", Gate: contract.LintCompatibility, Level: contract.LintBlock},
		{File: "1_a.sql", Line: 6, Column: 11, Rule: "drop-table", Gate: contract.LintCompatibility, Level: contract.LintBlock},
		{File: "1_a.sql", Line: 6, Column: 11, Rule: "several-tables-locked", Gate: contract.LintLocks, Level: contract.LintWarn},
	}
	got := slices.Clone(report.Findings)
	for i := range got {
		if got[i].Message == "" || got[i].Fix == "" || !strings.HasSuffix(got[i].Docs, "/docs/lint/"+got[i].Rule+".md") || strings.Contains(got[i].Message, "%!") {
			t.Errorf("finding %+v", got[i])
		}
		got[i].Message, got[i].Fix, got[i].Docs = "", "", ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if report.Files != 1 || report.Statements != 4 || report.Unanalysable != 0 || !report.Blocks() || !report.Blocks(contract.LintCompatibility) || report.Blocks(contract.LintLocks) {
		t.Errorf("report %+v", report)
	}
}
