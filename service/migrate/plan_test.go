package migrate

import (
	"slices"
	"testing"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestPlan(t *testing.T) {
	all := func(phases ...Phase) (files []file) {
		for i, phase := range phases {
			files = append(files, file{version: int64(i + 1), name: string(phase), checksum: "sum", phase: phase})
		}
		return files
	}
	applied := func(files []file, n int) state {
		h := history{}
		for _, f := range files[:n] {
			h[f.version] = record{name: f.name, checksum: f.checksum, phase: f.phase}
		}
		return state{history: h}
	}
	const e, c = Expand, Contract
	for name, tc := range map[string]struct {
		files       []file
		applied     int
		initial     int64
		phase       Phase
		wantPending []int64
		wantHeld    []int64
		wantInitial int64
		wantCode    contract.MigrationErrorCode
	}{
		"expand stops before the first contract file":                    {files: all(e, e, c, c), applied: 1, phase: e, wantPending: []int64{2}, wantHeld: []int64{3, 4}},
		"contract applies those":                                         {files: all(e, e, c, c), applied: 2, phase: c, wantPending: []int64{3, 4}},
		"contract needs expand first":                                    {files: all(e, e, c), applied: 1, phase: c, wantCode: contract.ReleaseSkipped},
		"contract stops before the next expand file":                     {files: all(e, c, e, c), applied: 1, phase: c, wantPending: []int64{2}, wantHeld: []int64{3, 4}},
		"expand behind a contract file that others may need":             {files: all(e, c, e), applied: 1, phase: e, wantCode: contract.ReleaseSkipped},
		"an empty database takes all, but the contract files at the end": {files: all(e, c, e, c), phase: e, wantPending: []int64{1, 2, 3}, wantHeld: []int64{4}, wantInitial: 3},
		"a run that was cut off on an empty database goes on":            {files: all(e, c, e, c), applied: 1, initial: 3, phase: e, wantPending: []int64{2, 3}, wantHeld: []int64{4}, wantInitial: 3},
		"what comes later is held as ever":                               {files: all(e, c, e, c, e), applied: 3, initial: 3, phase: e, wantCode: contract.ReleaseSkipped},
		"nothing to do":                                                  {files: all(e, c), applied: 2, phase: e},
	} {
		t.Run(name, func(t *testing.T) {
			s := applied(tc.files, tc.applied)
			s.initial = tc.initial
			p, err := newPlan(tc.files, nil, s, tc.phase)
			if tc.wantCode != "" {
				mustFail(t, err, tc.wantCode)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(versions(p.pending), tc.wantPending) || !slices.Equal(versions(p.held), tc.wantHeld) || p.initial != tc.wantInitial {
				t.Errorf("pending %v, held %v, initial %d", versions(p.pending), versions(p.held), p.initial)
			}
		})
	}
}

func versions(files []file) (all []int64) {
	for _, f := range files {
		all = append(all, f.version)
	}
	return all
}

// A story of three releases: each brings expand and contract files, and images of the releases before meet the schema.
func TestContractRaisesTheFloor(t *testing.T) {
	url := pgserver.Database(t)
	first := works.with("2_add_name.sql", up("ALTER TABLE works ADD COLUMN name text;"))
	second := first.with("3_drop_title.sql", contractUp("ALTER TABLE works DROP COLUMN title;"))
	mustUp(t, url, second)

	cfg := config(url, second)
	cfg.Phase = Contract
	report, err := Up(t.Context(), cfg)
	if err != nil || report.To != 3 || report.Floor != 3 || report.Held != nil {
		t.Fatalf("report %+v, error %v", report, err)
	}
	_, failure := failUp(t, config(url, first), contract.ImageTooOld)
	if failure.Migration != "3_drop_title.sql" || failure.Retryable || ExitCode(failure) != contract.ExitFailed {
		t.Errorf("the image before: %+v", failure)
	}
	status, err := ReadStatus(t.Context(), config(url, first))
	if err != nil || status.Runs || status.Floor != 3 || status.FloorMigration != "3_drop_title.sql" {
		t.Errorf("status of the image before: %+v, %v", status, err)
	}
	third := second.with("4_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;"))
	if report := mustUp(t, url, third); report.To != 4 || report.Floor != 3 {
		t.Errorf("the next release: %+v", report)
	}
	// A new environment takes the whole history at once.
	if report := mustUp(t, pgserver.Database(t), third); report.To != 4 || len(report.Applied) != 4 || report.Floor != 3 {
		t.Errorf("an empty database: %+v", report)
	}
}

func TestARunOnAnEmptyDatabaseThatWasCutOffGoesOn(t *testing.T) {
	url := pgserver.Database(t)
	f := works.
		with("2_drop_title.sql", contractUp("ALTER TABLE works DROP COLUMN titel;")).
		with("3_add_key.sql", up("ALTER TABLE works ADD COLUMN key text;"))
	failUp(t, config(url, f), contract.MigrationFailed)
	f = f.with("2_drop_title.sql", contractUp("ALTER TABLE works DROP COLUMN title;"))
	if report := mustUp(t, url, f); report.From != 1 || report.To != 3 {
		t.Errorf("report %+v", report)
	}
}

// Databases that an earlier version of this program has migrated have no phases in their record.
func TestPhasesAreAdded(t *testing.T) {
	url := pgserver.Database(t)
	db := open(t, url)
	f := works.with("2_drop_title.sql", contractUp("ALTER TABLE works DROP COLUMN title;"))
	mustUp(t, url, f)
	cfg := config(url, f)
	cfg.Phase = Contract
	if _, err := Up(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	exec(t, db, "ALTER TABLE mirubato_migration_checksums DROP COLUMN phase")
	exec(t, db, "DROP TABLE mirubato_migration_owner")
	if report := mustUp(t, url, f); report.Floor != 2 || report.From != 2 {
		t.Errorf("report %+v", report)
	}
	if n := get[int](t, db, "SELECT count(*) FROM mirubato_migration_checksums WHERE phase IS NOT NULL"); n != 2 {
		t.Errorf("phases kept: %d", n)
	}
}
