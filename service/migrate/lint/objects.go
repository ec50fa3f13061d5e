package lint

import (
	"slices"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/api/contract"
)

// objectRules are about routines, types and the rest of what is neither a table nor a column.
var objectRules = []Rule{
	{
		Name: "drop-routine", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before still calls %s",
		Fix:     "Drop it in a migration of phase contract.",
		check: func(s *statement) []hit {
			return s.droppedObjects(func(n name) (made int, known bool) { made, known = s.schema.routineMade[n]; return made, known },
				pgquery.ObjectType_OBJECT_FUNCTION, pgquery.ObjectType_OBJECT_PROCEDURE, pgquery.ObjectType_OBJECT_ROUTINE, pgquery.ObjectType_OBJECT_AGGREGATE)
		},
	},
	{
		Name: "drop-type", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before still uses the type %s",
		Fix:     "Drop it in a migration of phase contract.",
		check: func(s *statement) []hit {
			return s.droppedObjects(func(n name) (int, bool) {
				if t := s.schema.types[n]; t != nil {
					return t.made, true
				}
				return 0, false
			}, pgquery.ObjectType_OBJECT_TYPE, pgquery.ObjectType_OBJECT_DOMAIN)
		},
	},
	{
		Name: "drop-object", Gate: contract.LintCompatibility, Level: contract.LintBlock, ExpandOnly: true,
		Message: "the release before may still need what is dropped: %s",
		Fix:     "Drop it in a migration of phase contract.",
		check: func(s *statement) []hit {
			return s.droppedObjects(func(name) (int, bool) { return 0, false },
				pgquery.ObjectType_OBJECT_EXTENSION, pgquery.ObjectType_OBJECT_POLICY, pgquery.ObjectType_OBJECT_RULE, pgquery.ObjectType_OBJECT_OPERATOR,
				pgquery.ObjectType_OBJECT_CAST, pgquery.ObjectType_OBJECT_COLLATION, pgquery.ObjectType_OBJECT_TSCONFIGURATION,
				pgquery.ObjectType_OBJECT_FDW, pgquery.ObjectType_OBJECT_FOREIGN_SERVER, pgquery.ObjectType_OBJECT_PUBLICATION)
		},
	},
	{
		Name: "drop-cascade", Gate: contract.LintCompatibility, Level: contract.LintBlock,
		Message: "CASCADE drops whatever depends on %s, and no file says what that is",
		Fix:     "Drop each thing by its name, and leave CASCADE out.",
		check: func(s *statement) []hit {
			if stmt := s.node.GetDropStmt(); stmt != nil && stmt.GetBehavior() == pgquery.DropBehavior_DROP_CASCADE && !s.dropsNewOnly(stmt) {
				return []hit{{about: "what is dropped"}}
			}
			return each(s.parts(dropColumn, dropConstraint), func(p part) []hit {
				if p.cmd.GetBehavior() != pgquery.DropBehavior_DROP_CASCADE {
					return nil
				}
				return []hit{{about: p.column(p.cmd.GetName())}}
			})
		},
	},
	{
		Name: "rename-object", Gate: contract.LintCompatibility, Level: contract.LintBlock,
		Message: "the release before knows %s by its old name",
		Fix:     "Make a second one with the new name, and drop the old one in a later contract migration.",
		check:   checkRenameObject,
	},
	{
		Name: "replace-view", Gate: contract.LintCompatibility, Level: contract.LintWarn,
		Message: "the release before reads %s, which is another view from now on",
		Fix:     "Make sure that the release before can read it; PostgreSQL admits only more columns at the end.",
		check: func(s *statement) []hit {
			stmt := s.node.GetViewStmt()
			if stmt == nil || !stmt.GetReplace() {
				return nil
			}
			on := s.schema.relations[s.schema.nameOfRange(stmt.GetView())]
			if on == nil || s.schema.isNew(on.made) {
				return nil
			}
			return []hit{{about: on.String()}}
		},
	},
	{
		Name: "replace-routine", Gate: contract.LintCompatibility, Level: contract.LintWarn,
		Message: "the release before calls %s, or fires it, which does something else from now on",
		Fix:     "Make sure that the release before can live with it, or give the new one another name.",
		check: func(s *statement) []hit {
			stmt := s.node.GetCreateFunctionStmt()
			if stmt == nil || !stmt.GetReplace() {
				return nil
			}
			n := s.schema.nameOf(words(stmt.GetFuncname()))
			made, known := s.schema.routineMade[n]
			if !known || s.schema.isNew(made) {
				return nil
			}
			return []hit{{about: n.String()}}
		},
	},
	{
		Name: "identifier-too-long", Gate: contract.LintRunner, Level: contract.LintWarn,
		Message: "the name %s is longer than 63 bytes, of which PostgreSQL keeps the first 63",
		Fix:     "Choose a shorter one.",
		check:   checkLongNames,
	},
}

// droppedObjects returns those that were not made by this file, as made tells.
func (s *statement) droppedObjects(made func(name) (int, bool), kinds ...pgquery.ObjectType) []hit {
	stmt := s.node.GetDropStmt()
	if stmt == nil || !slices.Contains(kinds, stmt.GetRemoveType()) {
		return nil
	}
	return each(stmt.GetObjects(), func(n *pgquery.Node) []hit {
		called := s.schema.nameOf(words([]*pgquery.Node{n}))
		if by, known := made(called); known && s.schema.isNew(by) {
			return nil
		}
		return []hit{{about: called.String()}}
	})
}

// dropsNewOnly says whether all that is dropped by name was made by this file.
func (s *statement) dropsNewOnly(stmt *pgquery.DropStmt) bool {
	return !slices.ContainsFunc(stmt.GetObjects(), func(n *pgquery.Node) bool {
		called := s.schema.nameOf(words([]*pgquery.Node{n}))
		r, t := s.schema.relations[called], s.schema.types[called]
		if stmt.GetRemoveType() == pgquery.ObjectType_OBJECT_SCHEMA {
			return !s.schema.isNew(s.schema.spaces[called.object])
		}
		return (r == nil || !s.schema.isNew(r.made)) && (t == nil || !s.schema.isNew(t.made))
	})
}

// checkRenameObject leaves out what nobody names: indexes, constraints, triggers, policies.
func checkRenameObject(s *statement) []hit {
	stmt := s.node.GetRenameStmt()
	if stmt == nil {
		return nil
	}
	switch stmt.GetRenameType() {
	case pgquery.ObjectType_OBJECT_TYPE, pgquery.ObjectType_OBJECT_DOMAIN:
		n := s.schema.nameOf(words([]*pgquery.Node{stmt.GetObject()}))
		if t := s.schema.types[n]; t != nil && s.schema.isNew(t.made) {
			return nil
		}
		return []hit{{about: n.String()}}
	case pgquery.ObjectType_OBJECT_FUNCTION, pgquery.ObjectType_OBJECT_PROCEDURE, pgquery.ObjectType_OBJECT_ROUTINE, pgquery.ObjectType_OBJECT_AGGREGATE:
		n := s.schema.nameOf(words([]*pgquery.Node{stmt.GetObject()}))
		if made, known := s.schema.routineMade[n]; known && s.schema.isNew(made) {
			return nil
		}
		return []hit{{about: n.String()}}
	case pgquery.ObjectType_OBJECT_SCHEMA:
		if made, known := s.schema.spaces[stmt.GetSubname()]; known && s.schema.isNew(made) {
			return nil
		}
		return []hit{{about: "the schema " + stmt.GetSubname()}}
	case pgquery.ObjectType_OBJECT_ATTRIBUTE:
		return []hit{{about: s.schema.nameOfRange(stmt.GetRelation()).String() + "." + stmt.GetSubname()}}
	}
	return nil
}

// checkLongNames relies on the parser having cut names as the server does: it looks for names of exactly the longest length.
func checkLongNames(s *statement) []hit {
	var hits []hit
	for _, n := range []string{
		s.node.GetCreateStmt().GetRelation().GetRelname(), s.node.GetIndexStmt().GetIdxname(), s.node.GetRenameStmt().GetNewname(),
		s.node.GetCreateTrigStmt().GetTrigname(),
	} {
		if len(n) == 63 && strings.Contains(s.text, n) && s.longer(n) {
			hits = append(hits, hit{about: n + "..."})
		}
	}
	return hits
}

// longer says whether the name goes on in the text where the parser has cut it.
func (s *statement) longer(n string) bool {
	rest := s.text[strings.Index(s.text, n)+len(n):]
	return rest != "" && (rest[0] == '_' || rest[0] >= 'a' && rest[0] <= 'z' || rest[0] >= '0' && rest[0] <= '9' || rest[0] >= 0x80)
}
