package lint

import (
	"fmt"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

// Names of the rules that have no check of their own.
const (
	ruleFile        = "unreadable-file"
	ruleSyntax      = "syntax"
	ruleName        = "file-name"
	ruleOrder       = "file-order"
	ruleEdited      = "edited-file"
	ruleUnused      = "unused-acknowledgement"
	ruleUnknownRule = "unknown-rule"
)

// fileRules are about files as a whole.
var fileRules = []Rule{
	{
		Name: ruleFile, Gate: contract.LintRunner, Level: contract.LintBlock, Final: true,
		Message: "the file cannot be read as a migration: %s",
		Fix:     "Mend what the message names; docs/migrations.md says how a file must look.",
	},
	{
		Name: ruleSyntax, Gate: contract.LintRunner, Level: contract.LintBlock,
		Message: "PostgreSQL's grammar does not take this statement: %s",
		Fix: "Correct it. A body with semicolons of its own needs StatementBegin and StatementEnd around it. The grammar is that of PostgreSQL 17: " +
			"acknowledge what only a newer server understands, after trying it there.",
	},
	{
		Name: ruleName, Gate: contract.LintRunner, Level: contract.LintBlock, Final: true,
		Message: "the file cannot be applied under this name: %s",
		Fix:     "Name it by a number that no other file has, an underscore and words, like 7_add_key.sql.",
	},
	{
		Name: ruleOrder, Gate: contract.LintRunner, Level: contract.LintBlock, Final: true,
		Message: "the file is out of order: %s",
		Fix:     "Give it a number above all that are applied; give contract files numbers above all expand files.",
	},
	{
		Name: ruleEdited, Gate: contract.LintRunner, Level: contract.LintBlock, Final: true,
		Message: "the file has been applied, and was edited since",
		Fix:     "Put it back as it was, and make the change in a new file.",
	},
	{
		Name: ruleUnused, Gate: contract.LintRunner, Level: contract.LintWarn, Final: true,
		Message: "nothing is left to acknowledge by the rule %s here",
		Fix:     "Remove the line, so that it does not accept what somebody writes here later.",
	},
	{
		Name: ruleUnknownRule, Gate: contract.LintRunner, Level: contract.LintBlock, Final: true,
		Message: "there is no rule called %s to acknowledge",
		Fix:     "Write the name as the finding has it; docs/lint/README.md lists all.",
	},
}

// checkName holds the name of a file, and its place among the others, against what a run accepts.
func (r *run) checkName(f versioned, phase migrate.Phase) {
	report := func(rule, about string) { r.add(f.Name, place{1, 1}, r.rule(rule).finding(hit{about: about}, nil)) }
	if f.nameErr != nil {
		report(ruleName, f.nameErr.Error())
		return
	}
	if f.version == r.latest.version {
		report(ruleName, fmt.Sprintf("%s has the same version %d", r.latest.name, f.version))
		return
	}
	r.latest = numbered{f.version, f.Name}
	switch {
	case r.known != nil && f.version < r.known.current:
		report(ruleOrder, fmt.Sprintf("it has not been applied, but the later version %d has", r.known.current))
	case phase == migrate.Contract && r.held.name == "":
		r.held = numbered{f.version, f.Name}
	case phase == migrate.Expand && r.held.name != "" && r.known != nil:
		report(ruleOrder, fmt.Sprintf("it is of phase expand and comes after %s of phase contract, which has not been applied", r.held.name))
	}
}

// checkApplied notices that a file is not what was applied.
func (r *run) checkApplied(f versioned) {
	r.latest = numbered{f.version, f.Name}
	if sum := r.known.checksums[f.version]; sum != "" && sum != migrate.ChecksumOf(f.Content) {
		r.add(f.Name, place{1, 1}, r.rule(ruleEdited).finding(hit{}, nil))
	}
}
