package lint

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
)

func written(t *testing.T, report contract.LintReport, format string) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, report, format); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var odd = contract.LintReport{Files: 1, Statements: 2, Unanalysable: 1, Findings: []contract.LintFinding{{
	File: "a:b,c%d.sql", Line: 3, Column: 4, Rule: "drop-table", Gate: contract.LintCompatibility, Level: contract.LintBlock,
	Message: "50% of\nall", Fix: "none", Docs: "https://example.com",
}}}

func TestWrite(t *testing.T) {
	for format, want := range map[string]string{
		"github": "::error file=a%3Ab%2Cc%25d.sql,line=3,col=4,title=drop-table::50%25 of%0Aall%0Anone%0Ahttps://example.com\n",
		"text": "a:b,c%d.sql:3:4: block: 50% of\nall [drop-table, compatibility]\n    none\n    https://example.com\n" +
			"1 files, 2 statements, 1 of them not analysable: 1 findings block, 0 warn, 0 inform\n",
	} {
		if diff := cmp.Diff(want, written(t, odd, format)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
	if err := Write(&bytes.Buffer{}, odd, "xml"); err == nil {
		t.Error("an unknown format was written")
	}
}

// TestJSONIsAsDocumented holds the members against the documented shape, and an empty list against null.
func TestJSONIsAsDocumented(t *testing.T) {
	want := `{
  "files": 1,
  "statements": 2,
  "unanalysable": 1,
  "findings": [
    {
      "file": "a:b,c%d.sql",
      "line": 3,
      "column": 4,
      "rule": "drop-table",
      "gate": "compatibility",
      "level": "block",
      "message": "50% of\nall",
      "fix": "none",
      "docs": "https://example.com"
    }
  ]
}
`
	if diff := cmp.Diff(want, written(t, odd, "json")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := written(t, Run(nil, nil), "json"); !strings.Contains(got, `"findings": []`) {
		t.Errorf("without findings: %s", got)
	}
}

func TestSARIF(t *testing.T) {
	var got sarif
	if err := json.Unmarshal([]byte(written(t, odd, "sarif")), &got); err != nil {
		t.Fatal(err)
	}
	rules := got.Runs[0].Tool.Driver.Rules
	if got.Version != "2.1.0" || len(got.Runs) != 1 || len(rules) != len(Rules()) || len(got.Runs[0].Results) != 1 {
		t.Fatalf("version %s, %d runs, %d rules", got.Version, len(got.Runs), len(rules))
	}
	result := got.Runs[0].Results[0]
	if rules[result.RuleIndex].ID != "drop-table" || result.RuleID != "drop-table" || result.Level != "error" {
		t.Errorf("result %+v", result)
	}
	want := sarifPhysical{sarifArtifact{"a:b,c%d.sql"}, sarifRegion{3, 4}}
	if diff := cmp.Diff(want, result.Locations[0].Physical); diff != "" {
		t.Errorf("location (-want +got):\n%s", diff)
	}
}
