package migrate

import (
	"testing"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func mustFingerprint(t *testing.T, url string) string {
	t.Helper()
	fingerprint, err := Fingerprint(t.Context(), open(t, url))
	if err != nil {
		t.Fatal(err)
	}
	return fingerprint
}

const composers = `
CREATE TYPE era AS ENUM ('baroque', 'modern');
CREATE DOMAIN year AS int CHECK (VALUE > 0);
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE composers (id serial PRIMARY KEY, name text NOT NULL DEFAULT '', born year, era era, note text, CHECK (name <> 'x'));
CREATE INDEX composers_by_name ON composers (name);
CREATE VIEW named AS SELECT name FROM composers;
CREATE TRIGGER stamped BEFORE INSERT ON composers FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TABLE parts (at date) PARTITION BY RANGE (at);
CREATE TABLE parts_old PARTITION OF parts FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE POLICY everybody ON composers USING (true);
`

func TestFingerprintTellsSchemasApart(t *testing.T) {
	first := pgserver.Database(t)
	exec(t, open(t, first), composers)
	want := mustFingerprint(t, first)
	for name, tc := range map[string]struct {
		sql  string
		same bool
	}{
		"nothing":                      {"", true},
		"rows":                         {"INSERT INTO composers (name) VALUES ('a')", true},
		"a column and back":            {"ALTER TABLE composers ADD COLUMN tmp int; ALTER TABLE composers DROP COLUMN tmp", true},
		"a column":                     {"ALTER TABLE composers ADD COLUMN died int", false},
		"a type":                       {"ALTER TABLE composers ALTER COLUMN id TYPE bigint", false},
		"a default":                    {"ALTER TABLE composers ALTER COLUMN name SET DEFAULT 'y'", false},
		"null":                         {"ALTER TABLE composers ALTER COLUMN name DROP NOT NULL", false},
		"a check":                      {"ALTER TABLE composers DROP CONSTRAINT composers_name_check", false},
		"an unproved check":            {"ALTER TABLE composers DROP CONSTRAINT composers_name_check, ADD CONSTRAINT composers_name_check CHECK (name <> 'x') NOT VALID", false},
		"an index":                     {"DROP INDEX composers_by_name", false},
		"a view":                       {"CREATE OR REPLACE VIEW named AS SELECT upper(name) AS name FROM composers", false},
		"a function":                   {"CREATE OR REPLACE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 2'", false},
		"a trigger":                    {"ALTER TABLE composers DISABLE TRIGGER stamped", false},
		"a label":                      {"ALTER TYPE era ADD VALUE 'romantic' BEFORE 'modern'", false},
		"a domain":                     {"ALTER DOMAIN year SET NOT NULL", false},
		"a partition":                  {"ALTER TABLE parts DETACH PARTITION parts_old", false},
		"a policy":                     {"DROP POLICY everybody ON composers", false},
		"row security":                 {"ALTER TABLE composers ENABLE ROW LEVEL SECURITY", false},
		"a sequence":                   {"ALTER SEQUENCE composers_id_seq INCREMENT 2", false},
		"a schema":                     {"CREATE SCHEMA more", false},
		"a table elsewhere":            {"CREATE SCHEMA more; ALTER TABLE composers SET SCHEMA more", false},
		"an unlogged table":            {"ALTER TABLE composers SET UNLOGGED", false},
		"another collation":            {`ALTER TABLE composers ALTER COLUMN note TYPE text COLLATE "C"`, false},
		"a record of what was applied": {"CREATE TABLE public.goose_db_version (id serial PRIMARY KEY)", true},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgserver.Database(t)
			db := open(t, url)
			exec(t, db, composers)
			if tc.sql != "" {
				exec(t, db, tc.sql)
			}
			if got := mustFingerprint(t, url); (got == want) != tc.same {
				t.Errorf("the fingerprints are the same: %v, want %v", got == want, tc.same)
			}
		})
	}
}
