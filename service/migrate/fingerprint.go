package migrate

import (
	"context"
	"database/sql"

	"github.com/lib/pq"
)

// fingerprintQuery describes every object of the schema by a line, as the server itself writes it, and hashes the sorted lines.
// Left out are what an extension brings, which its version decides, and the tables that say what was applied.
const fingerprintQuery = `
WITH own AS (
	SELECT to_regclass(name) AS oid FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL
), ours AS (
	SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND c.relpersistence <> 't'
	AND c.oid NOT IN (SELECT oid FROM own)
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND (d.deptype = 'e'
		OR d.deptype IN ('a', 'i') AND d.refobjid IN (SELECT oid FROM own)))
), spaces AS (
	SELECT n.* FROM pg_namespace n WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
), members AS (
	SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), lines(line) AS (
	SELECT format('schema %I', nspname) FROM spaces WHERE nspname <> 'public'
	UNION ALL SELECT format('extension %I', extname) FROM pg_extension
	UNION ALL SELECT format('relation %s %s %s %s %s %s %s', oid::regclass, relkind, relpersistence, relrowsecurity, relforcerowsecurity,
		CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END, pg_get_expr(relpartbound, oid)) FROM ours WHERE relkind NOT IN ('i', 'I')
	UNION ALL SELECT format('view %s %s', oid::regclass, pg_get_viewdef(oid)) FROM ours WHERE relkind IN ('v', 'm')
	UNION ALL SELECT format('inherits %s %s', i.inhrelid::regclass, i.inhparent::regclass) FROM pg_inherits i JOIN ours ON ours.oid = i.inhrelid
	UNION ALL SELECT format('column %s %I %s %s %s %s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
		a.attidentity, a.attgenerated, nullif(a.attcollation, t.typcollation)::regcollation, pg_get_expr(d.adbin, d.adrelid))
		FROM pg_attribute a JOIN ours ON ours.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attnum > 0 AND NOT a.attisdropped AND ours.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
	UNION ALL SELECT format('constraint %s %I %s %s', coalesce(nullif(k.conrelid, 0)::regclass::text, k.contypid::regtype::text), k.conname,
		pg_get_constraintdef(k.oid), k.convalidated) FROM pg_constraint k JOIN spaces ON spaces.oid = k.connamespace
		WHERE k.conrelid = 0 OR k.conrelid IN (SELECT oid FROM ours)
	UNION ALL SELECT format('index %s %s', pg_get_indexdef(x.indexrelid), x.indisvalid) FROM pg_index x JOIN ours ON ours.oid = x.indrelid
	UNION ALL SELECT format('sequence %s %s %s %s %s %s %s', s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin,
		s.seqmax, s.seqcycle) FROM pg_sequence s JOIN ours ON ours.oid = s.seqrelid
	UNION ALL SELECT format('trigger %s %s', pg_get_triggerdef(g.oid), g.tgenabled) FROM pg_trigger g JOIN ours ON ours.oid = g.tgrelid
		WHERE NOT g.tgisinternal
	UNION ALL SELECT format('policy %s %I %s %s %s %s', p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive,
		pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) FROM pg_policy p JOIN ours ON ours.oid = p.polrelid
	UNION ALL SELECT format('function %s %s', f.oid::regprocedure, CASE WHEN f.prokind <> 'a' THEN pg_get_functiondef(f.oid) END)
		FROM pg_proc f JOIN spaces ON spaces.oid = f.pronamespace WHERE ('pg_proc'::regclass, f.oid) NOT IN (SELECT * FROM members)
	UNION ALL SELECT format('type %s %s %s %s %s', t.oid::regtype, t.typtype, t.typnotnull, t.typdefault,
		CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END)
		FROM pg_type t JOIN spaces ON spaces.oid = t.typnamespace
		WHERE t.typtype IN ('d', 'e', 'r') AND ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM members)
	UNION ALL SELECT format('label %s %s %s', e.enumtypid::regtype, row_number() OVER (PARTITION BY e.enumtypid ORDER BY e.enumsortorder), e.enumlabel)
		FROM pg_enum e WHERE ('pg_type'::regclass, e.enumtypid) NOT IN (SELECT * FROM members)
)
SELECT encode(sha256(convert_to(coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), ''), 'UTF8')), 'hex') FROM lines`

// Fingerprint returns the hex SHA-256 of the schema: tables, columns without their order, constraints, indexes, views, functions,
// triggers, policies, sequences and types, but no owners, privileges or rows. Two databases with the same one are built alike. The
// server writes the definitions, so those of two major versions of PostgreSQL may differ. It changes nothing.
func Fingerprint(ctx context.Context, db *sql.DB) (string, error) {
	fingerprint, err := readFingerprint(ctx, db)
	if err != nil {
		return "", classify(ctx, &databaseError{act: "reading the schema", cause: err})
	}
	return fingerprint, nil
}

func readFingerprint(ctx context.Context, db *sql.DB) (fingerprint string, err error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return "", err
	}
	defer func() { _ = tx.Rollback() }() // it has only read
	// Names are written with their schema when that is not on the path.
	if _, err := tx.ExecContext(ctx, "SET LOCAL search_path = pg_catalog"); err != nil {
		return "", err
	}
	err = tx.QueryRowContext(ctx, fingerprintQuery, pq.Array(ownTables)).Scan(&fingerprint)
	return fingerprint, err
}
