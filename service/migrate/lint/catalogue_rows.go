package lint

import (
	"strconv"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// typeColumns are the columns of a query that parsedType reads, of a type t (its element's if it is an array) and a modifier.
const typeColumns = ` CASE WHEN tn.nspname = 'pg_catalog' THEN '' ELSE tn.nspname END, t.typname, format_type(%TYPE%, %MOD%), (a0.typcategory = 'A' AND a0.typelem <> 0) `

// typeJoins join them to the type whose oid is %TYPE%.
const typeJoins = ` JOIN pg_catalog.pg_type a0 ON a0.oid = %TYPE%
	JOIN pg_catalog.pg_type t ON t.oid = CASE WHEN a0.typcategory = 'A' AND a0.typelem <> 0 THEN a0.typelem ELSE a0.oid END
	JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace `

// withType puts a type and a modifier in the place of both.
func withType(query, typ, mod string) string {
	return strings.NewReplacer("%TYPE%", typ, "%MOD%", mod).Replace(query)
}

func parsedType(v []string) typeName {
	t := typeName{schema: v[0], base: v[1], array: v[3] == "true" || v[3] == "t"}
	if _, rest, found := strings.Cut(v[2], "("); found {
		t.mods, _, _ = strings.Cut(rest, ")")
	}
	return t
}

func isTrue(text string) bool { return text == "true" || text == "t" }

func (r *reader) types() error {
	if err := r.rows(func(v []string) {
		r.schema.types[name{v[0], v[1]}] = &userType{enum: v[2] == "e"}
	}, `SELECT n.nspname, t.typname, t.typtype FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
		LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
		WHERE (t.typtype IN ('e', 'r') OR t.typtype = 'c' AND c.relkind = 'c' OR t.typtype = 'b' AND t.typcategory <> 'A') AND`+ours); err != nil {
		return err
	}
	return r.rows(func(v []string) {
		r.schema.types[name{v[0], v[1]}] = &userType{domain: true, constrained: isTrue(v[2]), base: parsedType(v[3:])}
	}, withType(`SELECT n.nspname, d.typname, d.typnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.contypid = d.oid),`+typeColumns+`
		FROM pg_catalog.pg_type d JOIN pg_catalog.pg_namespace n ON n.oid = d.typnamespace`+typeJoins+`WHERE d.typtype = 'd' AND`+ours,
		"d.typbasetype", "d.typtypmod"))
}

// routines keeps the most volatile of those that share a name.
func (r *reader) routines() error {
	return r.rows(func(v []string) {
		r.schema.routines[name{v[0], v[1]}] = volatility(v[2][0])
		if _, ours := r.schema.spaces[v[0]]; ours {
			r.schema.routineMade[name{v[0], v[1]}] = 0
		}
	}, `SELECT n.nspname, p.proname, max(p.provolatile::text) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
		GROUP BY 1, 2`)
}

func (r *reader) relations() error {
	return r.rows(func(v []string) {
		n := name{v[1], v[2]}
		made := &relation{name: n, kind: kind(v[3][0]), known: true, bytes: -1, rows: -1}
		if v[4] != "" {
			made.bytes, _ = strconv.ParseInt(v[4], 10, 64) // the server writes numbers
			rows, _ := strconv.ParseFloat(v[5], 64)
			made.rows = int64(rows)
		}
		r.schema.relations[n], r.byID[v[0]] = made, made
	}, `SELECT c.oid, n.nspname, c.relname, c.relkind, CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) END, c.reltuples
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND`+ours)
}

func (r *reader) columns() error {
	return r.rows(func(v []string) {
		if of := r.byID[v[0]]; of != nil {
			of.columns = append(of.columns, &column{name: v[1], notNull: isTrue(v[2]), typ: parsedType(v[3:])})
		}
	}, withType(`SELECT c.oid, a.attname, a.attnotnull,`+typeColumns+`FROM pg_catalog.pg_attribute a
		JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`+typeJoins+`
		WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f') AND`+ours+`ORDER BY c.oid, a.attnum`, "a.atttypid", "a.atttypmod"))
}

// indexes knows an index without columns, such as one over an expression, by its name.
func (r *reader) indexes() error {
	return r.rows(func(v []string) {
		on := r.byID[v[0]]
		if on == nil {
			return
		}
		n := name{v[1], v[2]}
		i := &relation{name: n, kind: index, known: true, table: on, unique: isTrue(v[3]), bytes: -1, rows: -1}
		for called := range strings.SplitSeq(v[4], "\x01") {
			i.columns = append(i.columns, &column{name: called})
		}
		r.schema.relations[n] = i
	}, `SELECT x.indrelid, n.nspname, c.relname, x.indisunique,
			(SELECT string_agg(coalesce(a.attname, ''), E'\x01' ORDER BY k.place) FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, place)
				LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum WHERE k.place <= x.indnkeyatts)
		FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE`+ours)
}

var constraintKinds = map[string]pgquery.ConstrType{"c": isCheck, "f": isForeignKey, "p": isPrimaryKey, "u": isUnique, "x": isExclusion}

func (r *reader) constraints() error {
	return r.rows(func(v []string) {
		on, kind := r.byID[v[0]], constraintKinds[v[2]]
		if on == nil || kind == 0 {
			return
		}
		k := &constraint{name: v[1], kind: kind, notValid: !isTrue(v[3]), refers: r.byID[v[5]], expression: parseExpression(v[6])}
		if v[7] != "" {
			k.key = strings.Split(v[7], "\x01")
		}
		if v[4] != "" {
			k.columns = strings.Split(v[4], "\x01")
		}
		on.constraints = append(on.constraints, k)
	}, `SELECT k.conrelid, k.conname, k.contype, k.convalidated,
			(SELECT string_agg(a.attname, E'\x01' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)),
			nullif(k.confrelid, 0), pg_catalog.pg_get_expr(k.conbin, k.conrelid),
			(SELECT string_agg(a.attname, E'\x01' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey))
		FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace WHERE k.conrelid <> 0 AND`+ours+`ORDER BY k.oid`)
}

// parseExpression returns nil for what cannot be parsed; then nothing is concluded from it.
func parseExpression(text string) *pgquery.Node {
	if text == "" {
		return nil
	}
	tree, err := pgquery.Parse("SELECT " + text)
	if err != nil {
		return nil
	}
	targets := tree.GetStmts()[0].GetStmt().GetSelectStmt().GetTargetList()
	if len(targets) != 1 {
		return nil
	}
	return targets[0].GetResTarget().GetVal()
}

func (r *reader) parents() error {
	return r.rows(func(v []string) {
		child, parent := r.byID[v[0]], r.byID[v[1]]
		if child == nil || parent == nil {
			return
		}
		child.parent, child.isDefault = parent, v[2] == "DEFAULT"
		parent.children = append(parent.children, child)
	}, `SELECT i.inhrelid, i.inhparent, pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_inherits i
		JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid ORDER BY i.inhrelid`)
}

func (r *reader) triggers() error {
	return r.rows(func(v []string) {
		if on := r.byID[v[0]]; on != nil {
			on.addTrigger(v[1], 0)
		}
	}, `SELECT tgrelid, tgname FROM pg_catalog.pg_trigger WHERE NOT tgisinternal`)
}

func (r *reader) views() error {
	return r.rows(func(v []string) {
		if view, used := r.byID[v[0]], r.byID[v[1]]; view != nil && used != nil {
			view.uses = append(view.uses, used)
		}
	}, `SELECT DISTINCT w.ev_class, d.refobjid FROM pg_catalog.pg_rewrite w
		JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
		WHERE w.rulename = '_RETURN' AND d.refobjid <> w.ev_class`)
}

func (r *reader) statistics() error {
	return r.rows(func(v []string) {
		if on := r.byID[v[2]]; on != nil {
			r.schema.statistics[name{v[0], v[1]}] = on
		}
	}, `SELECT n.nspname, x.stxname, x.stxrelid FROM pg_catalog.pg_statistic_ext x JOIN pg_catalog.pg_namespace n ON n.oid = x.stxnamespace`)
}
