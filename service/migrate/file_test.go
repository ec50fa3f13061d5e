package migrate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
)

func TestParse(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want file
	}{
		"no header is expand": {
			text: up("SELECT 1;"),
			want: file{phase: Expand, transactional: true},
		},
		"a header names the phase": {
			text: "--   mirubato:phase   contract  \n" + up("DROP TABLE a;"),
			want: file{phase: Contract, transactional: true},
		},
		"the header may follow the annotation": {
			text: "-- +goose Up\n-- Why: nobody reads it.\n-- mirubato:phase contract\nDROP TABLE a;\n",
			want: file{phase: Contract, transactional: true},
		},
		"an index built concurrently is known by its name": {
			text: noTx("CREATE INDEX CONCURRENTLY IF NOT EXISTS By_Key ON Public.Works\n  (key);"),
			want: file{phase: Expand, index: &concurrentIndex{name: "by_key", table: "public.works"}},
		},
		"one without a name is not": {
			text: noTx("CREATE INDEX CONCURRENTLY ON works (key);"),
			want: file{phase: Expand},
		},
		"a Down part is not looked into": {
			text: up("SELECT 1;") + "-- +goose Down\nROLLBACK; BEGIN;\n",
			want: file{phase: Expand, transactional: true},
		},
		"a body in a block": {
			text: up("-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int AS $$\nBEGIN\n  RETURN 1;\nEND;\n$$ LANGUAGE plpgsql;\n-- +goose StatementEnd"),
			want: file{phase: Expand, transactional: true},
		},
		"a savepoint and back": {
			text: up("SAVEPOINT a;\nROLLBACK TO SAVEPOINT a;\nSET LOCAL search_path = music;\nSET CONSTRAINTS ALL DEFERRED;"),
			want: file{phase: Expand, transactional: true},
		},
		"nothing at all to do": {
			text: "-- +goose Up\n",
			want: file{phase: Expand, transactional: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(file{}, concurrentIndex{})); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		files files
		want  string
	}{
		"a directory without migrations":      {files{"README.md": "none"}, "there are no migrations"},
		"a name without a number":             {files{"notes.sql": up("SELECT 1;")}, "the name must be a number"},
		"a name without words":                {files{"7.sql": up("SELECT 1;")}, "the name must be a number"},
		"version zero":                        {files{"0_start.sql": up("SELECT 1;")}, "version 0 is not between"},
		"a version beyond 63 bits":            {files{"9999999999999999999_a.sql": up("SELECT 1;")}, "is not between"},
		"the same version twice":              {files{"1_a.sql": up("SELECT 1;"), "01_b.sql": up("SELECT 1;")}, "has the same version 1"},
		"an unknown phase":                    {files{"1_a.sql": "-- mirubato:phase later\n" + up("SELECT 1;")}, `its phase is "later"`},
		"a phase without a value":             {files{"1_a.sql": "-- mirubato:phase\n" + up("SELECT 1;")}, `its phase is ""`},
		"a misspelt header":                   {files{"1_a.sql": "-- mirubato:fase expand\n" + up("SELECT 1;")}, "the only settings are"},
		"two phases":                          {files{"1_a.sql": "-- mirubato:phase expand\n-- mirubato:phase contract\n" + up("SELECT 1;")}, "twice"},
		"a phase below a statement":           {files{"1_a.sql": up("SELECT 1;\n-- mirubato:phase contract")}, "before the first statement"},
		"no annotation":                       {files{"1_a.sql": "SELECT 1;\n"}, "must begin with the line '-- +goose Up'"},
		"an empty file":                       {files{"1_a.sql": ""}, "must begin with the line '-- +goose Up'"},
		"only a Down part":                    {files{"1_a.sql": "-- +goose Down\nSELECT 1;\n"}, "'-- +goose Down' must come once"},
		"two Up parts":                        {files{"1_a.sql": up("SELECT 1;") + up("SELECT 1;")}, "a second '-- +goose Up'"},
		"a misspelt annotation":               {files{"1_a.sql": "-- +goose Upp\nSELECT 1;\n"}, "is not one of"},
		"substitution from the environment":   {files{"1_a.sql": "-- +goose ENVSUB ON\n" + up("SELECT 1;")}, "is not one of"},
		"an indented annotation":              {files{"1_a.sql": "  -- +goose Up\nSELECT 1;\n"}, "must not be indented"},
		"no semicolon":                        {files{"1_a.sql": up("SELECT 1")}, "does not end with a semicolon"},
		"no semicolon before Down":            {files{"1_a.sql": up("SELECT 1") + "-- +goose Down\n"}, "does not end with a semicolon"},
		"a semicolon in a comment":            {files{"1_a.sql": up("SELECT 1 -- one;")}, "does not end with a semicolon"},
		"a block without an end":              {files{"1_a.sql": up("-- +goose StatementBegin\nSELECT 1;")}, "has no StatementEnd"},
		"an end without a block":              {files{"1_a.sql": up("-- +goose StatementEnd")}, "without StatementBegin"},
		"two statements without transaction":  {files{"1_a.sql": noTx("SELECT 1;\nSELECT 2;")}, "NO TRANSACTION and has more than one statement"},
		"two statements on one line without":  {files{"1_a.sql": noTx("SELECT 1; SELECT 2;")}, "NO TRANSACTION and has more than one statement"},
		"a transaction of its own":            {files{"1_a.sql": up("BEGIN;\nSELECT 1;\nCOMMIT;")}, "the statement BEGIN"},
		"a commit behind another statement":   {files{"1_a.sql": up("SELECT 1; commit;")}, "the statement COMMIT"},
		"a setting that outlasts the file":    {files{"1_a.sql": up("SET search_path = music;")}, "use SET LOCAL"},
		"a setting for the session":           {files{"1_a.sql": up("SET SESSION lock_timeout = 0;")}, "use SET LOCAL"},
		"a statement before the annotation":   {files{"1_a.sql": "SELECT 1;\n" + up("SELECT 2;")}, "must begin with the line"},
		"a byte order mark":                   {files{"1_a.sql": "\ufeff" + up("SELECT 1;")}, "line 1: the file begins with a byte order mark"},
		"a block in the middle of statements": {files{"1_a.sql": up("SELECT\n-- +goose StatementBegin\n1;\n-- +goose StatementEnd")}, "in the middle of a statement"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(tc.files.fs())
			failure := mustFail(t, err, contract.InvalidMigrations)
			if !strings.Contains(failure.Error(), tc.want) {
				t.Errorf("error %q does not say %q", failure, tc.want)
			}
			if ExitCode(err) != contract.ExitUsage || failure.Retryable {
				t.Errorf("exit %d, retryable %t", ExitCode(err), failure.Retryable)
			}
		})
	}
}

func TestLatest(t *testing.T) {
	if got, err := Latest(files{"2_a.sql": up("SELECT 1;"), "10_b.sql": up("SELECT 1;")}.fs()); got != 10 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestSplitStatements(t *testing.T) {
	for name, tc := range map[string]struct {
		sql  string
		want []string // first words
	}{
		"nothing":                             {"  -- only a comment; really\n /* and; /* another; */ */ ", nil},
		"an empty statement is none":          {"; SELECT 1;;", []string{"select"}},
		"strings":                             {`INSERT INTO a VALUES ('x;y', 'it''s; fine', E'\';', U&'d;e'); UPDATE a SET b = ''`, []string{"insert", "update"}},
		"quoted names":                        {`ALTER TABLE "a;""b" DROP c; SELECT 1`, []string{"alter", "select"}},
		"dollar quotes":                       {"DO $$ BEGIN; END; $$; DO $body$ a; $$; $body$; SELECT $1;", []string{"do", "do", "select"}},
		"comments":                            {"SELECT 1 -- a; b\n; /* c; */ VALUES (1)", []string{"select", "values"}},
		"parentheses":                         {"CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2); SELECT 3", []string{"create", "select"}},
		"the body of an SQL function":         {"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3", []string{"create", "select"}},
		"letters beyond ASCII":                {"SELECT Überschrift; VALUES (1)", []string{"select", "values"}},
		"a string that is never closed":       {"SELECT 'a; b", []string{"select"}},
		"a name that is never closed":         {`SELECT "a; b`, []string{"select"}},
		"a dollar quote that is never closed": {"SELECT $$a; b", []string{"select"}},
		"a comment that is never closed":      {"SELECT 1 /* a; b", []string{"select"}},
		"parentheses that close too often":    {"SELECT 1); SELECT 2", []string{"select", "select"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range splitStatements(tc.sql) {
				got = append(got, s[0].text)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(up("SELECT 'a';"))
	f.Add(noTx("CREATE INDEX CONCURRENTLY \"a\" ON b.c (d);"))
	f.Add("-- mirubato:phase contract\n-- +goose Up\n-- +goose StatementBegin\nDO $x$;$x$;\n-- +goose StatementEnd\n-- +goose Down\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := parse([]byte(text)); err == nil && got.phase != Expand && got.phase != Contract {
			t.Errorf("phase %q", got.phase)
		}
	})
}
