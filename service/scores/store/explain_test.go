package store_test

import (
	"database/sql"
	"testing"

	"github.com/mirubato/mirubato/service/chassis/postgres"
)

// explain returns the plan of a statement.
func explain(t *testing.T, db *postgres.DB, text string, args []any) []string {
	t.Helper()
	var lines []string
	err := db.Direct("explain", "explain "+text).Query(t.Context(), func(rows *sql.Rows) error {
		var line string
		err := rows.Scan(&line)
		lines = append(lines, line)
		return err
	}, args...)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
