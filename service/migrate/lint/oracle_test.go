package lint

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "github.com/lib/pq"
	pgquery "github.com/pganalyze/pg_query_go/v6"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

// measured is what a statement did to one relation that was there before.
type measured struct {
	Lock     string
	Rewrites bool
	// Scans is true when all rows were read or written.
	Scans bool
}

// observed are all of a statement, by name.
type observed map[string]measured

// predicted is what lint says, in the same shape.
func predicted(s *schema, statement string) observed {
	tree, err := pgquery.Parse(statement)
	if err != nil {
		return observed{"": {Lock: err.Error()}}
	}
	all := observed{}
	for _, e := range s.effectsOf(tree.GetStmts()[0].GetStmt()) {
		all[e.on.String()] = measured{e.lock.String(), e.rewrites, e.rewrites || e.scans}
	}
	return all
}

// oracle is the server that statements are tried on.
type oracle struct {
	db    *sql.DB
	names map[string]string // of relations that are there, by oid
	files map[string]string // their files, by name
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	url := pgserver.Filled(t, "oracle", func(ctx context.Context, url string) error {
		db, err := sql.Open("postgres", url)
		if err != nil {
			return err
		}
		defer db.Close()
		db.SetMaxOpenConns(1) // the first is a setting of the session
		for _, text := range []string{"SET allow_in_place_tablespaces = on", "CREATE TABLESPACE elsewhere LOCATION ''", world, "CREATE SCHEMA archive_2", "CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler", "ANALYZE"} {
			if _, err := db.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
	db := open(t, url)
	o := &oracle{db: db, names: map[string]string{}, files: map[string]string{}}
	for _, r := range query(t, db, relationsQuery) {
		o.names[r[0]], o.files[r[1]] = r[1], r[2]
	}
	return o
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	db, err := sql.Open("postgres", url+separator+"timezone=UTC")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

const relationsQuery = `SELECT c.oid::text, CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || c.relname, c.relfilenode::text
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'`

type rowsQuerier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func query(t *testing.T, db rowsQuerier, text string, args ...any) [][]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		targets := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(columns))
		for i, v := range values {
			row[i] = v.String
		}
		all = append(all, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// strengths are the modes of pg_locks that keep somebody from working.
var strengths = map[string]lock{
	"ShareUpdateExclusiveLock": shareUpdateExclusive, "ShareLock": share, "ShareRowExclusiveLock": shareRowExclusive,
	"ExclusiveLock": exclusive, "AccessExclusiveLock": accessExclusive,
}

const locksQuery = `SELECT relation::text, mode FROM pg_locks WHERE pid = $1 AND locktype = 'relation' AND relation >= 16384`

func (o *oracle) locks(rows [][]string) map[string]lock {
	strongest := map[string]lock{}
	for _, r := range rows {
		if name, there := o.names[r[0]]; there && strengths[r[1]] != noLock {
			strongest[name] = max(strongest[name], strengths[r[1]])
		}
	}
	return strongest
}

// try runs a statement in a transaction that is rolled back, and looks before that.
func (o *oracle) try(t *testing.T, statement string) (observed, error) {
	t.Helper()
	tx, err := o.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	return o.run(t, tx, statement)
}

// run runs a statement and looks at what the transaction holds afterwards, and at which tables the statement has gone through.
func (o *oracle) run(t *testing.T, tx *sql.Tx, statement string) (observed, error) {
	t.Helper()
	before := query(t, tx, scansQuery)
	if _, err := tx.ExecContext(t.Context(), statement); err != nil {
		return nil, err
	}
	pid := query(t, tx, "SELECT pg_backend_pid()::text")[0][0]
	all := observed{}
	for name, l := range o.locks(query(t, tx, locksQuery, pid)) {
		all[name] = measured{Lock: l.String()}
	}
	for _, r := range query(t, tx, relationsQuery) {
		if file, there := o.files[r[1]]; there && file != r[2] {
			all[r[1]] = measured{all[r[1]].Lock, true, true}
		}
	}
	for _, r := range query(t, tx, scansQuery) {
		if m, there := all[o.names[r[0]]]; there && !slices.ContainsFunc(before, func(b []string) bool { return slices.Equal(b, r) }) {
			m.Scans = true
			all[o.names[r[0]]] = m
		}
	}
	return all, nil
}

// scansQuery counts; what earlier transactions of the session have counted may still be in it.
const scansQuery = `SELECT oid::text, pg_stat_get_xact_numscans(oid)::text FROM pg_class
	WHERE oid >= 16384 AND relkind IN ('r', 'm') AND pg_stat_get_xact_numscans(oid) > 0`

// watch runs a statement that refuses a transaction, while another session keeps it from going on, and looks at what it holds and waits
// for meanwhile. What only comes after that is not seen; for these statements there is nothing.
func (o *oracle) watch(t *testing.T, statement, holds, target string) observed {
	t.Helper()
	holder, err := o.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Rollback()
	if _, err := holder.ExecContext(t.Context(), "LOCK TABLE "+target+" IN "+holds+" MODE"); err != nil {
		t.Fatal(err)
	}
	conn, err := o.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	pid := query(t, conn, "SELECT pg_backend_pid()::text")[0][0]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(ctx, statement)
		done <- err
	}()
	const waits = `SELECT count(*)::text FROM pg_locks WHERE pid = $1 AND NOT granted`
	for query(t, o.db, waits, pid)[0][0] == "0" {
		select {
		case err := <-done:
			t.Fatalf("it waited for nobody: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	all := observed{}
	for name, l := range o.locks(query(t, o.db, locksQuery, pid)) {
		all[name] = measured{Lock: l.String()}
	}
	query(t, o.db, "SELECT pg_cancel_backend($1)::text", pid)
	<-done
	return all
}

// outside says how statements are watched that refuse a transaction: what another session holds to stop them, and on what. Those that
// wait for older transactions are stopped by any; the others by the table.
var outside = map[string]struct{ holds, target string }{
	"CREATE INDEX CONCURRENTLY extra ON works (pages)":         {"ROW EXCLUSIVE", "works"},
	"CREATE UNIQUE INDEX CONCURRENTLY extra ON works (opus)":   {"ROW EXCLUSIVE", "works"},
	"DROP INDEX CONCURRENTLY works_by_composer":                {"ROW EXCLUSIVE", "works"},
	"REINDEX INDEX CONCURRENTLY works_by_composer":             {"ROW EXCLUSIVE", "works"},
	"REINDEX TABLE CONCURRENTLY plain":                         {"ROW EXCLUSIVE", "plain"},
	"ALTER TABLE logs DETACH PARTITION logs_2026 CONCURRENTLY": {"ACCESS SHARE", "logs_2026"},
	"VACUUM works":              {"SHARE UPDATE EXCLUSIVE", "works"},
	"VACUUM FULL works":         {"ACCESS SHARE", "works"},
	"VACUUM (FULL false) works": {"SHARE UPDATE EXCLUSIVE", "works"},
}

func TestOracle(t *testing.T) {
	if len(statements) < 150 {
		t.Errorf("%d statements are too few", len(statements))
	}
	o := newOracle(t)
	fromDatabase, err := ReadCatalogue(t.Context(), o.db)
	if err != nil {
		t.Fatal(err)
	}
	fromFiles := Replay([]File{{Name: "1_world.sql", Content: []byte(up(world + "CREATE SCHEMA archive_2;"))}})
	fromFiles.schema.utc = true // the only thing that no file says
	for _, statement := range statements {
		t.Run(statement, func(t *testing.T) {
			var want observed
			if by, special := outside[statement]; special {
				want = newOracle(t).watch(t, statement, by.holds, by.target)
				want.rewriteIf(strings.HasPrefix(statement, "VACUUM FULL"))
			} else if want, err = o.try(t, statement); err != nil {
				t.Fatalf("the server refuses it: %v", err)
			}
			for source, known := range map[string]*Catalogue{"the database": fromDatabase, "files": fromFiles} {
				if diff := cmp.Diff(want, predicted(known.schema.clone(), statement)); diff != "" {
					t.Errorf("knowing %s, lint is wrong (-server +lint):\n%s", source, diff)
				}
			}
		})
	}
}

// rewriteIf notes what cannot be seen of a statement that is cancelled.
func (o observed) rewriteIf(rewrites bool) {
	if !rewrites {
		return
	}
	for name, m := range o {
		m.Rewrites, m.Scans = true, true
		o[name] = m
	}
}

// cells are what the page of a rule shows.
func (o observed) cells() (locks, rows string) {
	if len(o) == 0 {
		return "none", ""
	}
	var on, with []string
	for _, name := range slices.Sorted(maps.Keys(o)) {
		on = append(on, o[name].Lock+" on "+name)
		switch {
		case o[name].Rewrites:
			with = append(with, name+" written anew")
		case o[name].Scans:
			with = append(with, name+" read")
		}
	}
	return strings.Join(on, "<br>"), strings.Join(with, "<br>")
}
