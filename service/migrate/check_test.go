package migrate

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func mustCheck(t *testing.T, cfg Config) contract.CheckReport {
	t.Helper()
	report, err := Check(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	return report
}

// rules are the names of the findings, but for what depends on the server.
func rules(report contract.CheckReport) (names []string) {
	for _, f := range report.Preflight {
		names = append(names, fmt.Sprintf("%s %s", f.Level, f.Rule))
	}
	return names
}

func TestCheck(t *testing.T) {
	url := pgserver.Database(t)
	f := works.
		with("2_index_title.sql", noTx("CREATE INDEX CONCURRENTLY works_by_title ON works (title);")).
		with("3_drop_title.sql", contractUp("ALTER TABLE works DROP COLUMN title;"))
	report := mustCheck(t, config(url, f))
	if !report.Passed || report.Phase != "expand" || len(report.Pending) != 2 || len(report.Held) != 1 || report.Preflight != nil {
		t.Errorf("before: %+v", report)
	}
	if n := get[int](t, open(t, url), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("the check made %d tables", n)
	}
	mustUp(t, url, f)
	report = mustCheck(t, config(url, f))
	want := contract.SchemaState{Current: 2, Target: 3, Minimum: 2}
	if diff := cmp.Diff(want, report.Schema); diff != "" || len(report.Pending) != 0 || !report.Passed {
		t.Errorf("after: %+v\n%s", report, diff)
	}
	id := report.Database
	if id.Name == "" || id.System == "" || id.Bytes == 0 || id.ServerVersion == "" || id.Role == "" || len(report.Fingerprint) != 64 {
		t.Errorf("identity %+v, fingerprint %q", id, report.Fingerprint)
	}
	cfg := config(url, f)
	cfg.Phase = Contract
	if report := mustCheck(t, cfg); report.Phase != "contract" || len(report.Pending) != 1 || report.Pending[0].Name != "3_drop_title.sql" {
		t.Errorf("of the other phase: %+v", report)
	}
}

func TestCheckTellsWhatTheFilesAreUpAgainst(t *testing.T) {
	url := pgserver.Database(t)
	cfg := config(url, works)
	cfg.LockID = "music/scores"
	if _, err := Up(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		files  files
		lockID string
		want   contract.MigrationErrorCode
	}{
		"an edited file":  {files{"1_create_works.sql": up("SELECT 1;")}, "music/scores", contract.HistoryChanged},
		"another service": {works, "music/notes", contract.OwnedByAnother},
		"no files":        {files{}, "music/scores", contract.InvalidMigrations},
	} {
		cfg := config(url, tc.files)
		cfg.LockID = tc.lockID
		report, err := Check(t.Context(), cfg)
		failure := mustFail(t, err, tc.want)
		if report.Passed || report.Error == nil || report.Error.Code != tc.want {
			t.Errorf("%s: %+v, report %+v", name, failure, report)
		}
	}
}

func TestMinimumSchema(t *testing.T) {
	f := works.with("3_drop.sql", contractUp("SELECT 1;"))
	for name, tc := range map[string]struct {
		content string
		want    int64
		wantErr bool
	}{
		"what the file says":        {content: "0\n"},
		"no more than there is":     {content: "2", wantErr: true},
		"a number":                  {content: "one", wantErr: true},
		"nothing below the nothing": {content: "-1", wantErr: true},
	} {
		source := f.fs()
		source[contract.MinimumSchemaFile] = &fstest.MapFile{Data: []byte(tc.content)}
		all, err := load(source)
		if err != nil {
			t.Fatal(err)
		}
		got, err := readMinimum(source, all)
		if got != tc.want || (err != nil) != tc.wantErr {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}

func TestPreflightSeesOtherSessions(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	mustUp(t, url, works)
	exec(t, db, "INSERT INTO works VALUES (1, 'Étude'), (2, 'Étude')")
	if _, err := db.ExecContext(t.Context(), "CREATE UNIQUE INDEX CONCURRENTLY works_title ON works (title)"); err == nil {
		t.Fatal("a unique index of equal rows was built")
	}
	dumping, err := url2(url, "pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	dump, err := open(t, dumping).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dump.Rollback() }()
	if _, err := dump.ExecContext(t.Context(), "LOCK TABLE works IN ACCESS SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	f := works.with("2_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;"))
	report, err := Check(t.Context(), config(url, f))
	failure := mustFail(t, err, contract.PreflightWaiting)
	if want := []string{"block running-dump", "warn invalid-index"}; !slices.Equal(rules(report), want) || !failure.Retryable {
		t.Errorf("findings %v, want %v; error %+v", rules(report), want, failure)
	}
	if report := mustCheck(t, config(url, works)); len(report.Preflight) != 2 {
		t.Errorf("with nothing pending: %+v", report)
	}
	f = works.with("2_unique.sql", noTx("CREATE UNIQUE INDEX CONCURRENTLY works_title ON works (title);"))
	report, _ = Check(t.Context(), config(url, f))
	if want := []string{"block running-dump", "info invalid-index"}; !slices.Equal(rules(report), want) {
		t.Errorf("an index that is built again: findings %v, want %v", rules(report), want)
	}
}

// url2 names the sessions of a URL; ours go by another name.
func url2(databaseURL, application string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", err
	}
	q := u.Query()
	q.Set("application_name", application)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// A role of the app, and one that may change the schema but owns nothing of it.
func TestPreflightOfARoleWithoutRights(t *testing.T) {
	databaseURL := pgserver.Database(t)
	db := open(t, databaseURL)
	mustUp(t, databaseURL, works)
	role := "app_" + get[string](t, db, "SELECT current_database()")
	exec(t, db, "CREATE ROLE "+role+" LOGIN PASSWORD 'app-secret'")
	t.Cleanup(func() {
		if _, err := db.ExecContext(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	})
	exec(t, db, "GRANT SELECT, INSERT, UPDATE, DELETE ON works TO "+role)
	exec(t, db, "GRANT SELECT ON goose_db_version TO "+role)
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "app-secret")

	app := open(t, u.String())
	for _, statement := range []string{
		"CREATE TABLE mine (id int)", "ALTER TABLE works ADD COLUMN key text", "DROP TABLE works", "CREATE INDEX ON works (title)", "TRUNCATE works",
		"CREATE SCHEMA mine", "UPDATE goose_db_version SET is_applied = false", "INSERT INTO mirubato_migration_checksums VALUES (9, '', '', '')",
		"UPDATE mirubato_migration_owner SET owner = 'app'", "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
	} {
		if _, err := app.ExecContext(t.Context(), statement); pq.As(err, "42501") == nil {
			t.Errorf("the role of the app: %s: %v", statement, err)
		}
	}
	exec(t, app, "INSERT INTO works VALUES (1, 'Lágrima')")

	f := works.with("2_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;"))
	_, err = Check(t.Context(), config(u.String(), f))
	if failure := mustFail(t, err, contract.MigrationFailed); failure.SQLState != "42501" || strings.Contains(failure.Message, "app-secret") {
		t.Errorf("a role that may not read the history: %+v", failure)
	}
	exec(t, db, "GRANT SELECT ON mirubato_migration_checksums, mirubato_migration_owner, mirubato_backfills TO "+role)
	report, err := Check(t.Context(), config(u.String(), f))
	mustFail(t, err, contract.PreflightRefused)
	if want := []string{"block missing-rights", "warn not-owner", "info unseen-sessions"}; !slices.Equal(rules(report), want) {
		t.Errorf("findings %v, want %v: %+v", rules(report), want, report.Preflight)
	}
	if _, failure := failUp(t, config(u.String(), f), contract.MigrationFailed); failure.SQLState != "42501" {
		t.Errorf("up: %+v", failure)
	}
}

// What must not be found can not be arranged on the server of the tests.
func TestPreflightRules(t *testing.T) {
	fine := surroundings{major: 15, seesOthers: true}
	for name, tc := range map[string]struct {
		change  func(*surroundings)
		want    string
		waiting bool
	}{
		"nothing":                {func(*surroundings) {}, "", false},
		"an old server":          {func(s *surroundings) { s.major = 13 }, "block server-too-old", false},
		"a new server":           {func(s *surroundings) { s.major = 19 }, "warn server-too-new", false},
		"a standby":              {func(s *surroundings) { s.standby, s.readOnly = true, true }, "block standby", true},
		"read only":              {func(s *surroundings) { s.readOnly = true }, "block read-only", true},
		"a pooler":               {func(s *surroundings) { s.pooled = true }, "block pooler", false},
		"another run":            {func(s *surroundings) { s.running = "server process 7" }, "block running-migration", true},
		"an old transaction":     {func(s *surroundings) { s.old = []string{"server process 7"} }, "block old-transaction", true},
		"a prepared transaction": {func(s *surroundings) { s.prepared = []string{"x"} }, "block prepared-transaction", false},
		"tables of others":       {func(s *surroundings) { s.unknownTables = []string{"a", "b", "c", "d"} }, "warn unknown-database", false},
		"a large index":          {func(s *surroundings) { s.builds = []indexBuild{{bytes: 2 << 30}} }, "info large-index", false},
		"a small index":          {func(s *surroundings) { s.builds = []indexBuild{{bytes: 2 << 20}} }, "", false},
	} {
		s := fine
		tc.change(&s)
		found := preflight(s)
		report := contract.CheckReport{Preflight: found}
		if got := strings.Join(rules(report), ", "); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
		if len(found) > 0 && (found[0].Waiting != tc.waiting || found[0].Message == "" || found[0].Fix == "") {
			t.Errorf("%s: %+v", name, found[0])
		}
	}
}

// pool answers every connection from one session, as a pooler in transaction mode may.
type pool struct {
	driver.Connector
	mu     sync.Mutex
	shared driver.Conn
}

func (p *pool) Connect(ctx context.Context) (driver.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared == nil {
		made, err := p.Connector.Connect(ctx)
		if err != nil {
			return nil, err
		}
		p.shared = made
	}
	return pooledConn{p.shared}, nil
}

type pooledConn struct{ driver.Conn }

func (pooledConn) Close() error { return nil }

func TestAPoolerIsFound(t *testing.T) {
	target, err := parseTarget(pgserver.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{false, true} {
		var between *pool
		if want {
			target.wrap = func(c driver.Connector) driver.Connector {
				between = &pool{Connector: c}
				return between
			}
		}
		db := target.open(0)
		got, err := isPooled(t.Context(), db)
		if err != nil || got != want {
			t.Errorf("pooled: %t, %v; want %t", got, err, want)
		}
		_ = db.Close()
		if between != nil {
			_ = between.shared.Close()
		}
	}
}

func TestFitCheckReport(t *testing.T) {
	report := contract.CheckReport{
		ReportVersion: 1, Lint: &contract.LintReport{}, Error: &contract.MigrationError{Code: contract.PreflightRefused, Message: strings.Repeat("drop-table: ", 600)},
	}
	for range 100 {
		level := contract.LintInfo
		if len(report.Lint.Findings) == 50 {
			level = contract.LintBlock
		}
		report.Lint.Findings = append(report.Lint.Findings, contract.LintFinding{File: "1_a.sql", Rule: "drop-table", Level: level})
		report.Preflight = append(report.Preflight, contract.PreflightFinding{Rule: "not-owner", Level: contract.LintWarn})
		report.Pending = append(report.Pending, contract.PendingMigration{Name: "1_a.sql"})
	}
	line, err := FitCheckReport(report, contract.MaxTerminationMessage)
	if err != nil || len(line) > contract.MaxTerminationMessage || !strings.Contains(string(line), `"leftOut":`) {
		t.Errorf("%d bytes, %v: %s", len(line), err, line)
	}
	if len(report.Lint.Findings) != 100 || len(report.Preflight) != 100 || len(report.Error.Message) != 7200 {
		t.Error("the report itself was cut")
	}
}

func TestTheLightestFindingsGoFirst(t *testing.T) {
	all := []contract.LintFinding{{Rule: "a", Level: contract.LintInfo}, {Rule: "b", Level: contract.LintBlock}, {Rule: "c", Level: contract.LintWarn}, {Rule: "d", Level: contract.LintInfo}}
	var gone []string
	for rest := all; len(rest) > 0; {
		less := withoutLightest(rest)
		for _, f := range rest {
			if !slices.Contains(less, f) {
				gone = append(gone, f.Rule)
			}
		}
		rest = less
	}
	if want := []string{"d", "a", "c", "b"}; !slices.Equal(gone, want) {
		t.Errorf("left out in the order %v, want %v", gone, want)
	}
}
