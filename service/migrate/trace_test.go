package migrate

import (
	"strings"
	"testing"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestErrorsNameTheLine(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		line int
	}{
		"the first statement":        {up("SELEC 1;"), 2},
		"a later one":                {up("SELECT 1;\n\n-- a comment; with a semicolon\nSELECT 2;\nSELECT nothing;"), 6},
		"a later line of one":        {up("SELECT 1;\nSELECT\n  'Ä',\n  nothing;"), 5},
		"a body":                     {up("-- +goose StatementBegin\nDO $$\nBEGIN\n  PERFORM 1/0;\nEND $$;\n-- +goose StatementEnd"), 3},
		"without a transaction":      {noTx("CREATE INDEX CONCURRENTLY works_title\n  ON works (titel);"), 3},
		"a file that cannot be read": {up("SELECT 1;\nBEGIN;"), 3},
		"a comment before it":        {"-- why\n-- +goose Up\n-- what\n/* how */\nSELECT nothing;\n", 5},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Up(t.Context(), config(pgserver.Database(t), works.with("2_bad.sql", tc.text)))
			failure := classify(t.Context(), err)
			if err == nil || failure.Line != tc.line || failure.Migration != "2_bad.sql" || !strings.HasPrefix(failure.Message, "line ") {
				t.Errorf("line %d, want %d: %v", failure.Line, tc.line, err)
			}
			if failure.Code != contract.MigrationFailed && failure.Code != contract.InvalidMigrations {
				t.Errorf("code %s", failure.Code)
			}
		})
	}
}
