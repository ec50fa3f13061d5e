package migrate

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
)

const declared = "-- mirubato:after 1\n-- mirubato:over works (id)\n"

const fillTitle = declared + "UPDATE works SET title = 'x' FROM batch WHERE works.id = batch.id;\n"

func TestParseBackfill(t *testing.T) {
	type parsed struct {
		Table, Remaining, Body string
		Key                    []string
		After                  int64
		Batch, MaxWaits        int
		BatchTime, Pause, Lag  time.Duration
	}
	for name, tc := range map[string]struct {
		text string
		want parsed
	}{
		"with its defaults": {fillTitle, parsed{
			Table: "works", Key: []string{`"id"`}, After: 1, Body: "UPDATE works SET title = 'x' FROM batch WHERE works.id = batch.id",
			Batch: 1000, MaxWaits: 5, BatchTime: 500 * time.Millisecond, Pause: 100 * time.Millisecond, Lag: 10 * time.Second,
		}},
		"with all there is": {
			"-- why it is done\n-- mirubato:after 7\n-- mirubato:over Music.\"Works\" (Owner, \"Nr\")\n-- mirubato:batch 50\n-- mirubato:batch-time 1s\n-- mirubato:pause 0s\n" +
				"-- mirubato:max-lag 3s\n-- mirubato:max-waits 2\n-- mirubato:remaining key IS NULL AND title <> ';'\n/* now */ with x as (select 1)\nselect f(batch.nr) from batch, x;\n",
			parsed{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := parseBackfill("fill.backfill.sql", []byte(tc.text))
			if strings.Contains(tc.text, "';'") {
				if err == nil || !strings.Contains(err.Error(), "line 9: '-- mirubato:remaining' must be one condition") {
					t.Fatalf("a semicolon in a condition: %v", err)
				}
				b, err = parseBackfill("fill.backfill.sql", []byte(strings.ReplaceAll(tc.text, "';'", "'.'")))
				tc.want = parsed{
					Table: `music."Works"`, Key: []string{`"owner"`, `"Nr"`}, After: 7, Batch: 50, MaxWaits: 2, BatchTime: time.Second, Lag: 3 * time.Second,
					Remaining: "key IS NULL AND title <> '.'", Body: "x as (select 1)\nselect f(batch.nr) from batch, x",
				}
				if !b.with || b.line != 10 {
					t.Errorf("with %t, line %d", b.with, b.line)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			got := parsed{b.table, b.remaining, b.body, b.key, b.after, b.batch, b.maxWaits, b.batchTime, b.pause, b.maxLag}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBackfillsThatAreRefused(t *testing.T) {
	const body = "UPDATE works SET title = 'x' FROM batch WHERE works.id = batch.id;\n"
	for name, tc := range map[string]struct {
		files files
		want  string
	}{
		"a name with a capital letter":   {files{"Fill.backfill.sql": fillTitle}, "must be of a-z, 0-9 and _"},
		"no version":                     {files{"a.backfill.sql": "-- mirubato:over works (id)\n" + body}, "'-- mirubato:after VERSION'"},
		"a version that is none":         {files{"a.backfill.sql": "-- mirubato:after x\n" + body}, "line 1: '-- mirubato:after' is \"x\""},
		"a version without a migration":  {files{"a.backfill.sql": strings.ReplaceAll(fillTitle, "after 1", "after 5")}, "there is no such migration"},
		"no table":                       {files{"a.backfill.sql": "-- mirubato:after 1\n" + body}, "'-- mirubato:over TABLE (KEY)'"},
		"a table without a key":          {files{"a.backfill.sql": "-- mirubato:over works\n" + body}, "like 'works (id)'"},
		"a key that is an expression":    {files{"a.backfill.sql": "-- mirubato:over works (lower(id))\n" + body}, "like 'works (id)'"},
		"a key with a comma at the end":  {files{"a.backfill.sql": "-- mirubato:over works (id,)\n" + body}, "like 'works (id)'"},
		"a batch of none":                {files{"a.backfill.sql": "-- mirubato:batch 0\n" + fillTitle}, "line 1: '-- mirubato:batch' is \"0\": it must be a number between 1 and 100000"},
		"a pause without a unit":         {files{"a.backfill.sql": "-- mirubato:pause 5\n" + fillTitle}, "must be a duration like 500ms"},
		"an unknown setting":             {files{"a.backfill.sql": "-- mirubato:phase expand\n" + fillTitle}, "'-- mirubato:phase' is no setting of a backfill"},
		"no statement":                   {files{"a.backfill.sql": declared}, "one statement, and has 0"},
		"two statements":                 {files{"a.backfill.sql": fillTitle + body}, "line 3: it must have one statement, and has 2"},
		"a change of the schema":         {files{"a.backfill.sql": declared + "ALTER TABLE works ADD COLUMN x int;"}, "line 3: it has the statement ALTER"},
		"a statement for all rows":       {files{"a.backfill.sql": declared + "UPDATE works SET title = 'batch';"}, "does not speak of batch"},
		"a comment at the end":           {files{"a.backfill.sql": declared + strings.TrimSpace(body) + " -- done"}, "nothing may come after the semicolon"},
		"bytes that are no text":         {files{"a.backfill.sql": fillTitle + "\xff"}, "line 4: the byte 0xFF"},
		"a contract file for none":       {files{"2_c.sql": "-- mirubato:after-backfill a\n" + contractUp("SELECT 1;")}, "there is no file a.backfill.sql"},
		"an expand file that waits":      {files{"2_e.sql": "-- mirubato:after-backfill a\n" + up("SELECT 1;"), "a.backfill.sql": fillTitle}, "is for files of phase contract"},
		"a wait for what comes later":    {files{"2_c.sql": "-- mirubato:after-backfill a\n" + contractUp("SELECT 1;"), "3_d.sql": up("SELECT 1;"), "a.backfill.sql": strings.ReplaceAll(fillTitle, "after 1", "after 3")}, "which needs the later version 3"},
		"a wait that names a whole file": {files{"2_c.sql": "-- mirubato:after-backfill a.backfill.sql\n" + contractUp("SELECT 1;")}, "without .backfill.sql"},
		"a wait in the middle of a file": {files{"2_c.sql": contractUp("SELECT 1;") + "-- mirubato:after-backfill a\n"}, "before the first statement"},
	} {
		f := tc.files.with("1_create_works.sql", works["1_create_works.sql"])
		_, _, err := loadAll(f.fs())
		if failure := mustFail(t, err, contract.InvalidMigrations); !strings.Contains(failure.Error(), tc.want) {
			t.Errorf("%s: error %q does not say %q", name, failure, tc.want)
		}
	}
}
