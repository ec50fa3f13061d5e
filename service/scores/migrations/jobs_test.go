package migrations_test

import (
	"context"
	"database/sql"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "github.com/lib/pq" // the driver
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
	"github.com/mirubato/mirubato/service/scores/scorestest"
)

func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }

// riverObjects are the tables, columns, constraints, indexes and functions of the queue, in words.
const riverObjects = `
	select 'column ' || table_name || '.' || column_name || ' ' || udt_name || ' ' || is_nullable || ' ' || coalesce(column_default, '')
	from information_schema.columns where table_schema = 'public' and table_name like 'river\_%' and table_name <> 'river_migration'
	union all
	select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
	from pg_constraint where conrelid::regclass::text like 'river\_%' and conrelid::regclass::text <> 'river_migration' and contype <> 'n'
	union all
	select 'index ' || indexdef from pg_indexes where tablename like 'river\_%' and tablename <> 'river_migration'
	union all
	select 'value ' || enumlabel || ' ' || rank() over (order by enumsortorder) from pg_enum join pg_type on pg_type.oid = enumtypid where typname = 'river_job_state'
	union all
	select 'table ' || relname || ' ' || relpersistence::text from pg_class where relname like 'river\_%' and relkind = 'r' and relname <> 'river_migration'
	union all
	select 'function ' || proname || ' ' || provolatile::text || pg_get_function_arguments(oid) from pg_proc where proname like 'river\_%'
	order by 1`

func describe(t *testing.T, db *sql.DB) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), riverObjects)
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

func connect(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// An upgrade of the library may bring changes to its tables; then this fails, and a further migration file is due.
func TestTablesOfTheQueueAreThoseTheLibraryWants(t *testing.T) {
	wanted := connect(t, pgserver.Database(t))
	migrator, err := rivermigrate.New(riverdatabasesql.New(wanted), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.Migrate(context.WithoutCancel(t.Context()), rivermigrate.DirectionUp, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(describe(t, wanted), describe(t, connect(t, scorestest.URL(t)))); diff != "" {
		t.Errorf("the tables differ (-library +ours):\n%s", diff)
	}
}
