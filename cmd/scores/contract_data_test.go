package main

import (
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var sorted = cmpopts.SortSlices(strings.Compare)

// lockTable keeps a table from everybody until the function is called.
func lockTable(t *testing.T, url, table string) (release func()) {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "lock table "+table); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = tx.Rollback()
		_ = db.Close()
	}
}

// texts reads a query's one column.
func texts(t *testing.T, url, query string) []string {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		found = append(found, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestC60OriginsOverTheWholeService(t *testing.T) {
	const page = "https://app.example.org"
	l := open(t, func(c *Config) { c.Origins = []string{page} })
	preflight := l.as(t, nobody, "OPTIONS", "/api/scores", "", "Origin", page, "Access-Control-Request-Method", "POST").is(t, 204, "")
	for name, parts := range map[string][]string{
		"Access-Control-Allow-Origin":      {page},
		"Access-Control-Allow-Credentials": {"true"},
		"Access-Control-Allow-Methods":     {"GET", "POST", "PUT", "DELETE", "OPTIONS"},
		"Access-Control-Allow-Headers":     {"Content-Type", "Authorization", "X-Idempotency-Key"},
		"Access-Control-Max-Age":           {"86400"},
	} {
		for _, part := range parts {
			if !strings.Contains(preflight.header.Get(name), part) {
				t.Errorf("%s: %q lacks %s", name, preflight.header.Get(name), part)
			}
		}
	}
	exposed := l.as(t, alice, "GET", "/api/scores", "", "Origin", page).is(t, 200, "").header.Get("Access-Control-Expose-Headers")
	for _, name := range []string{"X-RateLimit-Limit", "Retry-After", "X-Cache", "X-Request-ID", "ETag", "Location"} {
		if !strings.Contains(exposed, name) {
			t.Errorf("%s is not exposed", name)
		}
	}
	if got := l.as(t, alice, "GET", "/api/scores", "", "Origin", "https://evil.example.org").header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("an unknown origin is allowed: %s", got)
	}
}

func TestC61RequestsCanBeFollowed(t *testing.T) {
	l := open(t, nil)
	got := l.as(t, alice, "GET", "/api/scores/nothing?limit=1", "", "X-Request-ID", "trace-7", "User-Agent", "contract").is(t, 400, "VALIDATION_ERROR")
	if got.header.Get("X-Request-ID") != "trace-7" || got.object(t)["requestId"] != "trace-7" || got.header.Get("Server-Timing") == "" {
		t.Errorf("%v %s", got.header, got.body)
	}
	for _, bad := range []string{"a b", "a\"b", "a;b", strings.Repeat("x", 129), "é"} {
		if id := l.as(t, alice, "GET", "/livez", "", "X-Request-ID", bad).header.Get("X-Request-ID"); id == bad || len(id) != 32 {
			t.Errorf("%q is answered with %q", bad, id)
		}
	}
	if err := l.stop(); err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(l.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if line["requestId"] != "trace-7" {
			continue
		}
		for _, name := range []string{"time", "durationMs"} {
			if line[name] == nil {
				t.Errorf("the line lacks %s", name)
			}
		}
		problem, _ := line["error"].(map[string]any)
		found := []any{line["method"], line["path"], line["query"], line["userId"], line["ip"], line["userAgent"], line["status"], problem["code"], problem["message"]}
		want := []any{"GET", "/api/scores/nothing", "limit=1", "alice", "127.0.0.1", "contract", 400.0, "VALIDATION_ERROR", "Invalid route parameters"}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		return
	}
	t.Error("the log lacks the request")
}

func TestC64StepsComeInOrder(t *testing.T) {
	const page = "https://app.example.org"
	l := open(t, func(c *Config) { c.Origins = []string{page} })
	const absent = "/api/scores/00000000-0000-4000-8000-000000000000"
	refused := l.as(t, nobody, "POST", "/api/scores", `{"title":7`, "Origin", page).is(t, 401, "AUTHENTICATION_ERROR")
	if refused.header.Get("Access-Control-Allow-Origin") != page {
		t.Error("the token is asked for before the origin")
	}
	l.as(t, alice, "PUT", absent, `{"title":7}`).is(t, 400, "VALIDATION_ERROR") // input before logic
	runSQL(t, l.database, "drop table scores cascade")
	l.as(t, alice, "POST", "/api/scores", `{"title":""}`).is(t, 400, "VALIDATION_ERROR") // rules before the database
	l.as(t, alice, "GET", "/api/admin/audit?limit=x", "").is(t, 403, "AUTHORIZATION_ERROR")
}

func TestC70ScoresAreKeptAsPromised(t *testing.T) {
	database := open(t, nil).database
	columns := texts(t, database, `select column_name || ' ' || data_type || ' ' || is_nullable from information_schema.columns
		where table_schema = 'public' and table_name = 'scores'`)
	for _, want := range []string{
		"id uuid NO", "owner_id text NO", "title text NO", "description text YES", "metadata jsonb NO", "status text NO",
		"created_at timestamp with time zone NO", "updated_at timestamp with time zone NO",
	} {
		if !slices.Contains(columns, want) {
			t.Errorf("the table lacks %q among %q", want, columns)
		}
	}
	indexes := strings.Join(texts(t, database, "select indexdef from pg_indexes where schemaname = 'public'"), "\n")
	for _, want := range []string{"(owner_id, created_at DESC, id DESC)", "USING gin (search)", "lower(email)"} {
		if !strings.Contains(indexes, want) {
			t.Errorf("no index holds %s:\n%s", want, indexes)
		}
	}
}

func TestC70DatabaseRefusesWhatTheRulesRefuse(t *testing.T) {
	database := open(t, nil).database
	for name, values := range map[string]string{
		"no title":           "owner_id, title) values ('a', '')",
		"a long title":       "owner_id, title) values ('a', repeat('x', 256))",
		"no owner":           "owner_id, title) values ('', 'x')",
		"an unknown status":  "owner_id, title, status) values ('a', 'x', 'gone')",
		"a list as metadata": "owner_id, title, metadata) values ('a', 'x', '[]')",
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sql.Open("postgres", database)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), "insert into scores ("+values); err == nil {
				t.Error("the database takes it")
			}
		})
	}
}

func TestC71MigrationsCanBeRepeated(t *testing.T) {
	l := open(t, nil)
	path := l.added(t, alice, `{"title":"Nocturne"}`)
	const state = "select version_id::text from goose_db_version order by id"
	before := texts(t, l.database, state)
	migrated(t, l.database)
	if diff := cmp.Diff(before, texts(t, l.database, state)); diff != "" {
		t.Errorf("migrating again (-before +after):\n%s", diff)
	}
	l.as(t, alice, "GET", path, "").is(t, 200, "")
}
