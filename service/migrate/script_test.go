package migrate

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadScript(t *testing.T) {
	text := `-- mirubato:phase contract
-- mirubato:acknowledge drop-table: nothing reads it
-- +goose NO TRANSACTION
-- +goose Up

-- a comment
-- mirubato:acknowledge drop-column: a: b
-- mirubato:acknowledge truncate: empty
ALTER TABLE a
  -- a comment within
  DROP COLUMN b; -- gone
SELECT 1; SELECT 2;
-- +goose StatementBegin

CREATE FUNCTION f() RETURNS int AS $$
-- kept

BEGIN RETURN 1; END;
$$ LANGUAGE plpgsql;
-- +goose StatementEnd
-- +goose Down
-- mirubato:acknowledge drop-table: never run
DROP TABLE a;
`
	want := Script{
		Phase:        Contract,
		Acknowledged: []Acknowledgement{{Rule: "drop-table", Reason: "nothing reads it", Line: 2}},
		Statements: []Statement{
			{
				Text: "ALTER TABLE a\n  -- a comment within\n  DROP COLUMN b; -- gone", Line: 9,
				Acknowledged: []Acknowledgement{{Rule: "drop-column", Reason: "a: b", Line: 7}, {Rule: "truncate", Reason: "empty", Line: 8}},
			},
			{Text: "SELECT 1; SELECT 2;", Line: 12},
			{Text: "CREATE FUNCTION f() RETURNS int AS $$\n-- kept\n\nBEGIN RETURN 1; END;\n$$ LANGUAGE plpgsql;", Line: 15},
		},
	}
	for name, content := range map[string]string{"line feeds": text, "carriage returns": strings.ReplaceAll(text, "\n", "\r\n")} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadScript([]byte(content))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("script (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadScriptNamesTheLine(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		line    int
		want    string
	}{
		"nothing":                             {"", 1, "must begin with the line"},
		"a phase too late":                    {up("SELECT 1;\n-- mirubato:phase contract"), 3, "before the first statement"},
		"a missing semicolon":                 {up("SELECT 1;\nSELECT 2\n"), 4, "does not end with a semicolon"},
		"a NUL byte":                          {up("SELECT 1;\nSELECT '\x00';"), 3, "NUL byte"},
		"Latin 1":                             {up("SELECT 1;\nSELECT '\xe9';"), 3, "0xE9 is not UTF-8"},
		"UTF-16":                              {"\xff\xfe-\x00-\x00", 1, "UTF-16"},
		"a line that goose cannot read":       {up("SELECT '" + strings.Repeat("x", maxLine) + "';"), 2, "longer than 4 MiB"},
		"an acknowledgement without a reason": {up("-- mirubato:acknowledge drop-column:\nSELECT 1;"), 2, "a rule and a reason"},
		"an acknowledgement without a rule":   {up("-- mirubato:acknowledge\nSELECT 1;"), 2, "a rule and a reason"},
		"an acknowledgement in a statement":   {up("SELECT\n-- mirubato:acknowledge drop-column: none\n1;"), 3, "in the middle of a statement"},
		"an acknowledgement in a block":       {up("-- +goose StatementBegin\n-- mirubato:acknowledge drop-column: none\nSELECT 1;\n-- +goose StatementEnd"), 3, "in the middle of a statement"},
		"an acknowledgement of nothing":       {up("SELECT 1;\n-- mirubato:acknowledge drop-column: none"), 3, "no statement below it"},
		"an acknowledgement before a Down":    {up("SELECT 1;\n-- mirubato:acknowledge drop-column: none") + "-- +goose Down\n", 4, "no statement below it"},
		"a rule that is not written like one": {up("-- mirubato:acknowledge Drop Column: none\nSELECT 1;"), 2, "a rule and a reason"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadScript([]byte(tc.content))
			at, ok := errors.AsType[*LineError](err)
			if !ok || at.Line != tc.line || !strings.Contains(at.Error(), tc.want) {
				t.Errorf("got %v, want line %d and %q", err, tc.line, tc.want)
			}
		})
	}
}

func TestAcknowledgingKeepsTheChecksum(t *testing.T) {
	plain := up("ALTER TABLE a DROP COLUMN b;")
	want, err := Describe(files{"1_a.sql": plain}.fs(), "1_a.sql")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"above the statement": up("-- mirubato:acknowledge drop-column: none\nALTER TABLE a DROP COLUMN b;"),
		"for the file":        "--mirubato:acknowledge drop-column: none\r\n" + plain,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Describe(files{"1_a.sql": text}.fs(), "1_a.sql"); err != nil || got != want {
				t.Errorf("described as %+v, error %v; want %+v", got, err, want)
			}
		})
	}
	if got, _ := Describe(files{"1_a.sql": "-- another comment\n" + plain}.fs(), "1_a.sql"); got == want {
		t.Error("another comment keeps the checksum too")
	}
}
