package lint

import (
	"errors"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/scores/migrations"
)

const library = "CREATE TABLE works (id bigint PRIMARY KEY, title varchar(10), body text, at timestamp);"

func TestWhatIsApplied(t *testing.T) {
	for name, tc := range map[string]struct {
		files   []File
		applied int // how many of them
		blocks  []string
		judged  int
	}{
		"without a catalogue each file is a release of its own": {
			files:  files(up("CREATE TABLE a (id int);"), up("CREATE INDEX a_id ON a (id);")),
			blocks: []string{"index-not-concurrent"}, judged: 2,
		},
		"what is pending is one run": {
			files:   files(up(library), up("CREATE TABLE a (id int);"), up("CREATE INDEX a_id ON a (id);")),
			applied: 1, judged: 2,
		},
		"what is applied is in use": {
			files:   files(up("CREATE TABLE a (id int);"), up("CREATE INDEX a_id ON a (id);")),
			applied: 1, blocks: []string{"index-not-concurrent"}, judged: 1,
		},
		"what is applied is not judged": {
			files: files(up("DROP TABLE a;"), up("SELECT 1;")), applied: 1, judged: 1,
		},
		"a type that an applied file gives": {
			files: files(up(library), up("ALTER TABLE works ALTER COLUMN title TYPE varchar(20);")), applied: 1, judged: 1,
		},
		"a number below what is applied": {
			files:   []File{{Name: "2_a.sql", Content: []byte(up("SELECT 1;"))}, {Name: "1_b.sql", Content: []byte(up("SELECT 1;"))}},
			applied: 1, blocks: []string{"file-order"}, judged: 1,
		},
		"an expand file behind a contract file": {
			files:   files(up(library), contractUp("DROP TABLE works;"), up("SELECT 1;")),
			applied: 1, blocks: []string{"file-order"}, judged: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var known *Catalogue
			if tc.applied > 0 {
				known = Replay(tc.files[:tc.applied])
			}
			report := Run(tc.files, known)
			if diff := cmp.Diff(tc.blocks, rulesOf(report, contract.LintBlock)); diff != "" || report.Files != tc.judged {
				t.Errorf("%d files judged; rules that block (-want +got):\n%s", report.Files, diff)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for name, tc := range map[string]struct {
		names []string
		want  string
	}{
		"no number":     {[]string{"add.sql"}, "the name must be a number"},
		"a number less": {[]string{"0_add.sql"}, "version 0 is not between"},
		"a number twice": {
			[]string{"1_a.sql", "01_b.sql"}, "has the same version 1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var all []File
			for _, n := range tc.names {
				all = append(all, File{Name: "dir/" + n, Content: []byte(up("SELECT 1;"))})
			}
			report := Run(all, nil)
			if len(report.Findings) != 1 || report.Findings[0].Rule != ruleName || !strings.Contains(report.Findings[0].Message, tc.want) {
				t.Errorf("findings %+v", report.Findings)
			}
		})
	}
}

// TestDatabaseKnows is about what only a database can say.
func TestDatabaseKnows(t *testing.T) {
	url := pgserver.Database(t)
	first := files(up(library + "\nCREATE TABLE small (id int);\nINSERT INTO works SELECT n, 'a', repeat('abcdefgh', 500), now() FROM generate_series(1, 30000) n;\n" +
		"ALTER TABLE works ALTER COLUMN body SET STORAGE PLAIN;"))
	if _, err := migrate.Up(t.Context(), migrate.Config{DatabaseURL: url, Files: asFS(first)}); err != nil {
		t.Fatal(err)
	}
	db := open(t, url)
	for _, text := range []string{
		"UPDATE works SET body = body || 'x' WHERE id < 20000", "VACUUM ANALYZE works",
		"CREATE FUNCTION calm() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN 1; END'",
	} {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	known, err := ReadCatalogue(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		sql    string
		blocks []string
		says   string
	}{
		"a large table": {
			sql: "CREATE INDEX works_at ON works (at);", blocks: []string{"index-not-concurrent"}, says: "works has about 30000 rows",
		},
		"a small table":                                 {sql: "CREATE INDEX small_id ON small (id);", says: "small has about 0 rows in 0.0 MiB"},
		"a type that widens":                            {sql: "ALTER TABLE works ALTER COLUMN title TYPE varchar(20);"},
		"a time in UTC":                                 {sql: "ALTER TABLE works ALTER COLUMN at TYPE timestamptz;"},
		"a function that is stable":                     {sql: "ALTER TABLE works ADD COLUMN calm int DEFAULT calm();"},
		"a function of the server":                      {sql: "ALTER TABLE works ADD COLUMN size text DEFAULT pg_size_pretty(10::bigint);"},
		"a function that is volatile":                   {sql: "ALTER TABLE works ADD COLUMN luck float DEFAULT random();", blocks: []string{"volatile-default"}},
		"what is small still breaks the release before": {sql: "DROP TABLE small;", blocks: []string{"drop-table"}},
	} {
		t.Run(name, func(t *testing.T) {
			report := Run(append(slices.Clone(first), File{Name: "2_next.sql", Content: []byte(up(tc.sql))}), known)
			if diff := cmp.Diff(tc.blocks, rulesOf(report, contract.LintBlock)); diff != "" || report.Files != 1 {
				t.Errorf("%d files judged; rules that block (-want +got):\n%s", report.Files, diff)
			}
			said := slices.ContainsFunc(report.Findings, func(f contract.LintFinding) bool { return strings.Contains(f.Message, tc.says) })
			if tc.says != "" && !said {
				t.Errorf("nothing says %q: %+v", tc.says, report.Findings)
			}
		})
	}
}

func asFS(all []File) fstest.MapFS {
	m := fstest.MapFS{}
	for _, f := range all {
		m[f.Name] = &fstest.MapFile{Data: f.Content}
	}
	return m
}

func TestReadCatalogueSaysWhatItCouldNotRead(t *testing.T) {
	db := open(t, pgserver.Database(t))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := ReadCatalogue(t.Context(), db)
	if _, ok := errors.AsType[*migrate.Error](err); !ok {
		t.Errorf("got %v", err)
	}
}

// TestRunLeavesTheCatalogueAlone calls twice; the second call must not know what the first has read.
func TestRunLeavesTheCatalogueAlone(t *testing.T) {
	known := Replay(files(up(world)))
	text := append(files(up(world)), File{Name: "2_a.sql", Content: []byte(up("ALTER TABLE works DROP COLUMN price;\nCREATE TABLE a (id int);\nCREATE INDEX a_id ON a (id);\nDROP TABLE plain;"))})
	if diff := cmp.Diff(Run(text, known), Run(text, known)); diff != "" {
		t.Errorf("the second report (-first +second):\n%s", diff)
	}
}

// TestOwnMigrations are held to what everybody else's are.
func TestOwnMigrations(t *testing.T) {
	entries, err := migrations.Files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var all []File
	for _, e := range entries {
		content, err := migrations.Files.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, File{Name: e.Name(), Content: content})
	}
	report := Run(all, nil)
	if report.Blocks() || report.Unanalysable > 0 || report.Files != len(entries) {
		t.Errorf("%d files, %d unanalysable, blocking rules %v", report.Files, report.Unanalysable, rulesOf(report, contract.LintBlock))
	}
}

// TestOnlyMigrateLinksC keeps the parser out of programs that run for long, and that are built without a C compiler.
func TestOnlyMigrateLinksC(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "../../../cmd/operator", "../../../cmd/scores").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "pg_query") || !strings.Contains(string(out), "mirubato/service/migrate\n") {
		t.Error("the operator or the service links the parser, or the list is not of them")
	}
}

func TestInputThatIsNoMigration(t *testing.T) {
	deep := strings.Repeat("(", 50000) + "1" + strings.Repeat(")", 50000)
	for name, tc := range map[string]struct {
		content string
		rule    string
		line    int
	}{
		"nothing":                      {"", ruleFile, 1},
		"a NUL byte":                   {up("SELECT 1;\nSELECT '\x00';"), ruleFile, 3},
		"UTF-16":                       {"\xff\xfe-\x00-\x00", ruleFile, 1},
		"too much":                     {up("SELECT '" + strings.Repeat("x", MaxFileSize) + "';"), ruleFile, 1},
		"a line that is too long":      {up("SELECT '" + strings.Repeat("x", 5<<20) + "';"), ruleFile, 2},
		"parentheses without end":      {up("SELECT 1;\nSELECT " + deep + ";"), ruleSyntax, 3},
		"a quote without end":          {up("SELECT 1;\n\nSELECT 'a;"), ruleSyntax, 4},
		"an error on the second line":  {up("SELECT 1,\n  FROM FROM b;"), ruleSyntax, 3},
		"an error after umlauts":       {up("SELECT 'äöü', FROM;"), ruleSyntax, 2},
		"what a newer server might do": {up("ALTER TABLE works ADD CONSTRAINT a NOT NULL b NOT VALID;"), ruleSyntax, 2},
	} {
		t.Run(name, func(t *testing.T) {
			report := Run([]File{{Name: "1_a.sql", Content: []byte(tc.content)}}, nil)
			if len(report.Findings) != 1 || report.Unanalysable != 1 || !report.Blocks(contract.LintRunner) {
				t.Fatalf("report %+v", report)
			}
			if f := report.Findings[0]; f.Rule != tc.rule || f.Line != tc.line {
				t.Errorf("finding %+v, want %s at line %d", f, tc.rule, tc.line)
			}
		})
	}
}

func FuzzRun(f *testing.F) {
	for _, e := range slices.Concat(unsafe, safe) {
		f.Add(e.text)
	}
	for i, statement := range statements {
		f.Add(up("-- mirubato:acknowledge drop-table: " + strconv.Itoa(i) + "\n" + statement + ";"))
	}
	before := File{Name: "1_world.sql", Content: []byte(up(world))}
	f.Fuzz(func(t *testing.T, text string) {
		report := Run([]File{before, {Name: "2_a.sql", Content: []byte(text)}}, nil)
		for _, finding := range report.Findings {
			if finding.Line < 1 || finding.Column < 1 || finding.Message == "" {
				t.Errorf("finding %+v", finding)
			}
		}
	})
}
