package lint

import (
	"slices"

	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/api/contract"
)

// constraintRules are about constraints of tables that are in use.
var constraintRules = []Rule{
	{
		Name: "new-constraint", Gate: contract.LintCompatibility, Level: contract.LintWarn, ExpandOnly: true,
		Message: "the release before may write what the new constraint of %s does not admit",
		Fix:     "Make sure that it never does; a constraint that is NOT VALID holds for new rows as well.",
		check: func(s *statement) []hit {
			return each(s.addedConstraints(isCheck, isForeignKey, isUnique, isExclusion, isPrimaryKey), func(c addedConstraint) []hit {
				if c.GetIndexname() != "" || s.onlyNewColumns(c) {
					return nil
				}
				return c.hit()
			})
		},
	},
	{
		Name: "drop-constraint", Gate: contract.LintCompatibility, Level: contract.LintWarn, ExpandOnly: true,
		Message: "the release before may rely on the constraint %s, which holds no longer; a foreign key locks the table at its other end too",
		Fix:     "Drop it in a migration of phase contract.",
		check: func(s *statement) []hit {
			return each(s.parts(dropConstraint), func(p part) []hit {
				if k := p.on.constraint(p.cmd.GetName()); k != nil && s.schema.isNew(k.made) {
					return nil
				}
				return []hit{{about: p.cmd.GetName() + " of " + p.on.String()}}
			})
		},
	},
	{
		Name: "check-not-valid", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "all rows of %s are read to see whether they pass the CHECK, while nobody can use the table",
		Fix:     "Add it NOT VALID, which reads nothing and holds for new rows, and VALIDATE CONSTRAINT in a later file.",
		check: func(s *statement) []hit {
			return append(each(s.addedConstraints(isCheck), func(c addedConstraint) []hit {
				if c.GetSkipValidation() {
					return nil
				}
				return c.hit()
			}), each(s.addedColumns(), func(c addedColumn) []hit {
				if c.with(isCheck) == nil {
					return nil
				}
				return []hit{{at: c.with(isCheck).GetLocation(), about: c.on.String(), on: c.on}}
			})...)
		},
	},
	{
		Name: "foreign-key-not-valid", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "all rows of %s are looked up in the other table, while nobody can write to either",
		Fix:     "Add the foreign key NOT VALID, which looks nothing up and holds for new rows, and VALIDATE CONSTRAINT in a later file.",
		check: func(s *statement) []hit {
			return append(each(s.addedConstraints(isForeignKey), func(c addedConstraint) []hit {
				if c.GetSkipValidation() {
					return nil
				}
				return c.hit()
			}), each(s.addedColumns(), func(c addedColumn) []hit {
				if c.with(isForeignKey) == nil || !lookedUp(c.def) {
					return nil
				}
				return []hit{{at: c.with(isForeignKey).GetLocation(), about: c.on.String(), on: c.on}}
			})...)
		},
	},
	{
		Name: "validate-in-transaction", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "%s is added and validated in one transaction, which holds the strong lock of adding while all rows are read",
		Fix:     "Validate it in a file of its own, after the one that adds it.",
		check:   checkValidateInTransaction,
	},
	{
		Name: "unique-constraint", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "the index of a unique constraint of %s is built while nobody can use the table",
		Fix:     "Build the index by CREATE UNIQUE INDEX CONCURRENTLY, and add the constraint USING INDEX in a later file.",
		check:   func(s *statement) []hit { return s.builtWith(isUnique) },
	},
	{
		Name: "primary-key", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "the index of the primary key of %s is built, or its columns are searched for NULL, while nobody can use the table",
		Fix: "Make the columns NOT NULL by way of a validated CHECK, build the index by CREATE UNIQUE INDEX CONCURRENTLY, and add the key USING INDEX " +
			"in a later file.",
		check: func(s *statement) []hit {
			return append(s.builtWith(isPrimaryKey), each(s.addedConstraints(isPrimaryKey), func(c addedConstraint) []hit {
				if c.GetIndexname() == "" || !s.schema.nullable(c.on, s.schema.indexColumns(c.GetIndexname(), c.on)) {
					return nil
				}
				return c.hit()
			})...)
		},
	},
	{
		Name: "exclusion-constraint", Gate: contract.LintLocks, Level: contract.LintBlock, Timed: true,
		Message: "the index of an exclusion constraint of %s is built while nobody can use the table, and there is no other way to add one",
		Fix:     "Add it to a new table and move the rows there, or do it in a time without traffic and acknowledge it.",
		check:   func(s *statement) []hit { return s.builtWith(isExclusion) },
	},
	{
		Name: "foreign-key-without-index", Gate: contract.LintLocks, Level: contract.LintWarn,
		Message: "no index begins with the columns of the foreign key of %s: deleting a row at its other end reads the whole table",
		Fix:     "Create an index over the columns, concurrently, in a file before.",
		check: func(s *statement) []hit {
			return each(s.addedConstraints(isForeignKey), func(c addedConstraint) []hit {
				if !c.on.known || s.schema.indexed(c.on, words(c.GetFkAttrs())) {
					return nil
				}
				return c.hit()
			})
		},
	},
}

// onlyNewColumns says whether a constraint is about columns only that the release before does not know.
func (s *statement) onlyNewColumns(c addedConstraint) bool {
	named := slices.Concat(words(c.GetKeys()), words(c.GetFkAttrs()))
	if c.GetRawExpr() != nil {
		named = append(named, columnsOf(c.GetRawExpr())...)
	}
	return len(named) > 0 && !slices.ContainsFunc(named, func(n string) bool {
		of := c.on.column(n)
		return of == nil || !s.schema.isNew(of.made)
	})
}

// builtWith returns the constraints of a kind that come with an index of their own.
func (s *statement) builtWith(kind pgquery.ConstrType) []hit {
	return append(each(s.addedConstraints(kind), func(c addedConstraint) []hit {
		if c.GetIndexname() != "" {
			return nil
		}
		return c.hit()
	}), each(s.addedColumns(), func(c addedColumn) []hit {
		if c.with(kind) == nil {
			return nil
		}
		return []hit{{at: c.with(kind).GetLocation(), about: c.on.String(), on: c.on}}
	})...)
}

func checkValidateInTransaction(s *statement) []hit {
	return each(s.parts(validateConstraint), func(p part) []hit {
		k := p.on.constraint(p.cmd.GetName())
		if k == nil || !s.script.transactional || k.made != s.schema.file {
			return nil
		}
		return []hit{{about: k.name + " of " + p.on.String(), on: p.on}}
	})
}

// indexed says whether an index of the table begins with the columns, in any order.
func (s *schema) indexed(on *relation, columns []string) bool {
	for _, i := range s.relations {
		if i.kind != index || i.table != on || len(i.columns) < len(columns) {
			continue
		}
		leading := i.columns[:len(columns)]
		if !slices.ContainsFunc(leading, func(c *column) bool { return !slices.Contains(columns, c.name) }) {
			return true
		}
	}
	return false
}
