package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/mirubato/mirubato/api/contract"
)

// largeObjects is how they are called among the tables.
const largeObjects = "large objects"

// querier is a transaction or a pool.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// plainOutput makes every value be written the same way on any server, whatever a database or role has been configured to.
// With row security off, a policy that would hide rows is an error instead.
var plainOutput = []string{
	"SET LOCAL extra_float_digits = 1", "SET LOCAL bytea_output = 'hex'", "SET LOCAL datestyle = 'ISO, YMD'",
	"SET LOCAL intervalstyle = 'iso_8601'", "SET LOCAL timezone = 'UTC'", "SET LOCAL lc_monetary = 'C'",
	"SET LOCAL search_path = pg_catalog", "SET LOCAL row_security = off", "SET LOCAL statement_timeout = 0",
	"SET LOCAL idle_in_transaction_session_timeout = 0",
}

// begin starts a transaction that sees one state and writes values plainly.
func begin(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	for _, statement := range plainOutput {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(err, tx.Rollback())
		}
	}
	return tx, nil
}

// readTables counts and hashes what a dump holds the rows of: tables and partitions, but not those that an extension makes anew.
func readTables(ctx context.Context, db querier) ([]contract.BackupTable, error) {
	names, err := readColumn(ctx, db, `SELECT format('%I.%I', n.nspname, c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
		ORDER BY format('%I.%I', n.nspname, c.relname) COLLATE "C"`)
	if err != nil {
		return nil, fmt.Errorf("listing the tables: %w", err)
	}
	tables := make([]contract.BackupTable, 0, len(names)+1)
	for _, name := range names {
		// The alias is written with a star so that no column of the same name can be meant.
		table, err := hashRows(ctx, db, name, "SELECT ROW(every_column.*)::text AS content FROM ONLY "+name+" AS every_column")
		if err != nil {
			return nil, err
		}
		tables = append(tables, table)
	}
	objects, err := hashRows(ctx, db, largeObjects,
		"SELECT oid::text || ' ' || sha256(lo_get(oid))::text AS content FROM pg_largeobject_metadata")
	if err != nil {
		return nil, err
	}
	if objects.Rows > 0 {
		tables = append(tables, objects)
	}
	return tables, nil
}

// hashRows adds up two independent 64-bit hashes of every row, which makes the order of rows irrelevant and two equal rows
// count twice.
func hashRows(ctx context.Context, db querier, name, rows string) (contract.BackupTable, error) {
	table := contract.BackupTable{Name: name}
	query := `SELECT count(*), coalesce(sum(hashtextextended(content COLLATE "C", 0)), 0)::text || ':' ||
		coalesce(sum(hashtextextended(content COLLATE "C", 7919)), 0)::text FROM (` + rows + ") AS content"
	if err := db.QueryRowContext(ctx, query).Scan(&table.Rows, &table.Hash); err != nil {
		return table, fmt.Errorf("reading %s: %w", name, err)
	}
	return table, nil
}

// sequence is where a sequence stands.
type sequence struct {
	value  int64
	called bool
}

// readSequences is outside every snapshot, as sequences are.
func readSequences(ctx context.Context, db querier) (map[string]sequence, error) {
	names, err := readColumn(ctx, db, `SELECT format('%I.%I', n.nspname, c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`)
	if err != nil {
		return nil, fmt.Errorf("listing the sequences: %w", err)
	}
	all := make(map[string]sequence, len(names))
	for _, name := range names {
		var s sequence
		if err := db.QueryRowContext(ctx, "SELECT last_value, is_called FROM "+name).Scan(&s.value, &s.called); err != nil {
			return nil, fmt.Errorf("reading the sequence %s: %w", name, err)
		}
		all[name] = s
	}
	return all, nil
}

func readColumn(ctx context.Context, db querier, query string) (values []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, rows.Err()
}

// content is all that must be the same in a database and its copy.
type content struct {
	tables    []contract.BackupTable
	sequences map[string]sequence
	// later are the sequences when the dump was done; nil for a copy, where nobody draws from them.
	later map[string]sequence
	// schema are the statements that make the schema.
	schema string
}

// differences compares the database with its copy, in sentences for a person; none when equal.
func differences(database, restored content) []string {
	found := tableDifferences(database.tables, restored.tables)
	for name, first := range database.sequences {
		last, kept := database.later[name]
		got, there := restored.sequences[name]
		switch {
		case !there:
			found = append(found, "the sequence "+name+" is missing in the copy")
		case kept && !between(got, first, last):
			found = append(found, fmt.Sprintf("the sequence %s stands at %d in the copy and at %d in the database", name, got.value, first.value))
		}
	}
	if database.schema != restored.schema {
		found = append(found, "the schemas differ: "+firstDifference(database.schema, restored.schema))
	}
	return found
}

// between is loose where somebody drew from the sequence while it was dumped, in either direction.
func between(got, first, last sequence) bool {
	if first == last {
		return got == first
	}
	return got.value >= min(first.value, last.value) && got.value <= max(first.value, last.value)
}

func tableDifferences(database, restored []contract.BackupTable) []string {
	var found []string
	copies := make(map[string]contract.BackupTable, len(restored))
	for _, table := range restored {
		copies[table.Name] = table
	}
	for _, table := range database {
		got, there := copies[table.Name]
		delete(copies, table.Name)
		switch {
		case !there:
			found = append(found, table.Name+" is missing in the copy")
		case got.Rows != table.Rows:
			found = append(found, fmt.Sprintf("%s has %d rows in the database and %d in the copy", table.Name, table.Rows, got.Rows))
		case got.Hash != table.Hash:
			found = append(found, table.Name+" has other values in the copy")
		}
	}
	for _, table := range restored {
		if _, extra := copies[table.Name]; extra {
			found = append(found, table.Name+" is in the copy only")
		}
	}
	return found
}

// firstDifference returns the first line that only one of two sorted schemas has.
func firstDifference(database, restored string) string {
	a, b := strings.Split(database, "\n"), strings.Split(restored, "\n")
	for i := 0; i < len(a) && i < len(b); i++ {
		switch {
		case a[i] < b[i]:
			return fmt.Sprintf("the database has %q", a[i])
		case a[i] > b[i]:
			return fmt.Sprintf("the copy has %q", b[i])
		}
	}
	if len(a) > len(b) {
		return fmt.Sprintf("the database has %q", a[len(b)])
	}
	return fmt.Sprintf("the copy has %q", b[len(a)])
}
