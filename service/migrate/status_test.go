package migrate

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestReadStatus(t *testing.T) {
	url := pgserver.Database(t)
	status := func(f files) Status {
		s, err := ReadStatus(t.Context(), Config{DatabaseURL: url, Files: f.fs()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	f := works.
		with("3_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;")).
		with("4_drop_title.sql", contractUp("ALTER TABLE works DROP COLUMN title;"))
	want := Status{SchemaState: contract.SchemaState{Target: 4, Minimum: 3}, Reason: "the schema lacks migrations that this image needs", Migrations: []MigrationStatus{
		{Version: 1, Name: "1_create_works.sql", Phase: Expand, State: Pending},
		{Version: 3, Name: "3_add_key.sql", Phase: Expand, State: Pending},
		{Version: 4, Name: "4_drop_title.sql", Phase: Contract, State: Held},
	}}
	if diff := cmp.Diff(want, status(f)); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	mustUp(t, url, f)
	other := files{
		"1_create_works.sql": up("CREATE TABLE other (id int);"),
		"2_late.sql":         up("SELECT 1;"),
	}
	got := status(other)
	want = Status{SchemaState: contract.SchemaState{Current: 3, Target: 2, Minimum: 2}, Runs: true, Migrations: []MigrationStatus{
		{Version: 1, Name: "1_create_works.sql", Phase: Expand, State: Edited},
		{Version: 2, Name: "2_late.sql", Phase: Expand, State: OutOfOrder},
		{Version: 3, Name: "3_add_key.sql", Phase: Expand, State: Newer},
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(MigrationStatus{}, "AppliedAt")); diff != "" {
		t.Errorf("other files (-want +got):\n%s", diff)
	}
	if at := got.Migrations[0].AppliedAt; at == nil || time.Since(*at) > time.Hour {
		t.Errorf("applied at %v", at)
	}
	missing := status(files{"9_far.sql": up("SELECT 1;")})
	if diff := cmp.Diff([]State{Missing, Missing, Pending}, []State{missing.Migrations[0].State, missing.Migrations[1].State, missing.Migrations[2].State}); diff != "" {
		t.Errorf("lost files (-want +got):\n%s", diff)
	}
}

func TestFitReport(t *testing.T) {
	many := manyApplied(200)
	for name, tc := range map[string]struct {
		report contract.MigrationReport
		check  func(t *testing.T, line string)
	}{
		"a short report stays whole": {
			report: contract.MigrationReport{ReportVersion: 1, To: 3, Target: 3, Applied: many[:3]},
			check: func(t *testing.T, line string) {
				t.Helper()
				if n := strings.Count(line, `"name"`); n != 3 {
					t.Errorf("%d migrations", n)
				}
			},
		},
		"a long list loses its oldest": {
			report: contract.MigrationReport{ReportVersion: 1, To: 200, Target: 200, Applied: many},
			check: func(t *testing.T, line string) {
				t.Helper()
				if strings.Contains(line, `{"version":1,`) || !strings.Contains(line, `"version":200`) || len(line) < 4000 {
					t.Errorf("cut to %s", line)
				}
			},
		},
		"a long message loses its end": {
			report: contract.MigrationReport{ReportVersion: 1, Applied: many, Error: &contract.MigrationError{
				Code: contract.MigrationFailed, Message: strings.Repeat(`Präludium "1" <b> `, 500), Migration: "1_a.sql",
			}},
			check: func(t *testing.T, line string) {
				t.Helper()
				if !strings.Contains(line, `..."`) || !strings.Contains(line, "Präludium") || !strings.Contains(line, `"migration":"1_a.sql"`) {
					t.Errorf("cut to %s", line)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			line, err := FitReport(tc.report, contract.MaxTerminationMessage)
			if err != nil {
				t.Fatal(err)
			}
			if len(line) > contract.MaxTerminationMessage || !utf8.Valid(line) {
				t.Errorf("%d bytes, valid %t", len(line), utf8.Valid(line))
			}
			tc.check(t, string(line))
		})
	}
}

func manyApplied(n int64) (many []contract.AppliedMigration) {
	for v := range n {
		many = append(many, contract.AppliedMigration{Version: v + 1, Name: "1_a_name_of_usual_length.sql", Duration: time.Second})
	}
	return many
}

func TestRedact(t *testing.T) {
	target, err := parseTarget("postgres://owner:p%40ss@db.example:5432/music?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := target.redact("refused p@ss by db"), "refused *** by db"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
