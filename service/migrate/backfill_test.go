package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

// filling counts how often each work is passed, so that it shows when one is passed twice. A brake can be put on one of them.
var filling = files{
	"1_create_works.sql": up(`CREATE TABLE works (id bigint PRIMARY KEY, title text, passes int NOT NULL DEFAULT 0);
CREATE TABLE brake (id bigint, how text);
-- +goose StatementBegin
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM brake WHERE id = new.id AND how = 'raise') THEN
		RAISE EXCEPTION 'braked';
	ELSIF EXISTS (SELECT FROM brake WHERE id = new.id AND how = 'end') THEN
		PERFORM pg_terminate_backend(pg_backend_pid());
	ELSIF EXISTS (SELECT FROM brake WHERE id = new.id AND how = 'pause') THEN
		UPDATE mirubato_backfills SET paused = true;
	END IF;
	RETURN new;
END $$;
-- +goose StatementEnd
CREATE TRIGGER slow BEFORE UPDATE ON works FOR EACH ROW EXECUTE FUNCTION slow();`),
	"count.backfill.sql": declared + "-- mirubato:batch 100\n-- mirubato:pause 0s\n-- mirubato:batch-time 1m\n" +
		"UPDATE works SET passes = passes + 1 FROM batch WHERE works.id = batch.id;\n",
	"2_drop_title.sql": "-- mirubato:after-backfill count\n" + contractUp("ALTER TABLE works DROP COLUMN title;"),
}

// filled is a database with n works, and the backfill ready.
func filled(t *testing.T, n int) (string, *sql.DB) {
	t.Helper()
	url := pgserver.Database(t)
	db := open(t, url)
	exec(t, db, "CREATE TABLE IF NOT EXISTS other (id int)") // not empty: contract files are held
	mustUp(t, url, files{"1_create_works.sql": filling["1_create_works.sql"]})
	exec(t, db, "INSERT INTO works (id, title) SELECT n, 'Étude' FROM generate_series(1, $1) AS n", n)
	return url, db
}

func mustBackfill(t *testing.T, cfg Config) contract.BackfillReport {
	t.Helper()
	report, err := Backfill(t.Context(), cfg)
	if err != nil || !report.Done {
		t.Fatalf("Backfill: %v, report %+v", err, report)
	}
	return report
}

// passedOnce makes sure that every work was passed once.
func passedOnce(t *testing.T, db *sql.DB, n int) {
	t.Helper()
	if got := get[int](t, db, "SELECT count(*) FROM works WHERE passes = 1"); got != n {
		t.Errorf("%d of %d works were passed once, %d more than once", got, n, get[int](t, db, "SELECT count(*) FROM works WHERE passes > 1"))
	}
}

func TestBackfillThenContract(t *testing.T) {
	url, db := filled(t, 350)
	report := mustUp(t, url, filling)
	if len(report.Backfills) != 1 || report.Backfills[0].State != contract.BackfillReady || len(report.Held) != 1 {
		t.Errorf("report of up: %+v", report)
	}
	cfg := config(url, filling)
	cfg.Phase = Contract
	_, failure := failUp(t, cfg, contract.BackfillPending)
	if failure.Migration != "2_drop_title.sql" || !failure.Retryable || !strings.Contains(failure.Message, "count, which is ready") {
		t.Errorf("contract before the backfill: %+v", failure)
	}
	if check, err := Check(t.Context(), cfg); mustFail(t, err, contract.BackfillPending) == nil || len(check.Backfills) != 1 {
		t.Errorf("check %+v", check)
	}
	filledReport := mustBackfill(t, config(url, filling))
	if b := filledReport.Backfills[0]; b.Rows != 350 || b.Changed != 350 || b.Estimate != 350 || b.FinishedAt == nil || b.State != contract.BackfillDone {
		t.Errorf("report of backfill: %+v", b)
	}
	passedOnce(t, db, 350)
	mustBackfill(t, config(url, filling)) // there is nothing to do
	passedOnce(t, db, 350)
	if report, err := Up(t.Context(), cfg); err != nil || report.To != 2 {
		t.Errorf("contract afterwards: %+v, %v", report, err)
	}
	// What it reads is gone, so it is done also where nobody knows of it.
	exec(t, db, "DELETE FROM mirubato_backfills")
	mustBackfill(t, config(url, filling))
}

func TestABackfillGoesOnWhereItEnded(t *testing.T) {
	url, db := filled(t, 950)
	cfg := config(url, filling)
	exec(t, db, "INSERT INTO brake VALUES (250, 'raise')")
	report, err := Backfill(t.Context(), cfg)
	failure := mustFail(t, err, contract.MigrationFailed)
	if failure.Migration != "count.backfill.sql" || failure.SQLState != "P0001" || report.Done || report.Backfills[0].Rows != 200 || report.Backfills[0].State != contract.BackfillStarted {
		t.Errorf("braked: %+v, report %+v", failure, report)
	}
	exec(t, db, "UPDATE brake SET id = 450, how = 'end'")
	_, err = Backfill(t.Context(), cfg)
	mustFail(t, err, contract.DatabaseUnreachable)

	exec(t, db, "UPDATE brake SET id = 650, how = 'none'")
	held, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.ExecContext(t.Context(), "SELECT FROM works WHERE id = 700 FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Backfill(ctx, cfg)
		done <- err
	}()
	awaitBlocked(t, db)
	stop()
	mustFail(t, <-done, contract.Interrupted)
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	mustBackfill(t, cfg)
	passedOnce(t, db, 950)
}

// Rows that are added while a backfill runs are whole, and may come as fast as it passes over others.
func TestABackfillEndsThoughRowsAreAdded(t *testing.T) {
	url, db := filled(t, 350)
	adding := maps.Clone(filling)
	adding["count.backfill.sql"] = declared + "-- mirubato:batch 100\n-- mirubato:pause 0s\n-- mirubato:batch-time 1m\n" +
		"INSERT INTO works (id, title) SELECT batch.id + 350, 'Étude' FROM batch;\n"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := Backfill(ctx, config(url, adding)); err != nil {
		t.Fatal(err)
	}
	if n := get[int](t, db, "SELECT count(*) FROM works"); n != 700 {
		t.Errorf("%d works, want those there were and one more for each", n)
	}
}

func TestManyRunnersOfABackfill(t *testing.T) {
	url, db := filled(t, 500)
	done := make(chan error)
	for range 5 {
		go func() {
			_, err := Backfill(t.Context(), config(url, filling))
			done <- err
		}()
	}
	for range 5 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	passedOnce(t, db, 500)
}

func TestPauseAndResume(t *testing.T) {
	url, db := filled(t, 300)
	cfg := config(url, filling)
	// It is paused by the batch itself, so that the next one must notice.
	exec(t, db, "INSERT INTO brake VALUES (120, 'pause')")
	report, err := Backfill(t.Context(), cfg)
	failure := mustFail(t, err, contract.BackfillPaused)
	if !failure.Retryable || report.Backfills[0].State != contract.BackfillHalted || report.Backfills[0].Rows != 200 {
		t.Errorf("paused: %+v, report %+v", failure, report)
	}
	exec(t, db, "DELETE FROM brake")
	if _, err := Backfill(t.Context(), cfg); mustFail(t, err, contract.BackfillPaused) == nil {
		t.Error("it went on")
	}
	for _, paused := range []bool{true, false} {
		if _, err := PauseBackfill(t.Context(), cfg, "count", paused); err != nil {
			t.Fatal(err)
		}
	}
	mustBackfill(t, cfg)
	passedOnce(t, db, 300)
	_, err = PauseBackfill(t.Context(), cfg, "nothing", true)
	mustFail(t, err, contract.InvalidMigrations)
}

func TestKeysAndStatements(t *testing.T) {
	for name, tc := range map[string]struct{ over, statement string }{
		"two columns":     {"members (owner, nr)", "UPDATE members SET passes = passes + 1 FROM batch WHERE (members.owner, members.nr) = (batch.owner, batch.nr);"},
		"a quoted column": {`members ("Code")`, `UPDATE members SET passes = passes + 1 FROM batch WHERE members."Code" = batch."Code";`},
		"a table expression of its own": {"public.members (at)", `WITH chosen AS (SELECT m.at FROM members m JOIN batch ON m.at = batch.at)
			UPDATE members SET passes = passes + 1 FROM chosen WHERE members.at = chosen.at`},
		"a recursive one": {"members (owner, nr)", `WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3)
			UPDATE members SET passes = passes + (SELECT max(n) FROM t) - 2 FROM batch WHERE members.owner = batch.owner AND members.nr = batch.nr`},
		"an insert": {"members (owner, nr)", `INSERT INTO members AS m SELECT m.* FROM members m JOIN batch b ON (m.owner, m.nr) = (b.owner, b.nr)
			ON CONFLICT (owner, nr) DO UPDATE SET passes = m.passes + 1`},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgserver.Database(t)
			db := open(t, url)
			mustUp(t, url, files{"1_create.sql": up(`CREATE TABLE members (owner text, nr numeric(9,2), "Code" uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
				at timestamptz NOT NULL UNIQUE, passes int NOT NULL DEFAULT 0, PRIMARY KEY (owner, nr));`)})
			exec(t, db, `INSERT INTO members SELECT CASE WHEN n % 3 = 0 THEN 'Ä"b,''' ELSE 'a' || n % 2 END, n + 0.25, gen_random_uuid(), now() - n * interval '0.000001 s'
				FROM generate_series(1, 100) AS n`)
			f := files{"1_create.sql": "", "count.backfill.sql": "-- mirubato:after 1\n-- mirubato:pause 0s\n-- mirubato:batch 7\n-- mirubato:over " + tc.over + "\n" + tc.statement}
			f["1_create.sql"] = up(`CREATE TABLE members (owner text, nr numeric(9,2), "Code" uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
				at timestamptz NOT NULL UNIQUE, passes int NOT NULL DEFAULT 0, PRIMARY KEY (owner, nr));`)
			report := mustBackfill(t, config(url, f))
			if b := report.Backfills[0]; b.Rows != 100 || b.Changed != 100 {
				t.Errorf("report %+v", b)
			}
			if n := get[int](t, db, "SELECT count(*) FROM members WHERE passes = 1"); n != 100 {
				t.Errorf("%d of 100 were passed once", n)
			}
		})
	}
}

func TestBackfillsThatTheDatabaseRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(text string) string
		want   string
	}{
		"a column that is not there":   {func(s string) string { return strings.Replace(s, "(id)", "(nr)", 1) }, `has no column "nr"`},
		"a table that is not there":    {func(s string) string { return strings.Replace(s, "over works", "over opera", 1) }, `relation "opera" does not exist`},
		"a column that may be null":    {func(s string) string { return strings.Replace(s, "(id)", "(title)", 1) }, "may be null"},
		"a column that is not unique":  {func(s string) string { return strings.Replace(s, "(id)", "(passes)", 1) }, "has no unique index on"},
		"a statement with an error":    {func(s string) string { return strings.Replace(s, "passes + 1", "passes + tempo", 1) }, `line 6: running it: column "tempo" does not exist`},
		"a version not applied":        {func(s string) string { return strings.Replace(s, "after 1", "after 3", 1) }, "needs the schema version 3"},
		"rows that are never complete": {func(s string) string { return "-- mirubato:remaining title IS NOT NULL\n" + s }, "passed 3 times, and for 20 of them 'title IS NOT NULL' still holds"},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := filled(t, 20)
			f := files{
				"1_create_works.sql": filling["1_create_works.sql"], "3_later.sql": up("SELECT 1;"),
				"count.backfill.sql": tc.change(filling["count.backfill.sql"]),
			}
			report, err := Backfill(t.Context(), config(url, f))
			failure := classify(t.Context(), err)
			if err == nil || !strings.Contains(failure.Message, tc.want) || failure.Migration != "count.backfill.sql" || report.Done {
				t.Errorf("error %+v does not say %q", err, tc.want)
			}
		})
	}
}

func TestAnEditedBackfill(t *testing.T) {
	url, db := filled(t, 250)
	exec(t, db, "INSERT INTO brake VALUES (150, 'raise')")
	_, err := Backfill(t.Context(), config(url, filling))
	mustFail(t, err, contract.MigrationFailed)
	exec(t, db, "DELETE FROM brake")
	// What has begun may be corrected, and begins anew.
	edited := filling.with("count.backfill.sql", strings.Replace(filling["count.backfill.sql"], "passes + 1", "1", 1))
	if b := mustBackfill(t, config(url, edited)).Backfills[0]; b.Rows != 250 {
		t.Errorf("report %+v", b)
	}
	passedOnce(t, db, 250)
	// What is done is history.
	report, err := Backfill(t.Context(), config(url, filling))
	mustFail(t, err, contract.HistoryChanged)
	if report.Backfills[0].State != contract.BackfillEdited {
		t.Errorf("report %+v", report)
	}
}

// An empty database gets the whole history, with the backfills where they belong.
func TestBackfillsOnAnEmptyDatabase(t *testing.T) {
	url := pgserver.Database(t)
	f := filling.
		with("1_create_works.sql", filling["1_create_works.sql"]+"INSERT INTO works SELECT n, 'Étude' FROM generate_series(1, 20) AS n;\n").
		with("3_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;"))
	if report := mustUp(t, url, f); report.To != 3 || report.Backfills != nil {
		t.Errorf("report %+v", report)
	}
	passedOnce(t, open(t, url), 20)
	mustBackfill(t, config(url, f))
}

// Others wait for locks: as long as they do, a backfill does not add to it.
func TestABackfillHoldsBack(t *testing.T) {
	url, db := filled(t, 20)
	f := filling.with("count.backfill.sql", "-- mirubato:max-waits 1\n"+filling["count.backfill.sql"])
	release := holdTable(t, db, "brake")
	waiting := make(chan error)
	for range 2 {
		go func() {
			_, err := db.ExecContext(context.Background(), "SELECT FROM brake")
			waiting <- err
		}()
	}
	for deadline := time.Now().Add(30 * time.Second); get[int](t, db, "SELECT count(*) FROM pg_locks WHERE NOT granted") < 2; {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
		time.Sleep(5 * time.Millisecond)
	}
	var passed int
	cfg := config(url, f)
	cfg.Log = once("holding a backfill up", func() {
		passed = get[int](t, db, "SELECT count(*) FROM works WHERE passes > 0")
		release()
	})
	mustBackfill(t, cfg)
	for range 2 {
		if err := <-waiting; err != nil {
			t.Error(err)
		}
	}
	if passed != 0 {
		t.Errorf("%d works were passed while others waited", passed)
	}
	passedOnce(t, db, 20)
}

func TestNextSize(t *testing.T) {
	const may = 500 * time.Millisecond
	var got []int
	for _, took := range []time.Duration{10 * time.Millisecond, 10 * time.Millisecond, 300 * time.Millisecond, time.Second, 0} {
		size := 100
		if len(got) > 0 {
			size = got[len(got)-1]
		}
		got = append(got, nextSize(size, 300, took, may))
	}
	if want := []int{200, 300, 300, 150, 300}; !slices.Equal(got, want) {
		t.Errorf("sizes %v, want %v", got, want)
	}
	if got := nextSize(1, 300, time.Hour, may); got != 1 {
		t.Errorf("the smallest batch: %d", got)
	}
}

func TestRemaining(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := progress{started: start, passed: 100, estimate: 400}
	if got := fmt.Sprint(p.left(start.Add(time.Minute))); got != "3m0s" {
		t.Errorf("left %s", got)
	}
	for _, p := range []progress{{}, {started: start}, {started: start, passed: 500, estimate: 400}} {
		if got := p.left(start.Add(time.Minute)); got != 0 {
			t.Errorf("%+v: left %s", p, got)
		}
	}
}
