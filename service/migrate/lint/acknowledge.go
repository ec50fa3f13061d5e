package lint

import (
	"slices"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
)

// acceptance holds the findings of one file against what somebody has accepted there.
type acceptance struct {
	run  *run
	file string
	// whole are for the file, here for the statement that is being judged.
	whole, here []*accepted
}

type accepted struct {
	migrate.Acknowledgement
	used bool
}

func newAcceptance(r *run, file string, whole []migrate.Acknowledgement) *acceptance {
	a := &acceptance{run: r, file: file}
	a.whole = a.known(whole)
	return a
}

// known reports names that no rule has: a misspelt one would otherwise accept nothing and look as if it did.
func (a *acceptance) known(all []migrate.Acknowledgement) []*accepted {
	var known []*accepted
	for _, one := range all {
		i := slices.IndexFunc(a.run.rules, func(r Rule) bool { return r.Name == one.Rule })
		switch {
		case i < 0:
			a.run.add(a.file, place{one.Line, 1}, a.run.rule(ruleUnknownRule).finding(hit{about: one.Rule}, nil))
		default:
			known = append(known, &accepted{Acknowledgement: one})
		}
	}
	return known
}

func (a *acceptance) begin(here []migrate.Acknowledgement) { a.here = a.known(here) }

// end reports what had nothing to accept.
func (a *acceptance) end() {
	a.unused(a.here)
	a.here = nil
}

func (a *acceptance) finish() { a.unused(a.whole) }

func (a *acceptance) unused(all []*accepted) {
	for _, one := range all {
		if !one.used {
			a.run.add(a.file, place{one.Line, 1}, a.run.rule(ruleUnused).finding(hit{about: one.Rule}, nil))
		}
	}
}

// report adds a finding. One that was accepted stays, so that whoever approves sees it, but keeps nothing back. What is final cannot be
// accepted: the database would refuse it.
func (a *acceptance) report(at place, f contract.LintFinding, final bool) {
	for _, one := range slices.Concat(a.here, a.whole) {
		if one.Rule == f.Rule && !final {
			one.used = true
			f.Level = contract.LintInfo
			f.Message += " (acknowledged: " + one.Reason + ")"
			break
		}
	}
	a.run.add(a.file, at, f)
}
