package migrate

import (
	"flag"
	"io/fs"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/test/results"
)

// fullStory makes the test of expand and contract one of minutes: a million rows, 500 requests a second, and plain ALTER beside it.
var fullStory = flag.Bool("story", false, "tell the story of expand and contract in full, with figures for `make results`")

const storyCommand = "make story"

const createWorks = "CREATE TABLE works (id bigint PRIMARY KEY, title text NOT NULL, composer text NOT NULL);"

// story is all that a table may have to go through: a new column, filled, unique and not null, and another one renamed.
var story = files{
	"1_create_works.sql": up(createWorks),
	// A trigger lets either release write, and the other read it.
	"2_add_columns.sql": up(`ALTER TABLE works ADD COLUMN slug text, ADD COLUMN composer_name text;
-- +goose StatementBegin
CREATE FUNCTION works_both() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	new.slug := coalesce(new.slug, 'work-' || new.id);
	IF TG_OP = 'INSERT' THEN
		new.composer := coalesce(new.composer, new.composer_name);
		new.composer_name := coalesce(new.composer_name, new.composer);
	ELSIF new.composer IS DISTINCT FROM old.composer THEN
		new.composer_name := new.composer;
	ELSIF new.composer_name IS DISTINCT FROM old.composer_name THEN
		new.composer := new.composer_name;
	END IF;
	RETURN new;
END $$;
-- +goose StatementEnd
CREATE TRIGGER works_both BEFORE INSERT OR UPDATE ON works FOR EACH ROW EXECUTE FUNCTION works_both();`),
	"fill_works.backfill.sql": `-- mirubato:after 2
-- mirubato:over works (id)
-- mirubato:batch 5000
-- mirubato:batch-time 200ms
-- mirubato:pause 50ms
-- mirubato:remaining slug IS NULL OR composer_name IS NULL
UPDATE works SET slug = 'work-' || works.id, composer_name = composer FROM batch
WHERE works.id = batch.id AND (slug IS NULL OR composer_name IS NULL);
`,
	"3_unique_slug.sql":   "-- mirubato:phase contract\n-- mirubato:after-backfill fill_works\n" + noTx("CREATE UNIQUE INDEX CONCURRENTLY works_by_slug ON works (slug);"),
	"4_check_slug.sql":    contractUp("ALTER TABLE works ADD CONSTRAINT works_slug CHECK (slug IS NOT NULL) NOT VALID;"),
	"5_validate_slug.sql": contractUp("ALTER TABLE works VALIDATE CONSTRAINT works_slug;"),
	"6_slug_not_null.sql": contractUp("ALTER TABLE works ALTER COLUMN slug SET NOT NULL, DROP CONSTRAINT works_slug;"),
	"7_drop_composer.sql": contractUp("DROP TRIGGER works_both ON works;\nDROP FUNCTION works_both;\nALTER TABLE works DROP COLUMN composer;"),
}

// plain is the same in one migration, as it is often written.
var plain = files{
	"1_create_works.sql": story["1_create_works.sql"],
	"2_all.sql": up(`ALTER TABLE works ADD COLUMN slug text;
UPDATE works SET slug = 'work-' || id;
CREATE UNIQUE INDEX works_by_slug ON works (slug);
ALTER TABLE works ALTER COLUMN slug SET NOT NULL;
ALTER TABLE works RENAME COLUMN composer TO composer_name;`),
}

// storyLoad is a database with rows, and the use of it.
func storyLoad(t *testing.T) (string, *traffic) {
	t.Helper()
	l := &traffic{rate: 50, rows: 3000}
	if *fullStory {
		l.rate, l.rows = 500, 1_000_000
	}
	l.next = l.rows + 1
	url := pgserver.Database(t)
	l.db = open(t, url)
	l.db.SetMaxOpenConns(20)
	l.db.SetMaxIdleConns(20)
	mustUp(t, url, files{"1_create_works.sql": story["1_create_works.sql"]})
	exec(t, l.db, "INSERT INTO works SELECT n, 'Étude ' || n, 'Sor' FROM generate_series(1, $1) AS n", l.rows)
	exec(t, l.db, "VACUUM ANALYZE works")
	return url, l
}

// Every change that a table may have to go through is made while it is read and written: no request fails, and none waits for long.
func TestExpandAndContractUnderLoad(t *testing.T) {
	url, l := storyLoad(t)
	second := story.fs()
	delete(second, "7_drop_composer.sql") // the third release brings it
	apply := func(phase Phase, f fs.FS) error {
		cfg := config(url, nil)
		cfg.Phase, cfg.Files, cfg.StatementLockTimeout = phase, f, DefaultStatementLockTimeout
		_, err := Up(t.Context(), cfg)
		return err
	}
	l.release.Store(1)
	var whole summary
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"nothing, for comparison", func() error { time.Sleep(time.Second); return nil }},
		{"expand", func() error { return apply(Expand, second) }},
		{"the second release takes over", func() error { l.release.Store(2); return nil }},
		{"backfill", func() error { _, err := Backfill(t.Context(), config(url, story)); return err }},
		{"unique, not null", func() error { return apply(Contract, second) }},
		{"the third release takes over", func() error { l.release.Store(3); return nil }},
		{"drop", func() error { return apply(Contract, story.fs()) }},
	} {
		started := time.Now()
		l.during(t, func() {
			if err := step.do(); err != nil {
				t.Error(err)
			}
		})
		seen := l.take()
		t.Logf("%-30s %6.1fs %s", step.name, time.Since(started).Seconds(), seen)
		if seen.failed > 0 {
			t.Errorf("%s: %d requests failed, the first with %v", step.name, seen.failed, seen.firstErr)
		}
		whole.requests, whole.failed, whole.slow = whole.requests+seen.requests, whole.failed+seen.failed, whole.slow+seen.slow
		whole.longest = max(whole.longest, seen.longest)
	}
	if n := get[int](t, l.db, "SELECT count(*) FROM works WHERE slug <> 'work-' || id OR composer_name IS NULL"); n != 0 {
		t.Errorf("%d works are not as they should be", n)
	}
	if !*fullStory {
		return
	}
	for _, f := range []results.Figure{
		{Name: "migrations under load, requests", Value: float64(whole.requests), Bound: "> 0"},
		{Name: "migrations under load, failed requests", Value: float64(whole.failed), Bound: "= 0"},
		{Name: "migrations under load, longest request", Value: float64(whole.longest.Milliseconds()), Unit: "ms", Bound: "< 1000"},
	} {
		f.Command = storyCommand
		results.Record(t, f)
		if f.Missed() {
			t.Errorf("%s: %v %s, want %s", f.Name, f.Value, f.Unit, f.Bound)
		}
	}
}

// What the same changes do when they are written down as they are meant.
func TestPlainAlterUnderLoad(t *testing.T) {
	if !*fullStory {
		t.Skip("only of use beside the figures of the other way; run it with -story")
	}
	url, l := storyLoad(t)
	l.release.Store(1)
	started := time.Now()
	l.during(t, func() { mustUp(t, url, plain) })
	seen := l.take()
	t.Logf("%-30s %6.1fs %s", "plain ALTER", time.Since(started).Seconds(), seen)
	for _, f := range []results.Figure{
		{Name: "plain ALTER under load, failed requests", Value: float64(seen.failed)},
		{Name: "plain ALTER under load, requests over 1 s", Value: float64(seen.slow)},
		{Name: "plain ALTER under load, longest request", Value: float64(seen.longest.Milliseconds()), Unit: "ms"},
	} {
		f.Command = storyCommand
		results.Record(t, f)
	}
}
