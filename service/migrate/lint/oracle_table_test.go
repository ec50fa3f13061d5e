package lint

// world is the database that the oracle tries statements on. It is also read as a migration, so that what lint learns from files can be
// held against what it learns from a database.
const world = `
CREATE TABLE composers (id int PRIMARY KEY, name text NOT NULL, born int);
CREATE TYPE mood AS ENUM ('calm', 'wild');
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN label AS text;
CREATE TABLE works (
    id bigint PRIMARY KEY, composer_id int REFERENCES composers (id), title varchar(100) NOT NULL, subtitle text, opus varchar, code char(4),
    price numeric(8,2), weight numeric, written timestamp, published timestamptz, due timestamp(3), pages int, tempo int, rate positive, tag label,
    mood mood, bits varbit(8), flags bit(8), tags varchar(10)[], source cidr, doc json, opened time(3), address inet, count int NOT NULL DEFAULT 0,
    CONSTRAINT pages_positive CHECK (pages > 0), CONSTRAINT tempo_there CHECK (tempo IS NOT NULL AND tempo > 0), CONSTRAINT works_title UNIQUE (title));
ALTER TABLE works ADD CONSTRAINT pages_few CHECK (pages < 10000) NOT VALID;
ALTER TABLE works ADD CONSTRAINT subtitle_there CHECK (subtitle IS NOT NULL) NOT VALID;
CREATE INDEX works_by_composer ON works (composer_id);
CREATE UNIQUE INDEX works_by_count ON works (id, count);
CREATE UNIQUE INDEX works_by_code ON works (code);
CREATE UNIQUE INDEX works_by_pages ON works (id, pages);
CREATE TABLE movements (id int PRIMARY KEY, work_id bigint REFERENCES works (id), number int, editor_id int);
ALTER TABLE movements ADD CONSTRAINT movements_editor FOREIGN KEY (editor_id) REFERENCES composers (id) NOT VALID;
CREATE TABLE plain (id int, body text, amount int);
CREATE TABLE numbers (id int, body text);
CREATE UNLOGGED TABLE scratch (id int);
CREATE TABLE parents (id int, body text);
CREATE TABLE heirs (extra int) INHERITS (parents);
CREATE TABLE events (id int NOT NULL, at date NOT NULL, work_id bigint) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE TABLE events_2027 (id int NOT NULL, at date NOT NULL, work_id bigint);
CREATE TABLE events_2028 (id int NOT NULL, at date NOT NULL, work_id bigint,
    CONSTRAINT in_2028 CHECK (at >= '2028-01-01' AND at < '2029-01-01'));
CREATE TABLE logs (id int NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE logs_2026 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE logs_2027 (id int NOT NULL, at date NOT NULL);
CREATE TABLE logs_2028 (id int NOT NULL, at date NOT NULL, CONSTRAINT in_2028 CHECK (at >= '2028-01-01' AND at < '2029-01-01'));
CREATE TABLE cards (id int PRIMARY KEY, title text, pages int);
CREATE VIEW work_list AS SELECT id, title FROM cards;
CREATE MATERIALIZED VIEW work_titles AS SELECT id, title FROM cards;
CREATE UNIQUE INDEX work_titles_by_id ON work_titles (id);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION steadily() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION freely() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE TRIGGER works_stamp BEFORE UPDATE ON works FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE POLICY works_seen ON works USING (true);
CREATE RULE numbers_kept AS ON DELETE TO numbers DO INSTEAD NOTHING;
CREATE SEQUENCE tickets;
CREATE STATISTICS works_related (dependencies) ON pages, tempo FROM works;
CREATE SCHEMA archive;
CREATE TABLE archive.works (id int PRIMARY KEY, body text);
CREATE TABLE archive.pages (id int, work_id int REFERENCES archive.works (id));
INSERT INTO composers VALUES (1, 'a', 1800);
INSERT INTO works (id, composer_id, title, subtitle, opus, code, price, weight, written, published, pages, tempo, rate, flags, tag)
    VALUES (1, 1, 'a', 'b', 'c', 'd', 1, 1, '2000-01-01', '2000-01-01', 1, 1, 1, B'00000001', 'e');
INSERT INTO cards VALUES (1, 'a', 1);
INSERT INTO movements VALUES (1, 1, 1, 1);
INSERT INTO plain VALUES (1, 'a', 1);
INSERT INTO numbers VALUES (1, 'a');
INSERT INTO parents VALUES (1, 'a');
INSERT INTO heirs VALUES (1, 'a', 1);
INSERT INTO events VALUES (1, '2025-02-01', 1), (2, '2026-02-01', 1), (3, '2035-02-01', 1);
INSERT INTO events_2027 VALUES (1, '2027-02-01', 1);
INSERT INTO events_2028 VALUES (1, '2028-02-01', 1);
INSERT INTO logs VALUES (1, '2026-02-01');
INSERT INTO logs_2027 VALUES (1, '2027-02-01');
INSERT INTO logs_2028 VALUES (1, '2028-02-01');
INSERT INTO archive.works VALUES (1, 'a');
INSERT INTO archive.pages VALUES (1, 1);
REFRESH MATERIALIZED VIEW work_titles;
`

// statements are what the oracle tries, each on the world as it is above. What they lock and rewrite is not written here: the server says
// it, and lint has to say the same.
var statements = []string{
	// Columns.
	"ALTER TABLE works ADD COLUMN extra text",
	"ALTER TABLE works ADD COLUMN extra text, ADD COLUMN more int",
	"ALTER TABLE works ADD COLUMN IF NOT EXISTS extra text",
	"ALTER TABLE works ADD COLUMN extra int NOT NULL DEFAULT 0",
	"ALTER TABLE works ADD COLUMN extra timestamptz DEFAULT now()",
	"ALTER TABLE works ADD COLUMN extra timestamptz NOT NULL DEFAULT current_timestamp",
	"ALTER TABLE works ADD COLUMN extra text DEFAULT current_user",
	"ALTER TABLE works ADD COLUMN extra text DEFAULT lower('A')",
	"ALTER TABLE works ADD COLUMN extra text DEFAULT NULL",
	"ALTER TABLE works ADD COLUMN extra jsonb NOT NULL DEFAULT '{}'",
	"ALTER TABLE works ADD COLUMN extra json",
	"ALTER TABLE works ADD COLUMN extra timestamptz DEFAULT clock_timestamp()",
	"ALTER TABLE works ADD COLUMN extra float DEFAULT random()",
	"ALTER TABLE works ADD COLUMN extra uuid DEFAULT gen_random_uuid()",
	"ALTER TABLE works ADD COLUMN extra int DEFAULT steadily()",
	"ALTER TABLE works ADD COLUMN extra int DEFAULT freely()",
	"ALTER TABLE works ADD COLUMN extra bigint DEFAULT nextval('tickets')",
	"ALTER TABLE works ADD COLUMN extra serial",
	"ALTER TABLE works ADD COLUMN extra bigserial",
	"ALTER TABLE works ADD COLUMN extra int GENERATED ALWAYS AS IDENTITY",
	"ALTER TABLE works ADD COLUMN extra int GENERATED BY DEFAULT AS IDENTITY",
	"ALTER TABLE works ADD COLUMN extra int GENERATED ALWAYS AS (pages * 2) STORED",
	"ALTER TABLE works ADD COLUMN extra positive",
	"ALTER TABLE works ADD COLUMN extra label",
	"ALTER TABLE works ADD COLUMN extra mood",
	"ALTER TABLE works ADD COLUMN extra int CHECK (extra > 0)",
	"ALTER TABLE works ADD COLUMN extra int UNIQUE",
	"ALTER TABLE works ADD COLUMN extra int REFERENCES composers (id)",
	"ALTER TABLE works ADD COLUMN extra int DEFAULT NULL REFERENCES composers (id)",
	"ALTER TABLE works ADD COLUMN extra int DEFAULT 1 REFERENCES composers (id)",
	"ALTER TABLE plain ADD COLUMN extra int GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
	"ALTER TABLE works DROP COLUMN pages",
	"ALTER TABLE works DROP COLUMN price",
	"ALTER TABLE works DROP COLUMN composer_id",
	"ALTER TABLE works DROP COLUMN IF EXISTS subtitle",
	"ALTER TABLE movements DROP COLUMN work_id",
	"ALTER TABLE works RENAME COLUMN pages TO sheets",
	"ALTER TABLE works ALTER COLUMN pages SET DEFAULT 1",
	"ALTER TABLE works ALTER COLUMN count DROP DEFAULT",
	"ALTER TABLE works ALTER COLUMN price SET NOT NULL",
	"ALTER TABLE works ALTER COLUMN tempo SET NOT NULL",
	"ALTER TABLE works ALTER COLUMN subtitle SET NOT NULL",
	"ALTER TABLE works ALTER COLUMN title SET NOT NULL",
	"ALTER TABLE works ALTER COLUMN title DROP NOT NULL",
	"ALTER TABLE movements ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (START 10)",
	"ALTER TABLE numbers ALTER COLUMN id SET NOT NULL, ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY",
	"ALTER TABLE works ALTER COLUMN pages SET STATISTICS 500",
	"ALTER TABLE works ALTER COLUMN pages SET (n_distinct = 100)",
	"ALTER TABLE works ALTER COLUMN pages RESET (n_distinct)",
	"ALTER TABLE works ALTER COLUMN subtitle SET STORAGE EXTERNAL",
	"ALTER TABLE works ALTER COLUMN subtitle SET COMPRESSION pglz",

	// Types of columns.
	"ALTER TABLE works ALTER COLUMN title TYPE varchar(200)",
	"ALTER TABLE works ALTER COLUMN title TYPE varchar(50)",
	"ALTER TABLE works ALTER COLUMN title TYPE varchar",
	"ALTER TABLE works ALTER COLUMN title TYPE text",
	"ALTER TABLE works ALTER COLUMN title SET DATA TYPE text USING title::text",
	"ALTER TABLE works ALTER COLUMN title TYPE text USING upper(title)",
	"ALTER TABLE works ALTER COLUMN subtitle TYPE varchar",
	"ALTER TABLE works ALTER COLUMN subtitle TYPE varchar(20)",
	"ALTER TABLE works ALTER COLUMN opus TYPE varchar(20)",
	"ALTER TABLE works ALTER COLUMN code TYPE char(8)",
	"ALTER TABLE works ALTER COLUMN code TYPE text",
	"ALTER TABLE works ALTER COLUMN price TYPE numeric(10,2)",
	"ALTER TABLE works ALTER COLUMN price TYPE numeric(10,3)",
	"ALTER TABLE works ALTER COLUMN price TYPE numeric",
	"ALTER TABLE works ALTER COLUMN price TYPE numeric(6,2)",
	"ALTER TABLE works ALTER COLUMN weight TYPE numeric(8,2)",
	"ALTER TABLE works ALTER COLUMN pages TYPE bigint",
	"ALTER TABLE plain ALTER COLUMN amount TYPE text",
	"ALTER TABLE works ALTER COLUMN pages TYPE oid USING pages::oid",
	"ALTER TABLE works ALTER COLUMN written TYPE timestamptz",
	"ALTER TABLE works ALTER COLUMN published TYPE timestamp",
	"ALTER TABLE works ALTER COLUMN published TYPE date",
	"ALTER TABLE works ALTER COLUMN due TYPE timestamp(6)",
	"ALTER TABLE works ALTER COLUMN due TYPE timestamp",
	"ALTER TABLE works ALTER COLUMN due TYPE timestamp(1)",
	"ALTER TABLE works ALTER COLUMN opened TYPE time",
	"ALTER TABLE works ALTER COLUMN bits TYPE varbit(16)",
	"ALTER TABLE works ALTER COLUMN bits TYPE varbit",
	"ALTER TABLE works ALTER COLUMN flags TYPE bit(16) USING flags::bit(16)",
	"ALTER TABLE works ALTER COLUMN flags TYPE varbit",
	"ALTER TABLE works ALTER COLUMN tags TYPE text[]",
	"ALTER TABLE works ALTER COLUMN tags TYPE varchar(20)[]",
	"ALTER TABLE works ALTER COLUMN source TYPE inet",
	"ALTER TABLE works ALTER COLUMN address TYPE cidr",
	"ALTER TABLE works ALTER COLUMN doc TYPE jsonb USING doc::jsonb",
	"ALTER TABLE works ALTER COLUMN rate TYPE int",
	"ALTER TABLE works ALTER COLUMN pages TYPE positive",
	"ALTER TABLE works ALTER COLUMN subtitle TYPE label",
	"ALTER TABLE works ALTER COLUMN mood TYPE text",
	"ALTER TABLE works ALTER COLUMN id TYPE int",
	"ALTER TABLE composers ALTER COLUMN id TYPE bigint",
	"ALTER TABLE movements ALTER COLUMN work_id TYPE int",
	"ALTER TABLE works ALTER COLUMN pages TYPE int",
	"ALTER TABLE works DROP CONSTRAINT pages_positive, ALTER COLUMN pages TYPE int, ADD CONSTRAINT pages_positive CHECK (pages > 0) NOT VALID",

	// Constraints.
	"ALTER TABLE works ADD CONSTRAINT extra CHECK (price > 0)",
	"ALTER TABLE works ADD CHECK (price > 0)",
	"ALTER TABLE works ADD CONSTRAINT extra CHECK (price > 0) NOT VALID",
	"ALTER TABLE works VALIDATE CONSTRAINT pages_few",
	"ALTER TABLE works VALIDATE CONSTRAINT pages_positive",
	"ALTER TABLE works DROP CONSTRAINT pages_positive",
	"ALTER TABLE works DROP CONSTRAINT works_title",
	"ALTER TABLE works DROP CONSTRAINT works_composer_id_fkey",
	"ALTER TABLE works DROP CONSTRAINT works_pkey CASCADE",
	"ALTER TABLE works RENAME CONSTRAINT pages_positive TO pages_some",
	"ALTER TABLE works ALTER CONSTRAINT works_composer_id_fkey DEFERRABLE INITIALLY DEFERRED",
	"ALTER TABLE plain ADD CONSTRAINT extra FOREIGN KEY (id) REFERENCES composers (id)",
	"ALTER TABLE plain ADD CONSTRAINT extra FOREIGN KEY (id) REFERENCES composers (id) NOT VALID",
	"ALTER TABLE movements VALIDATE CONSTRAINT movements_editor",
	"ALTER TABLE movements DROP CONSTRAINT movements_editor",
	"ALTER TABLE plain ADD UNIQUE (id)",
	"ALTER TABLE works ADD CONSTRAINT extra UNIQUE (opus)",
	"ALTER TABLE works ADD CONSTRAINT extra UNIQUE USING INDEX works_by_code",
	"ALTER TABLE plain ADD PRIMARY KEY (id)",
	"ALTER TABLE plain ADD CONSTRAINT extra EXCLUDE (id WITH =)",
	"ALTER TABLE works DROP CONSTRAINT works_pkey CASCADE, ADD CONSTRAINT works_pkey PRIMARY KEY USING INDEX works_by_count",
	"ALTER TABLE works DROP CONSTRAINT works_pkey CASCADE, ADD CONSTRAINT works_pkey PRIMARY KEY USING INDEX works_by_pages",
	"ALTER TABLE parents ADD CONSTRAINT extra CHECK (id > 0)",
	"ALTER TABLE parents ADD CONSTRAINT extra CHECK (id > 0) NOT VALID",
	"ALTER TABLE parents ADD CONSTRAINT extra CHECK (id > 0) NO INHERIT",
	"ALTER TABLE events ADD CONSTRAINT extra CHECK (id > 0)",
	"ALTER TABLE events ADD CONSTRAINT extra FOREIGN KEY (work_id) REFERENCES works (id)",
	"ALTER TABLE events ADD PRIMARY KEY (id, at)",
	"ALTER TABLE events ADD UNIQUE (work_id, at)",
	"ALTER TABLE logs ADD COLUMN extra int, ADD CHECK (id > 0)",

	// Indexes.
	"CREATE INDEX extra ON works (pages)",
	"CREATE INDEX ON works (lower(title))",
	"CREATE UNIQUE INDEX extra ON works (opus)",
	"CREATE INDEX IF NOT EXISTS extra ON works (pages, tempo, price, opus)",
	"CREATE INDEX extra ON events (work_id)",
	"CREATE INDEX extra ON ONLY events (work_id)",
	"CREATE INDEX extra ON events_2025 (work_id)",
	"CREATE INDEX extra ON work_titles (title)",
	"CREATE INDEX CONCURRENTLY extra ON works (pages)",
	"CREATE UNIQUE INDEX CONCURRENTLY extra ON works (opus)",
	"DROP INDEX works_by_composer",
	"DROP INDEX CONCURRENTLY works_by_composer",
	"REINDEX INDEX works_by_composer",
	"REINDEX TABLE works",
	"REINDEX INDEX CONCURRENTLY works_by_composer",
	"REINDEX TABLE CONCURRENTLY plain",
	"ALTER INDEX works_by_composer RENAME TO works_by_author",
	"ALTER INDEX works_by_composer SET (fillfactor = 80)",

	// Tables, views and schemas.
	"CREATE TABLE extra (id int PRIMARY KEY)",
	"CREATE TABLE extra (id int REFERENCES works (id))",
	"CREATE TABLE extra (id int, CONSTRAINT extra FOREIGN KEY (id) REFERENCES composers (id))",
	"CREATE TABLE extra (LIKE works INCLUDING ALL)",
	"CREATE TABLE extra (more int) INHERITS (parents)",
	"CREATE TABLE extra AS SELECT * FROM works",
	"CREATE TEMPORARY TABLE extra (id int)",
	"DROP TABLE plain",
	"DROP TABLE works CASCADE",
	"DROP TABLE cards CASCADE",
	"DROP TABLE movements",
	"DROP TABLE archive.pages",
	"DROP TABLE heirs",
	"DROP TABLE events_2025",
	"DROP TABLE events",
	"DROP TABLE IF EXISTS plain",
	"DROP VIEW work_list",
	"DROP MATERIALIZED VIEW work_titles",
	"DROP SCHEMA archive CASCADE",
	"ALTER TABLE works RENAME TO pieces",
	"ALTER TABLE works SET SCHEMA archive_2",
	"ALTER TABLE plain SET SCHEMA archive",
	"ALTER TABLE works OWNER TO current_user",
	"ALTER TABLE works SET (fillfactor = 80)",
	"ALTER TABLE works SET (autovacuum_enabled = false)",
	"ALTER TABLE works RESET (fillfactor)",
	"ALTER TABLE works CLUSTER ON works_pkey",
	"ALTER TABLE works SET WITHOUT CLUSTER",
	"ALTER TABLE works REPLICA IDENTITY FULL",
	"ALTER TABLE plain SET UNLOGGED",
	"ALTER TABLE scratch SET LOGGED",
	"ALTER TABLE plain SET TABLESPACE elsewhere",
	"ALTER TABLE plain SET ACCESS METHOD heap_too",
	"ALTER TABLE heirs NO INHERIT parents",
	"ALTER TABLE numbers INHERIT parents",
	"ALTER TABLE parents ADD COLUMN extra int",
	"ALTER TABLE ONLY parents ALTER COLUMN id SET DEFAULT 1",
	"ALTER TABLE parents ALTER COLUMN id TYPE bigint",
	"CLUSTER works USING works_pkey",
	"VACUUM works",
	"VACUUM FULL works",
	"VACUUM (FULL false) works",
	"ANALYZE works",
	"TRUNCATE plain",
	"TRUNCATE works CASCADE",
	"TRUNCATE events",
	"LOCK TABLE works IN ACCESS EXCLUSIVE MODE",
	"LOCK TABLE works IN SHARE MODE",
	"LOCK TABLE works IN ROW EXCLUSIVE MODE",
	"LOCK TABLE works",
	"REFRESH MATERIALIZED VIEW work_titles",
	"REFRESH MATERIALIZED VIEW CONCURRENTLY work_titles",
	"CREATE VIEW extra AS SELECT id FROM works",
	"CREATE OR REPLACE VIEW work_list AS SELECT id, title, pages FROM cards",
	"CREATE MATERIALIZED VIEW extra AS SELECT id FROM works",
	"ALTER VIEW work_list RENAME TO works_list",
	"COMMENT ON TABLE works IS 'pieces'",
	"COMMENT ON COLUMN works.pages IS 'sheets'",
	"CREATE STATISTICS extra ON pages, tempo FROM works",
	"DROP STATISTICS works_related",
	"GRANT SELECT ON works TO PUBLIC",
	"REVOKE SELECT ON works FROM PUBLIC",
	"CREATE PUBLICATION extra FOR TABLE works",

	// Partitions.
	"CREATE TABLE extra PARTITION OF events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')",
	"CREATE TABLE extra PARTITION OF logs FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')",
	"ALTER TABLE events ATTACH PARTITION events_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
	"ALTER TABLE events ATTACH PARTITION events_2028 FOR VALUES FROM ('2028-01-01') TO ('2029-01-01')",
	"ALTER TABLE logs ATTACH PARTITION logs_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
	"ALTER TABLE logs ATTACH PARTITION logs_2028 FOR VALUES FROM ('2028-01-01') TO ('2029-01-01')",
	"ALTER TABLE events DETACH PARTITION events_2025",
	"ALTER TABLE logs DETACH PARTITION logs_2026",
	"ALTER TABLE logs DETACH PARTITION logs_2026 CONCURRENTLY",
	"ALTER TABLE events ADD COLUMN extra int",
	"ALTER TABLE events ADD COLUMN extra float DEFAULT random()",
	"ALTER TABLE events ALTER COLUMN work_id SET NOT NULL",
	"ALTER TABLE events ALTER COLUMN id TYPE bigint",
	"ALTER TABLE events DROP COLUMN work_id",

	// Triggers, policies, rules.
	"CREATE TRIGGER extra BEFORE INSERT ON works FOR EACH ROW EXECUTE FUNCTION stamp()",
	"CREATE OR REPLACE TRIGGER works_stamp BEFORE UPDATE ON works FOR EACH ROW EXECUTE FUNCTION stamp()",
	"CREATE CONSTRAINT TRIGGER extra AFTER INSERT ON plain FROM composers DEFERRABLE FOR EACH ROW EXECUTE FUNCTION stamp()",
	"CREATE TRIGGER extra AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION stamp()",
	"DROP TRIGGER works_stamp ON works",
	"ALTER TABLE works DISABLE TRIGGER works_stamp",
	"ALTER TABLE works ENABLE TRIGGER ALL",
	"ALTER TABLE works ENABLE ALWAYS TRIGGER works_stamp",
	"ALTER TRIGGER works_stamp ON works RENAME TO works_mark",
	"ALTER TABLE works ENABLE ROW LEVEL SECURITY",
	"ALTER TABLE works FORCE ROW LEVEL SECURITY",
	"CREATE POLICY extra ON works USING (true)",
	"ALTER POLICY works_seen ON works USING (false)",
	"DROP POLICY works_seen ON works",
	"CREATE RULE extra AS ON DELETE TO plain DO INSTEAD NOTHING",
	"DROP RULE numbers_kept ON numbers",
	"ALTER TABLE numbers DISABLE RULE numbers_kept",

	// Types, routines, rows.
	"CREATE TYPE extra AS ENUM ('a')",
	"ALTER TYPE mood ADD VALUE 'sad'",
	"ALTER TYPE mood RENAME VALUE 'calm' TO 'quiet'",
	"DROP TYPE mood CASCADE",
	"CREATE DOMAIN extra AS int CHECK (value > 0)",
	"ALTER DOMAIN positive ADD CONSTRAINT extra CHECK (value < 1000000)",
	"ALTER DOMAIN positive ADD CONSTRAINT extra CHECK (value < 1000000) NOT VALID",
	"ALTER DOMAIN label ADD CHECK (value <> '')",
	"ALTER DOMAIN label SET NOT NULL",
	"ALTER DOMAIN label SET DEFAULT 'a'",
	"CREATE OR REPLACE FUNCTION freely() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 2; END'",
	"DROP FUNCTION freely()",
	"CREATE SEQUENCE extra",
	"ALTER SEQUENCE tickets RESTART",
	"DROP SEQUENCE tickets",
	"CREATE EXTENSION IF NOT EXISTS plpgsql",
	"INSERT INTO plain VALUES (2, 'b', 2)",
	"UPDATE works SET pages = 2",
	"UPDATE works SET pages = 2 WHERE id = 1",
	"DELETE FROM plain WHERE true",
	"DELETE FROM movements WHERE id = 1",
	"SELECT * FROM works FOR UPDATE",
}
