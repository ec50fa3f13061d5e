package migration

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
)

func TestFindingsOfACheckAreKept(t *testing.T) {
	lint := func(rule string, level contract.LintLevel) contract.LintFinding {
		return contract.LintFinding{File: "/migrations/7_add.sql", Line: 3, Rule: rule, Level: level, Message: "it is so"}
	}
	var many []contract.LintFinding
	for i := range maxNames + 5 {
		many = append(many, lint(fmt.Sprint("rule-", i), contract.LintWarn))
	}
	for name, tc := range map[string]struct {
		report contract.CheckReport
		want   []string
	}{
		"nothing": {},
		"of the database and of lint": {
			contract.CheckReport{
				Preflight: []contract.PreflightFinding{{Rule: "large-index", Message: "it is large"}},
				Lint:      &contract.LintReport{Findings: []contract.LintFinding{lint("drop-table", contract.LintBlock), lint("json-column", contract.LintWarn)}},
			},
			[]string{"large-index: it is large", "drop-table: 7_add.sql:3: it is so", "json-column: 7_add.sql:3: it is so"},
		},
		"acknowledged ones are not": {contract.CheckReport{Lint: &contract.LintReport{Findings: []contract.LintFinding{lint("drop-table", contract.LintInfo)}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := checkEvidence(tc.report).Findings
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
	if got := checkEvidence(contract.CheckReport{Lint: &contract.LintReport{Findings: many}}).Findings; len(got) != maxNames {
		t.Errorf("%d findings are kept, want %d", len(got), maxNames)
	}
}
